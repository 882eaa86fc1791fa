//! What Apache Kafka answers at the edges, as the differential harness found it: in which order it looks at a request's faults, and what of an
//! answer it leaves out.

use crate::node::{Node, batch, produce, topic_name};
use kafka_protocol::messages::add_partitions_to_txn_request::{AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction};
use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::alter_replica_log_dirs_request::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequest, OffsetDeleteRequestTopic};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, AlterConfigsRequest, BrokerId, ElectLeadersRequest, FetchRequest, GroupId,
    OffsetCommitRequest, ProducerId, TransactionalId, TxnOffsetCommitRequest,
};
use millstream_coordinator::OFFSETS_TOPIC;
use millstream_protocol::ResponseError as E;

const NOWHERE: &str = "nowhere";

/// A node with a topic, and a coordinator of groups and transactions.
async fn ready() -> Node {
    let node = Node::start().await;
    node.topic("t", 2, &[]).await;
    for (kind, key) in [(0, "g"), (1, "tx")] {
        let request = kafka_protocol::messages::FindCoordinatorRequest::default()
            .with_key_type(kind)
            .with_coordinator_keys(vec![key.into()]);
        let _ = node.ask(4, &request).await;
    }
    for _ in 0..1_000 {
        if node.is_coordinating() && node.quorum.image().topic_named(OFFSETS_TOPIC).is_some() {
            return node;
        }
        node.runtime.clock.sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("nobody coordinates");
}

#[tokio::test(start_paused = true)]
async fn markers_of_one_producer_are_answered_together_and_for_every_partition() {
    let node = ready().await;
    let marker = |producer, topics: &[(&str, &[i32])]| {
        let topics = topics.iter().map(|(name, indexes)| {
            WritableTxnMarkerTopic::default().with_name(topic_name(name)).with_partition_indexes(indexes.to_vec())
        });
        WritableTxnMarker::default()
            .with_producer_id(ProducerId(producer))
            .with_producer_epoch(1)
            .with_topics(topics.collect())
    };
    let markers = vec![
        marker(5, &[("t", &[0, 7]), (NOWHERE, &[0])]),
        marker(6, &[(NOWHERE, &[-1])]),
        marker(5, &[("t", &[1])]),
        marker(7, &[("t", &[])]),
    ];
    let request = WriteTxnMarkersRequest::default().with_markers(markers);
    let response = node.ask(1, &request).await;
    let mut told = Vec::new();
    for marker in &response.markers {
        for topic in &marker.topics {
            for partition in &topic.partitions {
                told.push((
                    marker.producer_id.0,
                    topic.name.to_string(),
                    partition.partition_index,
                    partition.error_code,
                ));
            }
        }
    }
    let unknown = E::UnknownTopicOrPartition.code();
    let expected =
        [(5, NOWHERE, 0, unknown), (5, "t", 0, 0), (5, "t", 1, 0), (5, "t", 7, unknown), (6, NOWHERE, -1, unknown)];
    let expected = expected.map(|(producer, topic, index, code)| (producer, topic.to_owned(), index, code));
    assert_eq!(told, expected);
    assert_eq!(response.markers.len(), 2, "what no partition was named of is left out");
}

#[tokio::test(start_paused = true)]
async fn an_election_of_no_kind_is_refused_as_a_whole_where_all_topics_are_meant() {
    let node = ready().await;
    let asked = |kind| ElectLeadersRequest::default().with_election_type(kind).with_topic_partitions(None);
    let refused = node.ask(1, &asked(2)).await;
    assert_eq!((refused.error_code, refused.replica_election_results.len()), (E::InvalidRequest.code(), 0));
    assert_eq!(node.ask(1, &asked(0)).await.error_code, 0);
    let nothing = asked(2).with_topic_partitions(Some(Vec::new()));
    assert_eq!(node.ask(1, &nothing).await.error_code, 0, "nothing was asked of that kind");
}

#[tokio::test(start_paused = true)]
async fn only_clients_are_kept_out_of_internal_topics_in_a_transaction() {
    let node = ready().await;
    let topics = || {
        let topic =
            |name, indexes| AddPartitionsToTxnTopic::default().with_name(topic_name(name)).with_partitions(indexes);
        vec![topic(OFFSETS_TOPIC, vec![0, 99]), topic("t", vec![0])]
    };
    let codes =
        |results: &[kafka_protocol::messages::add_partitions_to_txn_response::AddPartitionsToTxnTopicResult]| {
            let partitions = results.iter().flat_map(|topic| &topic.results_by_partition);
            partitions.map(|partition| partition.partition_error_code).collect::<Vec<_>>()
        };
    let transaction = AddPartitionsToTxnTransaction::default()
        .with_transactional_id(TransactionalId("tx".into()))
        .with_verify_only(true)
        .with_topics(topics());
    let of_broker = AddPartitionsToTxnRequest::default().with_transactions(vec![transaction]);
    let answered = node.ask(4, &of_broker).await;
    let [unknown, skipped] = [E::UnknownTopicOrPartition.code(), E::OperationNotAttempted.code()];
    assert_eq!(codes(&answered.results_by_transaction[0].topic_results), [skipped, unknown, skipped]);
    let of_client = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(TransactionalId("tx".into()))
        .with_v3_and_below_topics(topics());
    let answered = node.ask(3, &of_client).await;
    let denied = E::TopicAuthorizationFailed.code();
    assert_eq!(codes(&answered.results_by_topic_v3_and_below), [denied, denied, skipped]);
}

#[tokio::test(start_paused = true)]
async fn a_bad_value_is_told_before_that_its_topic_is_not_there() {
    let node = ready().await;
    for (value, expected) in [("zip", E::InvalidConfig), ("gzip", E::UnknownTopicOrPartition)] {
        let config = AlterableConfig::default().with_name("compression.type".into()).with_value(Some(value.into()));
        let resource = AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(NOWHERE.into())
            .with_configs(vec![config]);
        let response = node.ask(1, &AlterConfigsRequest::default().with_resources(vec![resource])).await;
        assert_eq!(response.responses[0].error_code, expected.code(), "{value}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_is_not_ours_is_told_before_the_topic_unless_its_name_is_too_long() {
    let node = ready().await;
    let long = "a".repeat(250);
    for (name, expected) in [(".", E::LogDirNotFound), (long.as_str(), E::InvalidTopicException)] {
        let topic = AlterReplicaLogDirTopic::default().with_name(topic_name(name)).with_partitions(vec![0]);
        let dir = AlterReplicaLogDir::default().with_path("/nowhere".into()).with_topics(vec![topic]);
        let response = node.ask(1, &AlterReplicaLogDirsRequest::default().with_dirs(vec![dir])).await;
        assert_eq!(response.results[0].partitions[0].error_code, expected.code(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn topics_that_are_not_there_are_told_of_without_partitions() {
    let node = ready().await;
    let commit = OffsetCommitRequest::default().with_group_id(GroupId("g".into())).with_topics(vec![
        OffsetCommitRequestTopic::default().with_name(topic_name(NOWHERE)),
        OffsetCommitRequestTopic::default().with_name(topic_name("t")),
    ]);
    let told = node.ask(6, &commit).await.topics;
    assert_eq!(told.iter().map(|topic| topic.name.as_str()).collect::<Vec<_>>(), [NOWHERE]);
    let commit = TxnOffsetCommitRequest::default().with_group_id(GroupId("g".into())).with_topics(vec![
        TxnOffsetCommitRequestTopic::default().with_name(topic_name(NOWHERE)),
        TxnOffsetCommitRequestTopic::default().with_name(topic_name("t")),
    ]);
    let told = node.ask(3, &commit).await.topics;
    assert_eq!(told.iter().map(|topic| topic.name.as_str()).collect::<Vec<_>>(), [NOWHERE]);
}

#[tokio::test(start_paused = true)]
async fn a_group_without_a_name_is_told_before_the_producer_is_looked_at() {
    let node = ready().await;
    let partition = TxnOffsetCommitRequestPartition::default().with_partition_index(0).with_committed_offset(1);
    let topic = TxnOffsetCommitRequestTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
    let commit = TxnOffsetCommitRequest::default().with_topics(vec![topic]);
    let response = node.ask(3, &commit).await;
    assert_eq!(response.topics[0].partitions[0].error_code, E::InvalidGroupId.code());
    let topics = vec![OffsetDeleteRequestTopic::default().with_name(topic_name(NOWHERE))];
    let delete = OffsetDeleteRequest::default().with_topics(topics.clone());
    assert_eq!(node.ask(0, &delete).await.error_code, E::InvalidGroupId.code());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_isolation_level_refuses_the_whole_request() {
    let node = ready().await;
    let list = ListOffsetsRequest::default()
        .with_isolation_level(2)
        .with_topics(vec![ListOffsetsTopic::default().with_name(topic_name(NOWHERE))]);
    assert_eq!(node.ask(5, &list).await.topics.len(), 1);
    assert_eq!(node.ask(5, &list.with_isolation_level(1)).await.topics.len(), 0);
    let topic = |name, partitions| FetchTopic::default().with_topic(topic_name(name)).with_partitions(partitions);
    let fetch = FetchRequest::default()
        .with_isolation_level(2)
        .with_session_epoch(-1)
        .with_topics(vec![topic("t", vec![FetchPartition::default()]), topic(NOWHERE, Vec::new())]);
    let told = node.ask(12, &fetch).await.responses;
    assert_eq!(told.iter().map(|topic| topic.partitions.len()).collect::<Vec<_>>(), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_named_again_is_told_of_where_it_was_first() {
    let node = ready().await;
    let topic = |name: &str, indexes: &[i32]| {
        let partition = |index: &i32| ListOffsetsPartition::default().with_partition_index(*index).with_timestamp(-1);
        ListOffsetsTopic::default().with_name(topic_name(name)).with_partitions(indexes.iter().map(partition).collect())
    };
    let topics = vec![topic("t", &[0, 1]), topic(NOWHERE, &[0]), topic("t", &[1, 7])];
    let told = node.ask(5, &ListOffsetsRequest::default().with_topics(topics)).await.topics;
    let told: Vec<(&str, Vec<(i32, i16)>)> = told
        .iter()
        .map(|topic| {
            let partitions = topic.partitions.iter().map(|told| (told.partition_index, told.error_code));
            (topic.name.as_str(), partitions.collect())
        })
        .collect();
    let (twice, unknown) = (E::InvalidRequest.code(), E::UnknownTopicOrPartition.code());
    assert_eq!(told, [("t", vec![(0, 0), (1, twice), (7, unknown)]), (NOWHERE, vec![(0, unknown)])]);
}

#[tokio::test(start_paused = true)]
async fn fewer_than_no_bytes_are_refused_where_there_is_something_to_read() {
    let node = ready().await;
    node.produce("t", batch(&["a"])).await;
    for (offset, expected) in [(0, E::UnknownServerError.code()), (1, 0)] {
        let partition = FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(-1);
        let topic = FetchTopic::default().with_topic(topic_name("t")).with_partitions(vec![partition]);
        let fetch = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_bytes(1_000)
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        let response = node.ask(12, &fetch).await;
        let data = &response.responses[0].partitions[0];
        assert_eq!(data.error_code, expected, "at {offset}");
        assert_eq!(data.high_watermark, if expected == 0 { 1 } else { -1 });
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_start_is_told_with_a_record_that_is_refused() {
    let node = ready().await;
    let control =
        crate::node::fill(millstream_record::BatchBuilder::new(millstream_record::Codec::None).control(), &["a"]);
    let twice = bytes::Bytes::from([batch(&["a"]), batch(&["b"])].concat());
    let table = [
        ("t", 1, control.clone(), E::InvalidRecord, 0),
        ("t", 1, twice.clone(), E::InvalidRecord, -1),
        ("t", 2, control.clone(), E::InvalidRequiredAcks, -1),
        ("t", 2, twice, E::InvalidRecord, -1),
        (OFFSETS_TOPIC, 1, control, E::InvalidTopicException, -1),
    ];
    for (topic, acks, records, expected, log_start) in table {
        let response = node.ask(9, &produce(topic, 0, Some(records), acks)).await;
        let told = &response.responses[0].partition_responses[0];
        assert_eq!((told.error_code, told.log_start_offset), (expected.code(), log_start), "{topic} {acks}");
    }
}
