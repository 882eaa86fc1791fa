//! Answers as frames, whole with their length.

use crate::{Encodable, Error, HeaderVersion, ResponseKind};
use bytes::{BufMut, Bytes, BytesMut};

/// The frame of an answer, its length included, ready for the socket.
///
/// # Errors
/// [`Error::Encode`] when a value has no place in this version, [`Error::TooLarge`] when it exceeds a frame.
pub fn encode<R: Encodable + HeaderVersion>(body: &R, version: i16, correlation_id: i32) -> Result<Bytes, Error> {
    let tagged = R::header_version(version) >= 1;
    frame(body, version, |buffer| {
        buffer.put_i32(correlation_id);
        if tagged {
            put_no_tags(buffer);
        }
    })
}

/// The frame of an answer of any API. Fetch answers with records go by [`crate::encode_fetch`] instead.
///
/// # Errors
/// As [`encode`].
pub fn encode_kind(body: &ResponseKind, version: i16, correlation_id: i32) -> Result<Bytes, Error> {
    body.encode(version, correlation_id)
}

/// The tagged fields of what has none.
pub fn put_no_tags(buffer: &mut BytesMut) {
    buffer.put_u8(0);
}

/// A frame: its length, what `header` writes, and the body. One allocation, of the frame's size.
pub fn frame<M: Encodable>(body: &M, version: i16, header: impl FnOnce(&mut BytesMut)) -> Result<Bytes, Error> {
    const LENGTH_BYTES: usize = 4;
    const HEADER_BYTES_TYPICAL: usize = 64;
    let message = std::any::type_name::<M>();
    let failed = |error: &dyn std::fmt::Display| Error::Encode { message, version, reason: error.to_string() };
    let size = body.compute_size(version).map_err(|error| failed(&error))?;
    let mut buffer = BytesMut::with_capacity(LENGTH_BYTES + HEADER_BYTES_TYPICAL + size);
    buffer.put_i32(0);
    header(&mut buffer);
    body.encode(&mut buffer, version).map_err(|error| failed(&error))?;
    let len = buffer.len() - LENGTH_BYTES;
    let told = i32::try_from(len).map_err(|_| Error::TooLarge { message, len })?;
    buffer[..LENGTH_BYTES].copy_from_slice(&told.to_be_bytes());
    Ok(buffer.freeze())
}
