//! What is asked of a transaction's coordinator: Kafka's requests without their wire versions.

use crate::marker::{Outcome, Version};
use crate::state::TransactionState;
use crate::transaction::{Identity, Partition, Transaction};
use millstream_types::{ProducerId, TimestampMs};
use std::collections::BTreeSet;

const DAY_MS: i64 = 24 * 3_600_000;

/// Settings of every transaction coordinated here.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// The longest timeout a client may ask for (`transaction.max.timeout.ms`).
    pub timeout_ms_max: i32,
    /// How often transactions past their timeout are looked for (`transaction.abort.timed.out.transaction.cleanup.interval.ms`).
    pub timeout_check_interval_ms: u64,
    /// How long a transactional id is kept that nobody uses (`transactional.id.expiration.ms`).
    pub id_expiration_ms: i64,
    /// How often such ids are looked for (`transaction.remove.expired.transaction.cleanup.interval.ms`).
    pub id_expiration_check_interval_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timeout_ms_max: 900_000,
            timeout_check_interval_ms: 10_000,
            id_expiration_ms: 7 * DAY_MS,
            id_expiration_check_interval_ms: 3_600_000,
        }
    }
}

/// InitProducerId with a transactional id.
#[derive(Debug, Clone)]
pub struct InitRequest {
    /// The transactional id.
    pub id: String,
    /// How long its transactions may take.
    pub timeout_ms: i32,
    /// What the client has, where it goes on after an error (KIP-360).
    pub expected: Option<Identity>,
    /// A producer id that nobody had, for when one is needed: without it the answer is then `IdsUsedUp`.
    pub fresh: Option<ProducerId>,
}

/// AddPartitionsToTxn.
#[derive(Debug, Clone)]
pub struct AddRequest {
    /// The transactional id.
    pub id: String,
    /// Who the client is.
    pub identity: Identity,
    /// What it will write to.
    pub partitions: BTreeSet<Partition>,
    /// What it speaks.
    pub version: Version,
}

/// EndTxn.
#[derive(Debug, Clone)]
pub struct EndRequest {
    /// The transactional id.
    pub id: String,
    /// Who the client is.
    pub identity: Identity,
    /// How it is to end.
    pub outcome: Outcome,
    /// What it speaks.
    pub version: Version,
    /// A producer id that nobody had, for when one is needed: without it the answer is then `IdsUsedUp`.
    pub fresh: Option<ProducerId>,
}

/// ListTransactions' filters; an empty list lets everything through.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// States.
    pub states: Vec<TransactionState>,
    /// Producer ids.
    pub producers: Vec<ProducerId>,
    /// Only transactions that have been going on for longer than this many milliseconds; any where negative.
    pub longer_than_ms: i64,
}

impl ListFilter {
    pub(crate) fn passes(&self, transaction: &Transaction, now: TimestampMs) -> bool {
        let since = now.0.saturating_sub(transaction.started_at.0);
        (self.states.is_empty() || self.states.contains(&transaction.state))
            && (self.producers.is_empty() || self.producers.contains(&transaction.producer))
            && (self.longer_than_ms < 0 || since > self.longer_than_ms)
    }
}
