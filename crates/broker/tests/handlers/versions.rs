//! Every API in every version that is told to clients: a request with content is answered, and the answer decodes in that version.

use crate::node::{Node, batch, produce, topic_name, whole};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    self as known, delete_share_group_state_request, initialize_share_group_state_request,
    read_share_group_state_request, read_share_group_state_summary_request, share_fetch_request,
    write_share_group_state_request,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AlterClientQuotasRequest, AlterConfigsRequest,
    AlterPartitionReassignmentsRequest, AlterReplicaLogDirsRequest, AlterShareGroupOffsetsRequest,
    AlterUserScramCredentialsRequest, ApiVersionsRequest, BrokerId, ConsumerGroupDescribeRequest,
    ConsumerGroupHeartbeatRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteGroupsRequest,
    DeleteRecordsRequest, DeleteShareGroupOffsetsRequest, DeleteTopicsRequest, DescribeClientQuotasRequest,
    DescribeClusterRequest, DescribeConfigsRequest, DescribeGroupsRequest, DescribeLogDirsRequest,
    DescribeProducersRequest, DescribeQuorumRequest, DescribeShareGroupOffsetsRequest, DescribeTopicPartitionsRequest,
    DescribeTransactionsRequest, DescribeUserScramCredentialsRequest, ElectLeadersRequest, EndTxnRequest, FetchRequest,
    FindCoordinatorRequest, GetTelemetrySubscriptionsRequest, GroupId, HeartbeatRequest,
    IncrementalAlterConfigsRequest, InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest,
    ListConfigResourcesRequest, ListGroupsRequest, ListOffsetsRequest, ListPartitionReassignmentsRequest,
    ListTransactionsRequest, MetadataRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
    OffsetForLeaderEpochRequest, ProduceRequest, PushTelemetryRequest, SaslAuthenticateRequest, SaslHandshakeRequest,
    ShareGroupDescribeRequest, ShareGroupHeartbeatRequest, SyncGroupRequest, TransactionalId, TxnOffsetCommitRequest,
    UnregisterBrokerRequest, UpdateFeaturesRequest, WriteTxnMarkersRequest, add_partitions_to_txn_request,
    alter_client_quotas_request, alter_configs_request, alter_partition_reassignments_request,
    alter_replica_log_dirs_request, alter_share_group_offsets_request, alter_user_scram_credentials_request,
    create_partitions_request, create_topics_request, delete_records_request, delete_share_group_offsets_request,
    delete_topics_request, describe_configs_request, describe_producers_request, describe_quorum_request,
    describe_share_group_offsets_request, describe_topic_partitions_request, describe_user_scram_credentials_request,
    elect_leaders_request, fetch_request, incremental_alter_configs_request, join_group_request, leave_group_request,
    list_offsets_request, offset_commit_request, offset_delete_request, offset_fetch_request,
    offset_for_leader_epoch_request, txn_offset_commit_request, update_features_request, write_txn_markers_request,
};
use kafka_protocol::protocol::Request;
use millstream_net::{Answer, ConnectionContext, Frame, Handler};
use millstream_protocol::messages as later;
use millstream_protocol::{ApiKey, ResponseError, SERVED, decode_response, supported};

/// What was exercised, and what was not answered.
#[derive(Default)]
struct Seen {
    apis: Vec<ApiKey>,
    failures: Vec<String>,
}

/// Sends `body(version)` in every version that is served.
async fn every<R: Request>(node: &Node, seen: &mut Seen, body: impl Fn(i16) -> R) {
    let api = ApiKey::try_from(R::KEY).unwrap();
    for version in supported(api).unwrap() {
        match node.send(version, &body(version)).await {
            Answer::Reply(parts) => {
                let decoded = decode_response::<R>(whole(parts).await, version);
                seen.failures.extend(decoded.err().map(|error| error.to_string()));
            }
            other => seen.failures.push(format!("{api:?} v{version}: {other:?}")),
        }
    }
    seen.apis.push(api);
}

