//! Components as chunks in an internal topic.
//!
//! ```text
//! __millstream_components, one partition, kept for ever
//!   key    "<sha-256, hexadecimal>/<index of the chunk, from 0>/<number of chunks>"      stored: never change
//!   value  the chunk, at most 512 KiB; all but the last are of that size
//! ```
//! A component whose chunks are not all there (the uploader died) is not there; its next upload writes all of them again.

use super::ComponentStore;
use crate::Error;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use millstream_record::{Columns, Limits, split};
use millstream_task::{TopicView, Topics};
use millstream_types::{ErrorKind, Offset, TopicPartition};
use millstream_wasm::ComponentHash;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The topic that holds components.
pub const COMPONENTS_TOPIC: &str = "__millstream_components";
/// Bytes of one chunk: with its key and headers well below the default `max.message.bytes`. Stored: readers take any size.
const CHUNK_BYTES: usize = 512 << 10;
/// Bytes read from the topic at once.
const READ_BYTES: usize = 4 << 20;
/// The most chunks that a component may claim: 64 GiB would be a lie.
const CHUNKS_MAX: usize = 1 << 17;

/// Components in the log.
pub struct TopicComponents {
    topics: Arc<dyn Topics>,
    index: tokio::sync::Mutex<Index>,
}

/// Where the chunks of each component are, as far as the topic has been read.
#[derive(Default)]
struct Index {
    next: Offset,
    chunks: HashMap<ComponentHash, Vec<Option<Offset>>>,
}

impl Index {
    fn note(&mut self, hash: ComponentHash, (chunk, chunks): (usize, usize), offset: Offset) {
        let places = self.chunks.entry(hash).or_default();
        if places.len() != chunks {
            places.clear();
            places.resize(chunks, None);
        }
        places[chunk] = Some(offset);
    }

    fn complete(&self, hash: ComponentHash) -> Option<Vec<Offset>> {
        self.chunks.get(&hash)?.iter().copied().collect()
    }
}

impl TopicComponents {
    /// The components of that log.
    #[must_use]
    pub fn new(topics: Arc<dyn Topics>) -> Self {
        Self { topics, index: tokio::sync::Mutex::default() }
    }

    async fn topic(&self) -> Result<TopicView, Error> {
        if let Some(topic) = self.topics.topic(COMPONENTS_TOPIC) {
            return Ok(topic);
        }
        let forever = [("retention.ms", "-1"), ("retention.bytes", "-1"), ("cleanup.policy", "delete")];
        let configs = BTreeMap::from(forever.map(|(name, value)| (name.to_owned(), value.to_owned())));
        match self.topics.create(COMPONENTS_TOPIC, 1, &configs).await {
            Ok(topic) => Ok(topic),
            // Another upload made it meanwhile.
            Err(error) if error.kind == ErrorKind::Conflict => {
                self.topics.topic(COMPONENTS_TOPIC).ok_or(Error::Log(error))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads what was appended since the last time.
    async fn follow(&self, partition: TopicPartition, index: &mut Index) -> Result<(), Error> {
        let bounds = self.topics.bounds(partition).await?;
        index.next = index.next.max(bounds.log_start);
        while index.next < bounds.high_watermark {
            let (records, next) = self.read(partition, index.next).await?;
            for at in 0..records.len() {
                if let Some((hash, place)) = records.keys.get(at).and_then(parse_key) {
                    index.note(hash, place, Offset(records.offsets[at]));
                }
            }
            if next <= index.next {
                break;
            }
            index.next = next;
        }
        Ok(())
    }

    async fn read(&self, partition: TopicPartition, from: Offset) -> Result<(Columns, Offset), Error> {
        let fetched = self.topics.read(partition, from, READ_BYTES).await?;
        let (mut records, mut next) = (Columns::default(), from);
        let unreadable = |error: millstream_record::Error| {
            Error::Log(millstream_task::Error::new(
                ErrorKind::Corrupt,
                format!("topic {COMPONENTS_TOPIC} can't be read at {from}: {error}"),
            ))
        };
        for bytes in fetched.batches {
            for batch in split(bytes).map_err(unreadable)? {
                records.append_batch(&batch, from, &Limits::default()).map_err(unreadable)?;
                next = next.max(batch.next_offset());
            }
        }
        Ok((records, next))
    }

    async fn chunk(
        &self,
        partition: TopicPartition,
        hash: ComponentHash,
        offset: Offset,
        to: &mut BytesMut,
    ) -> Result<(), Error> {
        let damaged = |reason: String| Error::Damaged { hash, topic: COMPONENTS_TOPIC, reason };
        let (records, _) = self.read(partition, offset).await?;
        if records.offsets.first() != Some(&offset.0) {
            return Err(damaged(format!("its chunk at offset {offset} is gone")));
        }
        to.extend_from_slice(
            records.values.get(0).ok_or_else(|| damaged(format!("its chunk at offset {offset} is empty")))?,
        );
        Ok(())
    }
}

fn key(hash: ComponentHash, chunk: usize, chunks: usize) -> String {
    format!("{hash}/{chunk}/{chunks}")
}

/// The key's component, chunk and number of chunks; none for what this version does not know.
fn parse_key(key: &[u8]) -> Option<(ComponentHash, (usize, usize))> {
    let mut parts = std::str::from_utf8(key).ok()?.split('/');
    let hash = parts.next()?.parse().ok()?;
    let (chunk, chunks) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (chunk < chunks && chunks <= CHUNKS_MAX && parts.next().is_none()).then_some((hash, (chunk, chunks)))
}

#[async_trait]
impl ComponentStore for TopicComponents {
    async fn put(&self, component: Bytes) -> Result<ComponentHash, Error> {
        let hash = ComponentHash::of(&component);
        let topic = self.topic().await?;
        let Some(partition) = topic.topic_partitions().next() else {
            return Err(Error::NoComponent { hash });
        };
        let mut index = self.index.lock().await;
        self.follow(partition, &mut index).await?;
        if index.complete(hash).is_some() {
            return Ok(hash);
        }
        let chunks = component.len().div_ceil(CHUNK_BYTES).max(1);
        for chunk in 0..chunks {
            let from = chunk * CHUNK_BYTES;
            let content = &component[from..component.len().min(from + CHUNK_BYTES)];
            let mut records = Columns::default();
            records.push(0, Some(key(hash, chunk, chunks).as_bytes()), Some(content), []);
            let offset = self.topics.append(partition, &records).await?;
            index.note(hash, (chunk, chunks), offset);
        }
        Ok(hash)
    }

    async fn get(&self, hash: ComponentHash) -> Result<Bytes, Error> {
        let Some(partition) = self.topics.topic(COMPONENTS_TOPIC).and_then(|topic| topic.topic_partitions().next())
        else {
            return Err(Error::NoComponent { hash });
        };
        let places = {
            let mut index = self.index.lock().await;
            self.follow(partition, &mut index).await?;
            index.complete(hash).ok_or(Error::NoComponent { hash })?
        };
        let mut component = BytesMut::new();
        for offset in places {
            self.chunk(partition, hash, offset, &mut component).await?;
        }
        let component = component.freeze();
        let found = ComponentHash::of(&component);
        if found != hash {
            return Err(Error::Damaged {
                hash,
                topic: COMPONENTS_TOPIC,
                reason: format!("what is stored has the hash {found}"),
            });
        }
        Ok(component)
    }
}
