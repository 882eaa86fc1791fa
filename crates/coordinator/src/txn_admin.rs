//! What tasks of this node ask of transactions: the same as clients, but where those are told to come again this waits for them.

use crate::config::{ADD_RETRY_BACKOFF, INTERNAL_WAIT};
use crate::error::Error;
use crate::handle::Handle;
use crate::transactions::Transactor;
use millstream_group::CommitRequest;
use millstream_txn::{Error as TxnError, Identity, Outcome, Partition, TransactionState};
use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

impl Handle {
    /// InitProducerId. Makes the topic, waits a while for the id to be loaded, and for the end of what an earlier producer left open.
    ///
    /// # Errors
    /// As [`Handle::init_transactional`].
    pub async fn init_as_admin(&self, id: &str, timeout_ms: i32) -> Result<Identity, Error> {
        self.inner.transactions.wait_until_loaded(id).await?;
        self.patiently(id, INTERNAL_WAIT, || self.init_transactional(id, timeout_ms, None)).await
    }

    /// Aborts what is open under an id and fences its producer; an id that nobody has is left alone.
    ///
    /// # Errors
    /// As [`Handle::init_transactional`].
    pub async fn abort_as_admin(&self, id: &str) -> Result<(), Error> {
        if !self.inner.transactions.has_topic() {
            return Ok(());
        }
        self.inner.transactions.wait_until_loaded(id).await?;
        match self.describe_transaction(id) {
            Err(Error::Transaction(TxnError::TransactionalIdNotFound { .. })) => Ok(()),
            Err(error) => Err(error),
            Ok(known) => self.init_as_admin(id, known.timeout_ms).await.map(|_| ()),
        }
    }

    /// As [`Handle::join_transaction`], waiting longer for the end of the transaction before.
    ///
    /// # Errors
    /// As there.
    pub async fn join_as_admin(&self, transactor: &Transactor, partitions: &BTreeSet<Partition>) -> Result<(), Error> {
        self.patiently(&transactor.id, INTERNAL_WAIT, || self.try_join(transactor, partitions)).await
    }

    /// TxnOffsetCommit and EndTxn: the open transaction commits, with these offsets. Returns what to go on with, once every partition has been
    /// told, so that readers of committed records see what was written. It is committed as well when telling them takes too long.
    ///
    /// # Errors
    /// As [`Handle::commit_in_transaction`], an error of any one partition too, and [`Handle::end_transaction`].
    pub async fn commit_transaction_as_admin(
        &self,
        transactor: &Transactor,
        offsets: CommitRequest,
    ) -> Result<Identity, Error> {
        let id = &transactor.id;
        self.inner.groups.wait_until_loaded(&offsets.group).await?;
        let commit = || self.commit_in_transaction(transactor, offsets.clone());
        let answers = self.patiently(id, INTERNAL_WAIT, commit).await?;
        answers.into_iter().flat_map(|topic| topic.partitions).try_for_each(|partition| partition.result)?;
        let identity = self.patiently(id, INTERNAL_WAIT, || self.end_transaction(transactor, Outcome::Commit)).await?;
        if let Err(error) = self.patiently(id, INTERNAL_WAIT, || async { self.check_ended(id) }).await {
            tracing::warn!(transactional_id = %id, %error, "a transaction is committed, but not every partition knows of it yet");
        }
        Ok(identity)
    }

    /// `ConcurrentTransactions` while a decided transaction is not known to all its partitions.
    fn check_ended(&self, id: &str) -> Result<(), Error> {
        match self.describe_transaction(id)?.state {
            TransactionState::PrepareCommit | TransactionState::PrepareAbort => {
                Err(TxnError::ConcurrentTransactions { id: id.to_owned() }.into())
            }
            _ => Ok(()),
        }
    }

    /// Asks again, for `limit` at most, while the transaction before is being ended.
    pub(crate) async fn patiently<T, F>(
        &self,
        id: &str,
        limit: Duration,
        mut ask: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let clock = &self.inner.runtime.clock;
        let begun = clock.elapsed();
        loop {
            let slot = self.inner.transactions.slot_of(id)?;
            // Listens before it asks, so that what ends in between is heard.
            let moved = slot.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            let answer = ask().await;
            let is_busy = matches!(answer, Err(Error::Transaction(TxnError::ConcurrentTransactions { .. })));
            if !is_busy || clock.elapsed().saturating_sub(begun) >= limit {
                return answer;
            }
            tokio::select! {
                biased;
                () = moved => {}
                () = clock.sleep(ADD_RETRY_BACKOFF) => {}
            }
        }
    }
}
