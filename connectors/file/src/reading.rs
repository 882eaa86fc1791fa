//! One open file: blocks become whole rows, rows become a batch, and the place after it. It blocks: used on compute threads only.

use crate::position::{HEAD_BYTES, Head, Position, Start, start};
use crate::rows::{Rows, invalid};
use crate::settings::{Compression, Format, Settings};
use crate::splitter::Splitter;
use crate::stream::Stream;
use millstream_connect::{ErrorPolicy, Lag, OperatorError, SourceBatch, SourceFailure, SourceOutput};
use millstream_types::ErrorKind;
use std::io;
use std::sync::Arc;

/// Uncompressed bytes read at once; a batch has at most these and one row more.
const BLOCK_BYTES: usize = 128 << 10;
/// Bytes of a row without an end that are kept for its dead letter.
const RAW_BYTES_MAX: usize = 1024;

/// An open file and the place in it.
pub(crate) struct Reading {
    settings: Arc<Settings>,
    policy: ErrorPolicy,
    rows: Rows,
    stream: Stream,
    /// Uncompressed bytes from `offset` on.
    buffer: Vec<u8>,
    splitter: Splitter,
    offset: u64,
    line: u64,
    /// Whether the rest of a line that was too long is being passed over.
    discarding: bool,
    head: Head,
}

impl Reading {
    /// Opens the file at the stored place, where it is still the same file, or else at its start.
    pub fn open(
        settings: Arc<Settings>,
        policy: ErrorPolicy,
        stored: Option<&Position>,
    ) -> Result<(Self, Start), OperatorError> {
        let compression = settings.compression();
        let explain = |error: io::Error| explain(&settings, &error);
        let stream = Stream::open(&settings.path, compression).map_err(explain)?;
        let head = stream.head(HEAD_BYTES).map_err(explain)?;
        let len = if compression == Compression::None { Some(stream.len().map_err(explain)?) } else { None };
        let begin = start(stored, &head, len);
        let quotes = (settings.format == Format::Csv).then(|| settings.delimiter());
        let mut reading = Self {
            rows: Rows::new(settings.clone())?,
            settings: settings.clone(),
            policy,
            stream,
            buffer: Vec::new(),
            splitter: Splitter::new(quotes),
            offset: 0,
            line: 1,
            discarding: false,
            head: Head::of(&head),
        };
        if let Start::GoOn { offset, line } = begin {
            if offset > 0 && reading.rows.needs_header() {
                reading.read_header(true)?;
                reading.stream = Stream::open(&settings.path, compression).map_err(explain)?;
                reading.buffer.clear();
            }
            reading.stream.skip_to(offset, compression).map_err(explain)?;
            (reading.offset, reading.line) = (offset, line);
            reading.discarding = stored.is_some_and(|stored| stored.discarding);
        }
        Ok((reading, begin))
    }

    /// The next batch; nothing at the end of what there is. `last` says that nothing will be added to a row without a line break.
    pub fn step(&mut self, last: bool) -> Result<Option<SourceBatch>, OperatorError> {
        if self.rows.needs_header() && !self.read_header(last)? {
            return Ok(None);
        }
        loop {
            if self.discarding && !self.discard() {
                if self.read_block()? == 0 {
                    return Ok(None);
                }
                continue;
            }
            let end = self.splitter.scan(&self.buffer);
            if end > 0 {
                return self.take(end).map(Some);
            }
            if self.buffer.len() >= self.settings.row_bytes_max {
                let message = self.rows.too_long();
                return self.break_off(message).map(Some);
            }
            if self.read_block()? > 0 {
                continue;
            }
            if self.buffer.is_empty() || !last {
                return Ok(None);
            }
            if self.splitter.is_quoted() {
                return self.break_off("a quote is opened in it and never closed".to_owned()).map(Some);
            }
            return self.take(self.buffer.len()).map(Some);
        }
    }

    /// What is left of the file, and where reading is.
    pub fn place(&mut self) -> Result<(Position, Lag), OperatorError> {
        let explain = |error: io::Error| explain(&self.settings, &error);
        if self.head.bytes < HEAD_BYTES {
            self.head = Head::of(&self.stream.head(HEAD_BYTES).map_err(explain)?);
        }
        let inode = self.stream.inode().map_err(explain)?;
        let len = self.stream.len().map_err(explain)?;
        let done = if self.settings.compression() == Compression::None { self.offset } else { self.stream.taken() };
        let lag = Lag { amount: len.saturating_sub(done), unit: "bytes".to_owned() };
        let position =
            Position { offset: self.offset, line: self.line, discarding: self.discarding, inode, head: self.head };
        Ok((position, lag))
    }

