//! ConsumerGroupHeartbeat: a member joins, goes on, or is told what it is to have now.

use super::Consumer;
use super::assignor::{Assignor, Question, Subscriber};
use super::member::{Current, JOIN_EPOCH, MemberMetadata, Owned, Partitions, STATIC_LEAVE_EPOCH, without_epochs};
use super::reconcile::Step;
use super::stored::{ConsumerChange, TargetEpoch};
use crate::Error;
use crate::request::{Beaten, ConsumerHeartbeatRequest};
use crate::turn::Turn;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A member at work: what it was when its request came.
pub(super) struct Worked {
    pub(super) id: Arc<str>,
    pub(super) before: Arc<MemberMetadata>,
    pub(super) had: Arc<Current>,
}

/// What a request says of a member's subscription and of what it has.
pub(super) struct Said<'a> {
    pub(super) metadata: MemberMetadata,
    pub(super) owned: Option<&'a Partitions>,
}

impl Consumer {
    /// Decides a heartbeat that is not a leave.
    pub(crate) fn beat(&mut self, request: &ConsumerHeartbeatRequest, turn: &mut Turn<'_>) -> Result<Beaten, Error> {
        self.decide(|group| group.try_beat(request, turn))
    }

    fn try_beat(&mut self, request: &ConsumerHeartbeatRequest, turn: &mut Turn<'_>) -> Result<Beaten, Error> {
        self.check_room(&request.member, turn.config.consumer.members_max)?;
        let worked = match request.instance.as_deref() {
            None => self.dynamic(&request.member, request.epoch == JOIN_EPOCH)?,
            Some(instance) if request.epoch == JOIN_EPOCH => {
                self.static_joins(&request.member, instance, |holder, group| {
                    let current = group.stored.current(&holder);
                    if group.uses_classic(&holder) || current.epoch == STATIC_LEAVE_EPOCH {
                        return Ok(());
                    }
                    Err(Error::UnreleasedInstanceId { group: group.id.to_string(), instance: instance.to_owned() })
                })?
            }
            Some(instance) => self.static_member(&request.member, instance)?,
        };
        check_epoch(request, &worked.had)?;
        let said = Said { metadata: request.updated(&worked.before), owned: request.owned.as_ref() };
        self.go_on(&worked, said, turn)?;
        let interval_ms = turn.config.consumer.heartbeat_ms(turn.cluster.times_of(&self.id));
        let current = self.stored.current(&worked.id);
        let is_told =
            request.epoch == JOIN_EPOCH || request.is_full() || is_other(&worked.had.assigned, &current.assigned);
        Ok(Beaten {
            member: worked.id.to_string(),
            epoch: current.epoch,
            interval_ms,
            assignment: is_told.then(|| without_epochs(&current.assigned)),
        })
    }

    /// What a member says is taken over, the target made anew where it must be, and the member goes a step towards it.
    pub(super) fn go_on(&mut self, worked: &Worked, said: Said<'_>, turn: &mut Turn<'_>) -> Result<(), Error> {
        let Worked { id, before, .. } = worked;
        let Said { metadata, owned } = said;
        let names_changed = metadata.topics != before.topics;
        if metadata != **before || !self.stored.has_member(id) {
            self.change(ConsumerChange::Member(id.clone(), Some(Arc::new(metadata.clone()))));
        }
        let regex = self.take_regex(before.pattern(), metadata.pattern(), turn)?;
        let is_new_group = self.stored.epoch() == 0 || std::mem::take(&mut self.is_upgraded);
        self.take_account(is_new_group || names_changed || regex.bumps, turn);
        if self.stored.epoch() > self.stored.target_epoch() {
            self.make_target(turn);
        }
        self.reconcile(id, names_changed || regex.changed, owned, turn)?;
        self.renew_session(id, turn);
        Ok(())
    }

    pub(super) fn check_room(&self, member: &str, max: usize) -> Result<(), Error> {
        if self.stored.len() >= max && !self.stored.has_member(member) {
            return Err(Error::GroupMaxSizeReached { group: self.id.to_string(), max });
        }
        Ok(())
    }

    pub(super) fn worked(&self, id: Arc<str>) -> Worked {
        let before = self.stored.member(&id).map(|(_, metadata)| metadata).unwrap_or_default();
        let had = self.stored.current(&id);
        Worked { id, before, had }
    }

    pub(super) fn dynamic(&self, member: &str, joins: bool) -> Result<Worked, Error> {
        match self.stored.member(member) {
            Some((id, _)) => Ok(self.worked(id)),
            None if joins => Ok(self.worked(Arc::from(member))),
            None => Err(self.unknown(member)),
        }
    }

    /// The static member of that name, if it has that id.
    pub(super) fn static_member(&self, member: &str, instance: &str) -> Result<Worked, Error> {
        let holder = self.stored.holder(instance).ok_or_else(|| self.unknown(instance))?;
        if *holder != *member {
            return Err(Error::FencedInstanceId {
                group: self.id.to_string(),
                instance: instance.to_owned(),
                sent: member.to_owned(),
                current: holder.to_string(),
            });
        }
        Ok(self.worked(holder))
    }

