//! Which partitions of a share group have a state at the share coordinator: they get one before they are assigned, and lose it when their
//! offsets, the group or the topic are deleted.
//!
//! ```text
//!   nothing --written--> initializing --initialized--> initialized --written--> deleting --deleted--> nothing
//! ```
//!
//! What the share coordinator is asked is asked one after the other: who comes meanwhile waits, or is told to try again.

use super::Consumer;
use super::member::Partitions;
use super::stored::{ConsumerChange, ShareTopics, SharedTopic};
use crate::Error;
use crate::cluster::Topic;
use crate::config::PARKED_MAX;
use crate::effects::{Reply, WriteError};
use crate::request::{
    AlterShares, AlteredTopic, DeletedTopic, PartitionResult, ShareHeartbeatRequest, ShareStart, ShareWork, ShareWorked,
};
use crate::share::UNKNOWN;
use crate::turn::{Turn, not_written};
use millstream_types::{TopicId, Waiter};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is asked of the share coordinator, and who waits for it.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// To be asked once what is decided is written.
    next: Option<ShareWork>,
    is_under_way: bool,
    waiting: Vec<Waiting>,
}

impl Work {
    pub(super) const fn is_none(&self) -> bool {
        self.next.is_none() && !self.is_under_way
    }
}

#[derive(Debug)]
enum Waiting {
    /// A member, which has its partitions then.
    Beat(ShareHeartbeatRequest, Waiter),
    Altered(Vec<AlteredTopic>, Waiter),
    Deleted(Vec<DeletedTopic>, Waiter),
}

impl Waiting {
    fn refused(self, error: &Error) -> (Waiter, Reply) {
        match self {
            Self::Beat(_, waiter) => (waiter, Reply::Beat(Err(error.clone()))),
            Self::Altered(_, waiter) => (waiter, Reply::SharesAltered(Err(error.clone()))),
            Self::Deleted(_, waiter) => (waiter, Reply::SharesDeleted(Err(error.clone()))),
        }
    }
}

impl Consumer {
    /// Whether the share coordinator is being asked something.
    pub(crate) const fn is_at_work(&self) -> bool {
        !self.work.is_none()
    }

    /// Begins to initialize partitions of topics subscribed to that have no state. Tells whether the member has to wait for some.
    pub(super) fn begin_missing(&mut self, request: &ShareHeartbeatRequest, turn: &mut Turn<'_>) -> bool {
        let mut starts = Vec::new();
        let mut next = (*self.stored.shares()).clone();
        let names: Vec<String> = self.stored.subscribed_names().into_iter().map(str::to_owned).collect();
        for name in names {
            let Some(topic) = turn.cluster.topic(&name) else { continue };
            let has = next.initialized.get(&topic.id).map(|shared| &shared.partitions);
            let missing: BTreeSet<i32> =
                (0..topic.partitions).filter(|one| has.is_none_or(|has| !has.contains(one))).collect();
            if !missing.is_empty() {
                starts.extend(missing.iter().map(|partition| ShareStart {
                    topic: topic.id,
                    partition: *partition,
                    start: UNKNOWN,
                }));
                next.initialize(topic, &name, missing);
            }
        }
        if starts.is_empty() {
            return false;
        }
        let waits = request.topics.is_some() && self.work.waiting.len() < PARKED_MAX;
        if self.work.is_none() {
            self.change_shares(next);
            let (group, state_epoch) = (self.id.clone(), self.stored.epoch());
            self.work.next = Some(ShareWork::Initialize { group, state_epoch, starts });
        }
        waits
    }

    pub(super) fn wait_for_work(&mut self, request: ShareHeartbeatRequest, waiter: Waiter) {
        self.work.waiting.push(Waiting::Beat(request, waiter));
    }

    fn change_shares(&mut self, next: ShareTopics) {
        if *self.stored.shares() != next {
            self.change(ConsumerChange::Shares(Some(Arc::new(next))));
        }
    }

    /// What was decided is written: the share coordinator is asked.
    pub(super) fn begin_work(&mut self, turn: &mut Turn<'_>) {
        if let Some(work) = self.work.next.take() {
            self.work.is_under_way = true;
            turn.effects.shares.push(work);
        }
    }

    /// What was decided could not be written: nothing is asked.
    pub(super) fn give_up_work(&mut self, turn: &mut Turn<'_>) {
        if self.work.next.take().is_some() {
            let error = not_written(&self.id, WriteError::NotAvailable);
            for (waiter, reply) in std::mem::take(&mut self.work.waiting).into_iter().map(|one| one.refused(&error)) {
                turn.reply(waiter, reply);
            }
        }
    }