    /// The open file's number on its disk, and how much of it has been read.
    pub fn identity(&self) -> io::Result<(u64, u64)> {
        Ok((self.stream.inode()?, self.offset + self.buffer.len() as u64))
    }

    fn read_block(&mut self) -> Result<usize, OperatorError> {
        self.stream.read_onto(&mut self.buffer, BLOCK_BYTES).map_err(|error| explain(&self.settings, &error))
    }

    /// Takes the first row as header; false when it is not there yet.
    fn read_header(&mut self, last: bool) -> Result<bool, OperatorError> {
        let delimiter = Some(self.settings.delimiter());
        let end = loop {
            if let Some(end) = Splitter::first(delimiter, &self.buffer) {
                break end;
            }
            if self.buffer.len() >= self.settings.row_bytes_max {
                let message = format!(
                    "the header of {} has more than {} bytes (row_bytes_max)",
                    self.settings.path.display(),
                    self.settings.row_bytes_max
                );
                return Err(invalid(message));
            }
            if self.read_block()? == 0 {
                if self.buffer.is_empty() || !last {
                    return Ok(false);
                }
                break self.buffer.len();
            }
        };
        self.rows.take_header(&self.buffer[..end])?;
        self.advance(end);
        Ok(true)
    }

    /// Parses whole rows up to `end`.
    fn take(&mut self, end: usize) -> Result<SourceBatch, OperatorError> {
        let stop = self.policy == ErrorPolicy::Fail;
        let parsed = self.rows.parse(&self.buffer[..end], self.line, stop);
        match parsed.stopped {
            Some((at, _)) => self.advance(at),
            None => self.advance(end),
        }
        let outputs = vec![SourceOutput { topic: 0, records: parsed.records }];
        self.batch(outputs, parsed.failures)
    }

    /// Gives up on the row at the buffer's start: passes over its first line.
    fn break_off(&mut self, message: String) -> Result<SourceBatch, OperatorError> {
        let line_len = self.buffer.iter().position(|byte| *byte == b'\n').unwrap_or(self.buffer.len());
        let failure = self.rows.failure(self.line, message, &self.buffer[..line_len.min(RAW_BYTES_MAX)]);
        if self.policy != ErrorPolicy::Fail {
            self.discarding = true;
            self.discard();
        }
        self.batch(Vec::new(), vec![failure])
    }

    /// Drops bytes up to the next line break; false while there is none.
    fn discard(&mut self) -> bool {
        let end = self.buffer.iter().position(|byte| *byte == b'\n');
        self.advance(end.map_or(self.buffer.len(), |end| end + 1));
        self.splitter.restart();
        self.discarding = end.is_none();
        end.is_some()
    }

    fn advance(&mut self, len: usize) {
        self.line += self.buffer[..len].iter().filter(|byte| **byte == b'\n').count() as u64;
        self.offset += len as u64;
        self.buffer.drain(..len);
        // A scan of the rest starts at a row's start again; only a row's beginning is scanned twice.
        self.splitter.restart();
    }

    fn batch(
        &mut self,
        outputs: Vec<SourceOutput>,
        failures: Vec<SourceFailure>,
    ) -> Result<SourceBatch, OperatorError> {
        let (position, lag) = self.place()?;
        Ok(SourceBatch { outputs, failures, position: Some(stored(&position)?), lag: Some(lag), finished: false })
    }
}

pub(crate) fn stored(position: &Position) -> Result<serde_json::Value, OperatorError> {
    serde_json::to_value(position)
        .map_err(|error| OperatorError::new(ErrorKind::Internal, format!("a position is not JSON: {error}")))
}

fn explain(settings: &Settings, error: &io::Error) -> OperatorError {
    let path = settings.path.display();
    match error.kind() {
        io::ErrorKind::NotFound => OperatorError::new(
            ErrorKind::Unavailable,
            format!("{path} does not exist on this node: put it there, and it is read"),
        ),
        io::ErrorKind::PermissionDenied => {
            let message = format!("{path} may not be read by the node: change its permissions and resume ({error})");
            OperatorError::new(ErrorKind::Unauthorized, message)
        }
        io::ErrorKind::Unsupported => invalid(format!("{path} can't be read: {error}; name a regular file")),
        io::ErrorKind::InvalidInput
        | io::ErrorKind::InvalidData
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::Other => {
            let message = format!(
                "{path} is broken or not compressed as {:?}: {error}; correct the file or `compression` and resume",
                settings.compression()
            );
            OperatorError::new(ErrorKind::Corrupt, message)
        }
        _ => OperatorError::new(ErrorKind::Unavailable, format!("{path} could not be read: {error}")),
    }
}
