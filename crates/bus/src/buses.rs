//! Putting events on buses: each (source, id) once within a window, in order by key.

use crate::cloud_event::CloudEvent;
use crate::error::Error;
use crate::receive::receive;
use crate::seen::{Limits, Seen};
use bytes::Bytes;
use millstream_record::{Columns, Limits as RecordLimits, split};
use millstream_runtime::Runtime;
use millstream_task::{Error as TaskError, TopicView, Topics, partition_of};
use millstream_types::{ErrorKind, Offset, PartitionIndex, TimestampMs, TopicId, TopicPartition};
use parking_lot::Mutex;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, OnceCell};

/// The front of the names of topics that are buses.
const TOPIC_PREFIX: &str = "bus.";
/// The header of each record: what its value is.
const CONTENT_TYPE: &[u8] = b"application/cloudevents+json";
/// Locks by which two requests with the same event wait for each other.
const TURNS: usize = 64;
/// Bytes of values in one append.
const APPEND_BYTES_MAX: usize = 512 << 10;
/// Bytes of log in one read.
const READ_BYTES_MAX: usize = 1 << 20;

/// Limits of buses.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long an event's id is remembered.
    pub window: Duration,
    /// Ids remembered of one bus. More takes more memory and finds duplicates of a busier bus.
    pub ids_max: usize,
    /// Bytes of ids remembered of one bus.
    pub id_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { window: Duration::from_secs(600), ids_max: 200_000, id_bytes_max: 32 << 20 }
    }
}

/// What became of a request's events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Written to the bus.
    pub accepted: usize,
    /// Known already.
    pub duplicates: usize,
}

/// The buses of a node.
pub struct Buses {
    runtime: Runtime,
    topics: Arc<dyn Topics>,
    config: Config,
    /// By topic id: a bus made again under the same name knows nothing.
    known: Mutex<BTreeMap<TopicId, Arc<Known>>>,
}

/// What is remembered of one bus.
struct Known {
    seen: Mutex<Seen>,
    turns: Vec<AsyncMutex<()>>,
    rebuilt: OnceCell<()>,
}

impl Buses {
    /// Buses over a log.
    #[must_use]
    pub const fn new(runtime: Runtime, topics: Arc<dyn Topics>, config: Config) -> Self {
        Self { runtime, topics, config, known: Mutex::new(BTreeMap::new()) }
    }

    /// The topic behind a bus.
    #[must_use]
    pub fn topic(bus: &str) -> String {
        format!("{TOPIC_PREFIX}{bus}")
    }

    /// The bus of a topic, where it is one's.
    #[must_use]
    pub fn bus_of(topic: &str) -> Option<&str> {
        topic.strip_prefix(TOPIC_PREFIX).filter(|bus| !bus.is_empty())
    }

    /// Puts the events of an HTTP request (headers by lower-case name) on a bus. All are checked before any is written. What is written is on
    /// all in-sync replicas when this returns; after an error the request may be sent again, since events that were written are known.
    ///
    /// # Errors
    /// `Invalid` for what is not an event; `NotFound` for a bus; the log's.
    pub async fn put(&self, bus: &str, headers: &[(String, String)], body: Bytes) -> Result<Accepted, TaskError> {
        let events = receive(headers, &body)?;
        let topic = self.topics.topic(&Self::topic(bus)).ok_or_else(|| Error::NoBus { bus: bus.to_owned() })?;
        let known = self.known(topic.id);
        known.rebuilt.get_or_try_init(|| self.rebuild(&topic, &known)).await?;

        let identities: Vec<String> = events.iter().map(|event| Seen::identity(event.source(), event.id())).collect();
        // Always in the same order, so that no two requests wait for each other for ever.
        let turns: BTreeSet<usize> = identities.iter().map(|identity| turn_of(identity)).collect();
        let mut held = Vec::with_capacity(turns.len());
        for turn in turns {
            held.push(known.turns[turn].lock().await);
        }
        let now = self.runtime.clock.now();
        let mut accepted = Accepted::default();
        let mut new: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        let mut within = BTreeSet::new();
        for (place, event) in events.iter().enumerate() {
            if known.seen.lock().contains(&identities[place], now.0) || !within.insert(&identities[place]) {
                accepted.duplicates += 1;
            } else {
                new.entry(partition_of(event.key().as_bytes(), topic.partitions)).or_default().push(place);
            }
        }
        for (partition, places) in new {
            let partition = TopicPartition::new(topic.id, PartitionIndex(partition));
            for chunk in chunks(&events, &places) {
                self.append(partition, &events, chunk, now).await?;
                let mut seen = known.seen.lock();
                chunk.iter().for_each(|place| seen.insert(identities[*place].clone(), now.0));
                accepted.accepted += chunk.len();
            }
        }
        Ok(accepted)
    }

