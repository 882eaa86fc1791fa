//! The coordinator over logs in memory, on virtual time: waiting joins, batched writes, crashes, faults, lost leadership.

#![cfg(test)]

use bytes::Bytes;
use millstream_coordinator::group::{
    ByTopic, Cluster, CommitRequest, ConsumerHeartbeatRequest, Error as GroupError, FetchRequest, GroupState,
    GroupTimes, HeartbeatRequest, JoinRequest, Joined, LeaveRequest, Leaving, ListFilter, OffsetCommit,
    OffsetDeleteRequest, Protocol, SyncRequest, Topic,
};
use millstream_coordinator::memory::{Fault, MemoryController, MemoryLog, MemoryParticipants};
use millstream_coordinator::{Config, Controller, Error, Handle, LogError, OFFSETS_TOPIC, Ports, Service};
use millstream_runtime::{Runtime, SimDisk};
use millstream_telemetry::{Metrics, catalogue};
use millstream_types::{LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, TopicId};
use std::sync::Arc;
use std::time::Duration;

const GROUP: &str = "g";
const PARTITIONS: i32 = 3;

struct Node {
    handle: Handle,
    runtime: Runtime,
    controller: MemoryController,
    logs: Vec<MemoryLog>,
    metrics: Metrics,
}

impl Node {
    /// A node that leads every partition of the offsets topic, with these logs.
    async fn start(logs: Vec<MemoryLog>) -> Self {
        let runtime = Runtime::simulated(1, Arc::new(SimDisk::new()));
        let controller = MemoryController::new(PARTITIONS, 10);
        controller.ensure_internal_topic(OFFSETS_TOPIC).await.unwrap();
        let metrics = Metrics::new();
        let handle = Service::start(runtime.clone(), Config::default(), ports(&controller), &metrics);
        let node = Self { handle, runtime, controller, logs, metrics };
        for index in 0..PARTITIONS {
            node.elect(index);
        }
        node.handle.fetch_as_admin(GROUP, None).await.expect("the group is loaded in time");
        node
    }

    async fn new() -> Self {
        Self::start((0..PARTITIONS).map(|_| MemoryLog::new()).collect()).await
    }

    fn elect(&self, index: i32) {
        let log = self.logs[usize::try_from(index).unwrap()].clone();
        self.handle.elected(PartitionIndex(index), Arc::new(log));
    }

    /// The log of the group.
    async fn log(&self) -> &MemoryLog {
        let index = self.handle.partition_of(GROUP).await.unwrap();
        &self.logs[usize::try_from(index.0).unwrap()]
    }

    /// The process ends without a word; another starts over what it had written.
    async fn crash(self) -> Self {
        self.runtime.tasks.stop_and_wait(Duration::from_secs(5)).await;
        Self::start(self.logs).await
    }

    async fn commit(&self, offset: i64) -> Result<(), Error> {
        self.handle.commit_as_admin(GROUP, one_offset("t", offset)).await
    }

    fn fetched(&self, topic: &str) -> i64 {
        let topics = Some(vec![ByTopic { topic: topic.to_owned(), partitions: vec![0] }]);
        let fetched = self
            .handle
            .fetch(&FetchRequest { group: GROUP.into(), member: None, topics, require_stable: false })
            .unwrap();
        fetched[0].partitions[0].offset.0
    }

    /// One member in a stable group.
    async fn stable(&self) -> Joined {
        let joined = self.handle.join(join("")).await.unwrap();
        let assignment = vec![(joined.member.clone(), Bytes::from_static(b"all"))];
        let synced = self.handle.sync(sync(&joined, assignment)).await.unwrap();
        assert_eq!(synced.assignment.as_ref(), b"all");
        joined
    }
}

/// A cluster that has topic "t" of two partitions.
struct OneTopic;

impl Cluster for OneTopic {
    fn version(&self) -> u64 {
        1
    }

