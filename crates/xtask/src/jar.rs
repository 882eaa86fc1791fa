//! Reads a jar, which is a zip file: names from its central directory, contents stored or deflated. Enough for jars that Kafka publishes.

use flate2::read::DeflateDecoder;
use std::io::Read;

/// Bytes that a file within a jar may have.
const CONTENT_MAX: u64 = 16 << 20;

/// A file within a jar.
pub struct Entry<'a> {
    /// Its path.
    pub name: String,
    method: u16,
    packed: &'a [u8],
}

impl Entry<'_> {
    /// What the file holds.
    ///
    /// # Errors
    /// Says why it can't be unpacked.
    pub fn content(&self) -> Result<Vec<u8>, String> {
        let mut content = Vec::new();
        match self.method {
            0 => content.extend_from_slice(self.packed),
            8 => {
                let unpacked = DeflateDecoder::new(self.packed).take(CONTENT_MAX).read_to_end(&mut content);
                unpacked.map_err(|error| format!("{}: {error}", self.name))?;
            }
            other => return Err(format!("{}: packed by method {other}; only 0 and 8 are known", self.name)),
        }
        Ok(content)
    }
}

/// The files of a jar.
///
/// # Errors
/// Says what is not as in a zip file.
pub fn entries(jar: &[u8]) -> Result<Vec<Entry<'_>>, String> {
    const END: &[u8] = b"PK\x05\x06";
    let end = jar.windows(END.len()).rposition(|window| window == END).ok_or("not a zip file: no end record")?;
    let count = number(jar, end + 10, 2)?;
    let mut at = number(jar, end + 16, 4)?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let (name_len, extra_len, comment_len) =
            (number(jar, at + 28, 2)?, number(jar, at + 30, 2)?, number(jar, at + 32, 2)?);
        let name = slice(jar, at + 46, name_len)?;
        entries.push(Entry {
            name: String::from_utf8_lossy(name).into_owned(),
            method: u16::try_from(number(jar, at + 10, 2)?).map_err(|error| error.to_string())?,
            packed: packed(jar, number(jar, at + 42, 4)?, number(jar, at + 20, 4)?)?,
        });
        at += 46 + name_len + extra_len + comment_len;
    }
    Ok(entries)
}

/// The bytes behind a file's local header, whose name and extra fields have lengths of their own.
fn packed(jar: &[u8], header: usize, len: usize) -> Result<&[u8], String> {
    slice(jar, header + 30 + number(jar, header + 26, 2)? + number(jar, header + 28, 2)?, len)
}

fn slice(jar: &[u8], at: usize, len: usize) -> Result<&[u8], String> {
    at.checked_add(len)
        .and_then(|end| jar.get(at..end))
        .ok_or_else(|| format!("not a zip file: it ends before byte {at} + {len}"))
}

/// A little-endian number of `len` bytes.
fn number(jar: &[u8], at: usize, len: usize) -> Result<usize, String> {
    Ok(slice(jar, at, len)?.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_jar_is_told() {
        assert!(entries(b"PK\x05\x06").is_err());
        assert!(entries(b"no zip file").is_err());
    }
}
