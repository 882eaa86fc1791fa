//! What others ask of transactions: clients through the broker's handlers, partitions that are written to, administrators.

use crate::config::ADD_RETRY_MAX;
use crate::error::Error;
use crate::handle::Handle;
use crate::owner::OFFSETS_TOPIC;
use crate::port::{MarkError, OffsetsLog};
use crate::shard::Alone;
use millstream_group::{ByTopic, CommitRequest, PartitionResult, Producer};
use millstream_txn::{
    AddRequest, Effects, EndRequest, Error as TxnError, Identity, InitRequest, ListFilter, Marker, NO_SEQUENCE, Now,
    Outcome, Partition, Shard, Transaction, Unverified, Version, Waiter,
};
use millstream_types::PartitionIndex;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Whose transaction a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transactor {
    /// Its transactional id.
    pub id: String,
    /// The producer id and epoch that it believes to have.
    pub identity: Identity,
    /// What its client speaks.
    pub version: Version,
}

impl Handle {
    /// This node leads partition `index` of `__transaction_state`. Its transactions are served once `log` is read.
    pub fn txn_elected(&self, index: PartitionIndex, log: Arc<dyn OffsetsLog>) {
        self.inner.transactions.elected(index, log);
    }

    /// This node leads partition `index` of `__transaction_state` no more: whoever waits there is sent to look for the coordinator again.
    pub fn txn_resigned(&self, index: PartitionIndex) {
        self.inner.transactions.resigned(index);
    }

    /// Whether this node has taken over partition `index` of `__transaction_state`; that is a moment after the metadata make it the leader.
    #[must_use]
    pub fn txn_coordinates(&self, index: PartitionIndex) -> bool {
        self.inner.transactions.leads(index)
    }

    /// The partition of `__transaction_state` whose leader coordinates `id` (FindCoordinator). Makes the topic if there is none.
    ///
    /// # Errors
    /// `Controller` when the topic could not be made.
    pub async fn txn_partition_of(&self, id: &str) -> Result<PartitionIndex, Error> {
        self.inner.transactions.partition_of(id).await
    }

    /// InitProducerId with a transactional id; `expected` is what a client has that goes on after an error.
    ///
    /// # Errors
    /// As Kafka's; `ConcurrentTransactions` tells the client to try again, which the abort of an open transaction does too.
    pub async fn init_transactional(
        &self,
        id: &str,
        timeout_ms: i32,
        expected: Option<Identity>,
    ) -> Result<Identity, Error> {
        let mut request = InitRequest { id: id.to_owned(), timeout_ms, expected, fresh: None };
        loop {
            match self.decide(id, |shard, waiter, now| shard.init(&request, waiter, now)).await {
                Err(Error::Transaction(TxnError::IdsUsedUp)) if request.fresh.is_none() => {
                    request.fresh = Some(self.inner.producer_ids.next().await?);
                }
                answer => return answer,
            }
        }
    }

    /// AddPartitionsToTxn (and AddOffsetsToTxn).
    ///
    /// # Errors
    /// As Kafka's.
    pub async fn add_partitions(&self, transactor: &Transactor, partitions: BTreeSet<Partition>) -> Result<(), Error> {
        let Transactor { id, identity, version } = transactor.clone();
        let request = AddRequest { id, identity, partitions, version };
        self.decide(&transactor.id, |shard, waiter, now| shard.add(&request, waiter, now)).await.map(|_| ())
    }

    /// Which of `partitions` are part of the open transaction.
    ///
    /// # Errors
    /// As Kafka's.
    pub fn added_partitions(
        &self,
        transactor: &Transactor,
        partitions: &BTreeSet<Partition>,
    ) -> Result<BTreeSet<Partition>, Error> {
        let Transactor { id, identity, .. } = transactor;
        check_id(id)?;
        Ok(self.inner.transactions.slot_of(id)?.ask(id, |shard, _| shard.verify(id, *identity, partitions))??)
    }

    /// What a partition asks before it lets a transaction begin: adds it for a client that leaves that to brokers, and else finds out whether
    /// it was added. Waits a little for the end of the transaction before.
    ///
    /// # Errors
    /// As Kafka's; `NotAdded`.
    pub async fn join_transaction(
        &self,
        transactor: &Transactor,
        partitions: &BTreeSet<Partition>,
    ) -> Result<(), Error> {
        check_id(&transactor.id)?;
        self.patiently(&transactor.id, ADD_RETRY_MAX, || self.try_join(transactor, partitions)).await
    }

    pub(crate) async fn try_join(
        &self,
        transactor: &Transactor,
        partitions: &BTreeSet<Partition>,
    ) -> Result<(), Error> {
        match transactor.version {
            Version::Bumping => self.add_partitions(transactor, partitions.clone()).await,
            Version::Classic => self.check_added(transactor, partitions),
        }
    }

