//! The state of one replica and the rules that move it.

use crate::{Assignment, Change, Error};
use millstream_types::{BrokerId, LeaderEpoch, Offset};
use std::collections::BTreeMap;

/// When a producer wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// Never: there is no answer.
    None,
    /// When the leader has it.
    Leader,
    /// When every in-sync replica has it.
    All,
}

/// How far an append with `acks=all` has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// Not all in-sync replicas have it yet.
    Waiting,
    /// It is below the high watermark.
    Yes,
}

/// One partition's replica on this broker.
#[derive(Debug, Clone)]
pub struct Replica {
    local: BrokerId,
    assignment: Assignment,
    log_start: Offset,
    log_end: Offset,
    high_watermark: Offset,
    /// Log ends of the other replicas, as their fetches told this leader. Empty on a follower.
    followers: BTreeMap<BrokerId, Offset>,
}

impl Replica {
    /// A replica on broker `local` whose log holds `log_start..log_end`, of which `high_watermark` was checkpointed. It leads and
    /// follows nobody until [`Replica::assign`].
    #[must_use]
    pub fn new(local: BrokerId, log_start: Offset, log_end: Offset, high_watermark: Offset) -> Self {
        let assignment = Assignment {
            leader: BrokerId::NONE,
            leader_epoch: LeaderEpoch::NONE,
            replicas: Vec::new(),
            isr: Vec::new(),
        };
        let high_watermark = high_watermark.max(log_start).min(log_end);
        Self { local, assignment, log_start, log_end, high_watermark, followers: BTreeMap::new() }
    }

    /// Applies what the quorum decided. `min_isr` is the topic's `min.insync.replicas`.
    ///
    /// # Errors
    /// [`Error::StaleAssignment`] when a newer one was applied already.
    pub fn assign(&mut self, assignment: &Assignment, min_isr: i32) -> Result<Change, Error> {
        let (given, current) = (assignment.leader_epoch, self.assignment.leader_epoch);
        if given < current {
            return Err(Error::StaleAssignment { given, current });
        }
        if *assignment == self.assignment {
            return Ok(Change::None);
        }
        self.assignment = assignment.clone();
        if given == current {
            self.keep_followers();
            self.advance(min_isr);
            return Ok(Change::Members);
        }
        self.followers.clear();
        if !self.is_leader() {
            return Ok(Change::Follows { leader: assignment.leader, epoch: given });
        }
        self.keep_followers();
        self.advance(min_isr);
        Ok(Change::Leads { epoch: given, start: self.log_end })
    }

    /// Knows a follower by `Offset::NONE` until it has fetched: it holds the high watermark where it is.
    fn keep_followers(&mut self) {
        if !self.is_leader() {
            return;
        }
        let Self { followers, assignment, local, .. } = self;
        followers.retain(|broker, _| assignment.replicas.contains(broker));
        for broker in assignment.replicas.iter().filter(|broker| *broker != local) {
            followers.entry(*broker).or_insert(Offset::NONE);
        }
    }

    /// The high watermark is the lowest log end of the in-sync replicas. It never goes back, and stands still while fewer than the
    /// minimum are in sync (KIP-966). Returns whether it moved.
    fn advance(&mut self, min_isr: i32) -> bool {
        if !self.is_leader() || self.assignment.isr.len() < self.required(min_isr) {
            return false;
        }
        let followers = self.followers.iter().filter(|(broker, _)| self.assignment.isr.contains(broker));
        let lowest = followers.map(|(_, end)| *end).fold(self.log_end, Offset::min);
        let moved = lowest > self.high_watermark;
        self.high_watermark = self.high_watermark.max(lowest);
        moved
    }

    /// More than there are replicas is never asked for: Kafka's "effective" `min.insync.replicas`.
    fn required(&self, min_isr: i32) -> usize {
        usize::try_from(min_isr).unwrap_or(1).min(self.assignment.replicas.len())
    }

    /// Checks that this broker leads and that a producer's `acks` can be met, before anything is written. Returns the epoch to write.
    ///
    /// # Errors
    /// [`Error::NotLeader`], [`Error::NotEnoughReplicas`].
    pub fn check_append(&self, acks: Acks, min_isr: i32) -> Result<LeaderEpoch, Error> {
        self.check_leader()?;
        let (in_sync, required) = (self.assignment.isr.len(), self.required(min_isr));
        if acks == Acks::All && in_sync < required {
            return Err(Error::NotEnoughReplicas { in_sync, required });
        }
        Ok(self.assignment.leader_epoch)
    }

