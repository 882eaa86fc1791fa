//! Finds where whole records end in bytes that arrive in blocks: pure. It agrees with the csv crate about quotes.
//!
//! ```text
//! row start --quote--> quoted --quote--> quote in quoted --quote--> quoted
//!     |                                   |
//!     +--other--> in field <--other-------+        a line break outside quotes ends the row
//! ```

/// Where in a row the scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    InField,
    Quoted,
    QuoteInQuoted,
}

/// Scans a buffer that grows at its end and is cut at its start.
#[derive(Debug)]
pub(crate) struct Splitter {
    /// The delimiter where quotes matter; lines end at every line break otherwise.
    delimiter: Option<u8>,
    state: State,
    scanned: usize,
    end: usize,
}

impl Splitter {
    pub fn new(delimiter: Option<u8>) -> Self {
        Self { delimiter, state: State::FieldStart, scanned: 0, end: 0 }
    }

    /// Scans what is new in the buffer and returns the end of its last whole record; 0 when there is none.
    pub fn scan(&mut self, buffer: &[u8]) -> usize {
        let new = &buffer[self.scanned..];
        match self.delimiter {
            None => {
                if let Some(at) = new.iter().rposition(|byte| *byte == b'\n') {
                    self.end = self.scanned + at + 1;
                }
            }
            Some(delimiter) => {
                for (at, byte) in new.iter().enumerate() {
                    self.state = self.state.after(*byte, delimiter);
                    if *byte == b'\n' && self.state == State::FieldStart {
                        self.end = self.scanned + at + 1;
                    }
                }
            }
        }
        self.scanned = buffer.len();
        self.end
    }

    /// The end of the first whole record; scans anew from the buffer's start.
    pub fn first(delimiter: Option<u8>, buffer: &[u8]) -> Option<usize> {
        let Some(delimiter) = delimiter else {
            return buffer.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        };
        let mut state = State::FieldStart;
        for (at, byte) in buffer.iter().enumerate() {
            state = state.after(*byte, delimiter);
            if *byte == b'\n' && state == State::FieldStart {
                return Some(at + 1);
            }
        }
        None
    }

    /// The buffer has lost bytes at its start: the scan begins anew, at a record's start.
    pub fn restart(&mut self) {
        *self = Self::new(self.delimiter);
    }

    /// Whether the scan ended within quotes.
    pub fn is_quoted(&self) -> bool {
        self.delimiter.is_some() && self.state == State::Quoted
    }
}

impl State {
    fn after(self, byte: u8, delimiter: u8) -> Self {
        match (self, byte) {
            (Self::Quoted, b'"') => Self::QuoteInQuoted,
            (Self::Quoted, _) | (Self::FieldStart | Self::QuoteInQuoted, b'"') => Self::Quoted,
            (_, b'\n') => Self::FieldStart,
            (_, byte) if byte == delimiter => Self::FieldStart,
            _ => Self::InField,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ends(text: &str, block: usize) -> Vec<usize> {
        let mut splitter = Splitter::new(Some(b','));
        let bytes = text.as_bytes();
        (0..=bytes.len()).step_by(block.max(1)).chain([bytes.len()]).map(|to| splitter.scan(&bytes[..to])).collect()
    }

    #[test]
    fn a_quoted_line_break_does_not_end_a_row() {
        assert_eq!(Splitter::first(Some(b','), b"a,\"b\nc\"\nd"), Some(8));
        assert_eq!(Splitter::first(Some(b','), b"a,\"b\"\"\nc\"\n"), Some(10));
        assert_eq!(Splitter::first(Some(b','), b"a,b\"\n\"c\n"), Some(5), "a quote within a field is text");
        assert_eq!(Splitter::first(Some(b','), b"\"a\nb"), None);
        assert_eq!(Splitter::first(None, b"\"a\nb"), Some(3));
    }

    proptest! {
        #[test]
        fn blocks_of_any_size_give_the_same_end(text in "[a,\"\n]{0,40}", block in 1usize..7) {
            prop_assert_eq!(ends(&text, block).last().copied(), ends(&text, 100).last().copied());
        }

        #[test]
        fn rows_end_where_the_csv_crate_ends_them(text in "[ab,\"\n]{0,40}") {
            let bytes = text.as_bytes();
            let Some(end) = Splitter::first(Some(b','), bytes) else { return Ok(()) };
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&bytes[..end]);
            let mut rows = 0;
            let mut row = csv::ByteRecord::new();
            while reader.read_byte_record(&mut row).unwrap() {
                rows += 1;
            }
            prop_assert!(rows <= 1, "{text:?} ends at {end}, but has {rows} rows until there");
        }
    }
}
