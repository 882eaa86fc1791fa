//! What a guest says: its log lines, cut and rate-limited, on their way to whoever keeps them.

use crate::limits::{LINE_BYTES, LINES_BURST, LINES_PER_SECOND};
use crate::packed::cut;
use async_trait::async_trait;
use bytes::Bytes;
use millstream_runtime::Clock;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For the author.
    Debug,
    /// Worth knowing.
    Info,
    /// Something is odd.
    Warn,
    /// Something went wrong.
    Error,
}

/// Who keeps a function's lines. Called on the guest's thread: it must be quick and bounded.
pub trait LogSink: Send + Sync + 'static {
    /// Takes one line.
    fn line(&self, level: LogLevel, message: &str);
}

/// One instance's lines.
pub struct Lines {
    sink: Arc<dyn LogSink>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    /// Lines that may be written now.
    left: u32,
    /// When `left` was last filled up.
    filled: Duration,
    /// Lines left out since the last one written.
    dropped: u64,
    /// The last line of level error in this call.
    last_error: Option<String>,
}

impl Lines {
    /// Lines to `sink`.
    pub fn new(sink: Arc<dyn LogSink>, clock: Arc<dyn Clock>) -> Self {
        let state = State { left: LINES_BURST, filled: clock.elapsed(), dropped: 0, last_error: None };
        Self { sink, clock, state: Mutex::new(state) }
    }

    /// Writes a line, or counts it as left out.
    pub fn write(&self, level: LogLevel, message: &str) {
        let message = cut(message, LINE_BYTES);
        let dropped = {
            let mut state = self.state.lock();
            if level == LogLevel::Error {
                state.last_error = Some(message.clone().into_owned());
            }
            self.fill(&mut state);
            if state.left == 0 {
                state.dropped += 1;
                return;
            }
            state.left -= 1;
            std::mem::take(&mut state.dropped)
        };
        if dropped > 0 {
            self.sink.line(
                LogLevel::Warn,
                &format!("{dropped} lines were left out: an instance may write {LINES_PER_SECOND} a second"),
            );
        }
        self.sink.line(level, &message);
    }

    fn fill(&self, state: &mut State) {
        let now = self.clock.elapsed();
        let since = now.saturating_sub(state.filled);
        let new =
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX).saturating_mul(u64::from(LINES_PER_SECOND)) / 1000;
        if new > 0 {
            state.left = state.left.saturating_add(u32::try_from(new).unwrap_or(u32::MAX)).min(LINES_BURST);
            state.filled = now;
        }
    }

    /// Takes the last error line since this was last asked.
    pub fn take_error(&self) -> Option<String> {
        self.state.lock().last_error.take()
    }
}

/// A guest's standard output or error, as lines.
pub struct Standard {
    /// Where they go.
    pub lines: Arc<Lines>,
    /// As what.
    pub level: LogLevel,
}

impl IsTerminal for Standard {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Standard {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Stream { lines: self.lines.clone(), level: self.level, partial: Vec::new() })
    }

    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }
}

struct Stream {
    lines: Arc<Lines>,
    level: LogLevel,
    partial: Vec<u8>,
}

#[async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {}
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let whole = part.ends_with(b"\n");
            self.partial.extend_from_slice(part.strip_suffix(b"\n").unwrap_or(part));
            if whole || self.partial.len() > LINE_BYTES {
                self.lines.write(self.level, &String::from_utf8_lossy(&self.partial));
                self.partial.clear();
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.partial.is_empty() {
            self.lines.write(self.level, &String::from_utf8_lossy(&self.partial));
        }
    }
}