    /// Compares the epoch a client knows with ours; `LeaderEpoch::NONE` is not compared.
    ///
    /// # Errors
    /// [`Error::FencedEpoch`], [`Error::UnknownEpoch`].
    pub fn check_epoch(&self, requested: LeaderEpoch) -> Result<(), Error> {
        let current = self.assignment.leader_epoch;
        match requested {
            LeaderEpoch::NONE => Ok(()),
            older if older < current => Err(Error::FencedEpoch { requested, current }),
            newer if newer > current => Err(Error::UnknownEpoch { requested, current }),
            _ => Ok(()),
        }
    }

    /// Checks that this broker leads.
    ///
    /// # Errors
    /// [`Error::NotLeader`].
    pub fn check_leader(&self) -> Result<(), Error> {
        if self.is_leader() {
            return Ok(());
        }
        let Assignment { leader, leader_epoch: epoch, .. } = self.assignment;
        Err(Error::NotLeader { local: self.local, leader, epoch })
    }

    /// Checks that a consumer may begin to read at `offset`: from the log start up to and including the high watermark.
    ///
    /// # Errors
    /// [`Error::OffsetOutOfRange`].
    pub fn check_readable(&self, offset: Offset) -> Result<(), Error> {
        // Between the high watermark and the log end there are records, only not yet for consumers: Kafka answers with none.
        let (start, end) = (self.log_start, self.log_end);
        if offset < start || offset > end {
            return Err(Error::OffsetOutOfRange { offset, start, end });
        }
        Ok(())
    }

    /// Records that the local log ends at `log_end` now. Returns whether the high watermark moved.
    pub fn appended(&mut self, log_end: Offset, min_isr: i32) -> bool {
        self.log_end = log_end;
        self.advance(min_isr)
    }

    /// Records that the local log was cut to end at `log_end`.
    pub fn truncated(&mut self, log_end: Offset) {
        self.log_end = log_end;
        self.high_watermark = self.high_watermark.min(log_end);
    }

    /// Records a follower's log end, as its fetch tells it. Returns whether the high watermark moved.
    ///
    /// # Errors
    /// [`Error::NotLeader`], [`Error::NotAReplica`].
    pub fn follower_at(&mut self, broker: BrokerId, log_end: Offset, min_isr: i32) -> Result<bool, Error> {
        self.check_leader()?;
        let epoch = self.assignment.leader_epoch;
        let end = self.followers.get_mut(&broker).ok_or(Error::NotAReplica { broker, epoch })?;
        *end = log_end;
        Ok(self.advance(min_isr))
    }

    /// Records the leader's high watermark, on a follower: never beyond what this replica has.
    pub fn learn_high_watermark(&mut self, leaders: Offset) {
        if !self.is_leader() {
            self.high_watermark = leaders.min(self.log_end).max(self.high_watermark);
        }
    }

    /// Records that everything below `log_start` is gone. It never goes back.
    pub fn start_at(&mut self, log_start: Offset) {
        self.log_start = self.log_start.max(log_start);
        self.log_end = self.log_end.max(self.log_start);
        self.high_watermark = self.high_watermark.max(self.log_start);
    }

    /// Whether an append that ends before `next` satisfies `acks=all`.
    ///
    /// # Errors
    /// [`Error::NotLeader`] after leadership moved on, [`Error::NotEnoughReplicasAfterAppend`].
    pub fn committed(&self, next: Offset, min_isr: i32) -> Result<Committed, Error> {
        self.check_leader()?;
        if self.high_watermark < next {
            return Ok(Committed::Waiting);
        }
        let (in_sync, required) = (self.assignment.isr.len(), self.required(min_isr));
        if in_sync < required {
            return Err(Error::NotEnoughReplicasAfterAppend { in_sync, required });
        }
        Ok(Committed::Yes)
    }

    /// Whether this broker leads.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.assignment.leader == self.local
    }

    /// What the quorum said last.
    #[must_use]
    pub const fn assignment(&self) -> &Assignment {
        &self.assignment
    }

    /// The current leader epoch, `NONE` before the first assignment.
    #[must_use]
    pub const fn leader_epoch(&self) -> LeaderEpoch {
        self.assignment.leader_epoch
    }

    /// The first offset there is.
    #[must_use]
    pub const fn log_start(&self) -> Offset {
        self.log_start
    }

    /// The offset after the last one.
    #[must_use]
    pub const fn log_end(&self) -> Offset {
        self.log_end
    }

    /// The offset after the last one that is on every in-sync replica.
    #[must_use]
    pub const fn high_watermark(&self) -> Offset {
        self.high_watermark
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
