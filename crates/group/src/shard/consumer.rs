//! Requests of the new protocol.

use super::Shard;
use crate::Error;
use crate::effects::{Effects, Reply};
use crate::group::{Ask, Membership};
use crate::request::{ConsumerDescription, ConsumerHeartbeatRequest, GroupType};
use millstream_types::{Now, Waiter};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Shard {
    /// ConsumerGroupHeartbeat.
    pub fn consumer_heartbeat(&mut self, mut request: ConsumerHeartbeatRequest, waiter: Waiter, now: Now) -> Effects {
        let joins = request.epoch == crate::JOIN_EPOCH;
        let refused = match request.check() {
            Err(error) => Some(error),
            Ok(()) if joins || self.groups.contains_key(request.group.as_str()) => None,
            Ok(()) => Some(Error::GroupIdNotFound { group: request.group.clone() }),
        };
        if let Some(error) = refused {
            return Effects::answer(waiter, Reply::Beat(Err(error)));
        }
        if request.member.is_empty() {
            let random = uuid::Builder::from_random_bytes(request.random.to_be_bytes());
            request.member = random.into_uuid().to_string();
        }
        let id = self.group_or_new(&request.group, Some(now)).id.clone();
        self.turn_of(&id, now, |group, turn| group.ask(Ask::Beat(request, waiter), turn))
    }

    /// What the patterns of a group match among the names of all topics; see [`Effects::resolve`].
    pub fn resolved(&mut self, group: &Arc<str>, matched: BTreeMap<Arc<str>, BTreeSet<String>>, now: Now) -> Effects {
        self.turn_of(group, now, |group, turn| group.ask(Ask::Resolved(matched), turn))
    }

    /// ConsumerGroupDescribe, of one group.
    ///
    /// # Errors
    /// `InvalidGroupId` without a name, `GroupIdNotFound`, or `OtherProtocol` for a classic group.
    pub fn describe_consumer(&self, group: &str) -> Result<ConsumerDescription, Error> {
        if group.is_empty() {
            return Err(Error::InvalidGroupId);
        }
        match self.groups.get(group).map(|group| &group.membership) {
            Some(Membership::Consumer(consumer)) => Ok(consumer.describe()),
            Some(Membership::Classic(_) | Membership::Share(_)) => {
                Err(Error::OtherProtocol { group: group.to_owned(), wanted: GroupType::Consumer.name() })
            }
            None => Err(Error::GroupIdNotFound { group: group.to_owned() }),
        }
    }
}
