//! What others ask of the coordinator. Every future is safe to drop: a join or sync whose client went away is answered to nobody.

use crate::error::{Error, JoinRefused};
use crate::port::OffsetsLog;
use crate::service::Inner;
use millstream_group::{
    Beaten, ByTopic, CommitRequest, ConsumerHeartbeatRequest, FetchRequest, FetchedOffset, HeartbeatRequest,
    JoinRequest, Joined, LeaveRequest, Left, OffsetCommit, PartitionResult, Reply, SyncRequest, Synced,
};
use millstream_types::{PartitionIndex, ProducerEpoch, ProducerId};
use std::sync::Arc;
use tokio::sync::oneshot;

/// The coordinator, as seen by the broker's handlers and by tasks. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) inner: Arc<Inner>,
}

impl Handle {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// This node leads partition `index` of the offsets topic. Its groups are served once `log` is read.
    pub fn elected(&self, index: PartitionIndex, log: Arc<dyn OffsetsLog>) {
        self.inner.groups.elected(index, log);
    }

    /// This node leads partition `index` of the offsets topic no more: whoever waits there is sent to look for the coordinator again.
    pub fn resigned(&self, index: PartitionIndex) {
        self.inner.groups.resigned(index);
    }

    /// Whether this node has taken over partition `index` of the offsets topic; that is a moment after the metadata make it the leader.
    #[must_use]
    pub fn coordinates(&self, index: PartitionIndex) -> bool {
        self.inner.groups.leads(index)
    }

    /// The partition of the offsets topic whose leader coordinates `group` (FindCoordinator). Makes the topic if there is none.
    ///
    /// # Errors
    /// `Controller` when the topic could not be made.
    pub async fn partition_of(&self, group: &str) -> Result<PartitionIndex, Error> {
        self.inner.groups.partition_of(group).await
    }

    /// JoinGroup. Returns when the generation is complete. The request's `random` is filled in here.
    ///
    /// # Errors
    /// With the member id that goes into the response.
    pub async fn join(&self, mut request: JoinRequest) -> Result<Joined, JoinRefused> {
        request.random = self.inner.runtime.random.next_u128();
        let refused = |error| JoinRefused { member: request.member.clone(), error };
        let begun = self
            .inner
            .groups
            .slot_of(&request.group)
            .and_then(|slot| slot.begin(&request.group, |shard, waiter, now| shard.join(&request, waiter, now)));
        match self.answer(&request.group, begun.map_err(refused)?).await.map_err(refused)? {
            Reply::Join(answer) => {
                answer.map_err(|refused| JoinRefused { member: refused.member, error: refused.error.into() })
            }
            _ => Err(refused(Error::WrongReply { expected: "a join" })),
        }
    }

    /// SyncGroup. Returns when the leader's assignment is stored.
    ///
    /// # Errors
    /// As Kafka's.
    pub async fn sync(&self, request: SyncRequest) -> Result<Synced, Error> {
        let group = request.group.clone();
        let begun =
            self.inner.groups.slot_of(&group)?.begin(&group, |shard, waiter, now| shard.sync(request, waiter, now))?;
        match self.answer(&group, begun).await? {
            Reply::Sync(answer) => Ok(answer?),
            _ => Err(Error::WrongReply { expected: "a sync" }),
        }
    }

    /// Heartbeat.
    ///
    /// # Errors
    /// As Kafka's; `RebalanceInProgress` tells the member to join again.
    pub fn heartbeat(&self, request: &HeartbeatRequest) -> Result<(), Error> {
        Ok(self
            .inner
            .groups
            .slot_of(&request.group)?
            .ask(&request.group, |shard, now| shard.heartbeat(request, now))??)
    }

    /// ConsumerGroupHeartbeat. Returns when what it decides is stored. The request's `random` is filled in here.
    ///
    /// # Errors
    /// As Kafka's.
    pub async fn consumer_heartbeat(&self, mut request: ConsumerHeartbeatRequest) -> Result<Beaten, Error> {
        request.random = self.inner.runtime.random.next_u128();
        let group = request.group.clone();
        let slot = self.inner.groups.slot_of(&group)?;
        let begun = slot.begin(&group, |shard, waiter, now| shard.consumer_heartbeat(request, waiter, now))?;
        match self.answer(&group, begun).await? {
            Reply::Beat(answer) => Ok(answer?),
            _ => Err(Error::WrongReply { expected: "a heartbeat" }),
        }
    }

