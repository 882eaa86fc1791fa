//! Members that go: they say so, were silent too long, or did not give back in time what others are to have.

use super::member::{Current, Owned, STATIC_LEAVE_EPOCH};
use super::stored::{ConsumerChange, GroupEpoch};
use super::{Consumer, member::MemberState};
use crate::Error;
use crate::request::{Beaten, ConsumerHeartbeatRequest};
use crate::turn::Turn;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Consumer {
    /// Decides a heartbeat with which a member leaves.
    pub(crate) fn leave(&mut self, request: &ConsumerHeartbeatRequest, turn: &mut Turn<'_>) -> Result<Beaten, Error> {
        let id = match request.instance.as_deref() {
            None => self.dynamic(&request.member, false)?.id,
            Some(instance) => self.static_member(&request.member, instance)?.id,
        };
        if request.instance.is_some() && request.epoch == STATIC_LEAVE_EPOCH {
            let before = self.stored.current(&id);
            let epoch = STATIC_LEAVE_EPOCH;
            let away = Current { epoch, revoking: Owned::new(), ..(*before).clone() };
            self.change(ConsumerChange::Current(id, Some(Arc::new(away))));
        } else {
            self.expel([id].into_iter().collect(), turn);
        }
        Ok(Beaten { member: request.member.clone(), epoch: request.epoch, interval_ms: 0, assignment: None })
    }

    /// Takes members out; the group's epoch goes up. A group whose other members all speak the classic protocol becomes a classic one.
    pub(super) fn expel(&mut self, ids: BTreeSet<Arc<str>>, turn: &mut Turn<'_>) {
        if ids.is_empty() {
            return;
        }
        if self.downgrade_without(&ids, turn) {
            return;
        }
        let patterns: Vec<Arc<str>> =
            ids.iter().filter_map(|id| self.stored.member(id)?.1.pattern().map(Arc::from)).collect();
        for id in &ids {
            self.remove_member(id);
            self.cancel_timers(id, turn);
        }
        for regex in patterns {
            if self.stored.subscribers_of(&regex) == 0 && self.stored.resolved(&regex).is_some() {
                self.change(ConsumerChange::Regex(regex, None));
            }
        }
        let metadata_hash = self.stored.hash_of_topics(turn.cluster);
        let epoch = self.stored.epoch() + 1;
        self.change(ConsumerChange::Group(Some(GroupEpoch { epoch, metadata_hash })));
    }

    /// A member was silent too long, or did not join or sync in time.
    pub(crate) fn expired(&mut self, id: &Arc<str>, turn: &mut Turn<'_>) {
        if self.stored.has_member(id) {
            self.expel([id.clone()].into_iter().collect(), turn);
        }
    }

    /// A member had the time it asked for to give partitions back.
    pub(crate) fn revocation_expired(&mut self, id: &Arc<str>, turn: &mut Turn<'_>) {
        if self.stored.current(id).state == MemberState::Unrevoked {
            self.expired(id, turn);
        }
    }
}
