//! Dead letters (KIP-1191): records that a share group gives up are written to the group's topic for such before their state says so.
//!
//! What can't be written now is tried again with its records, which keep their states. A topic that may not be used, or is not there, is
//! the operator's mistake: it is said so, and the records are given up without a letter, as by a group that has no such topic.

use crate::codes::Failure;
use crate::shares::opened::{Opened, Outcome};
use crate::shares::options::DeadLetters;
use crate::shares::registry::Registry;
use millstream_group::share::{Buried, Cause};
use millstream_metadata::Topic;
use millstream_metadata::topics::{Create, Layout, ensure};
use millstream_partition::{AppendOptions, Isolation, Origin, PartitionHandle, ReadRequest};
use millstream_protocol::ResponseError;
use millstream_record::{Codec, Columns, Limits, encode, split};
use millstream_types::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition};
use std::sync::Arc;
use std::time::Duration;

/// The option of a topic without which no dead letters are written to it.
const ALLOWED: &str = "errors.deadletterqueue.group.enable";
/// Bytes of records that are read at once.
const READ_BYTES: usize = 1 << 20;
/// Bytes of letters in one batch, unless one letter alone is larger.
const BATCH_BYTES: usize = 256 << 10;
/// How long a new topic may take to open.
const OPEN_LIMIT: Duration = Duration::from_secs(2);

/// Writes the letters of what is `buried`. Returns when they are stored.
pub(super) async fn bury(registry: &Registry, opened: &Opened, buried: &[Buried]) -> Outcome {
    if buried.is_empty() {
        return Ok(());
    }
    let group = &opened.key.group;
    let Some(letters) = registry.options(group).dead_letters else { return Ok(()) };
    let target = match target(registry, opened, &letters).await? {
        Ok(target) => target,
        Err(mistake) => {
            let (origin, partition) = (opened.log.topic(), opened.key.partition);
            tracing::error!(%group, topic = origin, partition, mistake, "records were given up without a dead letter");
            return Ok(());
        }
    };
    for one in buried {
        let now_ms = registry.runtime.clock.now().0;
        let (copies, columns) = (letters.copies, Columns::default());
        let mut writing = Writing { opened, target: &target, copies, now_ms, letters: columns, bytes: 0 };
        writing.all_of(one).await?;
    }
    Ok(())
}

/// The partition that letters go to, or why there is none that may be used.
async fn target(
    registry: &Registry,
    opened: &Opened,
    letters: &DeadLetters,
) -> Result<Result<PartitionHandle, String>, Failure> {
    let name = &letters.topic;
    let prefix = registry.letters_prefix();
    if !name.starts_with(&prefix) {
        return Ok(Err(format!(
            "the topic {name:?} has to begin with {prefix:?} (errors.deadletterqueue.topic.name.prefix)"
        )));
    }
    let known = registry.quorum.image().topic_named(name).cloned();
    let topic = match known {
        Some(topic) => topic,
        None if registry.makes_letters_topics() => made(registry, name).await?,
        None => return Ok(Err(format!("there is no topic {name:?}: make it, with {ALLOWED}=true"))),
    };
    if topic.overrides.get(ALLOWED).is_none_or(|value| !value.trim().eq_ignore_ascii_case("true")) {
        return Ok(Err(format!("the topic {name:?} does not take dead letters: set its {ALLOWED} to true")));
    }
    let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX).max(1);
    let index = PartitionIndex(opened.key.partition.rem_euclid(partitions));
    Ok(Ok(registry.partitions.ready(TopicPartition::new(topic.id, index), OPEN_LIMIT).await?))
}

async fn made(registry: &Registry, name: &str) -> Result<Arc<Topic>, Failure> {
    let random = &registry.runtime.random;
    let create_it = Create {
        name: name.to_owned(),
        id: TopicId(uuid::Builder::from_random_bytes(random.next_u128().to_be_bytes()).into_uuid()),
        layout: Layout::Counts { partitions: 1, replication_factor: 1, draw: random.next_u64() },
        configs: [(ALLOWED.to_owned(), Some("true".to_owned()))].into(),
        validate_only: false,
    };
    registry.quorum.decide(move |image| ensure(image, &create_it)).await?;
    let gone = || Failure::new(ResponseError::UnknownTopicOrPartition, format!("the topic {name:?} was deleted again"));
    registry.quorum.image().topic_named(name).cloned().ok_or_else(gone)
}

/// Letters on their way.
struct Writing<'a> {
    opened: &'a Opened,
    target: &'a PartitionHandle,
    copies: bool,
    now_ms: i64,
    letters: Columns,
    bytes: usize,
}

impl Writing<'_> {
    /// Reads the records of `buried`, as far as they are still there, and writes a letter for each.
    async fn all_of(&mut self, buried: &Buried) -> Outcome {
        let log = &self.opened.log;
        let mut next = Offset(buried.first).max(log.bounds().log_start);
        while next.0 <= buried.last {
            let (leader_epoch, isolation) = (LeaderEpoch::NONE, Isolation::ReadUncommitted);
            let request =
                ReadRequest { from: next, max_bytes: READ_BYTES, at_least_one: true, leader_epoch, isolation };
            let (bytes, _) = log.read_bytes(request).await?;
            let batches = split(bytes)?;
            let Some(last) = batches.last() else { break };
            next = last.next_offset();
            for batch in batches.iter().filter(|batch| !batch.is_control()) {
                let records = batch.records(&Limits::default())?;
                for at in 0..records.len() {
                    if (buried.first..=buried.last).contains(&records.offsets[at]) {
                        self.letter(&records, at, buried);
                    }
                }
                if self.bytes >= BATCH_BYTES {
                    self.flush().await?;
                }
            }
        }
        self.flush().await
    }

    fn letter(&mut self, records: &Columns, at: usize, buried: &Buried) {
        let partition = self.opened.key.partition.to_string();
        let (offset, count) = (records.offsets[at].to_string(), buried.count.to_string());
        // The names and words of Kafka 4.4.
        let origin: [(&str, &str); 6] = [
            ("__dlq.errors.topic", self.opened.log.topic()),
            ("__dlq.errors.partition", &partition),
            ("__dlq.errors.offset", &offset),
            ("__dlq.errors.group", &self.opened.key.group),
            ("__dlq.errors.delivery.count", &count),
            ("__dlq.errors.message", reason(buried.cause)),
        ];
        let origin = origin.into_iter().map(|(name, value)| (name, Some(value.as_bytes())));
        let (key, value) = (records.keys.get(at), records.values.get(at));
        self.bytes += 256;
        if self.copies {
            self.bytes += key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
            self.letters.push(self.now_ms, key, value, records.headers.get(at).chain(origin));
        } else {
            self.letters.push(self.now_ms, None, None, origin);
        }
    }

    async fn flush(&mut self) -> Outcome {
        self.bytes = 0;
        let letters = std::mem::take(&mut self.letters);
        if letters.is_empty() {
            return Ok(());
        }
        let batch = encode(&letters, Codec::None)?;
        let batches = millstream_record::check(batch.into_bytes(), &self.target.door_rules())?;
        self.target.append(batches, AppendOptions::new(Origin::Internal)).await?;
        Ok(())
    }
}

/// Why a record was given up, in Kafka's words.
const fn reason(cause: Cause) -> &'static str {
    match cause {
        Cause::Rejected => "Offset rejected by client.",
        Cause::DeliveredTooOften => "Offset delivery count exceeded the threshold.",
    }
}
