//! JoinGroup: a member enters, or comes back for the next generation.

use super::Classic;
use crate::Error;
use crate::config::{NAME_BYTES_MAX, NEW_MEMBER_JOIN_TIMEOUT_MS};
use crate::effects::Reply;
use crate::member::Member;
use crate::request::{JoinRequest, Joined, UNKNOWN_MEMBER};
use crate::state::ClassicState;
use crate::timers::Timer;
use crate::turn::Turn;
use millstream_types::Waiter;
use std::sync::Arc;

/// Bytes of a UUID in text, and the dash before it.
const MEMBER_ID_SUFFIX: usize = 37;

impl Classic {
    /// Decides a join; `waiter` is answered now, when the generation is complete, or when the join can't be.
    pub(crate) fn join(&mut self, request: &JoinRequest, waiter: Waiter, turn: &mut Turn<'_>) {
        if !self.has_room_for(&request.member, turn) {
            self.remove(&request.member, turn);
            let max = turn.config.members_max;
            let error = Error::GroupMaxSizeReached { group: self.id.to_string(), max };
            turn.refuse_join(waiter, UNKNOWN_MEMBER, error);
            self.maybe_complete_join(turn);
        } else if self.state == ClassicState::Dead {
            turn.refuse_join(waiter, &request.member, self.not_available());
        } else if !self.supports(&request.protocol_type, &request.protocols) {
            turn.refuse_join(waiter, &request.member, self.inconsistent(request));
        } else if request.member == UNKNOWN_MEMBER {
            self.join_new(request, waiter, turn);
        } else if request.instance.is_none() && self.pending.contains(request.member.as_str()) {
            self.add_and_rebalance(Arc::from(request.member.as_str()), request, waiter, turn);
        } else if let Err(error) = self.check_member(&request.member, request.instance.as_deref()) {
            turn.refuse_join(waiter, &request.member, error);
        } else {
            self.join_again(request, waiter, turn);
        }
    }

    /// Whether one more may join. While a rebalance is prepared those that wait count, so that the last to come back are kept out
    /// when the limit was lowered.
    fn has_room_for(&self, member: &str, turn: &Turn<'_>) -> bool {
        let max = turn.config.members_max;
        match self.state {
            ClassicState::Empty | ClassicState::Dead => true,
            ClassicState::PreparingRebalance => {
                self.members.get(member).is_some_and(|member| member.joining.is_some()) || self.joining < max
            }
            ClassicState::CompletingRebalance | ClassicState::Stable => {
                self.members.contains_key(member) || self.members.len() < max
            }
        }
    }

    fn inconsistent(&self, request: &JoinRequest) -> Error {
        Error::InconsistentGroupProtocol {
            group: self.id.to_string(),
            protocol_type: request.protocol_type.clone(),
            protocols: request.protocols.iter().map(|protocol| protocol.name.clone()).collect(),
        }
    }

    fn join_new(&mut self, request: &JoinRequest, waiter: Waiter, turn: &mut Turn<'_>) {
        let holder = request.instance.as_ref().and_then(|instance| self.statics.get(instance)).cloned();
        if let Some(old) = holder {
            self.replace_static(&old, request, waiter, turn);
            return;
        }
        let id = new_member_id(request);
        if request.instance.is_none() && request.requires_known_member {
            // The id is kept for as long as a member may be silent: then it is taken for a client that gave up.
            let session_ms = u64::try_from(request.session_timeout_ms).unwrap_or(0);
            turn.timers.set(&self.id, Timer::Session(id.clone()), turn.now.elapsed_ms.saturating_add(session_ms));
            self.pending.insert(id.clone());
            let error = Error::MemberIdRequired { group: self.id.to_string(), member: id.to_string() };
            turn.refuse_join(waiter, &id, error);
        } else {
            self.add_and_rebalance(id, request, waiter, turn);
        }
    }

    fn join_again(&mut self, request: &JoinRequest, waiter: Waiter, turn: &mut Turn<'_>) {
        let id = request.member.as_str();
        let is_leader = self.is_leader(id);
        let is_same = self.member(id).is_some_and(|member| member.protocols == request.protocols);
        match self.state {
            ClassicState::PreparingRebalance => self.update_and_rebalance(request, waiter, turn),
            // It may have missed the answer to its join: it is given again.
            ClassicState::CompletingRebalance if is_same => {
                turn.reply(waiter, Reply::Join(Ok(self.joined(id, is_leader))));
            }
            // A follower without a change may go on to sync. A leader that joins asks for a rebalance: it knows of a change
            // that its metadata does not show, such as new partitions.
            ClassicState::Stable if is_same && !is_leader => {
                turn.reply(waiter, Reply::Join(Ok(self.joined(id, false))));
            }
            ClassicState::CompletingRebalance | ClassicState::Stable => {
                self.update_and_rebalance(request, waiter, turn)
            }
            ClassicState::Empty | ClassicState::Dead => {
                let error = Error::UnknownMemberId { group: self.id.to_string(), member: id.to_owned() };
                turn.refuse_join(waiter, id, error);
            }
        }
    }

    /// The answer to a member's join in the current generation.
    pub(super) fn joined(&self, id: &str, with_members: bool) -> Joined {
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.as_deref().unwrap_or_default().to_owned(),
            member: id.to_owned(),
            skip_assignment: false,
            members: if with_members { self.joined_members() } else { Vec::new() },
        }
    }

    fn add_and_rebalance(&mut self, id: Arc<str>, request: &JoinRequest, waiter: Waiter, turn: &mut Turn<'_>) {
        if self.state == ClassicState::PreparingRebalance && self.previous == ClassicState::Empty {
            self.new_member_added = true;
        }
        self.add(Member::joined(id.clone(), request), &request.protocol_type);
        self.set_joining(&id, Some(waiter));
        // It can't send heartbeats before it has an answer, and a closed connection is not seen while the join waits: a member
        // whose client gave up must not stay for ever.
        let deadline = turn.now.elapsed_ms.saturating_add(NEW_MEMBER_JOIN_TIMEOUT_MS);
        turn.timers.set(&self.id, Timer::Session(id), deadline);
        self.rebalance_or_complete(turn);
    }

    fn update_and_rebalance(&mut self, request: &JoinRequest, waiter: Waiter, turn: &mut Turn<'_>) {
        self.update(&request.member, request, Some(waiter), turn);
        self.rebalance_or_complete(turn);
    }

    /// Takes over what a member says of itself when it joins again, and parks its join.
    pub(super) fn update(&mut self, id: &str, request: &JoinRequest, waiter: Option<Waiter>, turn: &mut Turn<'_>) {
        let Some(member) = self.members.get_mut(id) else { return };
        let before = std::mem::replace(&mut member.protocols, request.protocols.clone());
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        member.session_timeout_ms = request.session_timeout_ms;
        self.uncount_protocols(&before);
        self.count_protocols(&request.protocols);
        // An older join of the same member, from a connection it gave up.
        if let Some(superseded) = self.set_joining(id, waiter) {
            turn.refuse_join(superseded, id, self.rebalancing());
        }
    }
}

/// A new id: whose it is in words, and a random part.
pub(super) fn new_member_id(request: &JoinRequest) -> Arc<str> {
    let name = request.instance.as_deref().unwrap_or(&request.client_id);
    // Stored names have a limit; what identifies the member is the random part.
    let end = name.floor_char_boundary(NAME_BYTES_MAX - MEMBER_ID_SUFFIX);
    let random = uuid::Builder::from_random_bytes(request.random.to_be_bytes()).into_uuid();
    format!("{}-{random}", &name[..end]).into()
}