#[tokio::test(start_paused = true)]
async fn every_version_of_every_api_is_answered() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    node.produce("t", batch(&["a"])).await;
    let id = node.topic_id("t");
    let seen = &mut Seen::default();
    log(&node, seen, id).await;
    group(&node, seen).await;
    offsets(&node, seen).await;
    shares(&node, seen).await;
    shared(&node, seen, id).await;
    admin(&node, seen).await;
    options(&node, seen).await;
    transactions(&node, seen).await;
    cluster(&node, seen).await;
    clients(&node, seen).await;
    users(&node, seen).await;
    let left: Vec<_> = SERVED.iter().filter(|api| !seen.apis.contains(api)).collect();
    assert_eq!(left, Vec::<&ApiKey>::new(), "not exercised");
    assert_eq!(seen.failures, Vec::<String>::new());
}

/// What members of share groups fetch, and the state of it.
async fn shared(node: &Node, seen: &mut Seen, id: uuid::Uuid) {
    let group = || Some(GroupId("g".into()));
    every(node, seen, |_| {
        let partition = share_fetch_request::FetchPartition::default();
        let topic = share_fetch_request::FetchTopic::default().with_topic_id(id).with_partitions(vec![partition]);
        let request = known::ShareFetchRequest::default().with_group_id(group()).with_member_id(Some("m".into()));
        later::ShareFetchRequest::from(request.with_max_bytes(1_000).with_topics(vec![topic]))
    })
    .await;
    every(node, seen, |_| {
        let request = known::ShareAcknowledgeRequest::default().with_group_id(group()).with_member_id(Some("m".into()));
        later::ShareAcknowledgeRequest::from(request.with_share_session_epoch(-1))
    })
    .await;
    every(node, seen, |_| {
        let partition = initialize_share_group_state_request::PartitionData::default();
        let topic = initialize_share_group_state_request::InitializeStateData::default().with_topic_id(id);
        let topics = vec![topic.with_partitions(vec![partition])];
        known::InitializeShareGroupStateRequest::default().with_group_id("g".into()).with_topics(topics)
    })
    .await;
    every(node, seen, |_| {
        let partition = read_share_group_state_request::PartitionData::default();
        let topic = read_share_group_state_request::ReadStateData::default().with_topic_id(id);
        let topics = vec![topic.with_partitions(vec![partition])];
        known::ReadShareGroupStateRequest::default().with_group_id("g".into()).with_topics(topics)
    })
    .await;
    every(node, seen, |_| {
        let partition = write_share_group_state_request::PartitionData::default();
        let topic = write_share_group_state_request::WriteStateData::default().with_topic_id(id);
        let topics = vec![topic.with_partitions(vec![partition])];
        let request = known::WriteShareGroupStateRequest::default().with_group_id("g".into()).with_topics(topics);
        later::WriteShareGroupStateRequest::from(request)
    })
    .await;
    every(node, seen, |_| {
        let partition = read_share_group_state_summary_request::PartitionData::default();
        let topic = read_share_group_state_summary_request::ReadStateSummaryData::default().with_topic_id(id);
        let topics = vec![topic.with_partitions(vec![partition])];
        let request = known::ReadShareGroupStateSummaryRequest::default().with_group_id("g".into());
        later::ReadShareGroupStateSummaryRequest::from(request.with_topics(topics))
    })
    .await;
    every(node, seen, |_| {
        let partition = delete_share_group_state_request::PartitionData::default();
        let topic = delete_share_group_state_request::DeleteStateData::default().with_topic_id(id);
        let topics = vec![topic.with_partitions(vec![partition])];
        known::DeleteShareGroupStateRequest::default().with_group_id("g".into()).with_topics(topics)
    })
    .await;
}

