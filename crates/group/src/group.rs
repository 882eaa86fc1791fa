//! One group: its members, of one protocol or the other, its offsets, and the requests that wait for its records to be written.

mod share;

use crate::Error;
use crate::classic::Classic;
use crate::config::PARKED_MAX;
use crate::consumer::member::JOIN_EPOCH;
use crate::consumer::{Consumer, Joining, Next};
use crate::effects::{Reply, WriteError};
use crate::offsets::Offsets;
use crate::request::{
    AlterShares, Beaten, ConsumerHeartbeatRequest, GroupType, JoinRequest, LeaveRequest, ShareHeartbeatRequest,
    ShareWorked, SyncRequest, UNKNOWN_MEMBER,
};
use crate::state::ClassicState;
use crate::timers::Timer;
use crate::turn::{Turn, not_written};
use crate::{GroupState, JoinRefused};
use millstream_types::Waiter;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Who the members are.
#[derive(Debug)]
pub(crate) enum Membership {
    Classic(Box<Classic>),
    Consumer(Box<Consumer>),
    Share(Box<Consumer>),
}

/// What is asked of a group's membership: by clients, by time, or by what was found out for it.
#[derive(Debug)]
pub(crate) enum Ask {
    Beat(ConsumerHeartbeatRequest, Waiter),
    Join(JoinRequest, Waiter),
    Sync(SyncRequest, Waiter),
    Leave(LeaveRequest, Waiter),
    Due(Timer),
    Resolved(BTreeMap<Arc<str>, BTreeSet<String>>),
    Share(ShareHeartbeatRequest, Waiter),
    AlterShares(AlterShares, Waiter),
    /// The offsets of these topics are to be deleted; of all of them where none is named: the group is.
    DeleteShares(Option<Vec<String>>, Waiter),
    /// What the share coordinator was asked to do is done.
    SharesWorked(ShareWorked),
    /// A topic is no more.
    TopicDeleted(String),
}

impl Ask {
    /// Whether somebody waits for an answer.
    const fn is_awaited(&self) -> bool {
        match self {
            Self::Beat(..)
            | Self::Join(..)
            | Self::Sync(..)
            | Self::Leave(..)
            | Self::Share(..)
            | Self::AlterShares(..)
            | Self::DeleteShares(..) => true,
            Self::Due(_) | Self::Resolved(_) | Self::SharesWorked(_) | Self::TopicDeleted(_) => false,
        }
    }

