//! What members and administrators ask of a group of the new protocol.

use crate::Error;
use crate::GroupState;
use crate::consumer::assignor::Assignor;
use crate::consumer::member::{JOIN_EPOCH, LEAVE_EPOCH, MemberMetadata, Partitions, STATIC_LEAVE_EPOCH};
use std::collections::BTreeSet;

/// ConsumerGroupHeartbeat. What is none has not changed since the member's last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsumerHeartbeatRequest {
    /// The group.
    pub group: String,
    /// The member; a new one of version 0 has none, and is given one from `random`.
    pub member: String,
    /// 0 to join, -1 to leave, -2 where a static member leaves that will be back; else the epoch it is in.
    pub epoch: i32,
    /// Its static name.
    pub instance: Option<String>,
    /// Its rack.
    pub rack: Option<String>,
    /// How long it may take to give partitions back.
    pub rebalance_timeout_ms: Option<i32>,
    /// The topics it subscribes to by name.
    pub topics: Option<BTreeSet<String>>,
    /// The pattern it subscribes to; an empty one is none (version 1 and later).
    pub regex: Option<String>,
    /// The server's assignor that it asks for.
    pub assignor: Option<String>,
    /// What it has.
    pub owned: Option<Partitions>,
    /// From the request's header.
    pub client_id: String,
    /// The client's address, as Kafka prints it (`/127.0.0.1`).
    pub client_host: String,
    /// Whether members make their ids themselves (version 1 and later).
    pub makes_ids: bool,
    /// 128 random bits, for a new member's id.
    pub random: u128,
}

impl ConsumerHeartbeatRequest {
    /// Whether it says all that a member can say: then it is told what it has.
    pub(crate) const fn is_full(&self) -> bool {
        self.rebalance_timeout_ms.is_some() && (self.topics.is_some() || self.regex.is_some()) && self.owned.is_some()
    }

    pub(crate) const fn leaves(&self) -> bool {
        matches!(self.epoch, LEAVE_EPOCH | STATIC_LEAVE_EPOCH)
    }

    /// That it can be decided.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let empty = |text: &Option<String>| text.as_ref().is_some_and(String::is_empty);
        let wrong = if self.group.is_empty() {
            Some("the group id is empty")
        } else if self.member.is_empty() && (self.makes_ids || self.epoch != JOIN_EPOCH) {
            Some("the member id is empty")
        } else if empty(&self.instance) || empty(&self.rack) {
            Some("the instance id or the rack is empty: leave it out, or name one")
        } else {
            self.wrong_for_its_epoch()
        };
        if let Some(why) = wrong {
            return Err(Error::InvalidRequest { group: self.group.clone(), why });
        }
        match self.assignor.as_deref() {
            Some(name) if Assignor::of_name(name).is_none() => {
                Err(Error::UnsupportedAssignor { group: self.group.clone(), assignor: name.to_owned() })
            }
            _ => Ok(()),
        }
    }

    fn wrong_for_its_epoch(&self) -> Option<&'static str> {
        match self.epoch {
            JOIN_EPOCH if self.rebalance_timeout_ms.is_none() => Some("who joins has to say its rebalance timeout"),
            JOIN_EPOCH if self.owned.as_ref().is_none_or(|owned| !owned.is_empty()) => {
                Some("who joins has no partitions, and has to say so")
            }
            JOIN_EPOCH if self.makes_ids && self.topics.is_none() && self.regex.is_none() => {
                Some("who joins has to subscribe to topics by name or by pattern")
            }
            JOIN_EPOCH if !self.makes_ids && self.topics.as_ref().is_none_or(BTreeSet::is_empty) => {
                Some("who joins has to subscribe to topics")
            }
            STATIC_LEAVE_EPOCH if self.instance.is_none() => Some("only a static member leaves with epoch -2"),
            epoch if epoch < STATIC_LEAVE_EPOCH => Some("the member epoch is below -2"),
            _ => None,
        }
    }

    /// What the member says of itself from here on.
    pub(crate) fn updated(&self, before: &MemberMetadata) -> MemberMetadata {
        let or = |new: &Option<String>, old: &Option<String>| new.clone().or_else(|| old.clone());
        MemberMetadata {
            instance: or(&self.instance, &before.instance),
            rack: or(&self.rack, &before.rack),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            topics: self.topics.clone().unwrap_or_else(|| before.topics.clone()),
            regex: or(&self.regex, &before.regex),
            rebalance_timeout_ms: self.rebalance_timeout_ms.unwrap_or(before.rebalance_timeout_ms),
            assignor: or(&self.assignor, &before.assignor),
            classic: None,
        }
    }
}

/// A heartbeat that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beaten {
    /// The member.
    pub member: String,
    /// The epoch it is in now.
    pub epoch: i32,
    /// When to send the next.
    pub interval_ms: i32,
    /// What it has, where that is told.
    pub assignment: Option<Partitions>,
}

/// One member of a described group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedConsumer {
    /// Its id.
    pub member: String,
    /// What it says of itself.
    pub metadata: MemberMetadata,
    /// Its epoch.
    pub epoch: i32,
    /// What it has.
    pub assignment: Partitions,
    /// What it is to have.
    pub target: Partitions,
}

/// ConsumerGroupDescribe's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerDescription {
    /// The group.
    pub group: String,
    /// Its state.
    pub state: GroupState,
    /// Its epoch.
    pub epoch: i32,
    /// The epoch of its target assignment.
    pub target_epoch: i32,
    /// The assignor in force.
    pub assignor: &'static str,
    /// Its members, by id.
    pub members: Vec<DescribedConsumer>,
}
