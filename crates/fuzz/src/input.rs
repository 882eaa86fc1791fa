//! Numbers and pieces, read off an input.

/// What is left of an input; zeros behind its end.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// The next byte.
    pub fn byte(&mut self) -> usize {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        usize::from(*first)
    }

    /// As many bytes as the next one says, or all that are left.
    pub fn piece(&mut self) -> &'a [u8] {
        let len = self.byte().min(self.0.len());
        let (piece, rest) = self.0.split_at(len);
        self.0 = rest;
        piece
    }
}

/// A piece as [`Input::piece`] reads it; one that is too long is cut.
pub fn piece(bytes: &[u8]) -> Vec<u8> {
    let len = bytes.len().min(usize::from(u8::MAX));
    [&[len.to_le_bytes()[0]], &bytes[..len]].concat()
}