    /// Its refusal; what nobody waits for has none.
    fn refused(self, error: &Error) -> Option<(Waiter, Reply)> {
        match self {
            Self::Beat(_, waiter) => Some((waiter, Reply::Beat(Err(error.clone())))),
            Self::Join(request, waiter) => {
                let refused = JoinRefused { member: request.member, error: error.clone() };
                Some((waiter, Reply::Join(Err(refused))))
            }
            Self::Sync(_, waiter) => Some((waiter, Reply::Sync(Err(error.clone())))),
            Self::Leave(_, waiter) => Some((waiter, Reply::Leave(Err(error.clone())))),
            Self::Share(_, waiter) => Some((waiter, Reply::Beat(Err(error.clone())))),
            Self::AlterShares(_, waiter) => Some((waiter, Reply::SharesAltered(Err(error.clone())))),
            Self::DeleteShares(_, waiter) => Some((waiter, Reply::SharesDeleted(Err(error.clone())))),
            Self::Due(_) | Self::Resolved(_) | Self::SharesWorked(_) | Self::TopicDeleted(_) => None,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: Arc<str>,
    pub(crate) membership: Membership,
    pub(crate) offsets: Offsets,
    /// The classic group that this was, until it is written that it is one no more.
    before: Option<Box<Classic>>,
    parked: VecDeque<Ask>,
}

impl Group {
    pub(crate) fn new(classic: Classic, offsets: Offsets) -> Self {
        let id = classic.id.clone();
        let (before, parked) = (None, VecDeque::new());
        Self { id, membership: Membership::Classic(Box::new(classic)), offsets, before, parked }
    }

    pub(crate) fn classic(&self) -> Option<&Classic> {
        match &self.membership {
            Membership::Classic(classic) => Some(classic),
            Membership::Consumer(_) | Membership::Share(_) => None,
        }
    }

    pub(crate) fn classic_mut(&mut self) -> Option<&mut Classic> {
        match &mut self.membership {
            Membership::Classic(classic) => Some(classic),
            Membership::Consumer(_) | Membership::Share(_) => None,
        }
    }

    /// The group as one of the new protocol, of consumers or of share consumers.
    fn modern_mut(&mut self) -> Option<&mut Consumer> {
        match &mut self.membership {
            Membership::Classic(_) => None,
            Membership::Consumer(consumer) | Membership::Share(consumer) => Some(consumer),
        }
    }

    pub(crate) fn share_mut(&mut self) -> Option<&mut Consumer> {
        match &mut self.membership {
            Membership::Classic(_) | Membership::Consumer(_) => None,
            Membership::Share(share) => Some(share),
        }
    }

    pub(crate) fn state(&self) -> GroupState {
        match &self.membership {
            Membership::Classic(classic) => classic.state().into(),
            Membership::Consumer(consumer) => consumer.stored.state(),
            Membership::Share(share) if share.is_empty() => GroupState::Empty,
            Membership::Share(_) => GroupState::Stable,
        }
    }

    pub(crate) const fn group_type(&self) -> GroupType {
        match &self.membership {
            Membership::Classic(_) => GroupType::Classic,
            Membership::Consumer(_) => GroupType::Consumer,
            Membership::Share(_) => GroupType::Share,
        }
    }

    pub(crate) fn is_unused(&self) -> bool {
        let is_nobody = match &self.membership {
            Membership::Classic(classic) => classic.is_unborn(),
            Membership::Consumer(_) => false,
            Membership::Share(share) => share.is_blank(),
        };
        is_nobody && self.offsets.is_empty() && self.parked.is_empty()
    }

    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.membership {
            Membership::Classic(classic) => classic.is_subscribed_to(topic),
            Membership::Consumer(consumer) | Membership::Share(consumer) => consumer.is_subscribed_to(topic),
        }
    }

    /// Decides what is asked; while records of the group are being written, after that.
    pub(crate) fn ask(&mut self, ask: Ask, turn: &mut Turn<'_>) {
        if self.is_closed() {
            if self.parked.len() < PARKED_MAX || !ask.is_awaited() {
                self.parked.push_back(ask);
            } else if let Some((waiter, reply)) = ask.refused(&self.not_available()) {
                turn.reply(waiter, reply);
            }
            return;
        }
        self.decide(ask, turn);
        self.flush(turn);
    }

    fn not_available(&self) -> Error {
        Error::CoordinatorNotAvailable { group: self.id.to_string() }
    }

    /// Whether what was decided has to be written first.
    pub(crate) fn is_closed(&self) -> bool {
        match &self.membership {
            Membership::Classic(_) => false,
            Membership::Consumer(consumer) | Membership::Share(consumer) => consumer.is_closed(),
        }
    }

    fn flush(&mut self, turn: &mut Turn<'_>) {
        if let Some(modern) = self.modern_mut() {
            modern.flush(turn);
        }
        if self.is_closed() {
            return;
        }
        // What could not be asked to be written is not what it was to become either, and what waited for it waits for nothing.
        self.take_back(turn);
        let error = not_written(&self.id, WriteError::TooLarge);
        for (waiter, reply) in std::mem::take(&mut self.parked).into_iter().filter_map(|ask| ask.refused(&error)) {
            turn.reply(waiter, reply);
        }
    }

    fn decide(&mut self, ask: Ask, turn: &mut Turn<'_>) {
        match ask {
            Ask::Beat(request, waiter) => self.beat(&request, waiter, turn),
            Ask::Join(request, waiter) => self.join(request, waiter, turn),
            Ask::Sync(request, waiter) => match &mut self.membership {
                Membership::Classic(classic) => classic.sync(request, waiter, turn),
                Membership::Share(_) => {
                    let error = Error::UnknownMemberId { group: request.group, member: request.member };
                    turn.reply(waiter, Reply::Sync(Err(error)));
                }
                Membership::Consumer(consumer) => {
                    let answer = consumer.sync(&request, turn);
                    consumer.answer(waiter, Reply::Sync(answer));
                }
            },
            Ask::Leave(request, waiter) => match &mut self.membership {
                Membership::Classic(classic) => {
                    let answer = classic.leave(&request, turn);
                    turn.reply_when_written(waiter, Reply::Leave(answer));
                }
                Membership::Share(_) => {
                    let member = request.members.into_iter().next().map_or_else(String::new, |leaving| leaving.member);
                    let error = Error::UnknownMemberId { group: request.group, member };
                    turn.reply(waiter, Reply::Leave(Err(error)));
                }
                Membership::Consumer(consumer) => {
                    let answer = consumer.classic_leave(&request, turn);
                    consumer.answer(waiter, Reply::Leave(Ok(answer)));
                }
            },
            Ask::Due(timer) => self.due(timer, turn),
            Ask::Resolved(matched) => {
                if let Membership::Consumer(consumer) = &mut self.membership {
                    consumer.resolved(&matched, turn);
                }
            }
            Ask::Share(..)
            | Ask::AlterShares(..)
            | Ask::DeleteShares(..)
            | Ask::SharesWorked(_)
            | Ask::TopicDeleted(_) => self.decide_share(ask, turn),
        }
    }

    fn due(&mut self, timer: Timer, turn: &mut Turn<'_>) {
        match (&mut self.membership, timer) {
            (Membership::Classic(classic), Timer::Join) => classic.join_expired(turn),
            (Membership::Classic(classic), Timer::Sync) => classic.sync_expired(turn),
            (Membership::Classic(classic), Timer::Session(member)) => classic.session_expired(&member, turn),
            (Membership::Consumer(consumer), Timer::Revocation(member)) => consumer.revocation_expired(&member, turn),
            (
                Membership::Consumer(consumer),
                Timer::Session(member) | Timer::Rejoin(member) | Timer::MemberSync(member),
            ) => {
                consumer.expired(&member, turn);
            }
            (Membership::Share(share), Timer::Session(member)) => share.share_expired(&member, turn),
            // Of the protocol that the group had before.
            (Membership::Classic(_), Timer::Revocation(_) | Timer::Rejoin(_) | Timer::MemberSync(_))
            | (Membership::Consumer(_), Timer::Join | Timer::Sync)
            | (
                Membership::Share(_),
                Timer::Join | Timer::Sync | Timer::Revocation(_) | Timer::Rejoin(_) | Timer::MemberSync(_),
            ) => {}
        }
    }

    fn beat(&mut self, request: &ConsumerHeartbeatRequest, waiter: Waiter, turn: &mut Turn<'_>) {
        let classic = match &mut self.membership {
            Membership::Classic(classic) => classic,
            Membership::Share(_) => {
                let error = Error::OtherProtocol { group: request.group.clone(), wanted: GroupType::Consumer.name() };
                return turn.reply(waiter, Reply::Beat(Err(error)));
            }
            Membership::Consumer(consumer) => {
                let answer =
                    if request.leaves() { consumer.leave(request, turn) } else { consumer.beat(request, turn) };
                return consumer.answer(waiter, Reply::Beat(answer));
            }
        };
        match upgraded(classic, request, turn) {
            Err(error) => turn.reply(waiter, Reply::Beat(Err(error))),
            Ok((mut consumer, answer)) => {
                classic.hand_over(turn);
                consumer.answer(waiter, Reply::Beat(Ok(answer)));
                let before = std::mem::replace(&mut self.membership, Membership::Consumer(Box::new(consumer)));
                if let Membership::Classic(classic) = before {
                    self.before = Some(classic);
                }
            }
        }
    }

    fn join(&mut self, request: JoinRequest, waiter: Waiter, turn: &mut Turn<'_>) {
        match &mut self.membership {
            Membership::Classic(classic) => classic.join(&request, waiter, turn),
            Membership::Share(_) => turn.refuse_join(waiter, UNKNOWN_MEMBER, of_another_protocol(request)),
            Membership::Consumer(consumer) if consumer.is_empty() => {
                // Nothing of a group without members is worth more than the protocol of who comes: it is deleted first.
                consumer.delete(Vec::new());
                self.parked.push_front(Ask::Join(request, waiter));
            }
            Membership::Consumer(consumer) => match consumer.join(&request, turn) {
                Joining::Answered(answer) => consumer.answer(waiter, Reply::Join(answer)),
                Joining::Downgrading => self.parked.push_front(Ask::Join(request, waiter)),
            },
        }
    }

    /// The group's records are written, or are not: it becomes what it was to become, and what waited is decided, all of it together.
    pub(crate) fn written(&mut self, next: Next, outcome: Result<(), WriteError>, turn: &mut Turn<'_>) {
        if let Some(modern) = self.modern_mut() {
            modern.settled(outcome, turn);
        }
        match (next, outcome) {
            (_, Err(_)) => self.take_back(turn),
            (Next::Stay, Ok(())) => self.before = None,
            (Next::Gone, Ok(())) => self.become_classic(Classic::new(self.id.clone(), None)),
            (Next::Classic(stored), Ok(())) => {
                let mut classic = Classic::loaded(self.id.clone(), *stored);
                classic.resume(turn);
                self.become_classic(classic);
            }
        }
        while !self.is_closed() {
            let Some(ask) = self.parked.pop_front() else { break };
            self.decide(ask, turn);
        }
        self.flush(turn);
    }

    fn become_classic(&mut self, classic: Classic) {
        self.before = None;
        self.membership = Membership::Classic(Box::new(classic));
    }

    /// It was not written that the group goes over to the new protocol.
    fn take_back(&mut self, turn: &mut Turn<'_>) {
        if let Some(mut classic) = self.before.take() {
            classic.resume(turn);
            self.membership = Membership::Classic(classic);
        }
    }

    /// This node stops coordinating the group: whoever waits is told to look elsewhere.
    pub(crate) fn unload(&mut self, turn: &mut Turn<'_>) {
        let error = Error::NotCoordinator { group: self.id.to_string() };
        for ask in std::mem::take(&mut self.parked) {
            if let Some((waiter, reply)) = ask.refused(&error) {
                turn.reply(waiter, reply);
            }
        }
        if let Some(classic) = self.classic_mut() {
            classic.unload(turn);
        }
    }
}

fn of_another_protocol(request: JoinRequest) -> Error {
    Error::InconsistentGroupProtocol {
        group: request.group,
        protocol_type: request.protocol_type,
        protocols: request.protocols.into_iter().map(|protocol| protocol.name).collect(),
    }
}

/// The group of the new protocol that a classic one becomes by the first heartbeat of a member, and the answer to that.
fn upgraded(
    classic: &Classic,
    request: &ConsumerHeartbeatRequest,
    turn: &mut Turn<'_>,
) -> Result<(Consumer, Beaten), Error> {
    let group = || classic.id.to_string();
    if classic.state() == ClassicState::Dead {
        return Err(Error::CoordinatorNotAvailable { group: group() });
    }
    if request.epoch != JOIN_EPOCH {
        return Err(Error::OtherProtocol { group: group(), wanted: GroupType::Consumer.name() });
    }
    let mut consumer = Consumer::from_classic(classic, turn)?;
    let answer = consumer.beat(request, turn)?;
    Ok((consumer, answer))
}
