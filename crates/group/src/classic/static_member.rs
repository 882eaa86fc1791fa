//! A static member that comes back without its id: it takes over from its older self, without a rebalance if nothing changes.

use super::Classic;
use super::join::new_member_id;
use crate::Error;
use crate::effects::{Reply, WriteError};
use crate::layout::Change;
use crate::member::Member;
use crate::request::{JoinRequest, UNKNOWN_MEMBER};
use crate::state::ClassicState;
use crate::turn::{Replaced, Then, Turn, not_written};
use millstream_types::Waiter;
use std::sync::Arc;

impl Classic {
    /// Member `old` of a static name gets a new id.
    pub(super) fn replace_static(&mut self, old: &str, request: &JoinRequest, waiter: Waiter, turn: &mut Turn<'_>) {
        let new = new_member_id(request);
        let leader_before = self.leader.clone();
        let Some(before) = self.rename(old, &new, turn) else { return };
        self.renew_session(&new, turn);
        self.update(&new, request, Some(waiter), turn);
        match self.state {
            ClassicState::Stable if self.select_protocol() == self.protocol => {
                let group = self.id.clone();
                let supports_skipping_assignment = request.supports_skipping_assignment;
                let then =
                    Replaced { group, old: before, new_id: new, waiter, leader_before, supports_skipping_assignment };
                let stored = Some(self.to_stored(|member| member.assignment.clone()));
                let change = Change::Group { group: self.id.to_string(), stored };
                if let Err(Then::Replaced(then)) = turn.write(vec![change], Then::Replaced(Box::new(then))) {
                    self.replacement_written(&then, Err(WriteError::TooLarge), turn);
                }
            }
            ClassicState::Stable => self.rebalance_or_complete(turn),
            // The leader may already assign to the old id, which is gone.
            ClassicState::CompletingRebalance => self.prepare_rebalance(turn),
            ClassicState::PreparingRebalance => self.maybe_complete_join(turn),
            ClassicState::Empty | ClassicState::Dead => {}
        }
    }

    /// Moves a static member to another id and fences what waits under the old one. Gives back the member as it was.
    fn rename(&mut self, old: &str, new: &Arc<str>, turn: &mut Turn<'_>) -> Option<Member> {
        let was_leader = self.is_leader(old);
        let mut before = self.remove(old, turn)?;
        let instance = before.instance.clone().unwrap_or_default();
        let fenced = Error::FencedInstanceId {
            group: self.id.to_string(),
            instance,
            sent: old.to_owned(),
            current: new.to_string(),
        };
        if let Some(waiter) = before.joining.take() {
            turn.refuse_join(waiter, old, fenced.clone());
        }
        if let Some(waiter) = before.syncing.take() {
            turn.reply(waiter, Reply::Sync(Err(fenced)));
        }
        let mut renamed = before.clone();
        renamed.id = new.clone();
        let protocol_type = self.protocol_type.clone().unwrap_or_default();
        self.add(renamed, &protocol_type);
        if was_leader {
            self.leader = Some(new.clone());
        }
        Some(before)
    }

    /// The new id of a static member is written (or not: then the old one stays).
    pub(crate) fn replacement_written(
        &mut self,
        replaced: &Replaced,
        outcome: Result<(), WriteError>,
        turn: &mut Turn<'_>,
    ) {
        let new = &replaced.new_id;
        // A later join under the same name, or a rebalance, may have answered it already.
        if self.member(new).is_none_or(|member| member.joining != Some(replaced.waiter)) {
            return;
        }
        if self.state != ClassicState::Stable {
            return;
        }
        self.set_joining(new, None);
        if let Err(cause) = outcome {
            turn.refuse_join(replaced.waiter, UNKNOWN_MEMBER, not_written(&self.id, cause));
            self.restore_static(replaced, turn);
            return;
        }
        let is_leader = self.is_leader(new);
        let mut joined = self.joined(new, is_leader && replaced.supports_skipping_assignment);
        if replaced.supports_skipping_assignment {
            joined.skip_assignment = is_leader;
        } else {
            // An old client that is told it leads would assign again: it is told of the leader before.
            joined.leader = replaced.leader_before.as_deref().unwrap_or_default().to_owned();
        }
        turn.reply(replaced.waiter, Reply::Join(Ok(joined)));
        self.renew_session(new, turn);
    }

    fn restore_static(&mut self, replaced: &Replaced, turn: &mut Turn<'_>) {
        let was_leader = self.is_leader(&replaced.new_id);
        self.remove(&replaced.new_id, turn);
        let protocol_type = self.protocol_type.clone().unwrap_or_default();
        self.add(replaced.old.clone(), &protocol_type);
        if was_leader {
            self.leader = Some(replaced.old.id.clone());
        }
        self.renew_session(&replaced.old.id, turn);
    }
}
