//! ShareGroupHeartbeat (KIP-932): a member joins, goes on or leaves. Partitions are shared, so nobody waits for others to give them back, and
//! only those are assigned whose state is there.

use super::Consumer;
use super::member::{Current, LEAVE_EPOCH, MemberState, Owned, Partitions, without_epochs};
use super::stored::{ConsumerChange, GroupEpoch, TargetEpoch};
use crate::Error;
use crate::request::{Beaten, ShareHeartbeatRequest};
use crate::share::{Sharing, assign};
use crate::turn::Turn;
use millstream_types::{TopicId, Waiter};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Consumer {
    /// Decides a heartbeat. Who joins while partitions get their state is answered after that: it has them at once.
    pub(crate) fn share_beat(&mut self, request: ShareHeartbeatRequest, waiter: Waiter, turn: &mut Turn<'_>) {
        let answer = self.try_share_beat(&request, turn);
        if answer.is_ok() && !request.leaves() && self.begin_missing(&request, turn) {
            self.wait_for_work(request, waiter);
        } else {
            self.answer(waiter, crate::Reply::Beat(answer));
        }
    }

    /// The heartbeat of a member alone: nothing is begun for it.
    pub(super) fn try_share_beat(
        &mut self,
        request: &ShareHeartbeatRequest,
        turn: &mut Turn<'_>,
    ) -> Result<Beaten, Error> {
        self.decide(|group| {
            if request.leaves() { group.share_leaves(request, turn) } else { group.share_goes_on(request, turn) }
        })
    }

    fn share_goes_on(&mut self, request: &ShareHeartbeatRequest, turn: &mut Turn<'_>) -> Result<Beaten, Error> {
        let joins = request.epoch == crate::JOIN_EPOCH;
        self.check_room(&request.member, turn.config.share.members_max)?;
        let worked = self.dynamic(&request.member, joins)?;
        check_epoch(request.epoch, &worked.had)?;
        let metadata = request.updated(&worked.before);
        let names_changed = metadata.topics != worked.before.topics;
        if metadata != *worked.before || !self.stored.has_member(&worked.id) {
            self.change(ConsumerChange::Member(worked.id.clone(), Some(Arc::new(metadata))));
        }
        let may_bump = self.stored.epoch() <= self.stored.target_epoch();
        self.take_account(names_changed || (may_bump && self.has_unassigned_shares(turn)), turn);
        if self.stored.epoch() > self.stored.target_epoch() {
            self.make_share_target(turn);
        }
        self.share_reconciles(&worked.id, names_changed, turn);
        self.renew_session(&worked.id, turn);
        let current = self.stored.current(&worked.id);
        let (had, has) = (without_epochs(&worked.had.assigned), without_epochs(&current.assigned));
        let is_told = joins || request.topics.is_some() || had != has;
        Ok(Beaten {
            member: worked.id.to_string(),
            epoch: current.epoch,
            interval_ms: turn.config.share.heartbeat_ms(turn.cluster.times_of(&self.id)),
            assignment: is_told.then_some(has),
        })
    }

    fn share_leaves(&mut self, request: &ShareHeartbeatRequest, turn: &mut Turn<'_>) -> Result<Beaten, Error> {
        let id = self.dynamic(&request.member, false)?.id;
        self.expel_share(&id, turn);
        Ok(Beaten { member: request.member.clone(), epoch: LEAVE_EPOCH, interval_ms: 0, assignment: None })
    }

    /// A member was silent too long.
    pub(crate) fn share_expired(&mut self, id: &Arc<str>, turn: &mut Turn<'_>) {
        if self.stored.has_member(id) {
            self.expel_share(id, turn);
        }
    }

    fn expel_share(&mut self, id: &Arc<str>, turn: &mut Turn<'_>) {
        self.remove_member(id);
        self.cancel_timers(id, turn);
        let metadata_hash = self.stored.hash_of_topics(turn.cluster);
        let epoch = self.stored.epoch() + 1;
        self.change(ConsumerChange::Group(Some(GroupEpoch { epoch, metadata_hash })));
    }

    /// Whether there are partitions with a state that nobody is to read.
    fn has_unassigned_shares(&self, turn: &Turn<'_>) -> bool {
        let assignable = self.assignable(turn);
        if assignable.is_empty() {
            return false;
        }
        let mut assigned = Partitions::new();
        for target in self.stored.targets().values() {
            for (topic, partitions) in &**target {
                assigned.entry(*topic).or_default().extend(partitions);
            }
        }
        assignable.iter().any(|(topic, partitions)| assigned.get(topic) != Some(partitions))
    }

    /// The partitions with a state, of topics that somebody subscribes to.
    fn assignable(&self, turn: &Turn<'_>) -> Partitions {
        let shares = self.stored.shares();
        let mut assignable = Partitions::new();
        for name in self.stored.subscribed_names() {
            let Some(topic) = turn.cluster.topic(name) else { continue };
            if let Some(shared) = shares.initialized.get(&topic.id) {
                let partitions = shared.partitions.range(..topic.partitions).copied().collect();
                assignable.insert(topic.id, partitions);
            }
        }
        assignable
    }

    fn make_share_target(&mut self, turn: &Turn<'_>) {
        let subscriptions = self.stored.members().map(|(id, metadata)| {
            let topics: BTreeSet<TopicId> = self.stored.topics_of(metadata, turn.cluster);
            (id.clone(), topics)
        });
        let members: BTreeMap<Arc<str>, BTreeSet<TopicId>> = subscriptions.collect();
        let topics = self.assignable(turn);
        let assigned = assign(&Sharing { members: &members, topics: &topics, before: self.stored.targets() });
        for (id, partitions) in assigned {
            let is_known = self.stored.targets().get(&id).is_some_and(|before| **before == partitions);
            if !is_known {
                self.change(ConsumerChange::Target(id, Some(Arc::new(partitions))));
            }
        }
        let epoch = TargetEpoch { epoch: self.stored.epoch(), at: turn.now.wall };
        self.change(ConsumerChange::TargetEpoch(Some(epoch)));
    }

    /// The member has its target at once.
    fn share_reconciles(&mut self, id: &Arc<str>, subscription_changed: bool, turn: &Turn<'_>) {
        let now = self.stored.current(id);
        let epoch = self.stored.target_epoch();
        if now.is_reconciled_to(epoch) && !subscription_changed {
            return;
        }
        let metadata = self.stored.member(id).map(|(_, metadata)| metadata).unwrap_or_default();
        let subscribed = self.stored.topics_of(&metadata, turn.cluster);
        let mut target = (*self.stored.target(id)).clone();
        target.retain(|topic, _| subscribed.contains(topic));
        let previous_epoch = if now.epoch == epoch { now.previous_epoch } else { now.epoch };
        let assigned = given_in(epoch, &target);
        let next = Current { epoch, previous_epoch, state: MemberState::Stable, assigned, revoking: Owned::new() };
        if next != *now {
            self.change(ConsumerChange::Current(id.clone(), Some(Arc::new(next))));
        }
    }
}

/// Since when a member has a partition is not stored, and nobody asks.
pub(crate) fn given_in(epoch: i32, partitions: &Partitions) -> Owned {
    partitions.iter().map(|(topic, of)| (*topic, of.iter().map(|partition| (*partition, epoch)).collect())).collect()
}

/// That the request is of the epoch its member is in; or of the one before, where the answer with the new one may have been lost.
fn check_epoch(sent: i32, current: &Current) -> Result<(), Error> {
    if sent == crate::JOIN_EPOCH || sent == current.epoch || (sent < current.epoch && sent == current.previous_epoch) {
        return Ok(());
    }
    Err(Error::FencedMemberEpoch { sent, current: current.epoch })
}
