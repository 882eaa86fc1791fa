//! Where a source is in its file, and whether what is there now is still that file: pure.

use serde::{Deserialize, Serialize};

/// Bytes at a file's start by which it is known again.
pub(crate) const HEAD_BYTES: usize = 1024;

/// How far a file has been read. Stored: fields are only ever added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The next byte to read, of the uncompressed content.
    pub offset: u64,
    /// The line at that byte, from 1.
    pub line: u64,
    /// Whether the rest of that line belongs to a row that was given up.
    #[serde(default)]
    pub discarding: bool,
    /// The file's number on its disk; for people.
    pub inode: u64,
    /// The file's first bytes.
    pub head: Head,
}

/// A file's first bytes, as stored: how many, and their hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub bytes: usize,
    pub hash: u64,
}

impl Head {
    pub fn of(bytes: &[u8]) -> Self {
        let bytes = &bytes[..bytes.len().min(HEAD_BYTES)];
        Self { bytes: bytes.len(), hash: fnv1a(bytes) }
    }
}

/// Where to begin in the file that is there now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// It is the same file, perhaps longer.
    GoOn { offset: u64, line: u64 },
    /// It was never read.
    New,
    /// It is shorter than what was read of it.
    Truncated,
    /// Its first bytes are others.
    Replaced,
}

/// Decides where to begin. `head` is the file's first bytes now; `len` its length where its bytes are not compressed.
pub(crate) fn start(stored: Option<&Position>, head: &[u8], len: Option<u64>) -> Start {
    let Some(stored) = stored else { return Start::New };
    if head.len() < stored.head.bytes || len.is_some_and(|len| len < stored.offset) {
        return Start::Truncated;
    }
    if Head::of(&head[..stored.head.bytes]) != stored.head {
        return Start::Replaced;
    }
    Start::GoOn { offset: stored.offset, line: stored.line }
}

/// FNV-1a of 64 bits. It tells files apart; nothing is kept safe by it.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(content: &[u8], offset: u64) -> Position {
        Position { offset, line: 3, discarding: false, inode: 1, head: Head::of(content) }
    }

    #[test]
    fn a_file_is_gone_on_with_only_while_it_begins_the_same_and_has_not_shrunk() {
        let go_on = Start::GoOn { offset: 4, line: 3 };
        let cases: [(&[u8], Option<u64>, Start); 6] = [
            (b"abcdef", Some(6), go_on),
            (b"abcdefgh", Some(8), go_on),
            (b"abc", Some(3), Start::Truncated),
            (b"", Some(0), Start::Truncated),
            (b"xbcdef", Some(6), Start::Replaced),
            (b"abcdef", None, go_on),
        ];
        for (head, len, expected) in cases {
            assert_eq!(start(Some(&stored(b"abcdef", 4)), head, len), expected, "{head:?}");
        }
        assert_eq!(start(None, b"abc", Some(3)), Start::New);
    }

    #[test]
    fn a_long_file_that_was_cut_after_its_head_is_truncated() {
        let content = vec![b'x'; 5000];
        assert_eq!(start(Some(&stored(&content, 4000)), &content[..HEAD_BYTES], Some(2000)), Start::Truncated);
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