async fn log(node: &Node, seen: &mut Seen, id: uuid::Uuid) {
    let named = |version: i16| {
        ApiVersionsRequest::default().with_client_software_name(if version < 3 { "" } else { "x" }.into())
    };
    every(node, seen, |version| named(version).with_client_software_version(if version < 3 { "" } else { "1" }.into()))
        .await;
    every(node, seen, |_| MetadataRequest::default().with_topics(Some(Vec::new()))).await;
    every(node, seen, |version| -> ProduceRequest {
        let mut request = produce(if version < 13 { "t" } else { "" }, 0, Some(batch(&["b"])), -1);
        request.topic_data[0].topic_id = if version < 13 { uuid::Uuid::nil() } else { id };
        request
    })
    .await;
    every(node, seen, |version| {
        let partition = fetch_request::FetchPartition::default().with_partition_max_bytes(1_000);
        let topic = fetch_request::FetchTopic::default().with_partitions(vec![partition]);
        let topic = if version < 13 { topic.with_topic(topic_name("t")) } else { topic.with_topic_id(id) };
        FetchRequest::default().with_session_epoch(if version < 7 { -1 } else { 0 }).with_topics(vec![topic])
    })
    .await;
    every(node, seen, |_| {
        let partition = list_offsets_request::ListOffsetsPartition::default().with_timestamp(-1);
        let topic = list_offsets_request::ListOffsetsTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![partition]);
        later::ListOffsetsRequest::from(ListOffsetsRequest::default().with_topics(vec![topic]))
    })
    .await;
    every(node, seen, |_| {
        let partition = offset_for_leader_epoch_request::OffsetForLeaderPartition::default();
        let topic = offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
            .with_topic(topic_name("t"))
            .with_partitions(vec![partition]);
        OffsetForLeaderEpochRequest::default().with_topics(vec![topic])
    })
    .await;
}

async fn group(node: &Node, seen: &mut Seen) {
    let id = || GroupId("g".into());
    every(node, seen, |version| match version {
        ..4 => FindCoordinatorRequest::default().with_key("g".into()),
        _ => FindCoordinatorRequest::default().with_coordinator_keys(vec!["g".into()]),
    })
    .await;
    every(node, seen, |_| {
        let protocol = join_group_request::JoinGroupRequestProtocol::default().with_name("range".into());
        JoinGroupRequest::default()
            .with_group_id(id())
            .with_session_timeout_ms(10_000)
            .with_protocol_type("consumer".into())
            .with_protocols(vec![protocol])
    })
    .await;
    every(node, seen, |_| SyncGroupRequest::default().with_group_id(id())).await;
    every(node, seen, |_| HeartbeatRequest::default().with_group_id(id())).await;
    every(node, seen, |version| match version {
        ..3 => LeaveGroupRequest::default().with_group_id(id()).with_member_id("m".into()),
        _ => LeaveGroupRequest::default()
            .with_group_id(id())
            .with_members(vec![leave_group_request::MemberIdentity::default()]),
    })
    .await;
    every(node, seen, |_| ConsumerGroupHeartbeatRequest::default().with_group_id(id()).with_member_id("m".into()))
        .await;
    every(node, seen, |_| ConsumerGroupDescribeRequest::default().with_group_ids(vec![id()])).await;
    every(node, seen, |_| DescribeGroupsRequest::default().with_groups(vec![id(), GroupId("nope".into())])).await;
    every(node, seen, |_| ListGroupsRequest::default()).await;
    every(node, seen, |_| DeleteGroupsRequest::default().with_groups_names(vec![id()])).await;
    every(node, seen, |_| InitProducerIdRequest::default().with_transactional_id(None)).await;
}

