//! Committed offsets: commit, fetch, delete.

use super::Shard;
use crate::classic::Classic;
use crate::consumer::Committer;
use crate::effects::{Effects, Producer, Reply, WriteError};
use crate::group::{Group, Membership};
use crate::layout::{Change, Committed};
use crate::offsets;
use crate::request::{
    ByTopic, CommitRequest, FetchRequest, FetchedOffset, GroupType, OffsetCommit, OffsetDeleteRequest, PartitionResult,
};
use crate::state::ClassicState;
use crate::turn::{Then, Turn, not_written};
use crate::{Error, GroupState};
use millstream_types::{Now, TimestampMs, Waiter};
use std::sync::Arc;

impl Shard {
    /// OffsetCommit. A group that does not exist is made by who uses no membership (a negative generation).
    pub fn commit(&mut self, request: CommitRequest, waiter: Waiter, now: Now) -> Effects {
        self.commit_in(None, request, waiter, now)
    }

    /// TxnOffsetCommit: the offsets count once the transaction commits.
    pub fn commit_in_transaction(
        &mut self,
        request: CommitRequest,
        producer: Producer,
        waiter: Waiter,
        now: Now,
    ) -> Effects {
        self.commit_in(Some(producer), request, waiter, now)
    }

    fn commit_in(
        &mut self,
        transaction: Option<Producer>,
        request: CommitRequest,
        waiter: Waiter,
        now: Now,
    ) -> Effects {
        if request.generation >= 0 && !self.groups.contains_key(request.group.as_str()) {
            let error = Error::GroupIdNotFound { group: request.group };
            return Effects::answer(waiter, Reply::Offsets(Err(error)));
        }
        let id: Arc<str> = self.group_or_new(&request.group, Some(now)).id.clone();
        self.turn_of(&id, now, |group, turn| group.commit(transaction, request, waiter, turn))
    }

    /// OffsetFetch, of one group. What is not committed has the offset -1.
    ///
    /// # Errors
    /// A member of the new protocol that is not in the epoch it says: `UnknownMemberId`, `StaleMemberEpoch`.
    pub fn fetch(&self, request: &FetchRequest) -> Result<Vec<ByTopic<FetchedOffset>>, Error> {
        let group = self.groups.get(request.group.as_str()).filter(|group| group.state() != GroupState::Dead);
        if let (Some(Membership::Consumer(consumer)), Some((member, epoch))) =
            (group.map(|group| &group.membership), &request.member)
        {
            consumer.check_fetch(member, *epoch)?;
        }
        let nothing = offsets::Offsets::default();
        let stored = group.map_or(&nothing, |group| &group.offsets);
        let stable = request.require_stable;
        Ok(match &request.topics {
            None => stored.fetch_all(stable),
            Some(topics) => topics
                .iter()
                .map(|topic| ByTopic {
                    topic: topic.topic.clone(),
                    partitions: topic
                        .partitions
                        .iter()
                        .map(|index| stored.fetch(&topic.topic, *index, stable))
                        .collect(),
                })
                .collect(),
        })
    }

    /// OffsetDelete.
    pub fn delete_offsets(&mut self, request: &OffsetDeleteRequest, waiter: Waiter, now: Now) -> Effects {
        // It may have offsets, committed by who has no group, and can't be named here all the same.
        if request.group.is_empty() {
            return Effects::answer(waiter, Reply::Offsets(Err(Error::InvalidGroupId)));
        }
        let Some(id) = self.groups.get_key_value(request.group.as_str()).map(|(id, _)| id.clone()) else {
            let error = match request.group.as_str() {
                "" => Error::InvalidGroupId,
                group => Error::GroupIdNotFound { group: group.to_owned() },
            };
            return Effects::answer(waiter, Reply::Offsets(Err(error)));
        };
        self.turn_of(&id, now, |group, turn| {
            let answer = group.delete_offsets(request, turn);
            turn.reply_when_written(waiter, Reply::Offsets(answer));
        })
    }
}

