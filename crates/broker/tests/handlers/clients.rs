//! What clients may use, and what they tell of themselves.

use crate::node::{Node, batch, produce};
use bytes::Bytes;
use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{
    AlterClientQuotasRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
    DescribeClientQuotasRequest, GetTelemetrySubscriptionsRequest, IncrementalAlterConfigsRequest, ListGroupsRequest,
    OffsetCommitRequest, PushTelemetryRequest, TopicName, offset_commit_request,
};
use kafka_protocol::protocol::StrBytes;
use millstream_protocol::ResponseError;
use millstream_protocol::messages as later;
use std::time::Duration;
use uuid::Uuid;

async fn limit(node: &Node, kind: &'static str, who: Option<&'static str>, key: &'static str, value: f64) -> i16 {
    let entity = EntityData::default().with_entity_type(kind.into()).with_entity_name(who.map(StrBytes::from));
    let op = OpData::default().with_key(key.into()).with_value(value);
    let entry = EntryData::default().with_entity(vec![entity]).with_ops(vec![op]);
    node.ask(1, &AlterClientQuotasRequest::default().with_entries(vec![entry])).await.entries[0].error_code
}

#[tokio::test(start_paused = true)]
async fn a_producer_above_its_quota_is_told_and_its_connection_waits() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    assert_eq!(limit(&node, "client-id", Some("test"), "producer_byte_rate", 1_000.0).await, 0);
    let big = "x".repeat(20_000);
    let answer = node.ask(9, &produce("t", 0, Some(batch(&[&big])), -1)).await;
    // 10 seconds' worth may come at once: some 10 KB more than that are worth some 10 seconds.
    let throttle = answer.throttle_time_ms;
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0, "the records are taken all the same");
    assert!((10_000..12_000).contains(&throttle), "{throttle}");
    let begun = tokio::time::Instant::now();
    node.ask(4, &ListGroupsRequest::default()).await;
    assert!(begun.elapsed() >= Duration::from_millis(throttle.unsigned_abs().into()) - Duration::from_millis(5));
    let begun = tokio::time::Instant::now();
    node.ask(4, &ListGroupsRequest::default()).await;
    assert!(begun.elapsed() < Duration::from_millis(100), "it waits once");
}

#[tokio::test(start_paused = true)]
async fn a_client_of_another_name_is_not_held_back() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    assert_eq!(limit(&node, "client-id", Some("other"), "producer_byte_rate", 1.0).await, 0);
    let answer = node.ask(9, &produce("t", 0, Some(batch(&["a"])), -1)).await;
    assert_eq!(answer.throttle_time_ms, 0);
}

async fn create(node: &Node, version: i16, name: &'static str, partitions: i32) -> (i16, i32) {
    let topic = CreatableTopic::default()
        .with_name(TopicName(name.into()))
        .with_num_partitions(partitions)
        .with_replication_factor(1);
    let answer = node.ask(version, &CreateTopicsRequest::default().with_topics(vec![topic])).await;
    (answer.topics[0].error_code, answer.throttle_time_ms)
}

#[tokio::test(start_paused = true)]
async fn who_changes_more_partitions_than_its_quota_is_refused_and_waits() {
    let throttled = ResponseError::ThrottlingQuotaExceeded.code();
    let near = |seconds: i32, told: i32| (seconds * 1_000 - 200..=seconds * 1_000).contains(&told);
    let node = Node::start().await;
    assert_eq!(limit(&node, "client-id", Some("test"), "controller_mutation_rate", 1.0).await, 0);
    // Eleven partitions may be made at once, and once more.
    assert_eq!(create(&node, 7, "a", 20).await, (0, 0));
    let (code, wait) = create(&node, 7, "b", 1).await;
    assert!(code == throttled && near(9, wait), "{code} {wait}");
    // Its connection has waited when that is asked for again.
    assert_eq!(create(&node, 7, "b", 5).await, (0, 0));
    let grow = CreatePartitionsTopic::default().with_name(TopicName("b".into())).with_count(6).with_assignments(None);
    let answer = node.ask(3, &CreatePartitionsRequest::default().with_topics(vec![grow])).await;
    assert!(answer.results[0].error_code == throttled && near(5, answer.throttle_time_ms), "{answer:?}");
    let a = DeleteTopicState::default().with_name(Some(TopicName("a".into())));
    let delete = DeleteTopicsRequest::default().with_topics(vec![a]);
    let answer = node.ask(6, &delete).await;
    assert_eq!((answer.responses[0].error_code, answer.throttle_time_ms), (0, 0));
    let answer = node.ask(6, &delete).await;
    assert_eq!(
        answer.responses[0].error_code,
        ResponseError::UnknownTopicOrPartition.code(),
        "what is not there is told"
    );
    let (code, wait) = create(&node, 7, "c", 1).await;
    assert!(code == throttled && near(20, wait), "{code} {wait}");
}