/// Members of share groups, and who looks after their offsets.
async fn shares(node: &Node, seen: &mut Seen) {
    let id = || GroupId("s".into());
    every(node, seen, |_| ShareGroupHeartbeatRequest::default().with_group_id(id()).with_member_id("m".into())).await;
    every(node, seen, |_| ShareGroupDescribeRequest::default().with_group_ids(vec![id()])).await;
    every(node, seen, |_| {
        let group = describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup::default();
        let request = DescribeShareGroupOffsetsRequest::default().with_groups(vec![group.with_group_id(id())]);
        later::DescribeShareGroupOffsetsRequest::from(request)
    })
    .await;
    every(node, seen, |_| {
        let topic = alter_share_group_offsets_request::AlterShareGroupOffsetsRequestTopic::default();
        let topics = vec![topic.with_topic_name(topic_name("t"))];
        AlterShareGroupOffsetsRequest::default().with_group_id(id()).with_topics(topics)
    })
    .await;
    every(node, seen, |_| {
        let topic = delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic::default();
        let topics = vec![topic.with_topic_name(topic_name("t"))];
        DeleteShareGroupOffsetsRequest::default().with_group_id(id()).with_topics(topics)
    })
    .await;
}

async fn offsets(node: &Node, seen: &mut Seen) {
    let id = || GroupId("h".into());
    every(node, seen, |_| {
        let partition = offset_commit_request::OffsetCommitRequestPartition::default();
        let topic = offset_commit_request::OffsetCommitRequestTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![partition]);
        let message = OffsetCommitRequest::default().with_group_id(id()).with_topics(vec![topic]);
        later::OffsetCommitRequest { message, topic_ids: vec![node.topic_id("t")] }
    })
    .await;
    every(node, seen, |version| match version {
        ..8 => {
            let topic = offset_fetch_request::OffsetFetchRequestTopic::default()
                .with_name(topic_name("t"))
                .with_partition_indexes(vec![0]);
            OffsetFetchRequest::default().with_group_id(id()).with_topics(Some(vec![topic])).into()
        }
        _ => {
            let group = offset_fetch_request::OffsetFetchRequestGroup::default().with_group_id(id()).with_topics(None);
            later::OffsetFetchRequest::from(OffsetFetchRequest::default().with_groups(vec![group]))
        }
    })
    .await;
    every(node, seen, |_| {
        let partition = offset_delete_request::OffsetDeleteRequestPartition::default();
        let topic = offset_delete_request::OffsetDeleteRequestTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![partition]);
        OffsetDeleteRequest::default().with_group_id(id()).with_topics(vec![topic])
    })
    .await;
}

async fn admin(node: &Node, seen: &mut Seen) {
    every(node, seen, |version| {
        let topic = create_topics_request::CreatableTopic::default()
            .with_name(topic_name(&format!("made-{version}")))
            .with_num_partitions(1)
            .with_replication_factor(1);
        CreateTopicsRequest::default().with_topics(vec![topic.clone(), topic.with_name(topic_name("t"))])
    })
    .await;
    every(node, seen, |version| {
        let name = topic_name(&format!("made-{version}"));
        match version {
            ..6 => DeleteTopicsRequest::default().with_topic_names(vec![name]),
            _ => {
                let topic = delete_topics_request::DeleteTopicState::default().with_name(Some(name));
                DeleteTopicsRequest::default().with_topics(vec![topic])
            }
        }
    })
    .await;
    every(node, seen, |version| {
        let topic = create_partitions_request::CreatePartitionsTopic::default()
            .with_name(topic_name("t"))
            .with_count(i32::from(version) + 1)
            .with_assignments(None);
        CreatePartitionsRequest::default().with_topics(vec![topic])
    })
    .await;
    every(node, seen, |_| {
        let partition = delete_records_request::DeleteRecordsPartition::default();
        let topic = delete_records_request::DeleteRecordsTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![partition]);
        DeleteRecordsRequest::default().with_topics(vec![topic])
    })
    .await;
    every(node, seen, |_| DescribeClusterRequest::default()).await;
    every(node, seen, |_| later::DescribeLogDirsRequest::from(DescribeLogDirsRequest::default().with_topics(None)))
        .await;
}

