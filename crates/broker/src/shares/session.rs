//! Share sessions (KIP-932): which partitions a member fetches, kept here so that it sends only what changes. Pure.
//!
//! ```text
//!   epoch 0    begin anew, in place of the member's session before
//!   epoch n    go on; n must be the one after the last
//!   epoch -1   end: what the member has is given back
//! ```

use millstream_types::TopicId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The epoch of a request that begins a session.
pub(crate) const INITIAL_EPOCH: i32 = 0;
/// The epoch of a member's last request.
pub(crate) const FINAL_EPOCH: i32 = -1;

/// Whose session it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Member {
    pub(crate) group: Arc<str>,
    pub(crate) id: Arc<str>,
}

/// A partition of a topic.
pub(crate) type Partition = (TopicId, i32);

/// Why a session can't be begun or gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is none.
    NotFound,
    /// A request was lost or doubled.
    Epoch,
    /// There are as many as may be.
    TooMany,
    /// A member that begins has nothing to acknowledge.
    AcknowledgesFirst,
}

/// The session part of a ShareFetch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) epoch: i32,
    /// Whether something is acknowledged.
    pub(crate) acknowledges: bool,
    /// Partitions to add.
    pub(crate) wanted: Vec<Partition>,
    /// Partitions to forget.
    pub(crate) forgotten: Vec<Partition>,
}

/// What is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Context {
    /// Only what changed is answered.
    pub(crate) incremental: bool,
    /// The session ends with this.
    pub(crate) ends: bool,
    /// The partitions, in the order in which they are read.
    pub(crate) partitions: Vec<Partition>,
}

struct Session {
    epoch: i32,
    connection: u64,
    /// In the order in which they came; whether the client has yet to hear of the partition.
    partitions: Vec<(Partition, bool)>,
}

/// The share sessions of a broker, at most `max`.
pub(crate) struct Sessions {
    max: usize,
    sessions: BTreeMap<Member, Session>,
}

const fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

impl Sessions {
    /// Room for that many.
    pub(crate) const fn new(max: usize) -> Self {
        Self { max, sessions: BTreeMap::new() }
    }

    /// What a ShareFetch of `member` on `connection` fetches. One that ends the session leaves it to [`Self::end`].
    pub(crate) fn fetch(&mut self, member: &Member, request: Request, connection: u64) -> Result<Context, Refused> {
        match request.epoch {
            FINAL_EPOCH => self.last(member),
            INITIAL_EPOCH => self.begin(member, request, connection),
            _ => self.go_on(member, request),
        }
    }

    /// Whether a member of `group` has a session.
    pub(crate) fn has_member_of(&self, group: &Arc<str>) -> bool {
        let first = Member { group: group.clone(), id: Arc::from("") };
        self.sessions.range(first..).next().is_some_and(|(member, _)| member.group == *group)
    }

    /// Whatever it wants, it gets no more records.
    fn last(&self, member: &Member) -> Result<Context, Refused> {
        if !self.sessions.contains_key(member) {
            return Err(Refused::NotFound);
        }
        Ok(Context { incremental: true, ends: true, partitions: Vec::new() })
    }

    fn begin(&mut self, member: &Member, request: Request, connection: u64) -> Result<Context, Refused> {
        if request.acknowledges {
            return Err(Refused::AcknowledgesFirst);
        }
        self.sessions.remove(member);
        if self.sessions.len() >= self.max {
            return Err(Refused::TooMany);
        }
        let mut session = Session { epoch: next_epoch(INITIAL_EPOCH), connection, partitions: Vec::new() };
        request.wanted.iter().for_each(|wanted| session.want(*wanted, false));
        let partitions = session.in_turn(INITIAL_EPOCH);
        self.sessions.insert(member.clone(), session);
        Ok(Context { incremental: false, ends: false, partitions })
    }

    fn go_on(&mut self, member: &Member, request: Request) -> Result<Context, Refused> {
        let session = self.sessions.get_mut(member).ok_or(Refused::NotFound)?;
        if session.epoch != request.epoch {
            return Err(Refused::Epoch);
        }
        request.wanted.iter().for_each(|wanted| session.want(*wanted, true));
        session.partitions.retain(|(partition, _)| !request.forgotten.contains(partition));
        session.epoch = next_epoch(session.epoch);
        Ok(Context { incremental: true, ends: false, partitions: session.in_turn(request.epoch) })
    }

    /// A ShareAcknowledge of `member`. One that ends the session leaves it to [`Self::end`].
    pub(crate) fn acknowledge(&mut self, member: &Member, epoch: i32) -> Result<(), Refused> {
        if epoch == INITIAL_EPOCH {
            return Err(Refused::Epoch);
        }
        let session = self.sessions.get_mut(member).ok_or(Refused::NotFound)?;
        if epoch == FINAL_EPOCH {
            return Ok(());
        }
        if session.epoch != epoch {
            return Err(Refused::Epoch);
        }
        session.epoch = next_epoch(session.epoch);
        Ok(())
    }

    /// Notes what the client is told of a partition; returns whether it has to be told.
    pub(crate) fn answered(&mut self, member: &Member, partition: Partition, has_records: bool, failed: bool) -> bool {
        let session = self.sessions.get_mut(member);
        let known = session.and_then(|session| session.partitions.iter_mut().find(|(known, _)| *known == partition));
        let Some((_, is_new)) = known else { return true };
        // After an error the client hears of the partition once more.
        std::mem::replace(is_new, failed) || has_records || failed
    }

    /// Ends the session of `member`. None where there is none.
    pub(crate) fn end(&mut self, member: &Member) -> Option<()> {
        self.sessions.remove(member).map(|_| ())
    }

    /// The connection is closed: whose sessions ended with it.
    pub(crate) fn disconnected(&mut self, connection: u64) -> Vec<Member> {
        let ended = self.sessions.extract_if(.., |_, session| session.connection == connection);
        ended.map(|(member, _)| member).collect()
    }
}

impl Session {
    fn want(&mut self, wanted: Partition, is_new: bool) {
        if !self.partitions.iter().any(|(known, _)| *known == wanted) {
            self.partitions.push((wanted, is_new));
        }
    }

    /// Every partition comes first in its turn.
    fn in_turn(&self, epoch: i32) -> Vec<Partition> {
        let mut partitions: Vec<Partition> = self.partitions.iter().map(|(partition, _)| *partition).collect();
        let turn = usize::try_from(epoch).unwrap_or(0).checked_rem(partitions.len()).unwrap_or(0);
        partitions.rotate_left(turn);
        partitions
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
