//! What a group of the new protocol is, as its records tell: nothing here changes but by [`Stored::apply`], so that what is read back from
//! the log is what was.

use super::member::{Current, MemberMetadata, Owned, Partitions};
use crate::GroupState;
use crate::cluster::Cluster;
use millstream_types::{TimestampMs, TopicId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The group's epoch, and what it knew of its topics then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupEpoch {
    /// Counts up whenever the assignment is to be made anew.
    pub epoch: i32,
    /// Of the topics subscribed to: their ids and partitions. 0 where there are none.
    pub metadata_hash: i64,
}

/// The epoch of the target assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetEpoch {
    /// The group epoch that it was made for.
    pub epoch: i32,
    /// When; zero where an old record does not say.
    pub at: TimestampMs,
}

/// What a pattern matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The topics.
    pub topics: BTreeSet<String>,
    /// The version of the metadata that was looked at.
    pub version: i64,
    /// When.
    pub at: TimestampMs,
}

/// A topic of which partitions have a state, or are to get one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SharedTopic {
    /// Its name.
    pub name: String,
    /// The partitions.
    pub partitions: BTreeSet<i32>,
}

/// Which partitions of a share group have a state at the share coordinator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShareTopics {
    /// Those that are to get one.
    pub initializing: BTreeMap<TopicId, SharedTopic>,
    /// Those that have one: only they are assigned.
    pub initialized: BTreeMap<TopicId, SharedTopic>,
    /// The names of topics whose state is being deleted.
    pub deleting: BTreeMap<TopicId, String>,
}

/// One change to what is stored of a group of the new protocol: each sets what is under one key, or removes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsumerChange {
    /// The group's epoch; its removal is the group's.
    Group(Option<GroupEpoch>),
    /// Whether there is a record of the topics' partitions, as Kafka 4.0 wrote: only removed.
    Topics(bool),
    /// What a member says of itself.
    Member(Arc<str>, Option<Arc<MemberMetadata>>),
    /// The epoch of the target assignment.
    TargetEpoch(Option<TargetEpoch>),
    /// What a member is to have.
    Target(Arc<str>, Option<Arc<Partitions>>),
    /// What a member has.
    Current(Arc<str>, Option<Arc<Current>>),
    /// What a pattern matched.
    Regex(Arc<str>, Option<Arc<Resolved>>),
    /// Of a share group: which partitions have a state.
    Shares(Option<Arc<ShareTopics>>),
}

impl ConsumerChange {
    /// Whether it removes something.
    #[must_use]
    pub const fn is_removal(&self) -> bool {
        matches!(
            self,
            Self::Group(None)
                | Self::Topics(false)
                | Self::Member(_, None)
                | Self::TargetEpoch(None)
                | Self::Target(_, None)
                | Self::Current(_, None)
                | Self::Regex(_, None)
                | Self::Shares(None)
        )
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    group: Option<GroupEpoch>,
    has_topics_record: bool,
    members: BTreeMap<Arc<str>, Arc<MemberMetadata>>,
    target_epoch: Option<TargetEpoch>,
    targets: BTreeMap<Arc<str>, Arc<Partitions>>,
    currents: BTreeMap<Arc<str>, Arc<Current>>,
    regexes: BTreeMap<Arc<str>, Arc<Resolved>>,
    shares: Option<Arc<ShareTopics>>,
    // What follows is of the above, so that it need not be looked for.
    statics: BTreeMap<String, Arc<str>>,
    owners: BTreeMap<TopicId, BTreeMap<i32, Arc<str>>>,
    names: BTreeMap<String, usize>,
    patterns: BTreeMap<Arc<str>, usize>,
}

impl Stored {
    /// Makes a change, and gives back the one that undoes it.
    pub(crate) fn apply(&mut self, change: ConsumerChange) -> ConsumerChange {
        match change {
            ConsumerChange::Group(group) => ConsumerChange::Group(std::mem::replace(&mut self.group, group)),
            ConsumerChange::Topics(has) => ConsumerChange::Topics(std::mem::replace(&mut self.has_topics_record, has)),
            ConsumerChange::Member(id, metadata) => self.set_member(id, metadata),
            ConsumerChange::TargetEpoch(epoch) => {
                ConsumerChange::TargetEpoch(std::mem::replace(&mut self.target_epoch, epoch))
            }
            ConsumerChange::Target(id, target) => {
                let before = set(&mut self.targets, &id, target);
                ConsumerChange::Target(id, before)
            }
            ConsumerChange::Current(id, current) => self.set_current(id, current),
            ConsumerChange::Regex(regex, resolved) => {
                let before = set(&mut self.regexes, &regex, resolved);
                ConsumerChange::Regex(regex, before)
            }
            ConsumerChange::Shares(shares) => ConsumerChange::Shares(std::mem::replace(&mut self.shares, shares)),
        }
    }

