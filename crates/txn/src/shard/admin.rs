//! What an administrator asks: describe and list transactions.

use super::Shard;
use crate::Error;
use crate::request::ListFilter;
use crate::transaction::Transaction;
use millstream_types::TimestampMs;
use std::sync::Arc;

impl Shard {
    /// DescribeTransactions, of one id.
    ///
    /// # Errors
    /// `EmptyTransactionalId`, `TransactionalIdNotFound`.
    pub fn describe(&self, id: &str) -> Result<&Transaction, Error> {
        if id.is_empty() {
            return Err(Error::EmptyTransactionalId);
        }
        let found = self.entries.get(id).map(|entry| &entry.transaction);
        found.ok_or_else(|| Error::TransactionalIdNotFound { id: id.to_owned() })
    }

    /// ListTransactions, by id.
    #[must_use]
    pub fn list(&self, filter: &ListFilter, now: TimestampMs) -> Vec<(Arc<str>, &Transaction)> {
        self.entries
            .iter()
            .map(|(id, entry)| (id.clone(), &entry.transaction))
            .filter(|(_, transaction)| filter.passes(transaction, now))
            .collect()
    }

    /// How many ids there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no id.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