    /// A static member joins: where its name is held, and `may_replace` allows, it takes over from the holder.
    pub(super) fn static_joins(
        &mut self,
        member: &str,
        instance: &str,
        may_replace: impl FnOnce(Arc<str>, &Self) -> Result<(), Error>,
    ) -> Result<Worked, Error> {
        let Some(holder) = self.stored.holder(instance) else { return self.dynamic(member, true) };
        may_replace(holder.clone(), self)?;
        let before = self.worked(holder.clone());
        let target = self.stored.target(&holder);
        let current = Current { epoch: JOIN_EPOCH, previous_epoch: 0, ..(*before.had).clone() };
        let id: Arc<str> = Arc::from(member);
        self.remove_member(&holder);
        self.change(ConsumerChange::Member(id.clone(), Some(before.before)));
        self.change(ConsumerChange::Target(id.clone(), Some(target)));
        self.change(ConsumerChange::Current(id.clone(), Some(Arc::new(current))));
        Ok(self.worked(id))
    }

    /// Takes everything of a member away; the order is Kafka's.
    pub(super) fn remove_member(&mut self, id: &Arc<str>) {
        self.change(ConsumerChange::Current(id.clone(), None));
        self.change(ConsumerChange::Target(id.clone(), None));
        self.change(ConsumerChange::Member(id.clone(), None));
    }

    /// Makes the target assignment of the group's epoch: what differs from the one before is written.
    fn make_target(&mut self, turn: &Turn<'_>) {
        let members: BTreeMap<Arc<str>, Subscriber> = self
            .stored
            .members()
            .map(|(id, metadata)| {
                let topics = self.stored.topics_of(metadata, turn.cluster);
                (id.clone(), Subscriber { instance: metadata.instance.clone(), topics })
            })
            .collect();
        let names = self.stored.subscribed_names();
        let topics = names.into_iter().filter_map(|name| turn.cluster.topic(name));
        let topics = topics.map(|topic| (topic.id, topic.partitions)).collect();
        let question = Question { members: &members, topics: &topics, before: self.stored.targets() };
        let assigned = self.assignor().assign(&question);
        for (id, partitions) in assigned {
            let is_known = self.stored.targets().get(&id).is_some_and(|before| **before == partitions);
            if !is_known {
                self.change(ConsumerChange::Target(id, Some(Arc::new(partitions))));
            }
        }
        let epoch = TargetEpoch { epoch: self.stored.epoch(), at: turn.now.wall };
        self.change(ConsumerChange::TargetEpoch(Some(epoch)));
    }

    /// The assignor that most members ask for; of several, the first by name.
    pub(super) fn assignor(&self) -> Assignor {
        let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
        for (_, metadata) in self.stored.members() {
            if let Some(assignor) = metadata.assignor.as_deref().and_then(Assignor::of_name) {
                *votes.entry(assignor).or_default() += 1;
            }
        }
        let most = votes.values().max().copied();
        let first = votes.into_iter().find(|(_, count)| Some(*count) == most);
        first.map_or(Assignor::ALL[0], |(assignor, _)| assignor)
    }

    /// A step of the member towards its target, where it has one to go.
    pub(super) fn reconcile(
        &mut self,
        id: &Arc<str>,
        subscription_changed: bool,
        owned: Option<&Partitions>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Error> {
        let now = self.stored.current(id);
        let target_epoch = self.stored.target_epoch();
        if !subscription_changed && now.is_reconciled_to(target_epoch) {
            return Ok(());
        }
        let metadata = self.stored.member(id).map(|(_, metadata)| metadata).unwrap_or_default();
        let step = Step {
            target_epoch,
            target: &self.stored.target(id),
            subscribed: &self.stored.topics_of(&metadata, turn.cluster),
            enforces_subscription: subscription_changed,
            owned,
        };
        let next = step.next(&now, |topic, partition| self.stored.is_taken_from(id, topic, partition))?;
        if next != *now {
            self.change(ConsumerChange::Current(id.clone(), Some(Arc::new(next))));
            self.time_revocation(id, turn);
        }
        Ok(())
    }
}

/// That the request is of the epoch its member is in; or of the one before, where the answer with the new one may have been lost.
fn check_epoch(request: &ConsumerHeartbeatRequest, current: &Current) -> Result<(), Error> {
    if request.epoch == JOIN_EPOCH || request.epoch == current.epoch {
        return Ok(());
    }
    let is_lost_answer = request.epoch < current.epoch
        && request.epoch == current.previous_epoch
        && request.owned.as_ref().is_some_and(|owned| is_within(owned, &current.assigned));
    if is_lost_answer {
        return Ok(());
    }
    Err(Error::FencedMemberEpoch { sent: request.epoch, current: current.epoch })
}

fn is_within(owned: &Partitions, assigned: &Owned) -> bool {
    owned.iter().all(|(topic, partitions)| {
        assigned.get(topic).is_some_and(|has| partitions.iter().all(|one| has.contains_key(one)))
    })
}

fn is_other(before: &Owned, now: &Owned) -> bool {
    without_epochs(before) != without_epochs(now)
}
