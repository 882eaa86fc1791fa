//! The membership of one classic group: members, votes, leader, generation. What requests and timers do to it is in the modules below.

mod join;
mod leave;
mod rebalance;
mod static_member;
mod sync;

use crate::Error;
use crate::layout::StoredGroup;
use crate::member::Member;
use crate::request::{JoinedMember, Protocol};
use crate::state::ClassicState;
use crate::subscription::{self, CONSUMER};
use crate::timers::Timer;
use crate::turn::Turn;
use bytes::Bytes;
use millstream_types::{Now, TimestampMs, Waiter};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How much longer an empty group waits for more members.
#[derive(Debug, Clone, Copy)]
struct InitialDelay {
    delay_ms: u64,
    remaining_ms: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Classic {
    pub(crate) id: Arc<str>,
    state: ClassicState,
    previous: ClassicState,
    state_since: Option<TimestampMs>,
    generation: i32,
    protocol_type: Option<String>,
    protocol: Option<String>,
    leader: Option<Arc<str>>,
    members: BTreeMap<Arc<str>, Member>,
    /// Instance ids and the members that hold them.
    statics: BTreeMap<String, Arc<str>>,
    /// Ids that were given out and not yet joined with.
    pending: BTreeSet<Arc<str>>,
    pending_sync: BTreeSet<Arc<str>>,
    /// How many members support each protocol.
    supported: BTreeMap<String, usize>,
    /// How many members' joins wait.
    joining: usize,
    initial_delay: Option<InitialDelay>,
    new_member_added: bool,
    subscribed: Option<BTreeSet<String>>,
    /// Whether the log holds a record of this group.
    pub(crate) is_stored: bool,
}

impl Classic {
    /// A group that nobody has joined.
    pub(crate) fn new(id: Arc<str>, now: Option<TimestampMs>) -> Self {
        Self {
            id,
            state: ClassicState::Empty,
            previous: ClassicState::Dead,
            state_since: now,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            pending: BTreeSet::new(),
            pending_sync: BTreeSet::new(),
            supported: BTreeMap::new(),
            joining: 0,
            initial_delay: None,
            new_member_added: false,
            subscribed: None,
            is_stored: false,
        }
    }

    /// A group as it was stored.
    pub(crate) fn loaded(id: Arc<str>, stored: StoredGroup) -> Self {
        let mut group = Self::new(id, stored.state_since);
        group.is_stored = true;
        group.generation = stored.generation;
        group.protocol = stored.protocol;
        group.state = if stored.members.is_empty() { ClassicState::Empty } else { ClassicState::Stable };
        let protocol_type = Some(stored.protocol_type).filter(|text| !text.is_empty());
        let protocol = group.protocol.clone();
        for member in stored.members {
            group.add(Member::stored(member, protocol.as_deref()), protocol_type.as_deref().unwrap_or_default());
        }
        group.protocol_type = protocol_type;
        group.leader = stored.leader.map(Arc::from);
        group.subscribed = group.compute_subscribed();
        group
    }

    pub(crate) fn state(&self) -> ClassicState {
        self.state
    }

    pub(crate) fn state_since(&self) -> Option<TimestampMs> {
        self.state_since
    }

    pub(crate) fn generation(&self) -> i32 {
        self.generation
    }

    pub(crate) fn protocol_type(&self) -> Option<&str> {
        self.protocol_type.as_deref()
    }

    pub(crate) fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    pub(crate) fn member(&self, id: &str) -> Option<&Member> {
        self.members.get(id)
    }

    pub(crate) fn is_consumer(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    /// Whether it has members, or expects any.
    pub(crate) fn has_members(&self) -> bool {
        !self.members.is_empty()
    }

    /// Whether nothing was ever stored of it and nobody holds an id of it.
    pub(crate) fn is_unborn(&self) -> bool {
        !self.is_stored && self.state == ClassicState::Empty && self.generation == 0 && self.pending.is_empty()
    }

    /// Whether an id was given out that nobody has joined with yet.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether it reads `topic`. A consumer group whose subscriptions are unknown may read any.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        self.subscribed.as_ref().map_or(self.is_consumer(), |topics| topics.contains(topic))
    }

    /// Whether its subscriptions are known.
    pub(crate) fn knows_subscriptions(&self) -> bool {
        self.subscribed.is_some()
    }

    /// The group is being deleted: nobody may join it any more.
    pub(crate) fn kill(&mut self, now: Now) {
        self.transition(ClassicState::Dead, now);
    }

    /// The deletion was not written: the group is as before.
    pub(crate) fn revive(&mut self) {
        if self.state == ClassicState::Dead {
            self.state = ClassicState::Empty;
        }
    }

    /// Starts the session timer of `id` anew.
    pub(crate) fn renew_session(&self, id: &str, turn: &mut Turn<'_>) {
        if let Some(member) = self.members.get(id) {
            let deadline = turn.now.elapsed_ms.saturating_add(member.session_ms());
            turn.timers.set(&self.id, Timer::Session(member.id.clone()), deadline);
        }
    }

    /// The group was read from the log: sessions begin, and one that is over the limit rebalances.
    pub(crate) fn begin_sessions(&mut self, turn: &mut Turn<'_>) {
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in &ids {
            self.renew_session(id, turn);
        }
        if ids.len() > turn.config.members_max {
            self.prepare_rebalance(turn);
        }
    }

