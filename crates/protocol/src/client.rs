//! The other side of the wire: requests made and answers read, for our own tools and tests.

use crate::{Decodable, Error, HeaderVersion, Message, StrBytes, response};
use bytes::{Buf, BufMut, Bytes};
use kafka_protocol::protocol::Request as ApiRequest;

/// The frame of a request, its length included, ready for the socket.
///
/// # Errors
/// [`Error::Encode`] when a value has no place in this version, [`Error::TooLarge`] when it exceeds a frame.
pub fn encode_request<R: ApiRequest>(
    body: &R,
    version: i16,
    correlation_id: i32,
    client_id: Option<&StrBytes>,
) -> Result<Bytes, Error> {
    let id_len = client_id.map_or(Ok(-1), |id| i16::try_from(id.len()));
    let id_len = id_len.map_err(|_| Error::Encode {
        message: std::any::type_name::<R>(),
        version,
        reason: "the client id is longer than 32767 bytes".to_owned(),
    })?;
    response::frame(body, version, |buffer| {
        buffer.put_i16(R::KEY);
        buffer.put_i16(version);
        buffer.put_i32(correlation_id);
        buffer.put_i16(id_len);
        buffer.put_slice(client_id.map_or(&[], |id| id.as_bytes()));
        if R::header_version(version) >= 2 {
            response::put_no_tags(buffer);
        }
    })
}

/// The correlation id and body of an answer to an `R` of `version`, from a frame without its length.
///
/// The peer is trusted: its counts are not bounded as a request's are. An answer to ApiVersions with error UNSUPPORTED_VERSION is told in
/// version 0 whatever was asked.
///
/// # Errors
/// [`Error::Decode`] when it is not such an answer.
pub fn decode_response<R: ApiRequest>(frame: Bytes, version: i16) -> Result<(i32, R::Response), Error> {
    let mut frame = frame;
    let failed = |reason: String| Error::Decode { message: std::any::type_name::<R::Response>(), version, reason };
    let range = <R::Response as Message>::VERSIONS;
    if version < range.min || version > range.max {
        return Err(failed(format!("only versions {} to {} are known", range.min, range.max)));
    }
    let correlation_id = frame.try_get_i32().map_err(|_| failed(format!("a frame of {} bytes", frame.len())))?;
    if <R::Response as HeaderVersion>::header_version(version) >= 1 {
        skip_tags(&mut frame).ok_or_else(|| failed("the header's tagged fields are cut short".to_owned()))?;
    }
    let body = R::Response::decode(&mut frame, version).map_err(|error| failed(error.to_string()))?;
    if frame.has_remaining() {
        return Err(failed(format!("{} bytes follow the answer", frame.remaining())));
    }
    Ok((correlation_id, body))
}

fn skip_tags(frame: &mut Bytes) -> Option<()> {
    for _ in 0..varint(frame)? {
        varint(frame)?;
        let size = usize::try_from(varint(frame)?).ok()?;
        if size > frame.remaining() {
            return None;
        }
        frame.advance(size);
    }
    Some(())
}

fn varint(frame: &mut Bytes) -> Option<u32> {
    const BYTES_MAX: u32 = 5;
    let mut value = 0;
    for place in 0..BYTES_MAX {
        let byte = frame.try_get_u8().ok()?;
        value |= u32::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
