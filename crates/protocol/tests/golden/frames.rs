//! The checked-in golden frames.

use bytes::Bytes;

/// API, version and frame of each.
pub fn golden() -> impl Iterator<Item = (&'static str, i16, Bytes)> {
    include_str!("requests.txt").lines().map(|line| {
        let mut words = line.split(' ');
        let mut word = || words.next().expect("three words a line");
        let (name, version, hex) = (word(), word(), word());
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex");
        (name, version.parse().expect("a number"), hex.as_bytes().chunks(2).map(byte).collect())
    })
}
