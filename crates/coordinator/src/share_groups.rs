//! What members and administrators ask of share groups (KIP-932), and what these ask of the state of their partitions.

use crate::board::Board;
use crate::config::{SHARE_WORK_MAX, SHARE_WORKERS};
use crate::error::Error;
use crate::handle::Handle;
use crate::slot::Slot;
use futures::{StreamExt, stream};
use millstream_group::share::{ShareKey, StateEffects, StateReply, StateShard};
use millstream_group::{
    AlterShares, AlteredTopic, Beaten, ConsumerDescription, DeletedTopic, Partitions, Reply, Shard as Groups,
    ShareHeartbeatRequest, ShareWork, ShareWorked,
};
use millstream_runtime::Clock;
use millstream_types::{Now, Waiter};
use std::sync::Arc;

impl Handle {
    /// ShareGroupHeartbeat. Returns when what it decides is stored, and new partitions have their state.
    ///
    /// # Errors
    /// As Kafka's.
    pub async fn share_heartbeat(&self, request: ShareHeartbeatRequest) -> Result<Beaten, Error> {
        let group = request.group.clone();
        let slot = self.inner.groups.slot_of(&group)?;
        let begun = slot.begin(&group, |shard, waiter, now| shard.share_heartbeat(request, waiter, now))?;
        match self.answer(&group, begun).await? {
            Reply::Beat(answer) => Ok(answer?),
            _ => Err(Error::WrongReply { expected: "a heartbeat" }),
        }
    }

    /// ShareGroupDescribe, of one group.
    ///
    /// # Errors
    /// `GroupIdNotFound`, also of a group of consumers, or where the group is not served here.
    pub fn describe_share(&self, group: &str) -> Result<ConsumerDescription, Error> {
        Ok(self.inner.groups.slot_of(group)?.ask(group, |shard, _| shard.describe_share(group))??)
    }

    /// The partitions of a share group that have a state; none where there is no such group.
    ///
    /// # Errors
    /// Where the group is not served here.
    pub fn shared_partitions(&self, group: &str) -> Result<Partitions, Error> {
        self.inner.groups.slot_of(group)?.ask(group, |shard, _| shard.shared_partitions(group))
    }

    /// AlterShareGroupOffsets: where partitions of a group without members are to start. Returns when it is stored.
    ///
    /// # Errors
    /// As Kafka's; each partition has a result of its own besides.
    pub async fn alter_share_offsets(&self, request: AlterShares) -> Result<Vec<AlteredTopic>, Error> {
        let group = request.group.clone();
        let slot = self.inner.groups.slot_of(&group)?;
        let begun = slot.begin(&group, |shard, waiter, now| shard.alter_shares(request, waiter, now))?;
        match self.answer(&group, begun).await? {
            Reply::SharesAltered(answer) => Ok(answer?),
            _ => Err(Error::WrongReply { expected: "a change of share offsets" }),
        }
    }

    /// DeleteShareGroupOffsets: a group without members forgets how far it was in these topics, or in all. Returns when it is stored.
    ///
    /// # Errors
    /// As Kafka's; each topic has a result of its own besides.
    pub async fn delete_share_offsets(
        &self,
        group: &str,
        topics: Option<Vec<String>>,
    ) -> Result<Vec<DeletedTopic>, Error> {
        let slot = self.inner.groups.slot_of(group)?;
        let begun = slot.begin(group, |shard, waiter, now| shard.delete_shares(group, topics, waiter, now))?;
        match self.answer(group, begun).await? {
            Reply::SharesDeleted(answer) => Ok(answer?),
            _ => Err(Error::WrongReply { expected: "a deletion of share offsets" }),
        }
    }

    /// The state of a share group's partitions is deleted before the group is; nothing is done for any other.
    pub(crate) async fn delete_shares_of(&self, group: &str) -> Result<(), Error> {
        if !self.inner.groups.slot_of(group)?.ask(group, |shard, _| shard.is_share(group))? {
            return Ok(());
        }
        let deleted = self.delete_share_offsets(group, None).await?;
        Ok(deleted.into_iter().try_for_each(|topic| topic.result)?)
    }
}