    fn set_member(&mut self, id: Arc<str>, metadata: Option<Arc<MemberMetadata>>) -> ConsumerChange {
        if let Some(metadata) = &metadata {
            if let Some(instance) = &metadata.instance {
                self.statics.insert(instance.clone(), id.clone());
            }
            metadata.topics.iter().for_each(|name| *self.names.entry(name.clone()).or_default() += 1);
            if let Some(regex) = metadata.pattern() {
                *self.patterns.entry(Arc::from(regex)).or_default() += 1;
            }
        }
        let stays = metadata.as_ref().and_then(|metadata| metadata.instance.clone());
        let before = set(&mut self.members, &id, metadata);
        if let Some(before) = &before {
            if let Some(instance) = before.instance.as_ref().filter(|instance| stays.as_ref() != Some(*instance))
                && self.statics.get(instance) == Some(&id)
            {
                self.statics.remove(instance);
            }
            before.topics.iter().for_each(|name| count_down(&mut self.names, name));
            if let Some(regex) = before.pattern() {
                count_down(&mut self.patterns, regex);
            }
        }
        ConsumerChange::Member(id, before)
    }

    fn set_current(&mut self, id: Arc<str>, current: Option<Arc<Current>>) -> ConsumerChange {
        let after = current.clone();
        let before = set(&mut self.currents, &id, current);
        if let Some(before) = &before {
            for (topic, partition) in held(before) {
                let Some(owners) = self.owners.get_mut(&topic) else { continue };
                if owners.get(&partition) == Some(&id) {
                    owners.remove(&partition);
                }
                if owners.is_empty() {
                    self.owners.remove(&topic);
                }
            }
        }
        if let Some(after) = &after {
            for (topic, partition) in held(after) {
                self.owners.entry(topic).or_default().insert(partition, id.clone());
            }
        }
        ConsumerChange::Current(id, before)
    }

    pub(crate) fn epoch(&self) -> i32 {
        self.group.map_or(0, |group| group.epoch)
    }

    pub(crate) fn metadata_hash(&self) -> i64 {
        self.group.map_or(0, |group| group.metadata_hash)
    }

    pub(crate) const fn has_topics_record(&self) -> bool {
        self.has_topics_record
    }

    pub(crate) fn target_epoch(&self) -> i32 {
        self.target_epoch.map_or(0, |target| target.epoch)
    }

    /// Which partitions of a share group have a state.
    pub(crate) fn shares(&self) -> Arc<ShareTopics> {
        self.shares.clone().unwrap_or_default()
    }

    /// Whether there is not a record of it.
    pub(crate) fn is_blank(&self) -> bool {
        self.group.is_none()
            && self.members.is_empty()
            && self.target_epoch.is_none()
            && self.targets.is_empty()
            && self.currents.is_empty()
            && self.shares.is_none()
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<MemberMetadata>)> {
        self.members.iter()
    }

    /// A member under the name that is kept, and what it says of itself.
    pub(crate) fn member(&self, id: &str) -> Option<(Arc<str>, Arc<MemberMetadata>)> {
        self.members.get_key_value(id).map(|(id, metadata)| (id.clone(), metadata.clone()))
    }

    pub(crate) fn has_member(&self, id: &str) -> bool {
        self.members.contains_key(id)
    }

    /// Who holds a static name.
    pub(crate) fn holder(&self, instance: &str) -> Option<Arc<str>> {
        self.statics.get(instance).cloned()
    }

    pub(crate) fn current(&self, id: &str) -> Arc<Current> {
        self.currents.get(id).cloned().unwrap_or_default()
    }

    pub(crate) fn target(&self, id: &str) -> Arc<Partitions> {
        self.targets.get(id).cloned().unwrap_or_default()
    }

    pub(crate) const fn targets(&self) -> &BTreeMap<Arc<str>, Arc<Partitions>> {
        &self.targets
    }

    /// Whether a member other than `id` has the partition, or has not given it back.
    pub(crate) fn is_taken_from(&self, id: &str, topic: TopicId, partition: i32) -> bool {
        let owner = self.owners.get(&topic).and_then(|owners| owners.get(&partition));
        owner.is_some_and(|owner| **owner != *id)
    }

