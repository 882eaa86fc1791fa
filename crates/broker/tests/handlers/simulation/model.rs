//! What a simulated node owes its clients: what was acknowledged, and what may have been done when it crashed.

use std::collections::BTreeSet;

/// One partition's producer: idempotent, one batch on its way at a time.
#[derive(Default)]
pub struct Lane {
    /// The values that were acknowledged; each one's offset is its place.
    pub acked: Vec<String>,
    /// The batch whose acknowledgement is awaited, also over a crash: it is sent again, with the same sequence.
    pub pending: Option<Vec<String>>,
}

impl Lane {
    /// The sequence of the batch on its way, or of the next one.
    pub fn sequence(&self) -> i32 {
        i32::try_from(self.acked.len()).unwrap()
    }

    /// Takes in that the batch on its way is at `base`.
    pub fn answered(&mut self, base: i64) {
        assert_eq!(base, i64::from(self.sequence()), "a batch is where its producer's order puts it");
        self.acked.extend(self.pending.take().unwrap());
    }

    /// Holds the log to it: all that was acknowledged, once and in order, then the batch on its way, or nothing.
    pub fn check(&self, log: &[String], context: &str) {
        let known = self.acked.len();
        assert!(log.len() >= known, "{context}: {} of {known} acknowledged records are there", log.len());
        assert_eq!(log[..known], self.acked, "{context}");
        assert!(
            log.len() == known || Some(&log[known..]) == self.pending.as_deref(),
            "{context}: what follows was never sent"
        );
    }
}

/// A group's offset.
#[derive(Default)]
pub struct Commits {
    pub tried: BTreeSet<i64>,
    pub acked: Option<i64>,
    /// One is on its way: a second could overtake it.
    pub waiting: bool,
}

/// Topics.
#[derive(Default)]
pub struct Topics {
    pub tried: BTreeSet<String>,
    pub made: BTreeSet<String>,
}
