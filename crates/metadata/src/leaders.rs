//! Electing leaders when brokers come and go.
//!
//! As KRaft does it: a broker that goes is taken out of the in-sync replicas unless it is the last of them, and its partitions get
//! another leader or none; when one comes back, partitions without a leader get it if it is in sync. Each change of a leader
//! bumps the leader epoch.

use crate::record::PartitionChange;
use crate::{Error, Image, Partition, Record, Topic};
use millstream_types::{BrokerId, PartitionIndex, TopicPartition};

/// What changes when `leaving` leads no more: elections among the replicas that stay alive.
pub fn leave(image: &Image, leaving: BrokerId) -> Vec<Record> {
    each_partition(image, |partition| {
        if !partition.isr.contains(&leaving) {
            return None;
        }
        let others: Vec<BrokerId> = partition.isr.iter().copied().filter(|broker| *broker != leaving).collect();
        // The last replica in sync stays listed: only it has everything acknowledged.
        let isr = if others.is_empty() { partition.isr.clone() } else { others };
        let leader = match partition.leader == leaving {
            true => elect(partition, &isr, |broker| broker != leaving && image.is_alive(broker)),
            false => partition.leader,
        };
        Some((leader, isr))
    })
}

/// What changes when `joining` may lead: it is elected where nobody leads and it is in sync.
pub fn join(image: &Image, joining: BrokerId) -> Vec<Record> {
    each_partition(image, |partition| {
        if partition.leader != BrokerId::NONE || !partition.isr.contains(&joining) {
            return None;
        }
        let leader = elect(partition, &partition.isr, |broker| broker == joining || image.is_alive(broker));
        Some((leader, partition.isr.clone()))
    })
}

/// Moves one partition's leadership to its preferred (first) replica. Nothing changes where that leads already.
///
/// # Errors
/// [`Error::UnknownTopicId`], [`Error::UnknownPartition`], or [`Error::InvalidRequest`] when that replica can't lead now.
pub fn elect_preferred(image: &Image, partition: TopicPartition) -> Result<crate::Decision<()>, Error> {
    let topic = image.topic(partition.topic).ok_or(Error::UnknownTopicId { id: partition.topic })?;
    let missing = || Error::UnknownPartition { topic: topic.name.to_string(), partition: partition.partition };
    let state = topic.partition(partition.partition).ok_or_else(missing)?;
    let preferred = state.replicas.first().copied().unwrap_or(BrokerId::NONE);
    if state.leader == preferred {
        return Ok(crate::Decision::unchanged(()));
    }
    if !state.isr.contains(&preferred) || !image.is_alive(preferred) {
        let reason = format!(
            "broker {preferred} is preferred for {}-{} but is fenced or not in sync",
            topic.name, partition.partition
        );
        return Err(Error::InvalidRequest { reason });
    }
    Ok(crate::Decision::new(vec![change(topic, partition.partition, state, (preferred, state.isr.clone()))], ()))
}

/// The first replica, in the order of preference, that is in sync and alive; none where there is no such replica.
fn elect(partition: &Partition, isr: &[BrokerId], alive: impl Fn(BrokerId) -> bool) -> BrokerId {
    partition.replicas.iter().copied().find(|broker| isr.contains(broker) && alive(*broker)).unwrap_or(BrokerId::NONE)
}

fn each_partition(image: &Image, next: impl Fn(&Partition) -> Option<(BrokerId, Vec<BrokerId>)>) -> Vec<Record> {
    let changed = |topic: &Topic| -> Vec<Record> {
        topic
            .partitions()
            .filter_map(|(index, partition)| {
                let (leader, isr) = next(partition)?;
                (leader != partition.leader || isr != partition.isr)
                    .then(|| change(topic, index, partition, (leader, isr)))
            })
            .collect()
    };
    image.topics().flat_map(|topic| changed(topic)).collect()
}

fn change(topic: &Topic, index: PartitionIndex, now: &Partition, (leader, isr): (BrokerId, Vec<BrokerId>)) -> Record {
    Record::PartitionChange(PartitionChange {
        topic: topic.id,
        partition: index,
        partition_epoch: now.partition_epoch + 1,
        leader: (leader != now.leader).then(|| (leader, now.leader_epoch.next())),
        isr: (isr != now.isr).then_some(isr),
        replicas: None,
    })
}
