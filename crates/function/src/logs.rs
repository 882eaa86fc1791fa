//! What functions said last: a bounded ring of lines for each, in memory.

use millstream_runtime::Clock;
use millstream_types::{PartitionIndex, TimestampMs};
use millstream_wasm::{LogLevel, LogSink};
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Lines kept for one function.
const LINES_MAX: usize = 1_000;
/// Bytes of lines kept for one function.
const BYTES_MAX: usize = 1 << 20;

/// One line of a function's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// When it was written.
    pub at: TimestampMs,
    /// How much it matters.
    pub level: LogLevel,
    /// The input topic of the task that wrote it.
    pub topic: String,
    /// The partition of that topic.
    pub partition: PartitionIndex,
    /// The line.
    pub message: String,
}

/// The logs of all functions of this node. Clones are the same logs.
#[derive(Clone)]
pub struct Logs {
    rings: Arc<Mutex<BTreeMap<String, Ring>>>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Ring {
    lines: VecDeque<LogLine>,
    bytes: usize,
}

impl Logs {
    /// No lines yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { rings: Arc::default(), clock }
    }

    /// A function's last lines, oldest first.
    #[must_use]
    pub fn lines(&self, function: &str) -> Vec<LogLine> {
        self.rings.lock().get(function).map(|ring| ring.lines.iter().cloned().collect()).unwrap_or_default()
    }

    /// Forgets every function that `exists` does not know.
    pub fn retain(&self, mut exists: impl FnMut(&str) -> bool) {
        self.rings.lock().retain(|function, _| exists(function));
    }

    /// Where one task of a function writes.
    pub(crate) fn sink(&self, function: &str, topic: &str, partition: PartitionIndex) -> Arc<dyn LogSink> {
        Arc::new(Sink { logs: self.clone(), function: function.to_owned(), topic: topic.to_owned(), partition })
    }

    fn push(&self, function: &str, line: LogLine) {
        let mut rings = self.rings.lock();
        let ring = rings.entry(function.to_owned()).or_default();
        ring.bytes += line.message.len();
        ring.lines.push_back(line);
        while ring.lines.len() > LINES_MAX || ring.bytes > BYTES_MAX {
            let Some(oldest) = ring.lines.pop_front() else { break };
            ring.bytes -= oldest.message.len();
        }
    }
}

struct Sink {
    logs: Logs,
    function: String,
    topic: String,
    partition: PartitionIndex,
}

impl LogSink for Sink {
    fn line(&self, level: LogLevel, message: &str) {
        let line = LogLine {
            at: self.logs.clock.now(),
            level,
            topic: self.topic.clone(),
            partition: self.partition,
            message: message.to_owned(),
        };
        self.logs.push(&self.function, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_runtime::SystemClock;

    #[test]
    fn a_ring_keeps_the_last_lines_within_its_bounds() {
        let logs = Logs::new(Arc::new(SystemClock::new()));
        let sink = logs.sink("f", "flights", PartitionIndex(3));
        for index in 0..LINES_MAX + 10 {
            sink.line(LogLevel::Info, &format!("line {index}"));
        }
        let lines = logs.lines("f");
        assert_eq!(
            (lines.len(), lines[0].message.as_str(), lines[0].partition),
            (LINES_MAX, "line 10", PartitionIndex(3))
        );
        sink.line(LogLevel::Info, &"x".repeat(BYTES_MAX - 5));
        assert_eq!(logs.lines("f").len(), 1);
        logs.retain(|function| function != "f");
        assert!(logs.lines("f").is_empty());
    }
}
