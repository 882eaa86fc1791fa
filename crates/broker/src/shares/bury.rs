//! Dead letters (KIP-1191): records that a share group gives up are written to the group's topic for such before their state says so.
//!
//! What can't be written now is tried again with its records, which keep their states. A topic that may not be used, or is not there, is
//! the operator's mistake: it is said so, and the records are given up without a letter, as by a group that has no such topic.

use crate::codes::Failure;
use crate::shares::letters::Letters;
use crate::shares::opened::{Opened, Outcome};
use crate::shares::options::DeadLetters;
use crate::shares::registry::Registry;
use millstream_group::share::Buried;
use millstream_metadata::Topic;
use millstream_metadata::topics::{Create, Layout, ensure};
use millstream_partition::{Isolation, PartitionHandle, ReadRequest};
use millstream_protocol::ResponseError;
use millstream_record::{Batch, Limits, split};
use millstream_types::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// The option of a topic without which no dead letters are written to it.
const ALLOWED: &str = "errors.deadletterqueue.group.enable";
/// Bytes of records that are read at once.
const READ_BYTES: usize = 1 << 20;
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
        let mut on_their_way = Letters::new(opened, &target, registry.runtime.clock.now().0);
        write(&mut on_their_way, &opened.log, one, letters.copies).await?;
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

/// Writes a letter for each record of `buried` that is still there. Of one that can't be read it only says where it lies.
async fn write(letters: &mut Letters<'_>, log: &PartitionHandle, buried: &Buried, copies: bool) -> Outcome {
    let mut next = Offset(buried.first).max(log.bounds().log_start);
    while next.0 <= buried.last {
        let batches = match read(log, next).await {
            Ok(batches) => batches,
            Err(failure) if failure.code == ResponseError::CorruptMessage => {
                without_records(letters, next..Offset(buried.last + 1), buried).await?;
                break;
            }
            Err(failure) => return Err(failure),
        };
        if batches.is_empty() {
            break;
        }
        for batch in &batches {
            next = batch.next_offset();
            if batch.is_control() {
                continue;
            }
            let Ok(records) = batch.records(&Limits::default()) else {
                without_records(letters, batch.base_offset()..next, buried).await?;
                continue;
            };
            for (at, offset) in records.offsets.iter().enumerate() {
                if (buried.first..=buried.last).contains(offset) {
                    letters.add(*offset, copies.then_some((&records, at)), buried).await?;
                }
            }
        }
    }
    letters.flush().await
}

/// The letters of what lies in `range` and can't be read.
async fn without_records(letters: &mut Letters<'_>, range: Range<Offset>, buried: &Buried) -> Outcome {
    for offset in range.start.0.max(buried.first)..range.end.0.min(buried.last + 1) {
        letters.add(offset, None, buried).await?;
    }
    Ok(())
}

async fn read(log: &PartitionHandle, from: Offset) -> Result<Vec<Batch>, Failure> {
    let (leader_epoch, isolation) = (LeaderEpoch::NONE, Isolation::ReadUncommitted);
    let request = ReadRequest { from, max_bytes: READ_BYTES, at_least_one: true, leader_epoch, isolation };
    let (bytes, _) = log.read_bytes(request).await?;
    Ok(split(bytes)?)
}
