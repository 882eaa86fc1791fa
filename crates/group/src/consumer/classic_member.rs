//! Members of the classic protocol in a group of the new one: the server assigns for them too, and they come to join again whenever they are
//! to give partitions back or have new ones (KIP-848, online upgrade).

use super::Consumer;
use super::beat::Said;
use super::member::{ClassicMember, MemberMetadata, MemberState, Partitions};
use crate::Error;
use crate::request::{HeartbeatRequest, JoinRefused, JoinRequest, Joined, LeaveRequest, Left, SyncRequest, Synced};
use crate::request::{Leaving, UNKNOWN_MEMBER};
use crate::subscription::{CONSUMER, Named, Subscription, write_assignment};
use crate::timers::Timer;
use crate::turn::Turn;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What becomes of a join.
pub(crate) enum Joining {
    /// It is answered.
    Answered(Result<Joined, JoinRefused>),
    /// The group becomes a classic one first, which then has to decide it.
    Downgrading,
}

impl Consumer {
    pub(super) fn uses_classic(&self, id: &str) -> bool {
        self.stored.member(id).is_some_and(|(_, metadata)| metadata.classic.is_some())
    }

    /// JoinGroup. `random` is of the request: a member without an id has a new one from it.
    pub(crate) fn join(&mut self, request: &JoinRequest, turn: &mut Turn<'_>) -> Joining {
        let member = match request.member.as_str() {
            UNKNOWN_MEMBER => new_id(request).to_string(),
            member => member.to_owned(),
        };
        let holder = request.instance.as_deref().and_then(|instance| self.stored.holder(instance));
        if let Some(holder) = holder.filter(|holder| request.member == UNKNOWN_MEMBER && !self.uses_classic(holder))
            && self.check_protocols(request).is_ok()
        {
            if self.downgrade_without(&[holder].into_iter().collect(), turn) {
                return Joining::Downgrading;
            }
            if self.stored.len() == 1 && turn.config.consumer.migration.downgrades() {
                // Nobody else is there: the group begins anew with the protocol of who comes.
                self.delete(Vec::new());
                return Joining::Downgrading;
            }
        }
        let joined = self.decide(|group| group.try_join(request, &member, turn));
        Joining::Answered(joined.map_err(|error| JoinRefused { member, error }))
    }

    fn try_join(&mut self, request: &JoinRequest, member: &str, turn: &mut Turn<'_>) -> Result<Joined, Error> {
        self.check_room(member, turn.config.consumer.members_max)?;
        let subscription = self.check_protocols(request)?;
        let is_new = request.member == UNKNOWN_MEMBER;
        if is_new && request.instance.is_none() && request.requires_known_member {
            return Err(Error::MemberIdRequired { group: self.id.to_string(), member: member.to_owned() });
        }
        let worked = match request.instance.as_deref() {
            None => self.dynamic(member, true)?,
            Some(instance) if is_new => self.static_joins(member, instance, |_, _| Ok(()))?,
            Some(instance) => self.static_member(member, instance)?,
        };
        let owned = self.with_ids(&subscription.owned, turn);
        let metadata = MemberMetadata {
            instance: request.instance.clone(),
            rack: subscription.rack.or_else(|| worked.before.rack.clone()),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
            topics: subscription.topics,
            regex: Some(String::new()),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            assignor: worked.before.assignor.clone(),
            classic: Some(ClassicMember {
                session_timeout_ms: request.session_timeout_ms,
                protocols: request.protocols.clone(),
            }),
        };
        self.go_on(&worked, Said { metadata, owned: Some(&owned) }, turn)?;
        turn.timers.cancel(&self.id, Timer::Rejoin(worked.id.clone()));
        self.time(Timer::MemberSync(worked.id.clone()), request.rebalance_timeout_ms, turn);
        Ok(Joined {
            generation: self.stored.current(&worked.id).epoch,
            protocol_type: Some(CONSUMER.to_owned()),
            protocol: request.protocols.first().map(|protocol| protocol.name.clone()),
            leader: String::new(),
            member: worked.id.to_string(),
            skip_assignment: false,
            members: Vec::new(),
        })
    }

    /// That the member supports a protocol that every classic member does, and says what it subscribes to.
    fn check_protocols(&self, request: &JoinRequest) -> Result<Subscription, Error> {
        let inconsistent = || Error::InconsistentGroupProtocol {
            group: self.id.to_string(),
            protocol_type: request.protocol_type.clone(),
            protocols: request.protocols.iter().map(|protocol| protocol.name.clone()).collect(),
        };
        let mut supported: BTreeMap<&str, usize> = BTreeMap::new();
        let mut everyone = 0;
        for classic in self.stored.members().filter_map(|(_, metadata)| metadata.classic.as_ref()) {
            everyone += 1;
            classic.protocols.iter().for_each(|one| *supported.entry(one.name.as_str()).or_default() += 1);
        }
        let fits = request.protocol_type == CONSUMER
            && request
                .protocols
                .iter()
                .any(|protocol| supported.get(protocol.name.as_str()).copied().unwrap_or(0) == everyone);
        let first = request.protocols.first().filter(|_| fits).ok_or_else(inconsistent)?;
        Subscription::read(&first.metadata).map_err(|_| inconsistent())
    }

    fn with_ids(&self, named: &Named, turn: &Turn<'_>) -> Partitions {
        let topics =
            named.iter().filter_map(|(name, partitions)| Some((turn.cluster.topic(name)?.id, partitions.clone())));
        topics.collect()
    }