    fn check_added(&self, transactor: &Transactor, partitions: &BTreeSet<Partition>) -> Result<(), Error> {
        let added = self.added_partitions(transactor, partitions)?;
        partitions.iter().find(|partition| !added.contains(partition)).map_or(Ok(()), |Partition { topic, index }| {
            let id = transactor.id.clone();
            Err(TxnError::NotAdded { id, topic: topic.clone(), partition: *index }.into())
        })
    }

    /// EndTxn. Returns when the decision is stored, with what the client is to go on with; the partitions are told after.
    ///
    /// # Errors
    /// As Kafka's.
    pub async fn end_transaction(&self, transactor: &Transactor, outcome: Outcome) -> Result<Identity, Error> {
        let Transactor { id, identity, version } = transactor.clone();
        let mut request = EndRequest { id, identity, outcome, version, fresh: None };
        loop {
            match self.decide(&transactor.id, |shard, waiter, now| shard.end(&request, waiter, now)).await {
                Err(Error::Transaction(TxnError::IdsUsedUp)) if request.fresh.is_none() => {
                    request.fresh = Some(self.inner.producer_ids.next().await?);
                }
                answer => return answer,
            }
        }
    }

    /// TxnOffsetCommit: the offsets count once the transaction commits. Returns when they are stored.
    ///
    /// # Errors
    /// As Kafka's, of the group and of the transaction. `GroupIdNotFound` is ILLEGAL_GENERATION.
    pub async fn commit_in_transaction(
        &self,
        transactor: &Transactor,
        request: CommitRequest,
    ) -> Result<Vec<ByTopic<PartitionResult>>, Error> {
        check_id(&transactor.id)?;
        let group = request.group.clone();
        let (slot, log) = self.inner.groups.led_of(&group)?;
        let Identity { producer, epoch } = transactor.identity;
        let bumps = transactor.version.bumps();
        let guard = log.verify(&Unverified { producer, epoch, first_sequence: NO_SEQUENCE, bumps });
        if guard.is_some() {
            let partition = Partition { topic: OFFSETS_TOPIC.to_owned(), index: slot.index().0 };
            self.join_transaction(transactor, &[partition].into_iter().collect()).await?;
        }
        let producer = Producer { id: producer, epoch };
        let alone = Some(Alone::Offsets(producer, guard));
        let begun = slot.begin_for(&group, alone, |shard, waiter, now| {
            shard.commit_in_transaction(request, producer, waiter, now)
        })?;
        self.offsets_answer(&group, begun).await
    }

    /// WriteTxnMarkers, of one partition: what a coordinator sends, or an operator who ends a transaction that hangs.
    ///
    /// # Errors
    /// Says whether to try again.
    pub async fn write_marker(
        &self,
        partition: &Partition,
        marker: &Marker,
        version: Version,
    ) -> Result<(), MarkError> {
        self.inner.markers.mark(partition, marker, version).await
    }

    /// DescribeTransactions, of one id.
    ///
    /// # Errors
    /// `TransactionalIdNotFound`, or where the id is not served here.
    pub fn describe_transaction(&self, id: &str) -> Result<Transaction, Error> {
        check_id(id)?;
        Ok(self.inner.transactions.slot_of(id)?.ask(id, |shard, _| shard.describe(id).cloned())??)
    }

    /// ListTransactions: those that this node coordinates, by id.
    ///
    /// # Errors
    /// `TxnLoadInProgress` while any partition is being loaded: a part would look like the whole.
    pub fn list_transactions(&self, filter: &ListFilter) -> Result<Vec<(Arc<str>, Transaction)>, Error> {
        let mut listed = Vec::new();
        for slot in self.inner.transactions.slots() {
            let found = slot.ask("", |shard, now| {
                let found = shard.list(filter, now.wall);
                found.into_iter().map(|(id, transaction)| (id, transaction.clone())).collect::<Vec<_>>()
            })?;
            listed.extend(found);
        }
        listed.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok(listed)
    }

    async fn decide(
        &self,
        id: &str,
        decide: impl FnOnce(&mut Shard, Waiter, Now) -> Effects,
    ) -> Result<Identity, Error> {
        check_id(id)?;
        let begun = self.inner.transactions.slot_of(id)?.begin(id, decide)?;
        // The slot was unloaded with the request in it.
        let answer = begun.await.map_err(|_| TxnError::NotCoordinator { id: id.to_owned() })?;
        Ok(answer?)
    }
}

fn check_id(id: &str) -> Result<(), Error> {
    if id.is_empty() { Err(TxnError::EmptyTransactionalId.into()) } else { Ok(()) }
}