async fn options(node: &Node, seen: &mut Seen) {
    every(node, seen, |_| {
        let topic = describe_configs_request::DescribeConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name("t".into());
        let broker = describe_configs_request::DescribeConfigsResource::default()
            .with_resource_type(4)
            .with_resource_name("1".into());
        DescribeConfigsRequest::default().with_resources(vec![topic, broker])
    })
    .await;
    every(node, seen, |_| {
        let resource =
            alter_configs_request::AlterConfigsResource::default().with_resource_type(2).with_resource_name("t".into());
        AlterConfigsRequest::default().with_resources(vec![resource])
    })
    .await;
    every(node, seen, |_| {
        let resource = incremental_alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name("x".into());
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource])
    })
    .await;
}

async fn cluster(node: &Node, seen: &mut Seen) {
    every(node, seen, |_| {
        let topic = alter_replica_log_dirs_request::AlterReplicaLogDirTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![0]);
        let dir = alter_replica_log_dirs_request::AlterReplicaLogDir::default().with_topics(vec![topic]);
        AlterReplicaLogDirsRequest::default().with_dirs(vec![dir])
    })
    .await;
    every(node, seen, |_| {
        let topic =
            elect_leaders_request::TopicPartitions::default().with_topic(topic_name("t")).with_partitions(vec![0]);
        ElectLeadersRequest::default().with_topic_partitions(Some(vec![topic]))
    })
    .await;
    every(node, seen, |_| {
        let partition = alter_partition_reassignments_request::ReassignablePartition::default();
        let topic = alter_partition_reassignments_request::ReassignableTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![partition]);
        AlterPartitionReassignmentsRequest::default().with_topics(vec![topic])
    })
    .await;
    every(node, seen, |_| ListPartitionReassignmentsRequest::default().with_topics(None)).await;
    every(node, seen, |_| {
        let partition = describe_quorum_request::PartitionData::default();
        let topic = describe_quorum_request::TopicData::default()
            .with_topic_name(topic_name("__cluster_metadata"))
            .with_partitions(vec![partition]);
        DescribeQuorumRequest::default().with_topics(vec![topic])
    })
    .await;
    every(node, seen, |_| {
        let update = update_features_request::FeatureUpdateKey::default()
            .with_feature("metadata.version".into())
            .with_max_version_level(30);
        UpdateFeaturesRequest::default().with_feature_updates(vec![update])
    })
    .await;
    every(node, seen, |_| UnregisterBrokerRequest::default().with_broker_id(BrokerId(7))).await;
    every(node, seen, |version| {
        let kinds = if version < 1 { vec![] } else { vec![2, 4] };
        ListConfigResourcesRequest::default().with_resource_types(kinds)
    })
    .await;
    every(node, seen, |_| {
        let topic = describe_topic_partitions_request::TopicRequest::default().with_name(topic_name("t"));
        DescribeTopicPartitionsRequest::default().with_topics(vec![topic])
    })
    .await;
}

async fn clients(node: &Node, seen: &mut Seen) {
    every(node, seen, |_| {
        let entity = alter_client_quotas_request::EntityData::default().with_entity_type("client-id".into());
        let op = alter_client_quotas_request::OpData::default().with_key("producer_byte_rate".into()).with_value(1e9);
        let entry = alter_client_quotas_request::EntryData::default().with_entity(vec![entity]).with_ops(vec![op]);
        AlterClientQuotasRequest::default().with_entries(vec![entry])
    })
    .await;
    every(node, seen, |_| DescribeClientQuotasRequest::default()).await;
    every(node, seen, |_| GetTelemetrySubscriptionsRequest::default()).await;
    every(node, seen, |_| PushTelemetryRequest::default()).await;
}

