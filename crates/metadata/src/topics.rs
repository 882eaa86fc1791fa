//! Creating and deleting topics.

use crate::placement::{Placement, Placer};
use crate::record::{PartitionRecord, TopicConfigRecord, TopicRecord};
use crate::{Decision, Error, Image, Record, Topic, configs};
use millstream_types::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Characters of the longest topic name: with a partition's number it still fits a folder's name.
pub const NAME_LEN_MAX: usize = 249;
/// Partitions that one decision may make: they become one entry of the metadata log.
pub const PARTITIONS_MAX: i32 = 10_000;

/// What is to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// The topic's name.
    pub name: String,
    /// A random id that nothing else has.
    pub id: TopicId,
    /// Partitions, and where they go.
    pub layout: Layout,
    /// Options by Kafka's names; an absent value is an error, as in Kafka.
    pub configs: BTreeMap<String, Option<String>>,
    /// Check everything and create nothing.
    pub validate_only: bool,
}

/// Partitions and replicas of a new topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// So many, wherever there is room.
    Counts {
        /// Partitions, from 1.
        partitions: i32,
        /// Replicas of each, from 1.
        replication_factor: i16,
        /// A random number, so that topics do not all begin on the same broker.
        draw: u64,
    },
    /// Each partition's replicas by the partition's number.
    Assigned(BTreeMap<i32, Vec<BrokerId>>),
}

/// What was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The topic's id; [`TopicId::ZERO`] when it was only checked.
    pub id: TopicId,
    /// Partitions it has.
    pub partitions: i32,
    /// Replicas of each (of the first where they differ).
    pub replication_factor: i16,
}

/// How a request names a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicRef {
    /// By its name.
    Name(String),
    /// By its id.
    Id(TopicId),
}

/// Checks a topic's name by Kafka's rules.
///
/// # Errors
/// [`Error::InvalidTopicName`] that says which rule it breaks.
pub fn check_name(name: &str) -> Result<(), Error> {
    let refuse = |reason: String| Err(Error::InvalidTopicName { name: name.to_owned(), reason });
    if name.is_empty() {
        return refuse("it is empty".into());
    }
    if name == "." || name == ".." {
        return refuse("'.' and '..' are folders".into());
    }
    if name.len() > NAME_LEN_MAX {
        return refuse(format!("it has {} characters; at most {NAME_LEN_MAX} are allowed", name.len()));
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')) {
        return refuse("only ASCII letters, digits, '.', '_' and '-' are allowed".into());
    }
    Ok(())
}

/// Checks the name and the options of a topic that is to be made. Answers the options that are set.
///
/// # Errors
/// The name or an option is refused, or the topic exists.
pub fn check_new(
    image: &Image,
    name: &str,
    options: &BTreeMap<String, Option<String>>,
) -> Result<BTreeMap<String, String>, Error> {
    check_name(name)?;
    if let Some(existing) = image.topic_colliding(name) {
        return Err(match *existing.name == *name {
            true => Error::TopicExists { name: name.to_owned() },
            false => Error::TopicNameCollision { name: name.to_owned(), existing: existing.name.to_string() },
        });
    }
    let overrides = overrides(options)?;
    configs::check_topic(image, &overrides)?;
    Ok(overrides)
}

/// Creates a topic, unless there is one of that name: then it is answered as it is.
///
/// # Errors
/// Those of [`create`].
pub fn ensure(image: &Image, request: &Create) -> Result<Decision<Created>, Error> {
    let Some(topic) = image.topic_named(&request.name) else { return create(image, request) };
    let replication_factor = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
    Ok(Decision::unchanged(Created {
        id: topic.id,
        partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
        replication_factor: i16::try_from(replication_factor).unwrap_or(i16::MAX),
    }))
}

/// Creates a topic.
///
/// # Errors
/// The name, the counts, the assignment or an option is refused, or the topic exists.
pub fn create(image: &Image, request: &Create) -> Result<Decision<Created>, Error> {
    let overrides = check_new(image, &request.name, &request.configs)?;
    if image.topic(request.id).is_some() || request.id == TopicId::ZERO {
        return Err(Error::InvalidRequest { reason: format!("the topic id {} is taken or reserved", request.id) });
    }
    let placements = place(image, request)?;
    let replication_factor = placements.first().map_or(0, |placement| placement.replicas.len());
    let created = Created {
        id: if request.validate_only { TopicId::ZERO } else { request.id },
        partitions: i32::try_from(placements.len()).unwrap_or(i32::MAX),
        replication_factor: i16::try_from(replication_factor).unwrap_or(i16::MAX),
    };
    if request.validate_only {
        return Ok(Decision::unchanged(created));
    }
    let topic = Record::Topic(TopicRecord { id: request.id, name: request.name.clone() });
    let configs = overrides
        .into_iter()
        .map(|(name, value)| Record::TopicConfig(TopicConfigRecord { topic: request.id, name, value: Some(value) }));
    let partitions = partition_records(request.id, 0, placements);
    Ok(Decision::new(std::iter::once(topic).chain(configs).chain(partitions).collect(), created))
}

