//! Who of a share group reads which partitions. Partitions are shared: with more members than partitions, several read the same one.
//!
//! Topics with the same subscribers are dealt out together. A partition is read by as many members as it takes for everybody to have one, and a
//! member reads as many partitions as it takes for each to be read; whoever had a partition before keeps it within these bounds.

use crate::consumer::member::Partitions;
use millstream_types::TopicId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The members of a share group, and what they had.
#[derive(Debug, Clone, Copy)]
pub struct Sharing<'a> {
    /// The topics that each member subscribes to.
    pub members: &'a BTreeMap<Arc<str>, BTreeSet<TopicId>>,
    /// The partitions that can be read.
    pub topics: &'a Partitions,
    /// What members had.
    pub before: &'a BTreeMap<Arc<str>, Arc<Partitions>>,
}

type Partition = (TopicId, i32);

/// What each member is to read.
#[must_use]
pub fn assign(sharing: &Sharing<'_>) -> BTreeMap<Arc<str>, Partitions> {
    let mut by_subscribers: BTreeMap<BTreeSet<&Arc<str>>, Vec<Partition>> = BTreeMap::new();
    for (topic, partitions) in sharing.topics {
        let subscribed = sharing.members.iter().filter(|(_, topics)| topics.contains(topic));
        let subscribers = by_subscribers.entry(subscribed.map(|(member, _)| member).collect()).or_default();
        subscribers.extend(partitions.iter().map(|partition| (*topic, *partition)));
    }
    let mut assigned: BTreeMap<Arc<str>, Partitions> =
        sharing.members.keys().map(|member| (member.clone(), Partitions::new())).collect();
    for (members, partitions) in
        by_subscribers.iter().filter(|(members, partitions)| !members.is_empty() && !partitions.is_empty())
    {
        for (member, (topic, partition)) in deal(members, partitions, sharing.before) {
            assigned.entry(member.clone()).or_default().entry(topic).or_default().insert(partition);
        }
    }
    assigned
}

/// Deals `partitions` out to `members`, who all subscribe to them.
fn deal<'a>(
    members: &BTreeSet<&'a Arc<str>>,
    partitions: &[Partition],
    before: &BTreeMap<Arc<str>, Arc<Partitions>>,
) -> Vec<(&'a Arc<str>, Partition)> {
    let readers = members.len().div_ceil(partitions.len());
    let slots = partitions.len() * readers;
    let share = slots.div_ceil(members.len());
    // So many members have a full share; the others have one less.
    let full = slots - (share - 1) * members.len();
    let mut deal = Deal { readers, share, full, had: BTreeMap::new(), read_by: BTreeMap::new(), dealt: Vec::new() };
    for member in members {
        let kept = before.get(*member).into_iter().flat_map(|partitions| partitions.iter());
        for (topic, of) in kept {
            for partition in of.iter().filter(|partition| partitions.binary_search(&(*topic, **partition)).is_ok()) {
                deal.give(member, (*topic, *partition));
            }
        }
    }
    for round in 0..readers {
        for partition in partitions {
            if deal.read_by.get(partition).map_or(0, BTreeSet::len) > round {
                continue;
            }
            // Who has least is first; of those the first by name.
            let free = members.iter().filter(|member| !deal.reads(member, *partition));
            let least = free.min_by_key(|member| deal.had.get(**member).copied().unwrap_or(0));
            if let Some(member) = least {
                deal.give(member, *partition);
            }
        }
    }
    deal.dealt
}

/// What is dealt out so far.
struct Deal<'a> {
    /// By how many a partition is read at most.
    readers: usize,
    /// How many a member reads at most, and how many members so many.
    share: usize,
    full: usize,
    had: BTreeMap<&'a Arc<str>, usize>,
    read_by: BTreeMap<Partition, BTreeSet<&'a Arc<str>>>,
    dealt: Vec<(&'a Arc<str>, Partition)>,
}

impl<'a> Deal<'a> {
    fn reads(&self, member: &Arc<str>, partition: Partition) -> bool {
        self.read_by.get(&partition).is_some_and(|readers| readers.contains(member))
    }

    /// Gives `member` the partition, where both have room.
    fn give(&mut self, member: &&'a Arc<str>, partition: Partition) {
        let has = self.had.get(*member).copied().unwrap_or(0);
        let has_room = has + 1 < self.share || (has + 1 == self.share && self.full > 0);
        let readers = self.read_by.entry(partition).or_default();
        if !has_room || readers.len() >= self.readers || !readers.insert(member) {
            return;
        }
        if has + 1 == self.share {
            self.full -= 1;
        }
        self.had.insert(member, has + 1);
        self.dealt.push((member, partition));
    }
}
