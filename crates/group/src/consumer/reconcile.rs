//! One step of a member towards its target assignment: what it is not to have any more is given back before anything new is given, and a
//! partition is given only when nobody has it (KIP-848).
//!
//! ```text
//!              target changed                         given back
//!   Stable ------------------> Unrevoked (old epoch) -------------+
//!     ^  |                                                        v
//!     |  +--- nothing to give back ---------> (target's epoch) all free? --no--> Unreleased --+
//!     |                                              | yes            ^                       |
//!     +----------------------------------------------+                +-----------------------+
//! ```

use super::member::{Current, MemberState, Owned, Partitions};
use crate::Error;
use millstream_types::TopicId;
use std::collections::BTreeSet;

/// What a step is decided by.
pub(crate) struct Step<'a> {
    pub(crate) target_epoch: i32,
    pub(crate) target: &'a Partitions,
    /// The topics that the member subscribes to.
    pub(crate) subscribed: &'a BTreeSet<TopicId>,
    /// Its subscription has changed: what it has of other topics is taken at once.
    pub(crate) enforces_subscription: bool,
    /// What the member says it has; none where it does not say.
    pub(crate) owned: Option<&'a Partitions>,
}

impl Step<'_> {
    /// The member's next state; its present one where it can't go on. `is_taken` tells whether another member has a partition.
    pub(crate) fn next(&self, now: &Current, is_taken: impl Fn(TopicId, i32) -> bool) -> Result<Current, Error> {
        match now.state {
            MemberState::Stable if now.epoch != self.target_epoch => Ok(self.advance(now, now.epoch, is_taken)),
            MemberState::Stable if self.enforces_subscription => Ok(self.shrink(now)),
            MemberState::Stable => Ok(now.clone()),
            MemberState::Unrevoked if self.still_owns(&now.revoking) => {
                Ok(if self.enforces_subscription { self.shrink(now) } else { now.clone() })
            }
            MemberState::Unrevoked | MemberState::Unreleased => Ok(self.advance(now, now.epoch, is_taken)),
            MemberState::Unknown if self.owned.is_some_and(Partitions::is_empty) => {
                Ok(self.advance(now, self.target_epoch, is_taken))
            }
            MemberState::Unknown => Err(Error::FencedMemberEpoch { sent: now.epoch, current: self.target_epoch }),
        }
    }

    /// Whether the member has not shown that it gave these back.
    fn still_owns(&self, revoking: &Owned) -> bool {
        let Some(owned) = self.owned else { return true };
        owned.iter().any(|(topic, partitions)| {
            revoking.get(topic).is_some_and(|revoking| partitions.iter().any(|one| revoking.contains_key(one)))
        })
    }

    /// Takes what it does not subscribe to any more, within its epoch.
    fn shrink(&self, now: &Current) -> Current {
        let (assigned, dropped): (Owned, Owned) =
            now.assigned.clone().into_iter().partition(|(topic, _)| self.subscribed.contains(topic));
        if dropped.is_empty() {
            return now.clone();
        }
        let mut revoking = now.revoking.clone();
        for (topic, partitions) in dropped {
            revoking.entry(topic).or_default().extend(partitions);
        }
        let mut next = now.clone();
        next.previous_epoch = now.epoch;
        next.assigned = assigned;
        if self.still_owns(&revoking) {
            next.state = MemberState::Unrevoked;
            next.revoking = revoking;
        }
        next
    }

    fn advance(&self, now: &Current, epoch: i32, is_taken: impl Fn(TopicId, i32) -> bool) -> Current {
        let is_target = |topic: &TopicId, partition: &i32| {
            self.subscribed.contains(topic) && self.target.get(topic).is_some_and(|wanted| wanted.contains(partition))
        };
        let (mut assigned, mut revoking) = (Owned::new(), Owned::new());
        for (topic, partitions) in &now.assigned {
            for (partition, given_at) in partitions {
                let side = if is_target(topic, partition) { &mut assigned } else { &mut revoking };
                side.entry(*topic).or_default().insert(*partition, *given_at);
            }
        }
        if !revoking.is_empty() && self.still_owns(&revoking) {
            let previous_epoch = now.epoch;
            return Current { epoch, previous_epoch, state: MemberState::Unrevoked, assigned, revoking };
        }
        let mut waits = false;
        for (topic, partitions) in self.target.iter().filter(|(topic, _)| self.subscribed.contains(topic)) {
            for partition in partitions {
                if assigned.get(topic).is_some_and(|has| has.contains_key(partition)) {
                    continue;
                }
                if is_taken(*topic, *partition) {
                    waits = true;
                } else {
                    assigned.entry(*topic).or_default().insert(*partition, self.target_epoch);
                }
            }
        }
        let state = if waits { MemberState::Unreleased } else { MemberState::Stable };
        // Each step keeps the epoch before: who did not get this answer comes with that one.
        Current { epoch: self.target_epoch, previous_epoch: now.epoch, state, assigned, revoking: Owned::new() }
    }
}
