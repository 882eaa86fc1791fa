//! Metadata, topics, partitions, records, the cluster.

use crate::node::{ME, Node, batch, topic_name};
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreateTopicsRequest,
};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use kafka_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_protocol::messages::{BrokerId, DescribeClusterRequest, DescribeLogDirsRequest};
use millstream_protocol::ResponseError as E;
use uuid::Uuid;

fn creatable(name: &str, partitions: i32, factor: i16) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(factor)
}

async fn create(node: &Node, topic: CreatableTopic) -> CreatableTopicResult {
    node.ask(7, &CreateTopicsRequest::default().with_topics(vec![topic])).await.topics.remove(0)
}

fn named(names: &[&str]) -> MetadataRequest {
    let topics = names.iter().map(|name| MetadataRequestTopic::default().with_name(Some(topic_name(name))));
    MetadataRequest::default().with_topics(Some(topics.collect())).with_allow_auto_topic_creation(true)
}

#[tokio::test(start_paused = true)]
async fn a_created_topic_is_described() {
    let node = Node::start().await;
    let created = create(&node, creatable("t", 3, 1)).await;
    assert_eq!((created.error_code, created.num_partitions, created.replication_factor), (0, 3, 1));
    assert!(
        created
            .configs
            .unwrap()
            .iter()
            .any(|config| config.name.as_str() == "retention.ms" && config.config_source == 5)
    );
    let response = node.ask(12, &MetadataRequest::default().with_topics(None)).await;
    let topic = &response.topics[0];
    assert_eq!(
        (topic.name.clone(), topic.topic_id, topic.partitions.len()),
        (Some(topic_name("t")), created.topic_id, 3)
    );
    let partition = &topic.partitions[0];
    assert_eq!((partition.leader_id, partition.error_code), (BrokerId(ME.0), 0));
    assert_eq!((partition.isr_nodes.clone(), partition.replica_nodes.clone()), (vec![BrokerId(1)], vec![BrokerId(1)]));
    assert_eq!((response.brokers[0].host.as_str(), response.brokers[0].port), ("broker.example", 9092));
    assert!(response.cluster_id.is_some());
    assert_eq!(topic.topic_authorized_operations, i32::MIN);
}

