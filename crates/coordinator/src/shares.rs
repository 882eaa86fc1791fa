//! The state of share partitions (KIP-932), as leaders of partitions and the coordinators of share groups keep it in `__share_group_state`.

use crate::error::Error;
use crate::handle::Handle;
use crate::port::OffsetsLog;
use millstream_group::Error as GroupError;
use millstream_group::share::{ShareKey, ShareState, StateEffects, StateReply, StateShard, Summary, WriteState};
use millstream_types::{Now, PartitionIndex, Waiter};
use std::sync::Arc;

impl Handle {
    /// This node leads partition `index` of `__share_group_state`. Its share partitions are served once `log` is read.
    pub fn share_elected(&self, index: PartitionIndex, log: Arc<dyn OffsetsLog>) {
        self.inner.shares.elected(index, log);
    }

    /// This node leads partition `index` of `__share_group_state` no more: whoever waits there is sent to look for the coordinator again.
    pub fn share_resigned(&self, index: PartitionIndex) {
        self.inner.shares.resigned(index);
    }

    /// Whether this node has taken over partition `index` of `__share_group_state`; that is a moment after the metadata make it the leader.
    #[must_use]
    pub fn share_coordinates(&self, index: PartitionIndex) -> bool {
        self.inner.shares.leads(index)
    }

    /// The partition of `__share_group_state` whose leader keeps `key` (FindCoordinator). Makes the topic if there is none.
    ///
    /// # Errors
    /// `Controller` when the topic could not be made.
    pub async fn share_partition_of(&self, key: &ShareKey) -> Result<PartitionIndex, Error> {
        self.inner.shares.partition_of(&key.to_string()).await
    }

    /// Returns when the state of `key` is served here: for callers of this node, before any of the calls below. Makes the topic if there is
    /// none, and waits a while.
    ///
    /// # Errors
    /// Why it is not served here.
    pub async fn wait_for_share(&self, key: &ShareKey) -> Result<(), Error> {
        self.inner.shares.wait_until_loaded(&key.to_string()).await
    }

    /// InitializeShareGroupState, of one share partition: its state begins anew at `start`, which may be -1 where that is not decided yet.
    /// Returns when it is stored.
    ///
    /// # Errors
    /// `FencedStateEpoch`, or where it is not served here.
    pub async fn initialize_share(&self, key: &ShareKey, state_epoch: i32, start: i64) -> Result<(), Error> {
        self.store(key, |shard, waiter, now| shard.initialize(key, (state_epoch, start), waiter, now)).await
    }

    /// ReadShareGroupState, of one share partition: leaders of before `leader_epoch` are fenced from here on; -1 fences nobody.
    ///
    /// # Errors
    /// `NoShareState`, `FencedShareLeader`, or where it is not served here.
    pub async fn read_share(&self, key: &ShareKey, leader_epoch: i32) -> Result<ShareState, Error> {
        match self.ask_shares(key, |shard, waiter, now| shard.read(key, leader_epoch, waiter, now)).await? {
            StateReply::Read(read) => Ok(*read?),
            StateReply::Stored(_) => Err(Error::WrongReply { expected: "a share partition's state" }),
        }
    }

    /// WriteShareGroupState, of one share partition. Returns when it is stored.
    ///
    /// # Errors
    /// `NoShareState`, `FencedShareLeader`, `FencedStateEpoch`, or where it is not served here.
    pub async fn write_share(&self, key: &ShareKey, write: &WriteState) -> Result<(), Error> {
        self.store(key, |shard, waiter, now| shard.write(key, write.clone(), waiter, now)).await
    }

    /// DeleteShareGroupState, of one share partition; one that is not there is deleted. Returns when that is stored.
    ///
    /// # Errors
    /// Where it is not served here.
    pub async fn delete_share(&self, key: &ShareKey) -> Result<(), Error> {
        self.store(key, |shard, waiter, now| shard.delete(key, waiter, now)).await
    }

    /// ReadShareGroupStateSummary, of one share partition; one that is not there has no start.
    ///
    /// # Errors
    /// Where it is not served here.
    pub fn share_summary(&self, key: &ShareKey) -> Result<Summary, Error> {
        let name = key.to_string();
        self.inner.shares.slot_of(&name)?.ask(&name, |shard, _| shard.summary(key))
    }

    async fn store(
        &self,
        key: &ShareKey,
        decide: impl FnOnce(&mut StateShard, Waiter, Now) -> StateEffects,
    ) -> Result<(), Error> {
        match self.ask_shares(key, decide).await? {
            StateReply::Stored(stored) => Ok(stored?),
            StateReply::Read(_) => Err(Error::WrongReply { expected: "a stored share partition" }),
        }
    }

    async fn ask_shares(
        &self,
        key: &ShareKey,
        decide: impl FnOnce(&mut StateShard, Waiter, Now) -> StateEffects,
    ) -> Result<StateReply, Error> {
        let name = key.to_string();
        let begun = self.inner.shares.slot_of(&name)?.begin(&name, decide)?;
        // The slot was unloaded with the request in it.
        begun.await.map_err(|_| GroupError::NotCoordinator { group: key.group.to_string() }.into())
    }
}
