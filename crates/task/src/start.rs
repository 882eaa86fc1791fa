//! What is settled before a deployment's tasks start: its topics exist, and each partition has a committed place to begin.

use crate::{CommittedOffset, Error, Plan, TopicView, Topics};
use millstream_types::{ErrorKind, LeaderEpoch, Offset, TimestampMs, TopicPartition};
use std::collections::BTreeMap;

/// Where a deployment is to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetTo {
    /// The first record there is.
    Earliest,
    /// After the last record there is.
    Latest,
    /// This offset, in every partition.
    Offset(Offset),
    /// The first record at or after this time.
    Time(TimestampMs),
}

/// Refuses a plan that would read what it writes.
pub(crate) fn check_topics(plan: &Plan) -> Result<(), Error> {
    if plan.inputs.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "it has no input topic: name at least one"));
    }
    let mut written = plan.outputs.iter().chain(&plan.dead_letter_topic);
    match written.find(|output| plan.inputs.contains(output)) {
        Some(both) => {
            let message = format!(
                "topic {both:?} is both its input and its output, which would go round for ever: write to another topic"
            );
            Err(Error::new(ErrorKind::Invalid, message))
        }
        None => Ok(()),
    }
}

/// The input topics. One that is not there may still be made: an error that is tried again.
pub(crate) fn inputs(topics: &dyn Topics, names: &[String]) -> Result<Vec<TopicView>, Error> {
    let find = |name: &String| {
        let missing = || {
            Error::new(
                ErrorKind::Unavailable,
                format!("the input topic {name:?} does not exist: create it, and this starts by itself"),
            )
        };
        topics.topic(name).ok_or_else(missing)
    };
    names.iter().map(find).collect()
}

/// The same topics as they are now; one that was deleted, or made anew, stays as it was: its tasks find that out.
pub(crate) fn known(topics: &dyn Topics, inputs: &[TopicView]) -> Vec<TopicView> {
    let now =
        |topic: &TopicView| topics.topic(&topic.name).filter(|now| now.id == topic.id).unwrap_or_else(|| topic.clone());
    inputs.iter().map(now).collect()
}

/// Makes the topics that do not exist.
pub(crate) async fn make_topics(topics: &dyn Topics, names: &[String], partitions: i32) -> Result<(), Error> {
    for name in names.iter().filter(|name| topics.topic(name).is_none()) {
        match topics.create(name, partitions, &BTreeMap::new()).await {
            Ok(_) => {}
            Err(error) if error.kind == ErrorKind::Conflict => {}
            Err(error) => {
                return Err(Error::new(error.kind, format!("could not make the output topic {name:?}: {error}")));
            }
        }
    }
    Ok(())
}

/// Where each partition begins. What has no committed offset gets one now, so that nothing that comes later can be missed.
pub(crate) async fn positions(
    topics: &dyn Topics,
    group: &str,
    partitions: &[TopicPartition],
    from_earliest: bool,
) -> Result<Vec<Offset>, Error> {
    let committed = topics.committed(group, partitions).await?;
    // A group that has begun has seen every partition there was; what it does not know came later, and is read from its start.
    let begun = committed.iter().any(Option::is_some);
    let mut positions = Vec::with_capacity(partitions.len());
    let mut new = Vec::new();
    for (partition, committed) in partitions.iter().zip(committed) {
        let position = match committed {
            Some(offset) => offset,
            None => {
                let bounds = topics.bounds(*partition).await?;
                let offset = if from_earliest || begun { bounds.log_start } else { bounds.high_watermark };
                new.push(progress(*partition, offset));
                offset
            }
        };
        positions.push(position);
    }
    if !new.is_empty() {
        topics.commit(group, &new).await?;
    }
    Ok(positions)
}

/// The offsets that a reset commits: all of them, or an error that says what there is.
pub(crate) async fn reset(
    topics: &dyn Topics,
    inputs: &[TopicView],
    to: ResetTo,
) -> Result<Vec<CommittedOffset>, Error> {
    let mut offsets = Vec::new();
    for topic in inputs {
        for partition in topic.topic_partitions() {
            let bounds = topics.bounds(partition).await?;
            let offset = match to {
                ResetTo::Earliest => bounds.log_start,
                ResetTo::Latest => bounds.high_watermark,
                ResetTo::Offset(offset) if offset < bounds.log_start || offset > bounds.high_watermark => {
                    let message = format!(
                        "offset {offset} is not in {}-{}: it has {} to {}",
                        topic.name, partition.partition, bounds.log_start, bounds.high_watermark
                    );
                    return Err(Error::new(ErrorKind::Invalid, message));
                }
                ResetTo::Offset(offset) => offset,
                ResetTo::Time(time) => topics.offset_for_time(partition, time).await?.unwrap_or(bounds.high_watermark),
            };
            offsets.push(progress(partition, offset));
        }
    }
    Ok(offsets)
}

fn progress(partition: TopicPartition, offset: Offset) -> CommittedOffset {
    CommittedOffset { partition, offset, leader_epoch: LeaderEpoch::NONE, metadata: String::new() }
}