#[tokio::test(start_paused = true)]
async fn a_client_of_old_that_changes_more_than_its_quota_is_served_and_waits() {
    let node = Node::start().await;
    assert_eq!(limit(&node, "client-id", Some("test"), "controller_mutation_rate", 1.0).await, 0);
    let (code, wait) = create(&node, 5, "a", 20).await;
    assert!(code == 0 && (8_800..=9_000).contains(&wait), "{code} {wait}");
    let begun = tokio::time::Instant::now();
    let (code, wait) = create(&node, 5, "b", 2).await;
    assert!(begun.elapsed() >= Duration::from_millis(8_700));
    assert!(code == 0 && (1_800..=2_000).contains(&wait), "{code} {wait}");
}

#[tokio::test(start_paused = true)]
async fn quotas_are_described_by_a_filter() {
    let node = Node::start().await;
    assert_eq!(limit(&node, "user", Some("u"), "consumer_byte_rate", 5.0).await, 0);
    assert_eq!(limit(&node, "user", None, "request_percentage", 50.0).await, 0);
    assert_eq!(limit(&node, "ip", Some("1.2.3.4"), "connection_creation_rate", 7.0).await, 0);
    assert_eq!(limit(&node, "user", Some("u"), "nope", 5.0).await, ResponseError::InvalidRequest.code());
    let found = async |kind: &'static str, how: i8, name: Option<&'static str>| {
        let component = ComponentData::default()
            .with_entity_type(kind.into())
            .with_match_type(how)
            .with_match(name.map(StrBytes::from));
        let request = DescribeClientQuotasRequest::default().with_components(vec![component]);
        let answer = node.ask(1, &request).await;
        let limits = answer.entries.iter().flatten().flat_map(|entry| &entry.values);
        (answer.error_code, limits.map(|limit| limit.value).collect::<Vec<_>>())
    };
    assert_eq!(found("user", 0, Some("u")).await, (0, vec![5.0]));
    assert_eq!(found("user", 1, None).await, (0, vec![50.0]));
    assert_eq!(found("user", 2, None).await, (0, vec![50.0, 5.0]));
    assert_eq!(found("client-id", 2, None).await, (0, vec![]));
    assert_eq!(found("ip", 2, None).await, (0, vec![7.0]));
    assert_eq!(found("nope", 2, None).await.0, ResponseError::UnsupportedVersion.code());
    assert_eq!(found("user", 0, None).await.0, ResponseError::InvalidRequest.code());
}

async fn subscribe(node: &Node, option: &'static str, value: &'static str) -> i16 {
    let config = AlterableConfig::default().with_name(option.into()).with_value(Some(value.into()));
    let resource = AlterConfigsResource::default()
        .with_resource_type(16)
        .with_resource_name("all".into())
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    node.ask(1, &request).await.responses[0].error_code
}

/// One gauge `a.b` of 2.5, as OpenTelemetry's protobuf.
fn pushed() -> Bytes {
    let point = [&[0x21][..], &2.5_f64.to_le_bytes()].concat();
    let wrap = |number: u8, content: &[u8]| [&[number << 3 | 2, content.len() as u8][..], content].concat();
    let metric = [wrap(1, b"a.b"), wrap(5, &wrap(1, &point))].concat();
    wrap(1, &wrap(2, &wrap(2, &metric))).into()
}

