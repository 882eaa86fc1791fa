//! Requests of share groups (KIP-932).

use super::Shard;
use crate::Error;
use crate::effects::{Effects, Reply};
use crate::group::{Ask, Membership};
use crate::request::{AlterShares, ConsumerDescription, GroupType, ShareHeartbeatRequest, ShareWorked};
use crate::{GroupState, Partitions};
use millstream_types::{Now, Waiter};
use std::sync::Arc;

impl Shard {
    /// ShareGroupHeartbeat.
    pub fn share_heartbeat(&mut self, request: ShareHeartbeatRequest, waiter: Waiter, now: Now) -> Effects {
        let joins = request.epoch == crate::JOIN_EPOCH;
        let refused = match request.check() {
            Err(error) => Some(error),
            Ok(()) if joins || self.groups.contains_key(request.group.as_str()) => None,
            Ok(()) => Some(Error::GroupIdNotFound { group: request.group.clone() }),
        };
        if let Some(error) = refused {
            return Effects::answer(waiter, Reply::Beat(Err(error)));
        }
        let id = self.group_or_new(&request.group, Some(now)).id.clone();
        self.turn_of(&id, now, |group, turn| group.ask(Ask::Share(request, waiter), turn))
    }

    /// What came of what the share coordinator was asked for a group; see [`Effects::shares`].
    pub fn shares_worked(&mut self, group: &Arc<str>, worked: ShareWorked, now: Now) -> Effects {
        self.turn_of(group, now, |group, turn| group.ask(Ask::SharesWorked(worked), turn))
    }

    /// AlterShareGroupOffsets.
    pub fn alter_shares(&mut self, request: AlterShares, waiter: Waiter, now: Now) -> Effects {
        if request.group.is_empty() {
            return Effects::answer(waiter, Reply::SharesAltered(Err(Error::InvalidGroupId)));
        }
        let id = self.group_or_new(&request.group, Some(now)).id.clone();
        self.turn_of(&id, now, |group, turn| group.ask(Ask::AlterShares(request, waiter), turn))
    }

    /// DeleteShareGroupOffsets, or the first half of a share group's deletion: the state of `topics`, or of all, is deleted.
    pub fn delete_shares(&mut self, group: &str, topics: Option<Vec<String>>, waiter: Waiter, now: Now) -> Effects {
        let error = match self.groups.get_key_value(group) {
            _ if group.is_empty() => Error::InvalidGroupId,
            None => Error::GroupIdNotFound { group: group.to_owned() },
            Some((id, _)) => {
                let id = id.clone();
                return self.turn_of(&id, now, |group, turn| group.ask(Ask::DeleteShares(topics, waiter), turn));
            }
        };
        Effects::answer(waiter, Reply::SharesDeleted(Err(error)))
    }

    /// Whether `group` is a share group.
    #[must_use]
    pub fn is_share(&self, group: &str) -> bool {
        self.groups.get(group).is_some_and(|group| group.group_type() == GroupType::Share)
    }

    /// The partitions of a share group that have a state; none where there is no such group.
    #[must_use]
    pub fn shared_partitions(&self, group: &str) -> Partitions {
        let Some(Membership::Share(share)) = self.groups.get(group).map(|group| &group.membership) else {
            return Partitions::new();
        };
        let shares = share.stored.shares();
        shares.initialized.iter().map(|(topic, shared)| (*topic, shared.partitions.clone())).collect()
    }

    /// That `member` may read for `group`: a share group that it is a member of.
    ///
    /// # Errors
    /// `GroupIdNotFound`, `OtherProtocol`, `UnknownMemberId`.
    pub fn check_share_member(&self, group: &str, member: &str) -> Result<(), Error> {
        match self.groups.get(group).map(|group| &group.membership) {
            Some(Membership::Share(share)) if share.stored.has_member(member) => Ok(()),
            Some(Membership::Share(_)) => {
                Err(Error::UnknownMemberId { group: group.to_owned(), member: member.to_owned() })
            }
            Some(_) => Err(Error::OtherProtocol { group: group.to_owned(), wanted: GroupType::Share.name() }),
            None => Err(Error::GroupIdNotFound { group: group.to_owned() }),
        }
    }

    /// ShareGroupDescribe, of one group.
    ///
    /// # Errors
    /// `InvalidGroupId` without a name, `GroupIdNotFound`, or `OtherProtocol` for a group of consumers.
    pub fn describe_share(&self, group: &str) -> Result<ConsumerDescription, Error> {
        if group.is_empty() {
            return Err(Error::InvalidGroupId);
        }
        match self.groups.get(group) {
            Some(found) if found.state() != GroupState::Dead => match &found.membership {
                Membership::Share(share) => Ok(share.describe()),
                Membership::Classic(_) | Membership::Consumer(_) => {
                    Err(Error::OtherProtocol { group: group.to_owned(), wanted: GroupType::Share.name() })
                }
            },
            Some(_) | None => Err(Error::GroupIdNotFound { group: group.to_owned() }),
        }
    }
}
