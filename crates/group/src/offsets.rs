//! The committed offsets of one group, and which of them have commits under way.

use crate::layout::{Change, Committed};
use crate::request::{ByTopic, FetchedOffset};
use millstream_types::{LeaderEpoch, Offset, ProducerId, TimestampMs};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
struct Slot {
    committed: Option<Committed>,
    /// Writes under way that commit or remove it.
    pending: u32,
    /// What transactions that are open will commit, by producer.
    open: BTreeMap<ProducerId, Committed>,
}

impl Slot {
    fn is_unused(&self) -> bool {
        self.committed.is_none() && self.pending == 0 && self.open.is_empty()
    }
}

/// See the module. What is not written yet is not seen by a fetch, but is known to whoever deletes or expires.
#[derive(Debug, Default)]
pub(crate) struct Offsets(BTreeMap<String, BTreeMap<i32, Slot>>);

impl Offsets {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A write of this offset is under way.
    pub(crate) fn begin(&mut self, topic: &str, partition: i32) {
        if !self.0.contains_key(topic) {
            self.0.insert(topic.to_owned(), BTreeMap::new());
        }
        if let Some(partitions) = self.0.get_mut(topic) {
            partitions.entry(partition).or_default().pending += 1;
        }
    }

    /// A write of this offset is over, whatever came of it.
    pub(crate) fn end(&mut self, topic: &str, partition: i32) {
        if let Some(slot) = self.0.get_mut(topic).and_then(|partitions| partitions.get_mut(&partition)) {
            slot.pending = slot.pending.saturating_sub(1);
        }
        self.prune(topic, partition);
    }

    /// The log holds this of the offset now.
    pub(crate) fn replay(&mut self, topic: &str, partition: i32, committed: Option<Committed>) {
        if committed.is_some() && !self.0.contains_key(topic) {
            self.0.insert(topic.to_owned(), BTreeMap::new());
        }
        if let Some(partitions) = self.0.get_mut(topic) {
            let slot = partitions.entry(partition).or_default();
            if committed.is_none() {
                slot.open.clear();
            }
            slot.committed = committed;
        }
        self.prune(topic, partition);
    }

    /// The log holds this of the offset, in a transaction that is open.
    pub(crate) fn hold(&mut self, producer: ProducerId, topic: &str, partition: i32, committed: Committed) {
        let partitions = self.0.entry(topic.to_owned()).or_default();
        partitions.entry(partition).or_default().open.insert(producer, committed);
    }

    /// The producer's transaction is over.
    pub(crate) fn end_transaction(&mut self, producer: ProducerId, commits: bool) {
        for partitions in self.0.values_mut() {
            for slot in partitions.values_mut() {
                let held = slot.open.remove(&producer);
                if commits && held.is_some() {
                    slot.committed = held;
                }
            }
            partitions.retain(|_, slot| !slot.is_unused());
        }
        self.0.retain(|_, partitions| !partitions.is_empty());
    }

    fn prune(&mut self, topic: &str, partition: i32) {
        let Some(partitions) = self.0.get_mut(topic) else { return };
        if partitions.get(&partition).is_some_and(Slot::is_unused) {
            partitions.remove(&partition);
        }
        if partitions.is_empty() {
            self.0.remove(topic);
        }
    }

    /// Whether this offset is stored, or about to be.
    pub(crate) fn contains(&self, topic: &str, partition: i32) -> bool {
        self.0.get(topic).is_some_and(|partitions| partitions.contains_key(&partition))
    }

    /// Whether any offset of `topic` is stored, or about to be.
    pub(crate) fn partitions_of(&self, topic: &str) -> Vec<i32> {
        self.0.get(topic).map(|partitions| partitions.keys().copied().collect()).unwrap_or_default()
    }

    /// What a client sees of the offset; where it `requires` so, not what an open transaction may change.
    pub(crate) fn fetch(&self, topic: &str, partition: i32, requires_stable: bool) -> FetchedOffset {
        let slot = self.0.get(topic).and_then(|partitions| partitions.get(&partition));
        fetched(partition, slot, requires_stable)
    }

    /// What a client sees of every offset.
    pub(crate) fn fetch_all(&self, requires_stable: bool) -> Vec<ByTopic<FetchedOffset>> {
        self.0
            .iter()
            .map(|(topic, partitions)| ByTopic {
                topic: topic.clone(),
                partitions: partitions
                    .iter()
                    .filter(|(_, slot)| slot.committed.is_some() || (requires_stable && !slot.open.is_empty()))
                    .map(|(partition, slot)| fetched(*partition, Some(slot), requires_stable))
                    .collect(),
            })
            .filter(|topic| !topic.partitions.is_empty())
            .collect()
    }

    /// Tombstones for every offset of `group`, those under way included.
    pub(crate) fn tombstones(&self, group: &str) -> Vec<Change> {
        self.0
            .iter()
            .flat_map(|(topic, partitions)| partitions.keys().map(|partition| tombstone(group, topic, *partition)))
            .collect()
    }

    /// The offsets that `is_expired` says so of; one that is being committed is not.
    pub(crate) fn expired(&self, is_expired: impl Fn(&str, &Committed) -> bool) -> Vec<(String, i32)> {
        let mut expired = Vec::new();
        for (topic, partitions) in &self.0 {
            for (partition, slot) in partitions {
                if slot.pending == 0
                    && slot.open.is_empty()
                    && slot.committed.as_ref().is_some_and(|committed| is_expired(topic, committed))
                {
                    expired.push((topic.clone(), *partition));
                }
            }
        }
        expired
    }

    /// How many offsets are stored or about to be.
    pub(crate) fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }
}

/// The removal of one offset.
pub(crate) fn tombstone(group: &str, topic: &str, partition: i32) -> Change {
    Change::Offset { group: group.to_owned(), topic: topic.to_owned(), partition, committed: None }
}

/// Whether `committed` is past its time: its own where the commit said so, else `retention_ms` after `base`.
pub(crate) fn is_expired(committed: &Committed, base: TimestampMs, retention_ms: i64, now: TimestampMs) -> bool {
    match committed.expires_at {
        Some(at) => now >= at,
        None => now.0.saturating_sub(base.0) >= retention_ms,
    }
}

fn fetched(partition: i32, slot: Option<&Slot>, requires_stable: bool) -> FetchedOffset {
    let is_unstable = requires_stable && slot.is_some_and(|slot| !slot.open.is_empty());
    let committed = slot.and_then(|slot| slot.committed.as_ref()).filter(|_| !is_unstable);
    FetchedOffset {
        partition,
        offset: committed.map_or(Offset::NONE, |some| some.offset),
        leader_epoch: committed.map_or(LeaderEpoch::NONE, |some| some.leader_epoch),
        metadata: committed.map(|some| some.metadata.clone()).unwrap_or_default(),
        is_unstable,
    }
}