#[tokio::test(start_paused = true)]
async fn a_client_is_asked_for_metrics_and_what_it_pushes_is_told_on() {
    let node = Node::start().await;
    let idle = node.ask(0, &GetTelemetrySubscriptionsRequest::default()).await;
    assert_eq!((idle.error_code, idle.requested_metrics), (0, vec![]));
    assert_eq!(subscribe(&node, "match", "client_id=[").await, ResponseError::InvalidConfig.code());
    assert_eq!(subscribe(&node, "metrics", "*").await, 0);
    let asked = node.ask(0, &GetTelemetrySubscriptionsRequest::default()).await;
    assert_eq!(asked.requested_metrics, [StrBytes::from("*")]);
    assert!(!asked.client_instance_id.is_nil());
    let push = PushTelemetryRequest::default()
        .with_client_instance_id(asked.client_instance_id)
        .with_subscription_id(asked.subscription_id)
        .with_metrics(pushed());
    assert_eq!(node.ask(0, &push).await.error_code, 0);
    let told = node.metrics.export();
    let line = told.lines().find(|line| line.starts_with("kafka_client_metric{")).unwrap();
    assert!(line.contains("client_id=\"test\"") && line.contains("metric=\"a.b\"") && line.ends_with(" 2.5"), "{line}");
    assert_eq!(node.ask(0, &push).await.error_code, ResponseError::ThrottlingQuotaExceeded.code(), "too soon");
    let table = [
        (push.clone().with_subscription_id(asked.subscription_id ^ 1), ResponseError::UnknownSubscriptionId),
        (push.clone().with_client_instance_id(Uuid::nil()), ResponseError::InvalidRequest),
    ];
    for (wrong, code) in table {
        tokio::time::advance(Duration::from_secs(1_000)).await;
        assert_eq!(node.ask(0, &wrong).await.error_code, code.code());
    }
    tokio::time::advance(Duration::from_secs(1_000)).await;
    let broken = push.clone().with_metrics(Bytes::from_static(&[0xff; 9]));
    assert_eq!(node.ask(0, &broken).await.error_code, ResponseError::InvalidRecord.code());
}

#[tokio::test(start_paused = true)]
async fn offsets_are_committed_by_the_topics_id() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    node.ask(4, &kafka_protocol::messages::FindCoordinatorRequest::default().with_coordinator_keys(vec!["g".into()]))
        .await;
    let partition = |index| {
        offset_commit_request::OffsetCommitRequestPartition::default()
            .with_partition_index(index)
            .with_committed_offset(5)
            .with_committed_metadata(Some("m".into()))
    };
    let topic =
        || offset_commit_request::OffsetCommitRequestTopic::default().with_partitions(vec![partition(0), partition(9)]);
    let message = OffsetCommitRequest::default()
        .with_group_id(kafka_protocol::messages::GroupId("g".into()))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic(), topic()]);
    let request = later::OffsetCommitRequest { message, topic_ids: vec![node.topic_id("t"), Uuid::from_u128(9)] };
    let codes = async || {
        let answer = node.ask(10, &request).await;
        let of = |topic: &kafka_protocol::messages::offset_commit_response::OffsetCommitResponseTopic| {
            let mut codes: Vec<(i32, i16)> =
                topic.partitions.iter().map(|one| (one.partition_index, one.error_code)).collect();
            codes.sort_unstable();
            (topic.topic_id, codes)
        };
        answer.topics.iter().map(of).collect::<Vec<_>>()
    };
    let (unknown, unknown_id) = (ResponseError::UnknownTopicOrPartition.code(), ResponseError::UnknownTopicId.code());
    let mut answered = codes().await;
    for _ in 0..100 {
        if answered[0].1[0].1 == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        answered = codes().await;
    }
    assert_eq!(
        answered,
        [
            (node.topic_id("t"), vec![(0, 0), (9, unknown)]),
            (Uuid::from_u128(9), vec![(0, unknown_id), (9, unknown_id)])
        ]
    );
}
