//! Adding partitions to a topic.

use crate::placement::Placer;
use crate::topics::{PARTITIONS_MAX, TopicRef, check_replicas, find, partition_records};
use crate::{Decision, Error, Image};
use millstream_types::BrokerId;

/// What is to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grow {
    /// The topic.
    pub topic: TopicRef,
    /// Partitions it is to have in all.
    pub count: i32,
    /// The replicas of each new partition, where the caller chooses.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
    /// A random number, so that topics do not all begin on the same broker.
    pub draw: u64,
    /// Check everything and add nothing.
    pub validate_only: bool,
}

/// Adds partitions. Answers how many the topic then has.
///
/// # Errors
/// The topic is unknown, or the count or the assignment is refused.
pub fn create_partitions(image: &Image, request: &Grow) -> Result<Decision<i32>, Error> {
    let topic = find(image, &request.topic)?;
    let refuse = |reason: String| Err(Error::InvalidPartitions { topic: topic.name.to_string(), reason });
    let current = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    let added = request.count.saturating_sub(current);
    if request.count == current {
        return refuse(format!("the topic has {current} partitions already"));
    }
    if added < 0 {
        return refuse(format!(
            "the topic has {current} partitions; they can't become {}: partitions are only ever added",
            request.count
        ));
    }
    if added > PARTITIONS_MAX {
        return refuse(format!("{added} partitions at once are too many; add at most {PARTITIONS_MAX}"));
    }
    let factor = topic.partitions.first().map_or(1, |partition| partition.replicas.len());
    let placements = match &request.assignments {
        None => Placer::new(image, i16::try_from(factor).unwrap_or(i16::MAX))?.place(current, added, request.draw)?,
        Some(assignments) if i32::try_from(assignments.len()) != Ok(added) => {
            let reason =
                format!("{added} partitions are added to {:?}, but {} are assigned", topic.name, assignments.len());
            return Err(Error::InvalidReplicaAssignment { reason });
        }
        Some(assignments) => assignments
            .iter()
            .map(|replicas| check_replicas(image, &topic.name, replicas, factor))
            .collect::<Result<_, _>>()?,
    };
    if request.validate_only {
        return Ok(Decision::unchanged(request.count));
    }
    Ok(Decision::new(partition_records(topic.id, current, placements).collect(), request.count))
}