/// Deletes a topic. Answers what it was.
///
/// # Errors
/// [`Error::UnknownTopic`] or [`Error::UnknownTopicId`].
pub fn delete(image: &Image, topic: &TopicRef) -> Result<Decision<Arc<Topic>>, Error> {
    let topic = find(image, topic)?;
    Ok(Decision::new(vec![Record::RemoveTopic { topic: topic.id }], topic.clone()))
}

/// The topic that a request names.
///
/// # Errors
/// [`Error::UnknownTopic`] or [`Error::UnknownTopicId`].
pub fn find<'a>(image: &'a Image, topic: &TopicRef) -> Result<&'a Arc<Topic>, Error> {
    match topic {
        TopicRef::Name(name) => image.topic_named(name).ok_or_else(|| Error::UnknownTopic { name: name.clone() }),
        TopicRef::Id(id) => image.topic(*id).ok_or(Error::UnknownTopicId { id: *id }),
    }
}

fn overrides(options: &BTreeMap<String, Option<String>>) -> Result<BTreeMap<String, String>, Error> {
    let present = |(name, value): (&String, &Option<String>)| match value {
        Some(value) => Ok((name.clone(), value.clone())),
        None => Err(Error::ConfigRefused { reason: format!("{name} has no value; name one or leave the option out") }),
    };
    options.iter().map(present).collect()
}

fn place(image: &Image, request: &Create) -> Result<Vec<Placement>, Error> {
    match &request.layout {
        Layout::Counts { partitions, replication_factor, draw } => {
            if !(1..=PARTITIONS_MAX).contains(partitions) {
                let reason = format!("{partitions} partitions were asked for; expected 1 to {PARTITIONS_MAX}");
                return Err(Error::InvalidPartitions { topic: request.name.clone(), reason });
            }
            Placer::new(image, *replication_factor)?.place(0, *partitions, *draw)
        }
        Layout::Assigned(assignment) => assigned(image, &request.name, assignment),
    }
}

fn assigned(image: &Image, topic: &str, assignment: &BTreeMap<i32, Vec<BrokerId>>) -> Result<Vec<Placement>, Error> {
    let count = i32::try_from(assignment.len()).unwrap_or(i32::MAX);
    if !(1..=PARTITIONS_MAX).contains(&count) {
        let reason = format!("{count} partitions are assigned; expected 1 to {PARTITIONS_MAX}");
        return Err(Error::InvalidPartitions { topic: topic.to_owned(), reason });
    }
    if !assignment.keys().copied().eq(0..count) {
        let reason = format!("the partitions of {topic:?} must be numbered from 0 without gaps");
        return Err(Error::InvalidReplicaAssignment { reason });
    }
    let factor = assignment.values().next().map_or(0, Vec::len);
    assignment.values().map(|replicas| check_replicas(image, topic, replicas, factor)).collect()
}

/// Checks one partition's assigned replicas, of which there must be `factor`.
pub(crate) fn check_replicas(
    image: &Image,
    topic: &str,
    replicas: &[BrokerId],
    factor: usize,
) -> Result<Placement, Error> {
    let refuse = |reason: String| Err(Error::InvalidReplicaAssignment { reason });
    if replicas.is_empty() || replicas.len() != factor {
        return refuse(format!(
            "a partition of {topic:?} is assigned {} replicas; expected {}",
            replicas.len(),
            factor.max(1)
        ));
    }
    let distinct: BTreeSet<BrokerId> = replicas.iter().copied().collect();
    if distinct.len() != replicas.len() {
        return refuse(format!("a partition of {topic:?} is assigned the same broker twice"));
    }
    if let Some(unknown) = distinct.iter().find(|broker| image.broker(**broker).is_none()) {
        return refuse(format!("a partition of {topic:?} is assigned to broker {unknown}, which is not registered"));
    }
    let isr: Vec<BrokerId> = replicas.iter().copied().filter(|broker| image.is_alive(*broker)).collect();
    if isr.is_empty() {
        return refuse(format!("a partition of {topic:?} is assigned to fenced brokers only"));
    }
    Ok(Placement { replicas: replicas.to_vec(), isr })
}

/// The records of new partitions from number `first` on, each led by its first replica in sync.
pub(crate) fn partition_records(
    topic: TopicId,
    first: i32,
    placements: Vec<Placement>,
) -> impl Iterator<Item = Record> {
    (first..).zip(placements).map(move |(partition, placement)| {
        Record::Partition(PartitionRecord {
            topic,
            partition: PartitionIndex(partition),
            leader: placement.isr.first().copied().unwrap_or(BrokerId::NONE),
            leader_epoch: LeaderEpoch::FIRST,
            partition_epoch: 0,
            replicas: placement.replicas,
            isr: placement.isr,
        })
    })
}
