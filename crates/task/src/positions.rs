//! Where sources are in what they read: an internal compacted topic, one key for each task of each connector.

use crate::{DeploymentKey, Error, Topics};
use millstream_record::{Columns, Limits, split};
use millstream_types::{ErrorKind, Offset, TimestampMs, TopicPartition};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::Mutex;

/// The topic that holds them. Key: "name/task"; value: the position as JSON; null when it was reset.
pub const SOURCE_POSITIONS_TOPIC: &str = "__millstream_source_positions";

/// Bytes of log in one read.
const READ_BYTES_MAX: usize = 1 << 20;

/// The stored positions, and what of the topic is known already.
pub(crate) struct Positions {
    topics: Arc<dyn Topics>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    partition: Option<TopicPartition>,
    read_to: Offset,
    positions: HashMap<String, Value>,
}

impl Positions {
    pub fn new(topics: Arc<dyn Topics>) -> Self {
        Self { topics, known: Mutex::default() }
    }

    /// The stored position of a task. It reads whatever the topic has that is not known yet.
    pub async fn load(&self, key: &DeploymentKey, task: &str) -> Result<Option<Value>, Error> {
        let mut known = self.known.lock().await;
        self.catch_up(&mut known).await?;
        Ok(known.positions.get(&name(key, task)).cloned())
    }

    /// Stores a task's position, or forgets it.
    pub async fn store(
        &self,
        key: &DeploymentKey,
        task: &str,
        position: Option<&Value>,
        now: TimestampMs,
    ) -> Result<(), Error> {
        let mut known = self.known.lock().await;
        self.append(&mut known, &[(name(key, task), position.cloned())], now).await
    }

    /// Forgets every position of a deployment.
    pub async fn forget(&self, key: &DeploymentKey, now: TimestampMs) -> Result<(), Error> {
        let mut known = self.known.lock().await;
        self.catch_up(&mut known).await?;
        let prefix = name(key, "");
        let entries: Vec<_> =
            known.positions.keys().filter(|kept| kept.starts_with(&prefix)).map(|kept| (kept.clone(), None)).collect();
        self.append(&mut known, &entries, now).await
    }

    async fn append(
        &self,
        known: &mut Known,
        entries: &[(String, Option<Value>)],
        now: TimestampMs,
    ) -> Result<(), Error> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut records = Columns::default();
        for (key, position) in entries {
            let value = position.as_ref().map(Value::to_string);
            records.push(now.0, Some(key.as_bytes()), value.as_deref().map(str::as_bytes), []);
        }
        let partition = self.partition(known).await?;
        self.topics.append(partition, &records).await?;
        for (key, position) in entries {
            match position {
                Some(position) => known.positions.insert(key.clone(), position.clone()),
                None => known.positions.remove(key),
            };
        }
        Ok(())
    }

    async fn partition(&self, known: &mut Known) -> Result<TopicPartition, Error> {
        if let Some(partition) = known.partition {
            return Ok(partition);
        }
        let configs = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
        let topic = match self.topics.topic(SOURCE_POSITIONS_TOPIC) {
            Some(topic) => topic,
            None => match self.topics.create(SOURCE_POSITIONS_TOPIC, 1, &configs).await {
                Err(error) if error.kind == ErrorKind::Conflict => {
                    self.topics.topic(SOURCE_POSITIONS_TOPIC).ok_or(error)?
                }
                made => made?,
            },
        };
        let partition = topic.topic_partitions().next();
        known.partition = partition;
        partition.ok_or_else(|| Error::new(ErrorKind::Internal, format!("{SOURCE_POSITIONS_TOPIC} has no partition")))
    }

    async fn catch_up(&self, known: &mut Known) -> Result<(), Error> {
        let partition = self.partition(known).await?;
        let start = self.topics.bounds(partition).await?.log_start;
        known.read_to = known.read_to.max(start);
        loop {
            let fetched = self.topics.read(partition, known.read_to, READ_BYTES_MAX).await?;
            let before = known.read_to;
            for bytes in fetched.batches {
                let batches = split(bytes).map_err(|error| unreadable(known.read_to, &error))?;
                for batch in batches {
                    let mut records = Columns::default();
                    if !batch.is_control() {
                        let appended = records.append_batch(&batch, known.read_to, &Limits::default());
                        appended.map_err(|error| unreadable(batch.base_offset(), &error))?;
                    }
                    known.replay(&records)?;
                    known.read_to = known.read_to.max(batch.next_offset());
                }
            }
            if known.read_to == before {
                return Ok(());
            }
        }
    }
}

impl Known {
    fn replay(&mut self, records: &Columns) -> Result<(), Error> {
        for at in 0..records.len() {
            let key = String::from_utf8_lossy(records.keys.get(at).unwrap_or_default()).into_owned();
            match records.values.get(at) {
                None => self.positions.remove(&key),
                Some(value) => {
                    let position = serde_json::from_slice(value).map_err(|error| {
                        let at = records.offsets[at];
                        let message = format!(
                            "the position of {key:?} at offset {at} of {SOURCE_POSITIONS_TOPIC} is not JSON: {error}"
                        );
                        Error::new(ErrorKind::Corrupt, message)
                    })?;
                    self.positions.insert(key, position)
                }
            };
        }
        Ok(())
    }
}

fn name(key: &DeploymentKey, task: &str) -> String {
    format!("{}/{task}", key.name)
}

fn unreadable(at: Offset, error: &millstream_record::Error) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("the batch at offset {at} of {SOURCE_POSITIONS_TOPIC} can't be read: {error}"),
    )
}
