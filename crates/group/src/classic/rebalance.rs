//! A rebalance: members are awaited, then the next generation begins.

use super::{Classic, InitialDelay};
use crate::Error;
use crate::effects::Reply;
use crate::layout::Change;
use crate::state::ClassicState;
use crate::timers::Timer;
use crate::turn::{Then, Turn};
use std::sync::Arc;

impl Classic {
    /// Begins a rebalance, or ends the one under way if everybody has joined.
    pub(super) fn rebalance_or_complete(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            ClassicState::Empty | ClassicState::CompletingRebalance | ClassicState::Stable => {
                self.prepare_rebalance(turn)
            }
            ClassicState::PreparingRebalance => self.maybe_complete_join(turn),
            ClassicState::Dead => {}
        }
    }

    /// Begins a rebalance. An empty group waits a while for more members.
    pub(crate) fn prepare_rebalance(&mut self, turn: &mut Turn<'_>) {
        if self.state == ClassicState::CompletingRebalance {
            self.abandon_assignment(&self.rebalancing(), turn);
        }
        self.pending_sync.clear();
        turn.timers.cancel(&self.id, Timer::Sync);
        let is_initial = self.state == ClassicState::Empty;
        self.transition(ClassicState::PreparingRebalance, turn.now);
        if is_initial {
            let delay_ms = turn.config.initial_rebalance_delay_ms;
            let remaining_ms = self.rebalance_timeout_ms().saturating_sub(delay_ms);
            self.new_member_added = false;
            self.initial_delay = Some(InitialDelay { delay_ms, remaining_ms });
            turn.timers.set(&self.id, Timer::Join, turn.now.elapsed_ms.saturating_add(delay_ms));
        } else if self.has_all_joined() {
            self.complete_join(turn);
        } else {
            self.initial_delay = None;
            self.await_joins(turn);
        }
    }

    fn await_joins(&self, turn: &mut Turn<'_>) {
        let deadline = turn.now.elapsed_ms.saturating_add(self.rebalance_timeout_ms());
        turn.timers.set(&self.id, Timer::Join, deadline);
    }

    /// Ends the join phase when everybody is there; a first rebalance is ended by its timer only.
    pub(super) fn maybe_complete_join(&mut self, turn: &mut Turn<'_>) {
        if self.state == ClassicState::PreparingRebalance
            && self.previous != ClassicState::Empty
            && self.has_all_joined()
        {
            self.complete_join(turn);
        }
    }

    /// The join timer: an empty group waits on while members still come, within the rebalance timeout.
    pub(crate) fn join_expired(&mut self, turn: &mut Turn<'_>) {
        if self.state != ClassicState::PreparingRebalance {
            return;
        }
        match self.initial_delay {
            Some(InitialDelay { delay_ms, remaining_ms }) if self.new_member_added && remaining_ms > 0 => {
                self.new_member_added = false;
                let next_ms = turn.config.initial_rebalance_delay_ms.min(remaining_ms);
                let left_ms = remaining_ms.saturating_sub(delay_ms);
                self.initial_delay = Some(InitialDelay { delay_ms: next_ms, remaining_ms: left_ms });
                turn.timers.set(&self.id, Timer::Join, turn.now.elapsed_ms.saturating_add(next_ms));
            }
            _ => self.complete_join(turn),
        }
    }

    /// Ends the join phase: who has not come back is out (but static members stay until their session ends).
    pub(super) fn complete_join(&mut self, turn: &mut Turn<'_>) {
        turn.timers.cancel(&self.id, Timer::Join);
        let absent: Vec<Arc<str>> = self
            .members
            .values()
            .filter(|member| member.joining.is_none() && member.instance.is_none())
            .map(|member| member.id.clone())
            .collect();
        for id in absent {
            self.remove(&id, turn);
        }
        if !self.elect_leader() && !self.members.is_empty() {
            // Only static members, none of which came back: their sessions decide.
            self.initial_delay = None;
            self.await_joins(turn);
            return;
        }
        self.initial_delay = None;
        self.next_generation(turn);
        if self.state == ClassicState::Empty {
            let stored = Some(self.to_stored(|member| member.assignment.clone()));
            // Nobody waits for it: without members the generation has no meaning, and the one stored before times out when it is read.
            let _ = turn.write(vec![Change::Group { group: self.id.to_string(), stored }], Then::Nothing);
        } else {
            self.answer_joins(turn);
        }
    }

    /// A leader that has not come back is replaced by the first that has.
    fn elect_leader(&mut self) -> bool {
        let Some(leader) = self.leader.as_ref() else { return false };
        if self.members.get(leader).is_some_and(|member| member.joining.is_some()) {
            return true;
        }
        let Some(next) = self.members.values().find(|member| member.joining.is_some()) else { return false };
        self.leader = Some(next.id.clone());
        true
    }

    fn next_generation(&mut self, turn: &Turn<'_>) {
        self.generation = if self.generation == i32::MAX { 1 } else { self.generation + 1 };
        self.protocol = if self.members.is_empty() { None } else { self.select_protocol() };
        self.subscribed = self.compute_subscribed();
        let next = if self.members.is_empty() { ClassicState::Empty } else { ClassicState::CompletingRebalance };
        self.transition(next, turn.now);
        self.pending_sync.clear();
    }

    fn answer_joins(&mut self, turn: &mut Turn<'_>) {
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in ids {
            let joined = self.joined(&id, self.is_leader(&id));
            if let Some(waiter) = self.set_joining(&id, None) {
                turn.reply(waiter, Reply::Join(Ok(joined)));
            }
            if let Some(member) = self.members.get_mut(&id) {
                member.is_new = false;
            }
            self.renew_session(&id, turn);
            self.pending_sync.insert(id);
        }
        let deadline = turn.now.elapsed_ms.saturating_add(self.rebalance_timeout_ms());
        turn.timers.set(&self.id, Timer::Sync, deadline);
    }

    /// The sync timer: who has not synced is out.
    pub(crate) fn sync_expired(&mut self, turn: &mut Turn<'_>) {
        if !matches!(self.state, ClassicState::CompletingRebalance | ClassicState::Stable)
            || self.pending_sync.is_empty()
        {
            return;
        }
        for id in std::mem::take(&mut self.pending_sync) {
            self.expel(&id, turn);
        }
        self.prepare_rebalance(turn);
    }

    /// This node stops coordinating the group: whoever waits is told to look elsewhere.
    pub(crate) fn unload(&mut self, turn: &mut Turn<'_>) {
        self.transition(ClassicState::Dead, turn.now);
        let error = Error::NotCoordinator { group: self.id.to_string() };
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in ids {
            if let Some(waiter) = self.set_joining(&id, None) {
                turn.refuse_join(waiter, &id, error.clone());
            }
            if let Some(waiter) = self.members.get_mut(&id).and_then(|member| member.syncing.take()) {
                turn.reply(waiter, Reply::Sync(Err(error.clone())));
            }
        }
    }

    /// The group goes over to the new protocol: whoever waits is told to join again, and nothing is timed any more.
    pub(crate) fn hand_over(&mut self, turn: &mut Turn<'_>) {
        let error = self.rebalancing();
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in &ids {
            if let Some(waiter) = self.set_joining(id, None) {
                turn.refuse_join(waiter, id, error.clone());
            }
            if let Some(waiter) = self.members.get_mut(id).and_then(|member| member.syncing.take()) {
                turn.reply(waiter, Reply::Sync(Err(error.clone())));
            }
        }
        let given_out = std::mem::take(&mut self.pending);
        for id in ids.into_iter().chain(given_out) {
            turn.timers.cancel(&self.id, Timer::Session(id));
        }
        turn.timers.cancel(&self.id, Timer::Join);
        turn.timers.cancel(&self.id, Timer::Sync);
    }

    /// The group is a classic one again: sessions begin, and everybody is to join again.
    pub(crate) fn resume(&mut self, turn: &mut Turn<'_>) {
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in &ids {
            self.renew_session(id, turn);
        }
        if !ids.is_empty() {
            self.prepare_rebalance(turn);
        }
    }
}
