//! Groups, their offsets, and producer ids.

use crate::node::{Node, topic_name};
use bytes::Bytes;
use kafka_protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use kafka_protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic,
};
use kafka_protocol::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest, GroupId, HeartbeatRequest,
    InitProducerIdRequest, ListGroupsRequest, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use millstream_protocol::ResponseError as E;

fn group() -> GroupId {
    GroupId("g".into())
}

/// Finds the coordinator of "g" until its groups are loaded.
async fn ready(node: &Node) {
    let find = FindCoordinatorRequest::default().with_key("g".into());
    let found = node.ask(3, &find).await;
    assert_eq!((found.error_code, found.node_id.0, found.host.as_str(), found.port), (0, 1, "broker.example", 9092));
    let probe = OffsetFetchRequest::default().with_group_id(group()).with_topics(Some(Vec::new()));
    for _ in 0..1_000 {
        if node.ask(5, &probe).await.error_code == 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the group was not loaded");
}

fn join(member: &str) -> JoinGroupRequest {
    let protocol =
        JoinGroupRequestProtocol::default().with_name("range".into()).with_metadata(Bytes::from_static(b"topics"));
    JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_member_id(StrBytes::from_string(member.to_owned()))
        .with_protocol_type("consumer".into())
        .with_protocols(vec![protocol])
}

/// Joins and syncs alone; returns the member id and the generation.
async fn joined(node: &Node) -> (StrBytes, i32) {
    let asked = node.ask(9, &join("")).await;
    assert_eq!(asked.error_code, E::MemberIdRequired.code());
    let joined = node.ask(9, &join(&asked.member_id)).await;
    assert_eq!((joined.error_code, &joined.leader), (0, &asked.member_id));
    assert_eq!(joined.members[0].metadata, Bytes::from_static(b"topics"));
    let assignment = SyncGroupRequestAssignment::default()
        .with_member_id(joined.member_id.clone())
        .with_assignment(Bytes::from_static(b"mine"));
    let sync = SyncGroupRequest::default()
        .with_group_id(group())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_protocol_type(Some("consumer".into()))
        .with_protocol_name(Some("range".into()))
        .with_assignments(vec![assignment]);
    let synced = node.ask(5, &sync).await;
    assert_eq!((synced.error_code, synced.assignment), (0, Bytes::from_static(b"mine")));
    (joined.member_id, joined.generation_id)
}

fn heartbeat(member: &StrBytes, generation: i32) -> HeartbeatRequest {
    HeartbeatRequest::default().with_group_id(group()).with_generation_id(generation).with_member_id(member.clone())
}

fn commit(topic: &str, member: &StrBytes, generation: i32) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default()
        .with_committed_offset(7)
        .with_committed_leader_epoch(0)
        .with_committed_metadata(Some("note".into()));
    let topic = OffsetCommitRequestTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(group())
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(member.clone())
        .with_topics(vec![topic])
}

#[tokio::test(start_paused = true)]
async fn a_member_joins_beats_commits_and_leaves() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    ready(&node).await;
    let (member, generation) = joined(&node).await;
    assert_eq!(node.ask(4, &heartbeat(&member, generation)).await.error_code, 0);
    assert_eq!(node.ask(4, &heartbeat(&member, generation + 1)).await.error_code, E::IllegalGeneration.code());
    assert_eq!(node.ask(4, &heartbeat(&"stranger".into(), generation)).await.error_code, E::UnknownMemberId.code());
    let committed = node.ask(9, &commit("t", &member, generation)).await;
    assert_eq!(committed.topics[0].partitions[0].error_code, 0);
    let unknown = node.ask(9, &commit("nope", &member, generation)).await;
    assert_eq!(unknown.topics[0].partitions[0].error_code, E::UnknownTopicOrPartition.code());
    let stale = node.ask(9, &commit("t", &member, generation + 1)).await;
    assert_eq!(stale.topics[0].partitions[0].error_code, E::IllegalGeneration.code());
    let leaving = MemberIdentity::default().with_member_id(member.clone());
    let leave = LeaveGroupRequest::default().with_group_id(group()).with_members(vec![leaving]);
    let left = node.ask(5, &leave).await;
    assert_eq!((left.error_code, left.members[0].error_code), (0, 0));
    let again = LeaveGroupRequest::default().with_group_id(group()).with_member_id(member);
    assert_eq!(node.ask(2, &again).await.error_code, E::UnknownMemberId.code());
}