    /// LeaveGroup, of several members.
    ///
    /// # Errors
    /// As Kafka's; each member has a result of its own besides.
    pub async fn leave(&self, request: LeaveRequest) -> Result<Vec<Left>, Error> {
        let group = request.group.as_str();
        let begun =
            self.inner.groups.slot_of(group)?.begin(group, |shard, waiter, now| shard.leave(&request, waiter, now))?;
        match self.answer(group, begun).await? {
            Reply::Leave(answer) => Ok(answer?),
            _ => Err(Error::WrongReply { expected: "a leave" }),
        }
    }

    /// OffsetCommit. Returns when the offsets are stored. That the topics exist is for the caller to check.
    ///
    /// # Errors
    /// As Kafka's. `GroupIdNotFound` is ILLEGAL_GENERATION to requests before version 9.
    pub async fn commit(&self, request: CommitRequest) -> Result<Vec<ByTopic<PartitionResult>>, Error> {
        let group = request.group.clone();
        let begun = self
            .inner
            .groups
            .slot_of(&group)?
            .begin(&group, |shard, waiter, now| shard.commit(request, waiter, now))?;
        let answers = self.offsets_answer(&group, begun).await?;
        let committed = answers.iter().flat_map(|topic| &topic.partitions).filter(|one| one.result.is_ok()).count();
        self.inner.commits.add(u64::try_from(committed).unwrap_or(0));
        Ok(answers)
    }

    /// OffsetFetch, of one group. What is not committed has the offset -1; an unknown group has nothing committed.
    ///
    /// # Errors
    /// When the group is not served here now.
    pub fn fetch(&self, request: &FetchRequest) -> Result<Vec<ByTopic<FetchedOffset>>, Error> {
        Ok(self.inner.groups.slot_of(&request.group)?.ask(&request.group, |shard, _| shard.fetch(request))??)
    }

    /// InitProducerId without a transactional id: every request gets a new id with epoch 0, as in Kafka.
    ///
    /// # Errors
    /// `Controller` when no id could be had.
    pub async fn init_producer_id(&self) -> Result<(ProducerId, ProducerEpoch), Error> {
        Ok((self.inner.producer_ids.next().await?, ProducerEpoch::FIRST))
    }

    /// Commits offsets of a group without members, for tasks of this node. Makes the topic and waits a while for the group to be loaded.
    ///
    /// # Errors
    /// As [`Self::commit`]; an error of any one partition too.
    pub async fn commit_as_admin(&self, group: &str, topics: Vec<ByTopic<OffsetCommit>>) -> Result<(), Error> {
        self.inner.groups.wait_until_loaded(group).await?;
        let answers = self.commit(CommitRequest::without_member(group, topics)).await?;
        answers.into_iter().flat_map(|topic| topic.partitions).try_for_each(|partition| partition.result)?;
        Ok(())
    }

    /// The committed offsets of a group, for tasks of this node: of `topics`, or all. Makes the topic and waits a while for the group
    /// to be loaded.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub async fn fetch_as_admin(
        &self,
        group: &str,
        topics: Option<Vec<ByTopic<i32>>>,
    ) -> Result<Vec<ByTopic<FetchedOffset>>, Error> {
        self.inner.groups.wait_until_loaded(group).await?;
        self.fetch(&FetchRequest { group: group.to_owned(), member: None, topics, require_stable: false })
    }

    pub(crate) async fn offsets_answer(
        &self,
        group: &str,
        begun: oneshot::Receiver<Reply>,
    ) -> Result<Vec<ByTopic<PartitionResult>>, Error> {
        match self.answer(group, begun).await? {
            Reply::Offsets(answer) => Ok(answer?),
            _ => Err(Error::WrongReply { expected: "an offset commit" }),
        }
    }

    pub(crate) async fn answer(&self, group: &str, begun: oneshot::Receiver<Reply>) -> Result<Reply, Error> {
        // The slot was unloaded with the request in it.
        begun.await.map_err(|_| millstream_group::Error::NotCoordinator { group: group.to_owned() }.into())
    }
}