    /// The share coordinator has done what it was asked, or some of it.
    pub(crate) fn shares_worked(&mut self, worked: &ShareWorked, turn: &mut Turn<'_>) {
        self.work.is_under_way = false;
        let mut next = (*self.stored.shares()).clone();
        next.settle(worked);
        self.change_shares(next);
        let group = self.id.to_string();
        for waiting in std::mem::take(&mut self.work.waiting) {
            match waiting {
                Waiting::Beat(request, waiter) if !self.stored.has_member(&request.member) => {
                    let error = self.unknown(&request.member);
                    self.answer(waiter, Reply::Beat(Err(error)));
                }
                // What failed is tried again by the next heartbeat, not at once and for ever.
                Waiting::Beat(request, waiter) if !worked.failed.is_empty() => {
                    let answer = self.try_share_beat(&request, turn);
                    self.answer(waiter, Reply::Beat(answer));
                }
                Waiting::Beat(request, waiter) => self.share_beat(request, waiter, turn),
                Waiting::Altered(mut topics, waiter) => {
                    topics.iter_mut().for_each(|topic| topic.fail(&worked.failed, &group));
                    self.answer(waiter, Reply::SharesAltered(Ok(topics)));
                }
                Waiting::Deleted(mut topics, waiter) => {
                    topics.iter_mut().for_each(|topic| topic.fail(&worked.failed, &group));
                    self.answer(waiter, Reply::SharesDeleted(Ok(topics)));
                }
            }
        }
    }

    fn check_unused(&self) -> Result<(), Error> {
        let group = || self.id.to_string();
        if !self.is_empty() {
            return Err(Error::NonEmptyGroup { group: group(), state: crate::GroupState::Stable });
        }
        if self.is_at_work() {
            return Err(Error::CoordinatorNotAvailable { group: group() });
        }
        Ok(())
    }

    /// Begins to set where partitions start.
    pub(crate) fn alter_shares(&mut self, request: &AlterShares, waiter: Waiter, turn: &mut Turn<'_>) {
        if let Err(error) = self.check_unused() {
            return self.answer(waiter, Reply::SharesAltered(Err(error)));
        }
        // Nobody may have asked what the cluster is now for a while.
        turn.cluster.version();
        let mut next = (*self.stored.shares()).clone();
        let (mut starts, mut altered) = (Vec::new(), Vec::new());
        for (name, partitions) in &request.topics {
            let topic = turn.cluster.topic(name);
            let mut known = BTreeSet::new();
            let results = partitions.iter().map(|(partition, start)| {
                let found = topic.filter(|topic| (0..topic.partitions).contains(partition));
                let result = match found {
                    Some(topic) => {
                        known.insert(*partition);
                        starts.push(ShareStart { topic: topic.id, partition: *partition, start: *start });
                        Ok(())
                    }
                    None => Err(unknown_offset(&self.id, name, "a partition")),
                };
                PartitionResult { partition: *partition, result }
            });
            let partitions = results.collect();
            // Also where none of its partitions is there, as in Kafka: there is such a group then.
            if let Some(topic) = topic.filter(|topic| !known.is_empty() || !next.has(topic.id)) {
                next.initialize(topic, name, known);
            }
            altered.push(AlteredTopic { name: name.clone(), id: topic.map(|topic| topic.id), partitions });
        }
        self.change_shares(next);
        if starts.is_empty() {
            return self.answer(waiter, Reply::SharesAltered(Ok(altered)));
        }
        let (group, state_epoch) = (self.id.clone(), self.stored.epoch());
        self.work.next = Some(ShareWork::Initialize { group, state_epoch, starts });
        self.work.waiting.push(Waiting::Altered(altered, waiter));
    }

    /// Begins to delete the offsets of topics, or all.
    pub(crate) fn delete_shares(&mut self, topics: Option<&[String]>, waiter: Waiter, turn: &mut Turn<'_>) {
        if let Err(error) = self.check_unused() {
            return self.answer(waiter, Reply::SharesDeleted(Err(error)));
        }
        turn.cluster.version();
        let mut next = (*self.stored.shares()).clone();
        let mut partitions = Partitions::new();
        let mut deleted = Vec::new();
        match topics {
            None => partitions = next.delete_all(),
            Some(names) => {
                for name in names {
                    let topic = turn.cluster.topic(name);
                    let found = topic.and_then(|topic| Some((topic.id, next.delete(topic)?)));
                    let result = match found {
                        Some((id, of)) => {
                            partitions.insert(id, of);
                            Ok(())
                        }
                        None => Err(unknown_offset(&self.id, name, "an offset")),
                    };
                    let id = topic.filter(|_| result.is_ok()).map(|topic| topic.id);
                    deleted.push(DeletedTopic { name: name.clone(), id, result });
                }
            }
        }
        if partitions.is_empty() {
            return self.answer(waiter, Reply::SharesDeleted(Ok(deleted)));
        }
        self.change_shares(next);
        self.work.next = Some(ShareWork::Delete { group: self.id.clone(), partitions });
        self.work.waiting.push(Waiting::Deleted(deleted, waiter));
    }

