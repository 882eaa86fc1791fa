//! Members that go: by LeaveGroup, or because they were silent too long.

use super::Classic;
use crate::Error;
use crate::effects::Reply;
use crate::request::{LeaveRequest, Leaving, Left, UNKNOWN_MEMBER};
use crate::state::ClassicState;
use crate::turn::Turn;

impl Classic {
    /// Takes members out; the group rebalances without them.
    pub(crate) fn leave(&mut self, request: &LeaveRequest, turn: &mut Turn<'_>) -> Result<Vec<Left>, Error> {
        if self.state == ClassicState::Dead {
            return Err(self.not_available());
        }
        let answers: Vec<Left> = request
            .members
            .iter()
            .map(|leaving| Left {
                member: leaving.member.clone(),
                instance: leaving.instance.clone(),
                result: self.leave_one(leaving, turn),
            })
            .collect();
        if answers.iter().any(|left| left.result.is_ok()) {
            match self.state {
                ClassicState::Stable | ClassicState::CompletingRebalance => self.rebalance_or_complete(turn),
                ClassicState::PreparingRebalance => self.maybe_complete_join(turn),
                ClassicState::Empty | ClassicState::Dead => {}
            }
        }
        Ok(answers)
    }

    fn leave_one(&mut self, leaving: &Leaving, turn: &mut Turn<'_>) -> Result<(), Error> {
        let instance = leaving.instance.as_deref();
        if leaving.member == UNKNOWN_MEMBER {
            // An administrator removes a static member by its name alone.
            let holder = instance.and_then(|instance| self.statics.get(instance)).cloned();
            let holder = holder.ok_or_else(|| Error::UnknownMemberId {
                group: self.id.to_string(),
                member: instance.unwrap_or_default().to_owned(),
            })?;
            self.expel(&holder, turn);
            return Ok(());
        }
        if self.pending.contains(leaving.member.as_str()) {
            self.remove(&leaving.member, turn);
            return Ok(());
        }
        self.check_member(&leaving.member, instance)?;
        self.expel(&leaving.member, turn);
        Ok(())
    }

    /// Takes a member out and answers what waits of it, so that its client joins again if it still lives.
    pub(super) fn expel(&mut self, id: &str, turn: &mut Turn<'_>) {
        let Some(member) = self.remove(id, turn) else { return };
        let error = Error::UnknownMemberId { group: self.id.to_string(), member: id.to_owned() };
        if let Some(waiter) = member.joining {
            turn.refuse_join(waiter, UNKNOWN_MEMBER, error.clone());
        }
        if let Some(waiter) = member.syncing {
            turn.reply(waiter, Reply::Sync(Err(error)));
        }
    }

    /// The session timer of `id`.
    pub(crate) fn session_expired(&mut self, id: &str, turn: &mut Turn<'_>) {
        if self.state == ClassicState::Dead {
            return;
        }
        if self.pending.contains(id) {
            self.remove(id, turn);
            if self.state == ClassicState::PreparingRebalance && self.has_all_joined() {
                self.complete_join(turn);
            }
            return;
        }
        // Whose request waits here gets a new session when it is answered.
        if self.member(id).is_none_or(crate::member::Member::is_waiting) {
            return;
        }
        self.expel(id, turn);
        match self.state {
            ClassicState::Stable | ClassicState::CompletingRebalance => self.rebalance_or_complete(turn),
            ClassicState::PreparingRebalance if self.has_all_joined() => self.complete_join(turn),
            ClassicState::PreparingRebalance | ClassicState::Empty | ClassicState::Dead => {}
        }
    }
}
