//! SyncGroup and Heartbeat: the leader's assignment goes out, and members show that they live.

use super::Classic;
use crate::Error;
use crate::effects::{Reply, WriteError};
use crate::layout::Change;
use crate::request::{HeartbeatRequest, SyncRequest, Synced};
use crate::state::ClassicState;
use crate::timers::Timer;
use crate::turn::{Then, Turn, not_written};
use bytes::Bytes;
use millstream_types::Waiter;
use std::collections::BTreeMap;

impl Classic {
    /// Decides a sync; `waiter` is answered now, or once the leader's assignment is written.
    pub(crate) fn sync(&mut self, request: SyncRequest, waiter: Waiter, turn: &mut Turn<'_>) {
        if let Err(error) = self.check_sync(&request) {
            turn.reply(waiter, Reply::Sync(Err(error)));
            return;
        }
        match self.state {
            ClassicState::CompletingRebalance => self.await_assignment(request, waiter, turn),
            ClassicState::Stable => {
                self.synced(&request.member, turn);
                let assignment = self.member(&request.member).map(|member| member.assignment.clone());
                turn.reply(waiter, Reply::Sync(Ok(self.assigned(assignment.unwrap_or_default()))));
            }
            ClassicState::PreparingRebalance => turn.reply(waiter, Reply::Sync(Err(self.rebalancing()))),
            ClassicState::Empty | ClassicState::Dead => turn.reply(waiter, Reply::Sync(Err(self.not_available()))),
        }
    }

    fn check_sync(&self, request: &SyncRequest) -> Result<(), Error> {
        if self.state == ClassicState::Dead {
            return Err(self.not_available());
        }
        self.check_member(&request.member, request.instance.as_deref())?;
        self.check_generation(request.generation)?;
        let differs = |sent: &Option<String>, own: &Option<String>| sent.is_some() && own.is_some() && sent != own;
        if differs(&request.protocol_type, &self.protocol_type) || differs(&request.protocol, &self.protocol) {
            return Err(Error::InconsistentGroupProtocol {
                group: self.id.to_string(),
                protocol_type: request.protocol_type.clone().unwrap_or_default(),
                protocols: request.protocol.iter().cloned().collect(),
            });
        }
        Ok(())
    }

    fn await_assignment(&mut self, request: SyncRequest, waiter: Waiter, turn: &mut Turn<'_>) {
        let superseded =
            self.members.get_mut(request.member.as_str()).and_then(|member| member.syncing.replace(waiter));
        if let Some(superseded) = superseded {
            turn.reply(superseded, Reply::Sync(Err(self.rebalancing())));
        }
        self.synced(&request.member, turn);
        if !self.is_leader(&request.member) {
            return;
        }
        let assignments: BTreeMap<String, Bytes> = request.assignments.into_iter().collect();
        let stored = self.to_stored(|member| assignments.get(&*member.id).cloned().unwrap_or_default());
        let change = Change::Group { group: self.id.to_string(), stored: Some(stored) };
        let then = Then::Assign { group: self.id.clone(), generation: self.generation, assignments };
        if turn.write(vec![change], then).is_err() {
            self.assignment_failed(WriteError::TooLarge, turn);
        }
    }

    /// One more member has synced: the last one ends the wait.
    fn synced(&mut self, id: &str, turn: &mut Turn<'_>) {
        self.pending_sync.remove(id);
        if self.pending_sync.is_empty() {
            turn.timers.cancel(&self.id, Timer::Sync);
        }
    }

    fn assigned(&self, assignment: Bytes) -> Synced {
        Synced { protocol_type: self.protocol_type.clone(), protocol: self.protocol.clone(), assignment }
    }

    /// The assignment of `generation` is written (or not). A rebalance that began meanwhile has overtaken it.
    pub(crate) fn assignment_written(
        &mut self,
        generation: i32,
        assignments: &BTreeMap<String, Bytes>,
        outcome: Result<(), WriteError>,
        turn: &mut Turn<'_>,
    ) {
        if self.state != ClassicState::CompletingRebalance || self.generation != generation {
            return;
        }
        if let Err(cause) = outcome {
            self.assignment_failed(cause, turn);
            return;
        }
        let mut answers = Vec::new();
        for member in self.members.values_mut() {
            member.assignment = assignments.get(&*member.id).cloned().unwrap_or_default();
            if let Some(waiter) = member.syncing.take() {
                answers.push((member.id.clone(), waiter, member.assignment.clone()));
            }
        }
        for (id, waiter, assignment) in answers {
            turn.reply(waiter, Reply::Sync(Ok(self.assigned(assignment))));
            self.renew_session(&id, turn);
        }
        self.transition(ClassicState::Stable, turn.now);
        turn.effects.rebalances_completed += 1;
    }

    fn assignment_failed(&mut self, cause: WriteError, turn: &mut Turn<'_>) {
        self.abandon_assignment(&not_written(&self.id, cause), turn);
        self.rebalance_or_complete(turn);
    }

    /// Nobody gets an assignment in this generation: whoever waits is told why.
    pub(super) fn abandon_assignment(&mut self, error: &Error, turn: &mut Turn<'_>) {
        let mut told = Vec::new();
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
            if let Some(waiter) = member.syncing.take() {
                turn.reply(waiter, Reply::Sync(Err(error.clone())));
                told.push(member.id.clone());
            }
        }
        for id in told {
            self.renew_session(&id, turn);
        }
    }

    /// Decides a heartbeat.
    pub(crate) fn heartbeat(&self, request: &HeartbeatRequest, turn: &mut Turn<'_>) -> Result<(), Error> {
        if self.state == ClassicState::Dead {
            return Err(self.not_available());
        }
        self.check_member(&request.member, request.instance.as_deref())?;
        self.check_generation(request.generation)?;
        self.renew_session(&request.member, turn);
        match self.state {
            ClassicState::PreparingRebalance => Err(self.rebalancing()),
            // Members may start to send heartbeats before they have their assignment.
            ClassicState::CompletingRebalance | ClassicState::Stable => Ok(()),
            ClassicState::Empty | ClassicState::Dead => {
                Err(Error::UnknownMemberId { group: self.id.to_string(), member: request.member.clone() })
            }
        }
    }
}