    /// A topic is no more: neither is the state of its partitions.
    pub(crate) fn share_topic_deleted(&mut self, name: &str, turn: &mut Turn<'_>) {
        // What is there under the name by now is another topic.
        turn.cluster.version();
        let stays = turn.cluster.topic(name).map(|topic| topic.id);
        let mut next = (*self.stored.shares()).clone();
        let partitions = next.forget(name, stays);
        if *self.stored.shares() != next {
            self.change_shares(next);
            turn.effects.shares.push(ShareWork::Forget { group: self.id.clone(), partitions });
        }
    }
}

fn unknown_offset(group: &str, topic: &str, what: &'static str) -> Error {
    Error::UnknownShareOffset { group: group.to_owned(), topic: topic.to_owned(), what }
}

impl ShareTopics {
    /// Whether anything of the topic has a state, or is to get one.
    fn has(&self, topic: TopicId) -> bool {
        self.initialized.contains_key(&topic) || self.initializing.contains_key(&topic)
    }

    /// Partitions are to get a state, whether they had one or not.
    fn initialize(&mut self, topic: Topic, name: &str, partitions: BTreeSet<i32>) {
        remove(&mut self.initialized, topic.id, &partitions);
        self.deleting.remove(&topic.id);
        add(&mut self.initializing, topic.id, name, partitions);
    }

    /// A topic is to lose its state; none where it has none.
    fn delete(&mut self, topic: Topic) -> Option<BTreeSet<i32>> {
        if let Some(name) = self.deleting.get(&topic.id) {
            // It was to be deleted before: nobody knows how far that came.
            let name = name.clone();
            self.initialized.remove(&topic.id);
            self.deleting.insert(topic.id, name);
            return Some((0..topic.partitions).collect());
        }
        let shared = self.initialized.remove(&topic.id)?;
        self.deleting.insert(topic.id, shared.name);
        Some(shared.partitions)
    }

    fn delete_all(&mut self) -> Partitions {
        let mut partitions = Partitions::new();
        let all = std::mem::take(&mut self.initialized).into_iter().chain(std::mem::take(&mut self.initializing));
        for (topic, shared) in all {
            partitions.entry(topic).or_default().extend(shared.partitions);
            self.deleting.insert(topic, shared.name);
        }
        partitions
    }

    /// A topic's partitions, if it is not the one that stays.
    fn forget(&mut self, name: &str, stays: Option<TopicId>) -> Partitions {
        let mut partitions = Partitions::new();
        for topics in [&mut self.initializing, &mut self.initialized] {
            topics.retain(|id, shared| {
                let goes = shared.name == name && Some(*id) != stays;
                if goes {
                    partitions.entry(*id).or_default().extend(&shared.partitions);
                }
                !goes
            });
        }
        self.deleting.retain(|id, deleted| deleted != name || Some(*id) == stays);
        partitions
    }

    /// What was being initialized or deleted is, where that succeeded.
    fn settle(&mut self, worked: &ShareWorked) {
        for (topic, partitions) in &worked.done {
            let name = self.initializing.get(topic).map(|shared| shared.name.clone());
            match name {
                Some(name) => add(&mut self.initialized, *topic, &name, partitions.clone()),
                None if !worked.failed.contains_key(topic) => {
                    self.deleting.remove(topic);
                }
                None => {}
            }
        }
        for (topic, partitions) in worked.done.iter().chain(&worked.failed) {
            remove(&mut self.initializing, *topic, partitions);
        }
    }
}

fn add(topics: &mut BTreeMap<TopicId, SharedTopic>, topic: TopicId, name: &str, partitions: BTreeSet<i32>) {
    let shared = topics.entry(topic).or_default();
    name.clone_into(&mut shared.name);
    shared.partitions.extend(partitions);
}

fn remove(topics: &mut BTreeMap<TopicId, SharedTopic>, topic: TopicId, partitions: &BTreeSet<i32>) {
    if let Some(shared) = topics.get_mut(&topic) {
        shared.partitions.retain(|partition| !partitions.contains(partition));
        if shared.partitions.is_empty() {
            topics.remove(&topic);
        }
    }
}

impl AlteredTopic {
    fn fail(&mut self, failed: &Partitions, group: &str) {
        let Some(failed) = self.id.and_then(|id| failed.get(&id)) else { return };
        for one in self.partitions.iter_mut().filter(|one| failed.contains(&one.partition) && one.result.is_ok()) {
            one.result = Err(Error::CoordinatorNotAvailable { group: group.to_owned() });
        }
    }
}

impl DeletedTopic {
    fn fail(&mut self, failed: &Partitions, group: &str) {
        if self.result.is_ok() && self.id.is_some_and(|id| failed.contains_key(&id)) {
            self.result = Err(Error::CoordinatorNotAvailable { group: group.to_owned() });
        }
    }
}