/// Does what a group asks of its partitions' state, and tells it.
pub(crate) async fn work(
    work: ShareWork,
    shares: Arc<Board<StateShard>>,
    slot: Arc<Slot<Groups>>,
    clock: Arc<dyn Clock>,
) {
    let (group, worked) = match work {
        ShareWork::Initialize { group, state_epoch, starts } => {
            let all = starts.into_iter().map(|one| (key(&group, one.topic, one.partition), one.start));
            let initialize = |(key, start): (ShareKey, i64)| {
                let shares = shares.clone();
                async move {
                    let stored = store(&shares, &key, |shard, waiter, now| {
                        shard.initialize(&key, (state_epoch, start), waiter, now)
                    })
                    .await;
                    (key, stored)
                }
            };
            let asked: Vec<(ShareKey, i64)> = all.collect();
            let keys = asked.iter().map(|(key, _)| key.clone()).collect();
            (
                group,
                within_time(keys, stream::iter(asked).map(initialize).buffer_unordered(SHARE_WORKERS), &clock).await,
            )
        }
        ShareWork::Delete { group, partitions } => {
            let worked = delete(&group, &partitions, &shares, &clock).await;
            (group, worked)
        }
        ShareWork::Forget { group, partitions } => {
            delete(&group, &partitions, &shares, &clock).await;
            return;
        }
    };
    slot.decide(|shard, now| shard.shares_worked(&group, worked, now));
    slot.wake.notify_one();
}

async fn delete(
    group: &Arc<str>,
    partitions: &Partitions,
    shares: &Arc<Board<StateShard>>,
    clock: &Arc<dyn Clock>,
) -> ShareWorked {
    let all = partitions.iter().flat_map(|(topic, of)| of.iter().map(|partition| key(group, *topic, *partition)));
    let keys: Vec<ShareKey> = all.collect();
    let delete = |key: ShareKey| {
        let shares = shares.clone();
        async move {
            let stored = store(&shares, &key, |shard, waiter, now| shard.delete(&key, waiter, now)).await;
            (key, stored)
        }
    };
    let asked = stream::iter(keys.clone()).map(delete).buffer_unordered(SHARE_WORKERS);
    within_time(keys, asked, clock).await
}

fn key(group: &Arc<str>, topic: millstream_types::TopicId, partition: i32) -> ShareKey {
    ShareKey { group: group.clone(), topic, partition }
}

/// What was done before the time was over; the rest failed.
async fn within_time(
    keys: Vec<ShareKey>,
    outcomes: impl futures::Stream<Item = (ShareKey, Result<(), Error>)>,
    clock: &Arc<dyn Clock>,
) -> ShareWorked {
    let mut worked = ShareWorked::default();
    let done = &mut worked.done;
    let all = outcomes.for_each(|(key, outcome)| {
        match outcome {
            Ok(()) => {
                done.entry(key.topic).or_default().insert(key.partition);
            }
            Err(error) => tracing::warn!(%key, %error, "the state of a share partition could not be changed"),
        }
        futures::future::ready(())
    });
    tokio::select! {
        biased;
        () = all => {}
        () = clock.sleep(SHARE_WORK_MAX) => tracing::warn!("the state of share partitions was not changed in time"),
    }
    for key in keys {
        if !worked.done.get(&key.topic).is_some_and(|done| done.contains(&key.partition)) {
            worked.failed.entry(key.topic).or_default().insert(key.partition);
        }
    }
    worked
}

async fn store(
    shares: &Board<StateShard>,
    key: &ShareKey,
    decide: impl FnOnce(&mut StateShard, Waiter, Now) -> StateEffects,
) -> Result<(), Error> {
    let name = key.to_string();
    shares.wait_until_loaded(&name).await?;
    let begun = shares.slot_of(&name)?.begin(&name, decide)?;
    match begun.await {
        Ok(StateReply::Stored(stored)) => Ok(stored?),
        Ok(StateReply::Read(_)) => Err(Error::WrongReply { expected: "a stored share partition" }),
        // The slot was unloaded with the request in it.
        Err(_) => Err(millstream_group::Error::NotCoordinator { group: key.group.to_string() }.into()),
    }
}
