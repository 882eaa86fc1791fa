//! What answers frames, and what an answer is.

use async_trait::async_trait;
use bytes::Bytes;
use millstream_runtime::FileRange;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the handler has to find out who a peer is, and whether it has.
#[derive(Debug, Default)]
pub struct Authentication {
    is_needed: bool,
    is_done: AtomicBool,
}

impl Authentication {
    /// The handler has to.
    #[must_use]
    pub const fn needed() -> Self {
        Self { is_needed: true, is_done: AtomicBool::new(false) }
    }

    /// Whether the handler has to.
    #[must_use]
    pub const fn is_needed(&self) -> bool {
        self.is_needed
    }

    /// Whether nothing is left to find out.
    #[must_use]
    pub fn is_done(&self) -> bool {
        !self.is_needed || self.is_done.load(Ordering::Relaxed)
    }

    /// The peer is known now, and may send frames as large as anybody.
    pub fn done(&self) {
        self.is_done.store(true, Ordering::Relaxed);
    }
}

/// Where a request came from.
#[derive(Debug)]
pub struct ConnectionContext {
    /// The listener's name.
    pub listener: Arc<str>,
    /// The peer's address.
    pub peer: SocketAddr,
    /// The connection's number, unique in this process.
    pub id: u64,
    /// Who the peer is as far as the listener knows: `User:` and the subject of its certificate, or `User:ANONYMOUS`.
    pub principal: Arc<str>,
    /// Whether the handler has to find that out.
    pub authentication: Authentication,
}

impl ConnectionContext {
    /// A connection of nobody.
    #[must_use]
    pub fn new(listener: Arc<str>, peer: SocketAddr, id: u64) -> Self {
        Self { listener, peer, id, principal: "User:ANONYMOUS".into(), authentication: Authentication::default() }
    }
}

/// A piece of an answer, in the order of the wire.
#[derive(Debug, Clone)]
pub enum Part {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Part of a file, sent from the page cache where it is there.
    File(FileRange),
}

impl Part {
    /// How many bytes it puts on the wire.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::File(range) => range.len,
        }
    }

    /// Whether it puts none there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Bytes> for Part {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Answer {
    /// Send these, one after another: a whole frame with its length.
    Reply(Vec<Part>),
    /// Send nothing and go on (a produce request with acks=0).
    NoReply,
    /// Send these and close, for the reason given, which is logged.
    Last(Vec<Part>, String),
    /// Send nothing more and close, for the reason given, which is logged.
    Close(String),
}

/// A request, as it came.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Its bytes, without their length. They may share a read buffer of some KiB with others: copy what is kept for long.
    pub bytes: Bytes,
    /// Whether another frame of the same connection is begun as soon as this one waits.
    pub more: bool,
}

/// Answers requests. The frames of one connection come one at a time, each after the answer to the one before has been sent; but those
/// that overlap and are there together are begun one right after the other. Their answers leave in order all the same.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Answers one frame.
    async fn handle(&self, connection: &ConnectionContext, frame: Frame) -> Answer;

    /// Whether the frame may be begun before other such frames are answered: it does all that depends on their order before it first
    /// waits.
    fn overlaps(&self, _frame: &[u8]) -> bool {
        false
    }

    /// Whether the frame may be answered long after it came, as one that waits for records is.
    fn lingers(&self, _frame: &[u8]) -> bool {
        false
    }

    /// Told when a connection has ended, whatever ended it.
    fn closed(&self, _connection: &ConnectionContext) {}
}