impl Group {
    /// That the committer is who may commit now; of a member of the new protocol that is behind, each partition has to be asked for.
    fn check_commit(&self, request: &CommitRequest, is_transactional: bool) -> Result<Option<Committer<'_>>, Error> {
        let uses_membership = request.generation >= 0 || !request.member.is_empty() || request.instance.is_some();
        match &self.membership {
            Membership::Classic(classic) => check_classic(classic, request, is_transactional).map(|()| None),
            Membership::Share(_) => {
                Err(Error::OtherProtocol { group: self.id.to_string(), wanted: GroupType::Consumer.name() })
            }
            Membership::Consumer(consumer) if request.generation < 0 && consumer.is_empty() => Ok(None),
            Membership::Consumer(_) if is_transactional && !uses_membership => Ok(None),
            Membership::Consumer(consumer) => {
                let speaks_epochs = request.speaks_epochs || is_transactional;
                consumer.check_commit(&request.member, request.generation, speaks_epochs).map(Some)
            }
        }
    }

    fn commit(&mut self, transaction: Option<Producer>, request: CommitRequest, waiter: Waiter, turn: &mut Turn<'_>) {
        match self.commit_changes(&request, transaction.is_some(), turn) {
            Ok((changes, answers)) => {
                self.write_offsets(transaction, changes, (waiter, Reply::Offsets(Ok(answers))), turn);
            }
            Err(error) => turn.reply(waiter, Reply::Offsets(Err(error))),
        }
    }

    fn commit_changes(
        &self,
        request: &CommitRequest,
        is_transactional: bool,
        turn: &mut Turn<'_>,
    ) -> Result<(Vec<Change>, Vec<ByTopic<PartitionResult>>), Error> {
        let committer = self.check_commit(request, is_transactional)?;
        if let Some(classic) = self.classic()
            && !is_transactional
            && matches!(classic.state(), ClassicState::Stable | ClassicState::PreparingRebalance)
        {
            classic.renew_session(&request.member, turn);
        }
        let expires_at =
            request.retention_ms.map(|retention_ms| TimestampMs(turn.now.wall.0.saturating_add(retention_ms)));
        let max = turn.config.offset_metadata_bytes_max;
        let mut changes = Vec::new();
        let mut answers = Vec::with_capacity(request.topics.len());
        for ByTopic { topic, partitions } in &request.topics {
            let mut results = Vec::with_capacity(partitions.len());
            for commit in partitions {
                let (partition, bytes) = (commit.partition, commit.metadata.len());
                let mut result = if bytes > max { Err(Error::OffsetMetadataTooLarge { bytes, max }) } else { Ok(()) };
                if let Some(committer) = &committer {
                    result = result.and_then(|()| committer.check(topic, partition, turn.cluster));
                }
                if result.is_ok() {
                    let committed = Some(committed(commit.clone(), turn.now.wall, expires_at));
                    let (group, topic) = (request.group.clone(), topic.clone());
                    changes.push(Change::Offset { group, topic, partition, committed });
                }
                results.push(PartitionResult { partition, result });
            }
            answers.push(ByTopic { topic: topic.clone(), partitions: results });
        }
        Ok((changes, answers))
    }

    /// Writes changes of this group's offsets; `reply` follows.
    fn write_offsets(
        &mut self,
        transaction: Option<Producer>,
        changes: Vec<Change>,
        (waiter, reply): (Waiter, Reply),
        turn: &mut Turn<'_>,
    ) {
        match self.try_write_offsets_in(transaction, changes, turn) {
            Ok(()) => turn.reply_when_written(waiter, reply),
            Err(error) => turn.reply(waiter, Reply::Offsets(Err(error))),
        }
    }

    pub(super) fn try_write_offsets(&mut self, changes: Vec<Change>, turn: &mut Turn<'_>) -> Result<(), Error> {
        self.try_write_offsets_in(None, changes, turn)
    }

    fn try_write_offsets_in(
        &mut self,
        transaction: Option<Producer>,
        changes: Vec<Change>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let names: Vec<(String, i32)> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Offset { topic, partition, .. } => Some((topic.clone(), *partition)),
                Change::Group { .. } | Change::Consumer { .. } | Change::Share { .. } | Change::Other(_) => None,
            })
            .collect();
        let then = transaction.map_or(Then::Nothing, |producer| Then::Hold(producer.id));
        let written = turn.write_in(transaction, changes, then);
        written.map_err(|_| not_written(&self.id, WriteError::TooLarge))?;
        for (topic, partition) in names {
            self.offsets.begin(&topic, partition);
        }
        Ok(())
    }

    fn delete_offsets(
        &mut self,
        request: &OffsetDeleteRequest,
        turn: &mut Turn<'_>,
    ) -> Result<Vec<ByTopic<PartitionResult>>, Error> {
        let (id, state) = (self.id.to_string(), self.state());
        if state == GroupState::Dead {
            return Err(Error::GroupIdNotFound { group: id });
        }
        if self.group_type() == GroupType::Share {
            return Err(Error::OtherProtocol { group: id, wanted: GroupType::Consumer.name() });
        }
        if state.is_active() && self.classic().is_some_and(|classic| !classic.is_consumer()) {
            return Err(Error::NonEmptyGroup { group: id, state });
        }
        let mut changes = Vec::new();
        let mut answers = Vec::with_capacity(request.topics.len());
        for ByTopic { topic, partitions } in &request.topics {
            let is_subscribed = self.is_subscribed_to(topic);
            let mut results = Vec::with_capacity(partitions.len());
            for &partition in partitions {
                let result = if is_subscribed {
                    Err(Error::GroupSubscribedToTopic { group: id.clone(), topic: topic.clone() })
                } else {
                    Ok(())
                };
                if result.is_ok() && self.offsets.contains(topic, partition) {
                    changes.push(offsets::tombstone(&id, topic, partition));
                }
                results.push(PartitionResult { partition, result });
            }
            answers.push(ByTopic { topic: topic.clone(), partitions: results });
        }
        self.try_write_offsets(changes, turn)?;
        Ok(answers)
    }
}

/// That the committer is who may commit to a classic group now.
fn check_classic(classic: &Classic, request: &CommitRequest, is_transactional: bool) -> Result<(), Error> {
    let group = || classic.id.to_string();
    if classic.state() == ClassicState::Dead {
        return Err(Error::CoordinatorNotAvailable { group: group() });
    }
    if request.generation < 0 && classic.state() == ClassicState::Empty {
        return Ok(());
    }
    if request.generation >= 0 || !request.member.is_empty() || request.instance.is_some() {
        classic.check_member(&request.member, request.instance.as_deref())?;
        classic.check_generation(request.generation)?;
    } else if !is_transactional && classic.state() != ClassicState::Empty {
        return Err(Error::UnknownMemberId { group: group(), member: request.member.clone() });
    }
    // It knows this generation, so it must have joined, and it can't own partitions before it has synced.
    if !is_transactional && classic.state() == ClassicState::CompletingRebalance {
        return Err(Error::RebalanceInProgress { group: group() });
    }
    Ok(())
}

fn committed(commit: OffsetCommit, now: TimestampMs, expires_at: Option<TimestampMs>) -> Committed {
    Committed {
        offset: commit.offset,
        leader_epoch: commit.leader_epoch,
        metadata: commit.metadata,
        committed_at: now,
        expires_at,
        topic_id: commit.topic_id,
    }
}