    fn topic(&self, name: &str) -> Option<Topic> {
        (name == "t").then_some(Topic { id: TopicId::ZERO, partitions: 2 })
    }

    fn name_of(&self, id: TopicId) -> Option<String> {
        (id == TopicId::ZERO).then(|| "t".to_owned())
    }

    fn names(&self) -> Vec<String> {
        vec!["t".to_owned()]
    }

    fn times_of(&self, _: &str) -> GroupTimes {
        GroupTimes::default()
    }
}

fn ports(controller: &MemoryController) -> Ports {
    Ports {
        controller: Arc::new(controller.clone()),
        participants: Arc::new(MemoryParticipants::default()),
        cluster: Arc::new(OneTopic),
    }
}

fn one_offset(topic: &str, offset: i64) -> Vec<ByTopic<OffsetCommit>> {
    let commit = OffsetCommit {
        partition: 0,
        offset: Offset(offset),
        leader_epoch: LeaderEpoch(0),
        metadata: String::new(),
        topic_id: TopicId::ZERO,
    };
    vec![ByTopic { topic: topic.into(), partitions: vec![commit] }]
}

fn join(member: &str) -> JoinRequest {
    JoinRequest {
        group: GROUP.into(),
        member: member.into(),
        instance: None,
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        protocol_type: "consumer".into(),
        protocols: vec![Protocol { name: "range".into(), metadata: Bytes::from_static(b"x") }],
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        requires_known_member: false,
        supports_skipping_assignment: true,
        random: 0,
    }
}

fn sync(joined: &Joined, assignments: Vec<(String, Bytes)>) -> SyncRequest {
    SyncRequest {
        group: GROUP.into(),
        member: joined.member.clone(),
        instance: None,
        generation: joined.generation,
        protocol_type: None,
        protocol: None,
        assignments,
    }
}

fn heartbeat(joined: &Joined) -> HeartbeatRequest {
    HeartbeatRequest {
        group: GROUP.into(),
        member: joined.member.clone(),
        instance: None,
        generation: joined.generation,
    }
}

#[tokio::test(start_paused = true)]
async fn members_join_sync_and_leave() {
    let node = Node::new().await;
    let (first, second) = tokio::join!(node.handle.join(join("")), node.handle.join(join("")));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((first.generation, second.generation), (1, 1));
    assert_ne!(first.member, second.member, "ids are random");
    let (leader, follower) = if first.leader == first.member { (first, second) } else { (second, first) };
    let plan =
        leader.members.iter().map(|member| (member.member.clone(), Bytes::from(member.member.clone()))).collect();
    let (one, other) =
        tokio::join!(node.handle.sync(sync(&follower, Vec::new())), node.handle.sync(sync(&leader, plan)));
    assert_eq!(one.unwrap().assignment, follower.member);
    assert_eq!(other.unwrap().assignment, leader.member);
    let members = vec![Leaving { member: follower.member.clone(), instance: None }];
    node.handle.leave(LeaveRequest { group: GROUP.into(), members }).await.unwrap();
    let rebalance = Error::Group(GroupError::RebalanceInProgress { group: GROUP.into() });
    assert_eq!(node.handle.heartbeat(&heartbeat(&leader)), Err(rebalance));
}

#[tokio::test(start_paused = true)]
async fn a_silent_member_is_removed_by_the_clock_alone() {
    let node = Node::new().await;
    let joined = node.stable().await;
    tokio::time::sleep(Duration::from_millis(9_999)).await;
    assert_eq!(node.handle.describe(GROUP).unwrap().members.len(), 1);
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!(node.handle.describe(GROUP).unwrap().members.len(), 0);
    assert!(node.handle.heartbeat(&heartbeat(&joined)).is_err());
}

