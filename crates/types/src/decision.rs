//! What every coordinator's decisions are made with: their time, and the names of what waits.

use crate::TimestampMs;

/// The time of a decision. Both clocks, since the wall clock may jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// What is stored, and compared with what was: times of commits, beginnings of transactions.
    pub wall: TimestampMs,
    /// What timers run by: milliseconds since some fixed moment of the process.
    pub elapsed_ms: u64,
}

/// Names one waiting request; the shell hands it in and gets it back with the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Waiter(pub u64);

/// Names one write; the shell hands it back with what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);