    /// That `member` exists and, if static, holds its instance id.
    pub(crate) fn check_member(&self, member: &str, instance: Option<&str>) -> Result<(), Error> {
        let unknown = |name: &str| Error::UnknownMemberId { group: self.id.to_string(), member: name.to_owned() };
        if let Some(instance) = instance {
            let current = self.statics.get(instance).ok_or_else(|| unknown(instance))?;
            if **current != *member {
                return Err(Error::FencedInstanceId {
                    group: self.id.to_string(),
                    instance: instance.to_owned(),
                    sent: member.to_owned(),
                    current: current.to_string(),
                });
            }
        }
        if self.members.contains_key(member) { Ok(()) } else { Err(unknown(member)) }
    }

    /// That `generation` is the current one.
    pub(crate) fn check_generation(&self, generation: i32) -> Result<(), Error> {
        if generation == self.generation {
            return Ok(());
        }
        Err(Error::IllegalGeneration { group: self.id.to_string(), sent: generation, current: self.generation })
    }

    fn not_available(&self) -> Error {
        Error::CoordinatorNotAvailable { group: self.id.to_string() }
    }

    fn rebalancing(&self) -> Error {
        Error::RebalanceInProgress { group: self.id.to_string() }
    }

    fn transition(&mut self, to: ClassicState, now: Now) {
        self.previous = self.state;
        self.state = to;
        self.state_since = Some(now.wall);
    }

    fn is_leader(&self, id: &str) -> bool {
        self.leader.as_deref() == Some(id)
    }

    fn has_all_joined(&self) -> bool {
        self.members.len() == self.joining && self.pending.is_empty()
    }

    fn rebalance_timeout_ms(&self) -> u64 {
        let longest = self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0);
        u64::try_from(longest).unwrap_or(0)
    }

    /// Adds a member whose join does not wait. The first one gives the group its protocol type and leads it.
    fn add(&mut self, member: Member, protocol_type: &str) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.to_owned());
        }
        if self.leader.is_none() {
            self.leader = Some(member.id.clone());
        }
        if let Some(instance) = &member.instance {
            self.statics.insert(instance.clone(), member.id.clone());
        }
        self.count_protocols(&member.protocols);
        self.pending.remove(&member.id);
        self.members.insert(member.id.clone(), member);
    }

    /// Takes a member, or an id that was given out, out of the group with its timer.
    fn remove(&mut self, id: &str, turn: &mut Turn<'_>) -> Option<Member> {
        turn.timers.cancel(&self.id, Timer::Session(Arc::from(id)));
        self.pending.remove(id);
        self.pending_sync.remove(id);
        let member = self.members.remove(id)?;
        self.uncount_protocols(&member.protocols);
        self.joining -= usize::from(member.joining.is_some());
        if let Some(instance) = &member.instance
            && self.statics.get(instance).is_some_and(|holder| *holder == member.id)
        {
            self.statics.remove(instance);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    fn count_protocols(&mut self, protocols: &[Protocol]) {
        for protocol in protocols {
            *self.supported.entry(protocol.name.clone()).or_default() += 1;
        }
    }

    fn uncount_protocols(&mut self, protocols: &[Protocol]) {
        for protocol in protocols {
            if let Some(count) = self.supported.get_mut(&protocol.name) {
                *count -= 1;
                if *count == 0 {
                    self.supported.remove(&protocol.name);
                }
            }
        }
    }

    /// Parks the join of `id`; gives back the one that waited before it.
    fn set_joining(&mut self, id: &str, waiter: Option<Waiter>) -> Option<Waiter> {
        let member = self.members.get_mut(id)?;
        let before = std::mem::replace(&mut member.joining, waiter);
        self.joining = self.joining + usize::from(waiter.is_some()) - usize::from(before.is_some());
        before
    }

    /// Whether a member with these protocols fits in: some protocol of its is supported by every member.
    fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.state == ClassicState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols
                .iter()
                .any(|protocol| self.supported.get(&protocol.name).copied().unwrap_or(0) == self.members.len())
    }

    /// The protocol with the most votes among those that every member supports; of several, the first by name.
    fn select_protocol(&self) -> Option<String> {
        let everyone = self.members.len();
        let candidates: BTreeSet<&str> =
            self.supported.iter().filter(|(_, count)| **count == everyone).map(|(name, _)| name.as_str()).collect();
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for vote in self.members.values().filter_map(|member| member.vote(&candidates)) {
            *votes.entry(vote).or_default() += 1;
        }
        let most = votes.values().max().copied()?;
        votes.iter().find(|(_, count)| **count == most).map(|(name, _)| (*name).to_owned())
    }

    /// The topics all members subscribe to; none when this group's protocol does not tell.
    fn compute_subscribed(&self) -> Option<BTreeSet<String>> {
        if !self.is_consumer() {
            return None;
        }
        let mut topics = BTreeSet::new();
        if self.members.is_empty() {
            return Some(topics);
        }
        let protocol = self.protocol.as_deref()?;
        for member in self.members.values() {
            subscription::add_topics(&member.metadata(Some(protocol)), &mut topics)?;
        }
        Some(topics)
    }

    fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol.as_deref();
        self.members
            .values()
            .map(|member| JoinedMember {
                member: member.id.to_string(),
                instance: member.instance.clone(),
                metadata: member.metadata(protocol),
            })
            .collect()
    }

    /// The group as it is stored with these assignments.
    fn to_stored(&self, assignment: impl Fn(&Member) -> Bytes) -> StoredGroup {
        let protocol = self.protocol.as_deref();
        StoredGroup {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.as_deref().map(str::to_owned),
            state_since: self.state_since,
            members: self.members.values().map(|member| member.to_stored(protocol, assignment(member))).collect(),
        }
    }
}