    async fn append(
        &self,
        partition: TopicPartition,
        events: &[CloudEvent],
        places: &[usize],
        now: TimestampMs,
    ) -> Result<(), TaskError> {
        let mut records = Columns::default();
        for place in places {
            let event = &events[*place];
            records.push(
                now.0,
                Some(event.key().as_bytes()),
                Some(&event.to_json()),
                [("content-type", Some(CONTENT_TYPE))],
            );
        }
        self.topics.append(partition, &records).await.map(|_| ())
    }

    fn known(&self, topic: TopicId) -> Arc<Known> {
        let mut all = self.known.lock();
        if !all.contains_key(&topic) {
            // Buses that were deleted: whoever still holds theirs keeps it until it is done.
            let live: BTreeSet<TopicId> = self.topics.topics().iter().map(|topic| topic.id).collect();
            all.retain(|id, _| live.contains(id));
        }
        let window_ms = i64::try_from(self.config.window.as_millis()).unwrap_or(i64::MAX);
        let limits = Limits { window_ms, ids: self.config.ids_max, bytes: self.config.id_bytes_max };
        let new = || Known {
            seen: Mutex::new(Seen::new(limits)),
            turns: (0..TURNS).map(|_| AsyncMutex::new(())).collect(),
            rebuilt: OnceCell::new(),
        };
        all.entry(topic).or_insert_with(|| Arc::new(new())).clone()
    }

    /// Reads the window's events back from the topic: after a restart they are known again.
    async fn rebuild(&self, topic: &TopicView, known: &Known) -> Result<(), TaskError> {
        let window_ms = i64::try_from(self.config.window.as_millis()).unwrap_or(i64::MAX);
        let since = TimestampMs(self.runtime.clock.now().0.saturating_sub(window_ms));
        let mut found = Vec::new();
        for partition in topic.topic_partitions() {
            let end = self.topics.bounds(partition).await?.high_watermark;
            let Some(start) = self.topics.offset_for_time(partition, since).await? else { continue };
            // No more than can be remembered.
            let most = i64::try_from(self.config.ids_max).unwrap_or(i64::MAX);
            let start = start.max(Offset(end.0.saturating_sub(most)));
            self.read_identities(partition, (start, end), &mut found).await?;
        }
        found.sort();
        let mut seen = known.seen.lock();
        found.into_iter().for_each(|(at, identity)| seen.insert(identity, at));
        Ok(())
    }

    async fn read_identities(
        &self,
        partition: TopicPartition,
        (mut from, end): (Offset, Offset),
        found: &mut Vec<(i64, String)>,
    ) -> Result<(), TaskError> {
        let corrupt = |error: millstream_record::Error| {
            TaskError::new(ErrorKind::Corrupt, format!("a bus's events can't be read: {error}"))
        };
        while from < end {
            let fetched = self.topics.read(partition, from, READ_BYTES_MAX).await?;
            let mut records = Columns::default();
            let mut next = from;
            for batch in
                fetched.batches.into_iter().map(split).collect::<Result<Vec<_>, _>>().map_err(corrupt)?.iter().flatten()
            {
                next = next.max(batch.next_offset());
                if !batch.is_control() {
                    records.append_batch(batch, from, &RecordLimits::default()).map_err(corrupt)?;
                }
            }
            found.extend(
                (0..records.len())
                    .filter_map(|at| Some((records.timestamps[at], identity_in(records.values.get(at)?)?))),
            );
            if next == from {
                return Ok(());
            }
            from = next;
        }
        Ok(())
    }
}

/// The identity in a stored event. What someone else wrote into the topic has none.
fn identity_in(value: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Identified {
        source: String,
        id: String,
    }
    let event: Identified = serde_json::from_slice(value).ok()?;
    Some(Seen::identity(&event.source, &event.id))
}

fn turn_of(identity: &str) -> usize {
    usize::try_from(partition_of(identity.as_bytes(), i32::try_from(TURNS).unwrap_or(1))).unwrap_or(0)
}

/// Places cut so that the values of each piece fit one append.
fn chunks<'a>(events: &[CloudEvent], places: &'a [usize]) -> Vec<&'a [usize]> {
    let (mut cut, mut from, mut bytes) = (Vec::new(), 0, 0);
    for (at, place) in places.iter().enumerate() {
        let len = events[*place].to_json().len();
        if at > from && bytes + len > APPEND_BYTES_MAX {
            cut.push(&places[from..at]);
            (from, bytes) = (at, 0);
        }
        bytes += len;
    }
    if from < places.len() {
        cut.push(&places[from..]);
    }
    cut
}