    /// The member of a classic request, where it speaks the classic protocol.
    fn classic(&self, member: &str, instance: Option<&str>) -> Result<(Arc<str>, Arc<MemberMetadata>), Error> {
        let worked = match instance {
            None => self.dynamic(member, false)?,
            Some(instance) => self.static_member(member, instance)?,
        };
        if worked.before.classic.is_none() {
            return Err(self.unknown(member));
        }
        Ok((worked.id, worked.before))
    }

    fn check_generation(&self, id: &str, generation: i32) -> Result<(), Error> {
        let current = self.stored.current(id).epoch;
        if generation == current {
            return Ok(());
        }
        Err(Error::IllegalGeneration { group: self.id.to_string(), sent: generation, current })
    }

    fn rejoin(&self, id: &Arc<str>, metadata: &MemberMetadata, turn: &mut Turn<'_>) -> Error {
        let timer = Timer::Rejoin(id.clone());
        if !turn.timers.is_set(&self.id, &timer) {
            self.time(timer, metadata.rebalance_timeout_ms, turn);
        }
        Error::RebalanceInProgress { group: self.id.to_string() }
    }

    /// SyncGroup: a member is told what it has.
    pub(crate) fn sync(&self, request: &SyncRequest, turn: &mut Turn<'_>) -> Result<Synced, Error> {
        let (id, metadata) = self.classic(&request.member, request.instance.as_deref())?;
        self.check_generation(&id, request.generation)?;
        let first = metadata.classic.as_ref().and_then(|classic| classic.protocols.first());
        let differs = |sent: &Option<String>, own: Option<&str>| sent.is_some() && sent.as_deref() != own;
        let name = first.map(|protocol| protocol.name.as_str());
        if differs(&request.protocol_type, Some(CONSUMER)) || differs(&request.protocol, name) {
            return Err(Error::InconsistentGroupProtocol {
                group: self.id.to_string(),
                protocol_type: request.protocol_type.clone().unwrap_or_default(),
                protocols: request.protocol.iter().cloned().collect(),
            });
        }
        let current = self.stored.current(&id);
        if self.stored.epoch() > current.epoch && current.state != MemberState::Unrevoked {
            return Err(self.rejoin(&id, &metadata, turn));
        }
        turn.timers.cancel(&self.id, Timer::MemberSync(id.clone()));
        self.renew_session(&id, turn);
        let version = first.and_then(|one| Subscription::read(&one.metadata).ok()).map_or(0, |read| read.version);
        let named = current.assigned.iter().filter_map(|(topic, partitions)| {
            Some((turn.cluster.name_of(*topic)?, partitions.keys().copied().collect()))
        });
        let assignment = write_assignment(version, &named.collect()).unwrap_or_default();
        Ok(Synced { protocol_type: Some(CONSUMER.to_owned()), protocol: name.map(str::to_owned), assignment })
    }

    /// Heartbeat: a member comes to join again when there is something for it to give back or to have.
    pub(crate) fn classic_beat(&self, request: &HeartbeatRequest, turn: &mut Turn<'_>) -> Result<(), Error> {
        let (id, metadata) = self.classic(&request.member, request.instance.as_deref())?;
        self.check_generation(&id, request.generation)?;
        self.renew_session(&id, turn);
        let current = self.stored.current(&id);
        let is_behind = current.epoch < self.stored.epoch()
            || current.state == MemberState::Unrevoked
            || (current.state == MemberState::Unreleased && !self.waits_for_others(&id));
        if is_behind { Err(self.rejoin(&id, &metadata, turn)) } else { Ok(()) }
    }

    /// Whether a partition that the member is to have is still another's.
    fn waits_for_others(&self, id: &str) -> bool {
        let current = self.stored.current(id);
        self.stored.target(id).iter().any(|(topic, partitions)| {
            partitions
                .iter()
                .any(|one| current.given_at(*topic, *one).is_none() && self.stored.is_taken_from(id, *topic, *one))
        })
    }

    /// LeaveGroup, of several members.
    pub(crate) fn classic_leave(&mut self, request: &LeaveRequest, turn: &mut Turn<'_>) -> Vec<Left> {
        let mut gone = BTreeSet::new();
        let answers = request
            .members
            .iter()
            .map(|leaving| {
                let found = self.leaving(leaving);
                let result = found.map(|id| {
                    gone.insert(id);
                });
                Left { member: leaving.member.clone(), instance: leaving.instance.clone(), result }
            })
            .collect();
        self.expel(gone, turn);
        answers
    }

    fn leaving(&self, leaving: &Leaving) -> Result<Arc<str>, Error> {
        match leaving.instance.as_deref() {
            // An administrator removes a static member of either protocol by its name alone.
            Some(instance) if leaving.member == UNKNOWN_MEMBER => {
                self.stored.holder(instance).ok_or_else(|| self.unknown(instance))
            }
            // An administrator may also remove a member of the new protocol by its id.
            None => Ok(self.dynamic(&leaving.member, false)?.id),
            instance => self.classic(&leaving.member, instance).map(|(id, _)| id),
        }
    }
}

/// A new member's id: Kafka's form, a UUID.
fn new_id(request: &JoinRequest) -> uuid::Uuid {
    uuid::Builder::from_random_bytes(request.random.to_be_bytes()).into_uuid()
}
