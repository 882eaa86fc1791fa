//! Zigzag varints, as in protocol buffers: what the fields of a record are written in.

/// Bytes of the longest 64-bit varint.
const VARLONG_BYTES_MAX: usize = 10;

/// Reads a signed varint from the front of `bytes`; none where it does not end or has more than 64 bits.
#[inline(always)]
pub fn read(bytes: &mut &[u8]) -> Option<i64> {
    // Most fields are lengths and deltas under 64, and of the rest most are under 8,192.
    match **bytes {
        [first, ref rest @ ..] if first < 0x80 => {
            *bytes = rest;
            Some(zigzag_decode(u64::from(first)))
        }
        [first, second, ref rest @ ..] if second < 0x80 => {
            *bytes = rest;
            Some(zigzag_decode(u64::from(first & 0x7f) | u64::from(second) << 7))
        }
        _ => read_long(bytes),
    }
}

#[inline(never)]
fn read_long(bytes: &mut &[u8]) -> Option<i64> {
    let mut raw = 0u64;
    for (place, &byte) in bytes.iter().enumerate().take(VARLONG_BYTES_MAX) {
        let digits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if place == VARLONG_BYTES_MAX - 1 && digits > 1 {
            return None;
        }
        raw |= digits << (7 * place);
        if byte < 0x80 {
            *bytes = &bytes[place + 1..];
            return Some(zigzag_decode(raw));
        }
    }
    None
}

#[expect(clippy::cast_possible_wrap, reason = "zigzag is defined on the bits")]
const fn zigzag_decode(raw: u64) -> i64 {
    ((raw >> 1) as i64) ^ -((raw & 1) as i64)
}

#[expect(clippy::cast_sign_loss, reason = "zigzag is defined on the bits")]
const fn zigzag_encode(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Writes a signed varint.
pub fn write(out: &mut Vec<u8>, value: i64) {
    let mut raw = zigzag_encode(value);
    while raw >= 0x80 {
        out.push(u8::try_from(raw & 0x7f).unwrap_or_default() | 0x80);
        raw >>= 7;
    }
    out.push(u8::try_from(raw).unwrap_or_default());
}

/// Bytes that [`write`] takes.
pub const fn size(value: i64) -> usize {
    let bits = 64 - (zigzag_encode(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_round_trips(value: i64, rest: Vec<u8>) {
            let mut out = Vec::new();
            write(&mut out, value);
            prop_assert_eq!(out.len(), size(value));
            out.extend_from_slice(&rest);
            let mut bytes = out.as_slice();
            prop_assert_eq!(read(&mut bytes), Some(value));
            prop_assert_eq!(bytes, rest.as_slice());
        }
    }

    #[test]
    fn a_varint_without_end_is_none() {
        assert_eq!(read(&mut [0x80; 9].as_slice()), None);
        assert_eq!(read(&mut [0xff; 11].as_slice()), None);
        assert_eq!(read(&mut [].as_slice()), None);
        // Ten bytes whose last has more than the one bit that is left.
        let mut long = vec![0x80; 9];
        long.push(2);
        assert_eq!(read(&mut long.as_slice()), None);
    }
}