#[tokio::test(start_paused = true)]
async fn defaults_are_the_brokers_and_assignments_are_taken() {
    let node = Node::with(&[("num.partitions", "4")]).await;
    assert_eq!(create(&node, creatable("t", -1, -1)).await.num_partitions, 4);
    let assign = |partition, broker| {
        CreatableReplicaAssignment::default().with_partition_index(partition).with_broker_ids(vec![BrokerId(broker)])
    };
    let assigned = creatable("a", -1, -1).with_assignments(vec![assign(0, 1), assign(1, 1)]);
    assert_eq!(create(&node, assigned).await.num_partitions, 2);
    for (topic, code) in [
        (creatable("b", 1, -1).with_assignments(vec![assign(0, 1)]), E::InvalidRequest),
        (creatable("b", -1, -1).with_assignments(vec![assign(0, 9)]), E::InvalidReplicaAssignment),
        (creatable("b", -1, -1).with_assignments(vec![assign(0, 1), assign(0, 1)]), E::InvalidReplicaAssignment),
        (creatable("b", 0, 1), E::InvalidPartitions),
        (creatable("b", 1, 3), E::InvalidReplicationFactor),
        (creatable("t", 1, 1), E::TopicAlreadyExists),
        (creatable("b c", 1, 1), E::InvalidTopicException),
        (creatable("", 1, 1), E::InvalidTopicException),
    ] {
        let refused = create(&node, topic.clone()).await;
        assert_eq!(refused.error_code, code.code(), "{topic:?}: {:?}", refused.error_message);
        assert!(refused.error_message.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_named_twice_or_only_checked_is_not_made() {
    let node = Node::start().await;
    let twice = CreateTopicsRequest::default().with_topics(vec![
        creatable("t", 1, 1),
        creatable("t", 1, 1),
        creatable("u", 1, 1),
    ]);
    let response = node.ask(7, &twice).await;
    let codes: Vec<i16> = response.topics.iter().map(|topic| topic.error_code).collect();
    assert_eq!(codes, [E::InvalidRequest.code(), 0]);
    let checked = CreateTopicsRequest::default().with_topics(vec![creatable("v", 1, 1)]).with_validate_only(true);
    let response = node.ask(7, &checked).await;
    assert_eq!((response.topics[0].error_code, response.topics[0].topic_id), (0, Uuid::nil()));
    assert_eq!((node.topic_id("t"), node.topic_id("v")), (Uuid::nil(), Uuid::nil()));
}

#[tokio::test(start_paused = true)]
async fn a_missing_topic_is_made_where_that_is_allowed() {
    let node = Node::start().await;
    let response = node.ask(12, &named(&["auto"])).await;
    assert_eq!((response.topics[0].error_code, response.topics[0].partitions.len()), (0, 1));
    assert_eq!(node.produce("auto", batch(&["a"])).await, 0, "whoever is told of a topic can use it");
    let forbidden = named(&["nope"]).with_allow_auto_topic_creation(false);
    assert_eq!(node.ask(12, &forbidden).await.topics[0].error_code, E::UnknownTopicOrPartition.code());
    assert_eq!(node.ask(12, &named(&["no name"])).await.topics[0].error_code, E::InvalidTopicException.code());
    let node = Node::with(&[("auto.create.topics.enable", "false")]).await;
    assert_eq!(node.ask(12, &named(&["auto"])).await.topics[0].error_code, E::UnknownTopicOrPartition.code());
}

#[tokio::test(start_paused = true)]
async fn topics_are_asked_for_by_id_all_or_none() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    let by_id =
        |id| MetadataRequest::default().with_topics(Some(vec![MetadataRequestTopic::default().with_topic_id(id)]));
    let found = node.ask(12, &by_id(node.topic_id("t"))).await;
    assert_eq!(found.topics[0].name, Some(topic_name("t")));
    let unknown = node.ask(12, &by_id(Uuid::from_u128(5))).await;
    assert_eq!((unknown.topics[0].error_code, unknown.topics[0].name.clone()), (E::UnknownTopicId.code(), None));
    assert_eq!(
        node.ask(0, &MetadataRequest::default().with_topics(Some(Vec::new()))).await.topics.len(),
        1,
        "none means all in version 0"
    );
    assert_eq!(node.ask(1, &MetadataRequest::default().with_topics(Some(Vec::new()))).await.topics.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn operations_are_told_when_they_are_asked_for() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    let request = named(&["t"]).with_include_topic_authorized_operations(true);
    assert_eq!(node.ask(12, &request).await.topics[0].topic_authorized_operations, 3576);
    let request = DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
    assert_eq!(node.ask(1, &request).await.cluster_authorized_operations, 8096);
}

#[tokio::test(start_paused = true)]
async fn topics_are_deleted_by_name_and_by_id() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    node.topic("u", 1, &[]).await;
    let id = node.topic_id("u");
    let by_name = |name| DeleteTopicState::default().with_name(Some(topic_name(name)));
    let by_id = |id| DeleteTopicState::default().with_topic_id(id);
    let states = vec![
        by_name("t"),
        by_id(id),
        by_name("t"),
        by_id(id),
        by_name("t").with_topic_id(id),
        DeleteTopicState::default(),
    ];
    let response = node.ask(6, &DeleteTopicsRequest::default().with_topics(states)).await;
    let codes: Vec<i16> = response.responses.iter().map(|result| result.error_code).collect();
    let (unknown, invalid) = (E::UnknownTopicOrPartition.code(), E::InvalidRequest.code());
    assert_eq!(codes, [0, 0, unknown, E::UnknownTopicId.code(), invalid, invalid]);
    assert_eq!(response.responses[1].name, Some(topic_name("u")));
    assert_eq!(node.ask(12, &MetadataRequest::default().with_topics(None)).await.topics.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn partitions_are_added_and_only_added() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    let grow = |name, count| {
        let topic =
            CreatePartitionsTopic::default().with_name(topic_name(name)).with_count(count).with_assignments(None);
        CreatePartitionsRequest::default().with_topics(vec![topic])
    };
    for (name, count, code) in [
        ("t", 3, 0),
        ("t", 3, E::InvalidPartitions.code()),
        ("t", 2, E::InvalidPartitions.code()),
        ("no", 2, E::UnknownTopicOrPartition.code()),
    ] {
        assert_eq!(node.ask(3, &grow(name, count)).await.results[0].error_code, code, "{name} {count}");
    }
    assert_eq!(node.ask(12, &named(&["t"])).await.topics[0].partitions.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn records_are_deleted_up_to_an_offset() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    node.topic("compacted", 1, &[("cleanup.policy", "compact")]).await;
    node.produce("t", batch(&["a"])).await;
    node.produce("t", batch(&["b"])).await;
    let delete = |name, offset| {
        let partition = DeleteRecordsPartition::default().with_offset(offset);
        let topic = DeleteRecordsTopic::default().with_name(topic_name(name)).with_partitions(vec![partition]);
        DeleteRecordsRequest::default().with_topics(vec![topic])
    };
    for (name, offset, expected) in [
        ("t", 1, (0, 1)),
        ("t", 3, (E::OffsetOutOfRange.code(), -1)),
        ("t", -1, (0, 2)),
        ("nope", 0, (E::UnknownTopicOrPartition.code(), -1)),
        ("compacted", 0, (E::PolicyViolation.code(), -1)),
        ("__consumer_offsets", 0, (E::UnknownTopicOrPartition.code(), -1)),
    ] {
        let response = node.ask(2, &delete(name, offset)).await;
        let result = &response.topics[0].partitions[0];
        assert_eq!((result.error_code, result.low_watermark), expected, "{name} {offset}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_cluster_and_its_folder_are_described() {
    let node = Node::start().await;
    node.topic("t", 2, &[]).await;
    node.produce("t", batch(&["a"])).await;
    let cluster = node.ask(2, &DescribeClusterRequest::default()).await;
    assert_eq!((cluster.brokers[0].broker_id, cluster.controller_id), (BrokerId(1), BrokerId(1)));
    let controllers = node.ask(2, &DescribeClusterRequest::default().with_endpoint_type(2)).await;
    assert_eq!(controllers.error_code, E::MismatchedEndpointType.code());
    let dirs = node.ask(4, &DescribeLogDirsRequest::default().with_topics(None)).await;
    let topic = &dirs.results[0].topics[0];
    let sizes: Vec<i64> = topic.partitions.iter().map(|partition| partition.partition_size).collect();
    assert_eq!(sizes, [i64::try_from(batch(&["a"]).len()).unwrap(), 0]);
    assert!(dirs.results[0].total_bytes > 0);
}
