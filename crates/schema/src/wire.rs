//! The framing that registry-aware serializers put before a value.
//!
//! ```text
//! byte 0    bytes 1..5            bytes 5..
//! 0 (magic) schema id, big endian the value in the schema's format
//! ```

/// Bytes before the value proper.
pub const PREFIX_BYTES: usize = 5;
const MAGIC: u8 = 0;

/// A value and the id of the schema it says it was written with, where it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framed<'a> {
    /// The id; none when the value has no prefix.
    pub id: Option<i32>,
    /// The value without its prefix.
    pub payload: &'a [u8],
}

/// Splits a value that may begin with magic byte and id. A JSON text can't begin with a zero byte; an Avro one may, so that a caller
/// who reads Avro also asks whether the id is known.
#[must_use]
pub fn split(value: &[u8]) -> Framed<'_> {
    match value {
        [MAGIC, a, b, c, d, payload @ ..] => Framed { id: Some(i32::from_be_bytes([*a, *b, *c, *d])), payload },
        _ => Framed { id: None, payload: value },
    }
}

/// The prefix for values of the schema `id`.
#[must_use]
pub fn prefix(id: i32) -> [u8; PREFIX_BYTES] {
    let [a, b, c, d] = id.to_be_bytes();
    [MAGIC, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_split_off() {
        let value = [&prefix(258)[..], b"{}"].concat();
        assert_eq!(value[..5], [0, 0, 0, 1, 2]);
        assert_eq!(split(&value), Framed { id: Some(258), payload: b"{}" });
    }

    #[test]
    fn a_value_without_one_is_left_alone() {
        assert_eq!(split(b"{\"a\":1}"), Framed { id: None, payload: b"{\"a\":1}" });
        assert_eq!(split(&[0, 1, 2]), Framed { id: None, payload: &[0, 1, 2] });
        assert_eq!(split(b""), Framed { id: None, payload: b"" });
    }
}