async fn transactions(node: &Node, seen: &mut Seen) {
    let id = || TransactionalId("tx".into());
    every(node, seen, |version| {
        let topic = add_partitions_to_txn_request::AddPartitionsToTxnTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![0]);
        let transaction = add_partitions_to_txn_request::AddPartitionsToTxnTransaction::default()
            .with_transactional_id(id())
            .with_topics(vec![topic.clone()]);
        match version {
            ..4 => AddPartitionsToTxnRequest::default()
                .with_v3_and_below_transactional_id(id())
                .with_v3_and_below_topics(vec![topic]),
            _ => AddPartitionsToTxnRequest::default().with_transactions(vec![transaction]),
        }
    })
    .await;
    every(node, seen, |_| {
        AddOffsetsToTxnRequest::default().with_transactional_id(id()).with_group_id(GroupId("g".into()))
    })
    .await;
    every(node, seen, |_| {
        let partition = txn_offset_commit_request::TxnOffsetCommitRequestPartition::default();
        let topic = txn_offset_commit_request::TxnOffsetCommitRequestTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![partition]);
        TxnOffsetCommitRequest::default()
            .with_transactional_id(id())
            .with_group_id(GroupId("g".into()))
            .with_topics(vec![topic])
    })
    .await;
    every(node, seen, |_| EndTxnRequest::default().with_transactional_id(id())).await;
    every(node, seen, |_| {
        let topic = write_txn_markers_request::WritableTxnMarkerTopic::default()
            .with_name(topic_name("t"))
            .with_partition_indexes(vec![0]);
        let marker = write_txn_markers_request::WritableTxnMarker::default().with_topics(vec![topic]);
        later::WriteTxnMarkersRequest::from(WriteTxnMarkersRequest::default().with_markers(vec![marker]))
    })
    .await;
    every(node, seen, |_| {
        let topic = describe_producers_request::TopicRequest::default()
            .with_name(topic_name("t"))
            .with_partition_indexes(vec![0]);
        DescribeProducersRequest::default().with_topics(vec![topic])
    })
    .await;
    every(node, seen, |_| DescribeTransactionsRequest::default().with_transactional_ids(vec![id()])).await;
    every(node, seen, |version| {
        let request = ListTransactionsRequest::default().with_state_filters(vec!["Ongoing".into()]);
        if version >= 1 { request.with_duration_filter(5) } else { request }
    })
    .await;
}

async fn users(node: &Node, seen: &mut Seen) {
    every(node, seen, |_| SaslHandshakeRequest::default().with_mechanism("PLAIN".into())).await;
    every(node, seen, |_| SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(b"\0u\0p"))).await;
    every(node, seen, |_| {
        let deletion = alter_user_scram_credentials_request::ScramCredentialDeletion::default();
        AlterUserScramCredentialsRequest::default().with_deletions(vec![deletion.with_name("u".into())])
    })
    .await;
    every(node, seen, |_| {
        let user = describe_user_scram_credentials_request::UserName::default().with_name("u".into());
        DescribeUserScramCredentialsRequest::default().with_users(Some(vec![user]))
    })
    .await;
}

async fn raw(node: &Node, key: i16, version: i16, rest: &[u8]) -> Answer {
    let mut frame = BytesMut::new();
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_i32(42);
    frame.put_i16(-1);
    frame.put_slice(rest);
    let peer = "127.0.0.1:1".parse().unwrap();
    let context = ConnectionContext::new("PLAINTEXT".into(), peer, 1);
    node.service.handle(&context, Frame { bytes: frame.freeze(), more: false }).await
}

#[tokio::test(start_paused = true)]
async fn what_is_not_served_closes_the_connection_but_for_api_versions() {
    let node = Node::start().await;
    assert!(matches!(raw(&node, 999, 0, &[]).await, Answer::Close(_)));
    assert!(matches!(raw(&node, ApiKey::Metadata as i16, 99, &[]).await, Answer::Close(_)));
    assert!(
        matches!(raw(&node, ApiKey::Metadata as i16, 1, &[0x7f, 0xff, 0xff, 0xff]).await, Answer::Close(_)),
        "a hostile count"
    );
    let Answer::Reply(parts) = raw(&node, ApiKey::ApiVersions as i16, 99, &[]).await else {
        panic!("ApiVersions is always answered")
    };
    let frame: Bytes = whole(parts).await;
    assert_eq!(frame[4..6], ResponseError::UnsupportedVersion.code().to_be_bytes());
}
