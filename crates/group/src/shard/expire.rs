//! Offsets that nobody reads any more, and groups that nothing is left of (`offsets.retention.minutes`).

use super::Shard;
use crate::effects::Effects;
use crate::group::{Group, Membership};
use crate::offsets::{self, is_expired};
use crate::request::GroupType;
use crate::state::ClassicState;
use crate::{Config, GroupState};
use millstream_types::Now;
use std::sync::Arc;

impl Shard {
    /// Removes expired offsets, and empty groups without any.
    pub(super) fn expire_offsets(&mut self, now: Now) -> Effects {
        let mut effects = Effects::default();
        let ids: Vec<Arc<str>> = self.groups.keys().cloned().collect();
        for id in ids {
            let expired = self.turn_of(&id, now, |group, turn| {
                // A failed write leaves the offsets and the group: they are looked at again.
                let expired = group.expired_offsets(turn.config, now);
                if group.is_unused_without(expired.len()) {
                    let _ = group.delete(turn);
                } else {
                    let tombstones =
                        expired.into_iter().map(|(topic, partition)| offsets::tombstone(&id, &topic, partition));
                    let _ = group.try_write_offsets(tombstones.collect(), turn);
                }
            });
            effects.extend(expired);
        }
        effects
    }
}

impl Group {
    /// Whether nobody is there, and nothing is left once that many offsets are gone.
    fn is_unused_without(&self, expired: usize) -> bool {
        self.group_type() != GroupType::Share
            && self.state() == GroupState::Empty
            && self.classic().is_none_or(|classic| !classic.has_pending())
            && self.offsets.len() == expired
    }

    /// What to remove, as Kafka does it: of an empty group what is older than the retention since it became empty (or since the
    /// commit, where nobody ever was a member); of a stable consumer group, and of one of the new protocol, what it no longer subscribes to.
    fn expired_offsets(&self, config: &Config, now: Now) -> Vec<(String, i32)> {
        let retention_ms = config.offsets_retention_ms;
        let classic = match &self.membership {
            Membership::Classic(classic) => classic,
            Membership::Share(_) => return Vec::new(),
            Membership::Consumer(consumer) => {
                return self.offsets.expired(|topic, committed| {
                    !consumer.is_subscribed_to(topic)
                        && is_expired(committed, committed.committed_at, retention_ms, now.wall)
                });
            }
        };
        if classic.protocol_type().is_none() {
            self.offsets.expired(|_, committed| is_expired(committed, committed.committed_at, retention_ms, now.wall))
        } else if classic.state() == ClassicState::Empty {
            let since = classic.state_since();
            self.offsets.expired(|_, committed| {
                is_expired(committed, since.unwrap_or(committed.committed_at), retention_ms, now.wall)
            })
        } else if classic.state() == ClassicState::Stable && classic.is_consumer() && classic.knows_subscriptions() {
            self.offsets.expired(|topic, committed| {
                !classic.is_subscribed_to(topic)
                    && is_expired(committed, committed.committed_at, retention_ms, now.wall)
            })
        } else {
            Vec::new()
        }
    }
}
