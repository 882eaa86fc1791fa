//! What is known of one partition's cold side, in memory.

use crate::error::Error;
use crate::manifest::Manifest;
use millstream_storage::folder_name;
use millstream_types::{Offset, TopicPartition};
use parking_lot::Mutex;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// One partition. Its short lock is never held over an await.
pub struct Partition {
    pub id: TopicPartition,
    pub topic: String,
    /// `<topic>-<partition>`, for messages.
    pub name: String,
    /// Held by whoever changes what is cold, over I/O.
    pub writer: tokio::sync::Mutex<()>,
    /// Held by whoever reads the manifest, over I/O: others wait for what it finds.
    pub loader: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// None until it has been read.
    manifest: Option<Arc<Manifest>>,
    error: Option<String>,
    failures: u32,
    next_attempt: Duration,
    next_sweep: Duration,
}

/// The cold side of one partition, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionStatus {
    /// The topic's name.
    pub topic: String,
    /// Which partition.
    #[serde(skip)]
    pub id: TopicPartition,
    /// Whether its manifest has been read since the process began.
    pub loaded: bool,
    /// The first cold offset; none where nothing is cold.
    pub start: Option<Offset>,
    /// The offset after the last cold one; none where nothing is cold.
    pub end: Option<Offset>,
    /// Bytes of logs in the store.
    pub bytes: u64,
    /// Segments in the store.
    pub segments: usize,
    /// The number of its manifest.
    pub manifest: u64,
    /// What failed last, until it succeeds.
    pub error: Option<String>,
}

impl Partition {
    pub fn new(topic: &str, id: TopicPartition) -> Self {
        Self {
            id,
            topic: topic.to_owned(),
            name: folder_name(topic, id.partition),
            writer: tokio::sync::Mutex::new(()),
            loader: tokio::sync::Mutex::new(()),
            state: Mutex::default(),
        }
    }

    pub fn manifest(&self) -> Option<Arc<Manifest>> {
        self.state.lock().manifest.clone()
    }

    /// Takes a manifest over, unless a newer one is known.
    pub fn set_manifest(&self, manifest: Manifest) -> Arc<Manifest> {
        let mut state = self.state.lock();
        match &state.manifest {
            Some(known) if known.number > manifest.number => known.clone(),
            _ => state.manifest.insert(Arc::new(manifest)).clone(),
        }
    }

    pub fn is_due(&self, now: Duration) -> bool {
        self.state.lock().next_attempt <= now
    }

    /// Whether it is time to sweep; if so, the next time is `interval` later.
    pub fn take_sweep(&self, now: Duration, interval: Duration) -> bool {
        let mut state = self.state.lock();
        let is_due = state.next_sweep <= now;
        if is_due {
            state.next_sweep = now + interval;
        }
        is_due
    }

    pub fn succeeded(&self) {
        let mut state = self.state.lock();
        state.error = None;
        state.failures = 0;
        state.next_attempt = Duration::ZERO;
    }

    /// Notes a failure: the next attempt comes after a wait that doubles.
    pub fn failed(&self, error: &Error, now: Duration, (min, max): (Duration, Duration)) {
        let mut state = self.state.lock();
        state.error = Some(error.to_string());
        state.next_attempt = now + backoff(state.failures, min, max);
        state.failures = state.failures.saturating_add(1);
    }

    pub fn status(&self) -> PartitionStatus {
        let state = self.state.lock();
        let manifest = state.manifest.as_ref();
        PartitionStatus {
            topic: self.topic.clone(),
            id: self.id,
            loaded: manifest.is_some(),
            start: manifest.and_then(|manifest| manifest.start()),
            end: manifest.and_then(|manifest| manifest.end()),
            bytes: manifest.map_or(0, |manifest| manifest.bytes()),
            segments: manifest.map_or(0, |manifest| manifest.segments.len()),
            manifest: manifest.map_or(0, |manifest| manifest.number),
            error: state.error.clone(),
        }
    }
}

/// The wait after so many failures: `min`, doubled each time, `max` at most.
pub fn backoff(failures: u32, min: Duration, max: Duration) -> Duration {
    min.saturating_mul(1u32.checked_shl(failures).unwrap_or(u32::MAX)).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_limit() {
        let wait = |failures| backoff(failures, Duration::from_millis(200), Duration::from_secs(60)).as_millis();
        assert_eq!([0, 1, 2, 8, 9, 40].map(wait), [200, 400, 800, 51_200, 60_000, 60_000]);
    }
}