#[tokio::test(start_paused = true)]
async fn acknowledged_commits_and_members_survive_a_crash() {
    let node = Node::new().await;
    node.commit(41).await.unwrap();
    node.handle.commit_as_admin("other", one_offset("t", 7)).await.unwrap();
    let joined = node.stable().await;
    let node = node.crash().await;
    assert_eq!(node.fetched("t"), 41);
    assert_eq!(node.handle.heartbeat(&heartbeat(&joined)), Ok(()));
    let other = node.handle.fetch_as_admin("other", None).await.unwrap();
    assert_eq!(other[0].partitions[0].offset, Offset(7));
    let listed: Vec<String> =
        node.handle.list(&ListFilter::default()).unwrap().into_iter().map(|listed| listed.group).collect();
    assert_eq!(listed, [GROUP, "other"]);
}

#[tokio::test(start_paused = true)]
async fn commits_that_come_during_a_write_are_written_together() {
    let node = Node::new().await;
    let log = node.log().await.clone();
    log.fault(Fault::Delay(Duration::from_millis(100)));
    let during = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        futures::future::join_all((1..50).map(|offset| node.commit(offset))).await
    };
    let (first, rest) = tokio::join!(node.commit(0), during);
    assert!(first.is_ok() && rest.into_iter().all(|commit| commit.is_ok()));
    assert_eq!((log.records().len(), log.batch_count()), (50, 2));
    assert_eq!(node.fetched("t"), 49);
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_not_seen_before_it_is_written() {
    let node = Node::new().await;
    node.log().await.fault(Fault::Delay(Duration::from_secs(1)));
    let commit = tokio::time::timeout(Duration::from_millis(500), node.commit(5)).await;
    assert!(commit.is_err(), "it still waits, and its client went away");
    assert_eq!(node.fetched("t"), -1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(node.fetched("t"), 5, "it is written all the same");
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_fails_its_commits_and_nothing_else() {
    let node = Node::new().await;
    let joined = node.stable().await;
    let log = node.log().await;
    for fault in [LogError::Refused("busy".into()), LogError::TooLarge("a lot".into())] {
        log.fault(Fault::Fail(fault));
        let by_member = CommitRequest {
            group: GROUP.into(),
            member: joined.member.clone(),
            instance: None,
            generation: joined.generation,
            speaks_epochs: true,
            retention_ms: None,
            topics: one_offset("t", 5),
        };
        assert!(matches!(node.handle.commit(by_member).await, Err(Error::Group(_))));
    }
    assert_eq!((node.fetched("t"), node.handle.heartbeat(&heartbeat(&joined))), (-1, Ok(())));
}

#[tokio::test(start_paused = true)]
async fn a_write_too_large_does_not_take_others_with_it() {
    let node = Node::new().await;
    let log = node.log().await;
    // The three are in one append, which is refused; then each goes alone, and the second is refused again.
    log.fault(Fault::Delay(Duration::from_millis(10)));
    log.fault(Fault::Fail(LogError::TooLarge("together".into())));
    let first = node.commit(0);
    let rest = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        tokio::join!(
            node.commit(1),
            async {
                log.fault(Fault::Delay(Duration::from_millis(1)));
                log.fault(Fault::Fail(LogError::TooLarge("alone".into())));
                node.commit(2).await
            },
            node.commit(3)
        )
    };
    let (first, (one, two, three)) = tokio::join!(first, rest);
    assert_eq!((first, one, three), (Ok(()), Ok(()), Ok(())));
    assert_eq!(two, Err(Error::Group(GroupError::RecordTooLarge { group: GROUP.into() })));
    assert_eq!(node.fetched("t"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_write_of_unknown_outcome_is_decided_by_the_log() {
    let node = Node::new().await;
    node.commit(1).await.unwrap();
    node.log().await.fault(Fault::FailWritten(LogError::Unknown("no answer".into())));
    assert!(matches!(node.commit(2).await, Err(Error::Group(GroupError::NotCoordinator { .. }))));
    assert!(matches!(node.handle.describe(GROUP), Err(Error::LoadInProgress { .. })), "it is read again");
    node.handle.fetch_as_admin(GROUP, None).await.unwrap();
    assert_eq!(node.fetched("t"), 2, "the log had it");
    node.log().await.fault(Fault::Fail(LogError::Unknown("no answer".into())));
    assert!(node.commit(3).await.is_err());
    node.handle.fetch_as_admin(GROUP, None).await.unwrap();
    assert_eq!(node.fetched("t"), 2, "the log had it not");
    node.commit(4).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_waits_when_leadership_goes_is_sent_away() {
    let node = Node::new().await;
    let index = node.handle.partition_of(GROUP).await.unwrap();
    let joining = node.handle.join(join(""));
    let resigning = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        node.handle.resigned(index);
    };
    let (joined, ()) = tokio::join!(joining, resigning);
    assert!(matches!(joined.unwrap_err().error, Error::Group(GroupError::NotCoordinator { .. })));
    let elsewhere = Error::NotCoordinator { group: GROUP.into(), partition: index };
    assert_eq!(node.handle.describe(GROUP), Err(elsewhere));
    node.elect(index.0);
    assert!(matches!(node.handle.describe(GROUP), Err(Error::LoadInProgress { .. })), "not read yet");
    node.commit(9).await.unwrap();
    assert_eq!(node.fetched("t"), 9);
}

#[tokio::test(start_paused = true)]
async fn a_join_whose_client_went_away_holds_nobody_up() {
    let node = Node::new().await;
    let gone = tokio::time::timeout(Duration::from_millis(10), node.handle.join(join(""))).await;
    assert!(gone.is_err());
    let joined = node.handle.join(join("")).await.unwrap();
    assert_eq!(joined.generation, 1);
    let plan = vec![(joined.member.clone(), Bytes::from_static(b"x"))];
    // The one that is gone leads; its sync never comes, so it is removed and the living one leads the next generation.
    let mut current = joined;
    while current.leader != current.member {
        let synced = node.handle.sync(sync(&current, plan.clone())).await;
        assert!(synced.is_err(), "{synced:?}");
        current = node.handle.join(join(&current.member)).await.unwrap();
    }
    assert!(node.handle.sync(sync(&current, plan)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_damaged_log_is_said_and_not_served() {
    let node = Node::new().await;
    let mut builder = millstream_record::BatchBuilder::new(millstream_record::Codec::None);
    builder.push(millstream_types::TimestampMs(0), Some(&[0, 1, 0]), Some(b"x"), []);
    let damaged = builder.build(Offset(0), LeaderEpoch(0)).unwrap();
    let log = node.log().await.clone();
    millstream_coordinator::OffsetsLog::append(&log, vec![damaged]).await.unwrap();
    let index = node.handle.partition_of(GROUP).await.unwrap();
    node.handle.resigned(index);
    node.elect(index.0);
    let waited = node.handle.fetch_as_admin(GROUP, None).await;
    assert_eq!(waited, Err(Error::LoadInProgress { group: GROUP.into(), partition: index }));
    assert!(matches!(node.handle.list(&ListFilter::default()), Err(Error::LoadInProgress { .. })));
}

#[tokio::test(start_paused = true)]
async fn metrics_count_groups_rebalances_and_commits() {
    let node = Node::new().await;
    node.handle.commit_as_admin("other", one_offset("t", 1)).await.unwrap();
    node.stable().await;
    node.handle.refresh_metrics();
    let group = |state: GroupState| node.metrics.gauge(&catalogue::GROUPS, &[state.name()]).value();
    assert_eq!((group(GroupState::Stable), group(GroupState::Empty), group(GroupState::Dead)), (1, 1, 0));
    assert_eq!(node.metrics.counter(&catalogue::GROUP_REBALANCES, &[]).value(), 1);
    assert_eq!(node.metrics.counter(&catalogue::OFFSET_COMMITS, &[]).value(), 1);
}

#[tokio::test(start_paused = true)]
async fn groups_offsets_and_topics_are_deleted_for_good() {
    let node = Node::new().await;
    for topic in ["t", "u", "v"] {
        node.handle.commit_as_admin(GROUP, one_offset(topic, 1)).await.unwrap();
    }
    node.handle.commit_as_admin("other", one_offset("t", 1)).await.unwrap();
    node.handle.topic_deleted("t").await.unwrap();
    let topics = vec![ByTopic { topic: "u".into(), partitions: vec![0] }];
    node.handle.delete_offsets(OffsetDeleteRequest { group: GROUP.into(), topics }).await.unwrap();
    let node = node.crash().await;
    assert_eq!((node.fetched("t"), node.fetched("u"), node.fetched("v")), (-1, -1, 1));
    let deleted = node.handle.delete(&[GROUP.into(), "none".into()]).await;
    assert_eq!(deleted[0], (GROUP.into(), Ok(())));
    assert_eq!(deleted[1].1, Err(Error::Group(GroupError::GroupIdNotFound { group: "none".into() })));
    let node = node.crash().await;
    assert_eq!(node.handle.list(&ListFilter::default()), Ok(Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn the_offsets_topic_is_made_when_its_coordinator_is_looked_for() {
    let runtime = Runtime::simulated(1, Arc::new(SimDisk::new()));
    let controller = MemoryController::new(PARTITIONS, 10);
    let handle = Service::start(runtime, Config::default(), ports(&controller), &Metrics::new());
    assert_eq!(handle.describe(GROUP), Err(Error::NoOffsetsTopic { group: GROUP.into() }));
    assert_eq!(controller.internal_topic(OFFSETS_TOPIC), None);
    let index = handle.partition_of(GROUP).await.unwrap();
    assert_eq!(controller.internal_topic(OFFSETS_TOPIC), Some(PARTITIONS));
    // Java: "g".hashCode() is 103, and 103 % 3 is 1.
    assert_eq!(index, PartitionIndex(1));
}

#[tokio::test(start_paused = true)]
async fn producer_ids_are_given_once_from_as_few_blocks_as_needed() {
    let node = Node::new().await;
    let asked = (0..35).map(|_| node.handle.init_producer_id());
    let mut ids: Vec<i64> = futures::future::join_all(asked)
        .await
        .into_iter()
        .map(|given| {
            let (id, epoch) = given.unwrap();
            assert_eq!(epoch, ProducerEpoch::FIRST);
            id.0
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), node.controller.blocks()), (35, 4));
}

#[tokio::test(start_paused = true)]
async fn a_member_by_pattern_has_its_partitions_once_the_pattern_is_matched_and_keeps_them_over_a_crash() {
    let node = Node::new().await;
    let beat = |epoch: i32| ConsumerHeartbeatRequest {
        group: GROUP.into(),
        member: "m".into(),
        epoch,
        rebalance_timeout_ms: Some(60_000),
        regex: Some("t+".into()),
        owned: Some(std::collections::BTreeMap::new()),
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        makes_ids: true,
        ..ConsumerHeartbeatRequest::default()
    };
    let mut told = node.handle.consumer_heartbeat(beat(0)).await.unwrap();
    assert_eq!(told.assignment.clone().unwrap().len(), 0, "it is not matched before the answer");
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        told = node.handle.consumer_heartbeat(beat(told.epoch)).await.unwrap();
    }
    let partitions = [(TopicId::ZERO, [0, 1].into())].into();
    assert_eq!(told.assignment, Some(partitions));

    let before = node.handle.describe_consumer(GROUP).unwrap();
    let node = node.crash().await;
    assert_eq!(node.handle.describe_consumer(GROUP).unwrap(), before);
    assert_eq!(node.handle.consumer_heartbeat(beat(told.epoch)).await.unwrap().assignment, told.assignment);
}