#[tokio::test(start_paused = true)]
async fn committed_offsets_are_fetched_alone_in_batches_and_deleted() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    ready(&node).await;
    assert_eq!(node.ask(9, &commit("t", &"".into(), -1)).await.topics[0].partitions[0].error_code, 0);
    let topic = OffsetFetchRequestTopic::default().with_name(topic_name("t")).with_partition_indexes(vec![0, 1]);
    let single =
        node.ask(5, &OffsetFetchRequest::default().with_group_id(group()).with_topics(Some(vec![topic]))).await;
    let found: Vec<_> =
        single.topics[0].partitions.iter().map(|one| (one.committed_offset, one.metadata.clone())).collect();
    assert_eq!(found, [(7, Some("note".into())), (-1, Some("".into()))]);
    let all = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(None);
    let batched = node.ask(9, &OffsetFetchRequest::default().with_groups(vec![all])).await;
    assert_eq!(batched.groups[0].topics[0].partitions[0].committed_offset, 7);
    let partition = OffsetDeleteRequestPartition::default();
    let topic = OffsetDeleteRequestTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
    let deleted = node.ask(0, &OffsetDeleteRequest::default().with_group_id(group()).with_topics(vec![topic])).await;
    assert_eq!((deleted.error_code, deleted.topics[0].partitions[0].error_code), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn groups_are_described_listed_and_deleted() {
    let node = Node::start().await;
    ready(&node).await;
    let (member, _) = joined(&node).await;
    let describe = DescribeGroupsRequest::default()
        .with_groups(vec![group(), GroupId("nope".into())])
        .with_include_authorized_operations(true);
    let described = node.ask(6, &describe).await;
    let known = &described.groups[0];
    assert_eq!((known.group_state.as_str(), known.protocol_data.as_str()), ("Stable", "range"));
    assert_eq!((known.members[0].member_id.clone(), known.members[0].client_host.as_str()), (member, "/127.0.0.1"));
    assert_ne!(known.authorized_operations, i32::MIN);
    assert_eq!(
        (described.groups[1].error_code, described.groups[1].group_state.as_str()),
        (E::GroupIdNotFound.code(), "Dead")
    );
    let older = node.ask(5, &DescribeGroupsRequest::default().with_groups(vec![GroupId("nope".into())])).await;
    assert_eq!((older.groups[0].error_code, older.groups[0].group_state.as_str()), (0, "Dead"));
    let listed = node.ask(5, &ListGroupsRequest::default().with_states_filter(vec!["stable".into()])).await;
    assert_eq!((listed.groups[0].group_id.clone(), listed.groups[0].group_type.as_str()), (group(), "classic"));
    let delete = DeleteGroupsRequest::default().with_groups_names(vec![group(), GroupId("nope".into())]);
    let codes: Vec<i16> = node.ask(2, &delete).await.results.iter().map(|result| result.error_code).collect();
    assert_eq!(codes, [E::NonEmptyGroup.code(), E::GroupIdNotFound.code()]);
}

#[tokio::test(start_paused = true)]
async fn several_coordinators_are_found_at_once_and_what_is_not_served_is_not_available() {
    let node = Node::start().await;
    let several = FindCoordinatorRequest::default().with_coordinator_keys(vec!["a".into(), "b".into()]);
    let found = node.ask(6, &several).await;
    assert!(found.coordinators.iter().all(|one| one.error_code == 0 && one.port == 9092));
    for kind in [2, 9] {
        let request = FindCoordinatorRequest::default().with_key("x".into()).with_key_type(kind);
        assert_eq!(node.ask(3, &request).await.error_code, E::InvalidRequest.code());
    }
}

#[tokio::test(start_paused = true)]
async fn before_there_are_offsets_every_group_asks_for_its_coordinator() {
    let node = Node::start().await;
    assert_eq!(node.ask(4, &heartbeat(&"m".into(), 1)).await.error_code, E::CoordinatorNotAvailable.code());
    let probe = OffsetFetchRequest::default().with_group_id(group()).with_topics(Some(Vec::new()));
    assert_eq!(node.ask(5, &probe).await.error_code, E::CoordinatorNotAvailable.code());
}

#[tokio::test(start_paused = true)]
async fn idempotent_producers_get_ids_and_transactional_ones_find_their_coordinator_first() {
    let node = Node::start().await;
    let first = node.ask(5, &InitProducerIdRequest::default().with_transactional_id(None)).await;
    let second = node.ask(0, &InitProducerIdRequest::default().with_transactional_id(None)).await;
    assert_eq!((first.error_code, first.producer_epoch, second.error_code), (0, 0, 0));
    assert_ne!(first.producer_id, second.producer_id);
    let transactional =
        |id: &'static str| InitProducerIdRequest::default().with_transactional_id(Some(TransactionalId(id.into())));
    assert_eq!(node.ask(5, &transactional("tx")).await.error_code, E::CoordinatorNotAvailable.code());
    assert_eq!(node.ask(5, &transactional("")).await.error_code, E::InvalidRequest.code());
}
