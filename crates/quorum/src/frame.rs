//! How the metadata log and its snapshots lie in files: a header, then frames with a length and a checksum each.
//!
//! ```text
//! header   magic (8) | format u32 | number u64 | crc32c of the foregoing u32            big endian, 24 bytes
//! frame    body length u32 | crc32c of the body u32 | body
//! ```
//! The next frame is written only when the one before it is on the disk. So a frame that can't be read is either the last thing in
//! the last file (a torn write, which nobody was told had succeeded) or damage; a readable frame after it tells which.

use crate::Error;
use bytes::{BufMut, Bytes, BytesMut};
use crc_fast::{CrcAlgorithm, checksum};
use std::path::Path;

/// Bytes of a file's header. Stored: never change.
pub(crate) const HEADER_LEN: usize = 24;
/// Bytes before a frame's body. Stored: never change.
pub(crate) const FRAME_HEAD_LEN: usize = 8;
/// Bytes of the longest body, a bound on what a damaged length can make us believe.
pub(crate) const BODY_LEN_MAX: usize = 256 << 20;
/// The format this version writes, and the newest it reads.
pub(crate) const FORMAT: u32 = 1;

/// CRC-32C.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    u32::try_from(checksum(CrcAlgorithm::Crc32Iscsi, bytes)).expect("a 32-bit checksum fits 32 bits")
}

/// The header of file `number` of the kind that `magic` names.
pub(crate) fn header(magic: [u8; 8], number: u64) -> Bytes {
    let mut header = BytesMut::with_capacity(HEADER_LEN);
    header.put_slice(&magic);
    header.put_u32(FORMAT);
    header.put_u64(number);
    header.put_u32(crc32c(&header));
    header.freeze()
}

/// Reads a header; answers the file's number.
pub(crate) fn read_header(path: &Path, bytes: &[u8], magic: [u8; 8]) -> Result<u64, Error> {
    let corrupt = |reason: &str| Error::Corrupt { path: path.to_owned(), position: 0, reason: reason.to_owned() };
    let mut reader = Reader(bytes);
    let parsed = (|| Some((reader.array::<8>()?, reader.u32()?, reader.u64()?, reader.u32()?)))();
    let (found_magic, format, number, crc) = parsed.ok_or_else(|| corrupt("the file is shorter than its header"))?;
    if found_magic != magic {
        return Err(corrupt("it does not begin as a file of the metadata log does"));
    }
    // The checksum covers the format, but a newer format may sum up differently: the words for it come first.
    if format > FORMAT && format < 1 << 16 {
        return Err(Error::NewerFormat { path: path.to_owned(), found: format, supported: FORMAT });
    }
    if crc != crc32c(&bytes[..HEADER_LEN - 4]) || format == 0 {
        return Err(corrupt("the checksum of its header is wrong"));
    }
    Ok(number)
}

/// A frame around `body`.
pub(crate) fn frame(body: &[u8]) -> std::io::Result<Bytes> {
    if body.len() > BODY_LEN_MAX {
        let message = format!("{} bytes of metadata in one write; at most {BODY_LEN_MAX} are allowed", body.len());
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, message));
    }
    let mut frame = BytesMut::with_capacity(FRAME_HEAD_LEN + body.len());
    frame.put_u32(u32::try_from(body.len()).map_err(std::io::Error::other)?);
    frame.put_u32(crc32c(body));
    frame.put_slice(body);
    Ok(frame.freeze())
}

/// The body of the frame at `position`, if it is whole and right.
pub(crate) fn body_at(file: &Bytes, position: usize) -> Option<Bytes> {
    let mut reader = Reader(file.get(position..)?);
    let (len, crc) = (usize::try_from(reader.u32()?).ok()?, reader.u32()?);
    // No frame is empty: zeros, which a torn write may leave, must not read as frames.
    if len == 0 || len > BODY_LEN_MAX || len > reader.0.len() {
        return None;
    }
    let start = position + FRAME_HEAD_LEN;
    let body = file.slice(start..start + len);
    (crc32c(&body) == crc).then_some(body)
}

/// Whether a whole frame begins anywhere after `position`.
pub(crate) fn readable_after(file: &Bytes, position: usize) -> bool {
    (position + 1..file.len().saturating_sub(FRAME_HEAD_LEN)).any(|at| body_at(file, at).is_some())
}

/// Takes numbers off the front of a slice; none where it ends too early.
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(front)
    }

    pub(crate) fn array<const LEN: usize>(&mut self) -> Option<[u8; LEN]> {
        self.take(LEN)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAGIC: [u8; 8] = *b"MILLTEST";

    proptest! {
        #[test]
        fn a_frame_with_a_changed_byte_is_not_read(body in prop::collection::vec(any::<u8>(), 1..200), at: prop::sample::Index, mask in 1u8..) {
            let whole = frame(&body).unwrap();
            prop_assert_eq!(body_at(&whole, 0).unwrap(), body);
            let mut changed = whole.to_vec();
            let at = at.index(changed.len());
            changed[at] ^= mask;
            prop_assert_eq!(body_at(&changed.into(), 0), None);
        }
    }

    #[test]
    fn bytes_are_golden() {
        // crc32c("123456789") = 0xe3069283, from RFC 3720's appendix.
        let expected = [&[0, 0, 0, 9, 0xe3, 0x06, 0x92, 0x83][..], b"123456789"].concat();
        assert_eq!(frame(b"123456789").unwrap(), expected);
        assert_eq!(read_header(Path::new("f"), &header(MAGIC, 7), MAGIC).unwrap(), 7);
    }

    #[test]
    fn a_newer_format_is_refused_in_words() {
        let mut newer = header(MAGIC, 1).to_vec();
        newer[11] = 9;
        let error = read_header(Path::new("f"), &newer, MAGIC).unwrap_err();
        assert!(matches!(error, Error::NewerFormat { found: 9, supported: 1, .. }));
        assert!(error.to_string().contains("start the newer version"), "{error}");
    }

    #[test]
    fn zeros_are_not_frames() {
        assert!(!readable_after(&Bytes::from_static(&[0; 64]), 0));
    }
}
