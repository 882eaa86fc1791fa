//! What time does to transactions: those that take too long are aborted, ids that nobody uses go, and what could not be written is tried again.

use super::{Entry, Shard, Step};
use crate::effects::Effects;
use crate::state::TransactionState;
use millstream_types::Now;
use std::sync::Arc;

impl Shard {
    /// When to call [`Shard::tick`] next, in elapsed milliseconds.
    #[must_use]
    pub fn next_deadline(&self) -> u64 {
        self.timeouts_at.min(self.expiry_at)
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Now) -> Effects {
        let mut effects = Effects::default();
        if self.timeouts_at <= now.elapsed_ms {
            self.timeouts_at = now.elapsed_ms.saturating_add(self.config.timeout_check_interval_ms);
            for id in self.ids(|entry| matches!(&entry.step, Step::Marking(left) if left.is_empty())) {
                effects.extend(self.complete(&id, now));
            }
            for id in self.ids(|entry| entry.is_too_long(now)) {
                let version = self.entries.get(&id).map(|entry| entry.transaction.version);
                effects.extend(version.map(|version| self.fence(&id, version, None, now)).unwrap_or_default());
            }
        }
        if self.expiry_at <= now.elapsed_ms {
            self.expiry_at = now.elapsed_ms.saturating_add(self.config.id_expiration_check_interval_ms);
            let expiration_ms = self.config.id_expiration_ms;
            for id in self.ids(|entry| entry.is_expired(now, expiration_ms)) {
                effects.extend(self.write(&id, None, None));
            }
        }
        effects
    }

    fn ids(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<Arc<str>> {
        self.entries.iter().filter(|(_, entry)| wanted(entry)).map(|(id, _)| id.clone()).collect()
    }
}

impl Entry {
    fn is_too_long(&self, now: Now) -> bool {
        let transaction = &self.transaction;
        let deadline = transaction.started_at.0.saturating_add(i64::from(transaction.timeout_ms));
        transaction.state == TransactionState::Ongoing && !self.is_busy() && deadline < now.wall.0
    }

    fn is_expired(&self, now: Now, expiration_ms: i64) -> bool {
        let transaction = &self.transaction;
        let idle_ms = now.wall.0.saturating_sub(transaction.updated_at.0);
        transaction.state.is_over() && !self.is_busy() && idle_ms >= expiration_ms
    }
}