    /// How many members subscribe to a pattern.
    pub(crate) fn subscribers_of(&self, regex: &str) -> usize {
        self.patterns.get(regex).copied().unwrap_or(0)
    }

    pub(crate) fn patterns(&self) -> impl Iterator<Item = &Arc<str>> {
        self.patterns.keys()
    }

    pub(crate) fn resolved(&self, regex: &str) -> Option<&Arc<Resolved>> {
        self.regexes.get(regex)
    }

    /// When patterns were looked at last, and the version of the metadata then.
    pub(crate) fn last_resolved(&self) -> Option<(TimestampMs, u64)> {
        let all = self.regexes.values().map(|resolved| (resolved.at, u64::try_from(resolved.version).unwrap_or(0)));
        all.max()
    }

    /// The names of all topics that some member subscribes to.
    pub(crate) fn subscribed_names(&self) -> BTreeSet<&str> {
        let resolved = self.patterns.keys().filter_map(|regex| self.regexes.get(regex));
        let resolved = resolved.flat_map(|resolved| resolved.topics.iter().map(String::as_str));
        self.names.keys().map(String::as_str).chain(resolved).collect()
    }

    /// The topics that one member subscribes to, of those that exist.
    pub(crate) fn topics_of(&self, metadata: &MemberMetadata, cluster: &dyn Cluster) -> BTreeSet<TopicId> {
        let resolved = metadata.pattern().and_then(|regex| self.regexes.get(regex));
        let names = metadata.topics.iter().chain(resolved.into_iter().flat_map(|resolved| &resolved.topics));
        names.filter_map(|name| cluster.topic(name)).map(|topic| topic.id).collect()
    }

    /// FNV-1a of what is known of the topics subscribed to: it differs when one is made, deleted or given partitions.
    pub(crate) fn hash_of_topics(&self, cluster: &dyn Cluster) -> i64 {
        const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let mut hash = OFFSET_BASIS;
        let mut is_any = false;
        for name in self.subscribed_names() {
            let Some(topic) = cluster.topic(name) else { continue };
            is_any = true;
            let parts = [name.as_bytes(), topic.id.0.as_bytes(), &topic.partitions.to_be_bytes()];
            for byte in parts.into_iter().flatten() {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
            }
        }
        if is_any { i64::from_be_bytes(hash.to_be_bytes()) } else { 0 }
    }

    pub(crate) fn state(&self) -> GroupState {
        if self.members.is_empty() {
            GroupState::Empty
        } else if self.epoch() > self.target_epoch() {
            GroupState::Assigning
        } else if self.members.keys().any(|id| !self.current(id).is_reconciled_to(self.target_epoch())) {
            GroupState::Reconciling
        } else {
            GroupState::Stable
        }
    }

    /// What removes all of it, members first.
    pub(crate) fn removals(&self) -> Vec<ConsumerChange> {
        let mut changes = Vec::new();
        changes.extend(self.currents.keys().map(|id| ConsumerChange::Current(id.clone(), None)));
        changes.extend(self.targets.keys().map(|id| ConsumerChange::Target(id.clone(), None)));
        if self.target_epoch.is_some() {
            changes.push(ConsumerChange::TargetEpoch(None));
        }
        changes.extend(self.members.keys().map(|id| ConsumerChange::Member(id.clone(), None)));
        if self.has_topics_record {
            changes.push(ConsumerChange::Topics(false));
        }
        changes.extend(self.regexes.keys().map(|regex| ConsumerChange::Regex(regex.clone(), None)));
        if self.shares.is_some() {
            changes.push(ConsumerChange::Shares(None));
        }
        if self.group.is_some() {
            changes.push(ConsumerChange::Group(None));
        }
        changes
    }
}

fn set<T>(map: &mut BTreeMap<Arc<str>, T>, key: &Arc<str>, value: Option<T>) -> Option<T> {
    match value {
        Some(value) => map.insert(key.clone(), value),
        None => map.remove(key),
    }
}

fn held(current: &Current) -> impl Iterator<Item = (TopicId, i32)> {
    let all = |owned: &Owned| -> Vec<(TopicId, i32)> {
        owned.iter().flat_map(|(topic, partitions)| partitions.keys().map(|one| (*topic, *one))).collect()
    };
    all(&current.assigned).into_iter().chain(all(&current.revoking))
}

fn count_down<K: Ord + std::borrow::Borrow<str>>(counts: &mut BTreeMap<K, usize>, key: &str) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
