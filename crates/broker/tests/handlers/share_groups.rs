//! Share groups (KIP-932) as members and administrators speak of them.

use crate::node::{Node, topic_name};
use kafka_protocol::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use kafka_protocol::messages::delete_share_group_offsets_request::{
    DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsRequestTopic,
};
use kafka_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use kafka_protocol::messages::describe_share_group_offsets_request::{
    DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsRequestGroup, DescribeShareGroupOffsetsRequestTopic,
};
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use kafka_protocol::messages::share_group_heartbeat_request::ShareGroupHeartbeatRequest;
use kafka_protocol::messages::{
    DeleteGroupsRequest, FindCoordinatorRequest, GroupId, ListGroupsRequest, ShareGroupDescribeRequest,
};
use kafka_protocol::protocol::StrBytes;
use millstream_protocol::ResponseError as E;
use millstream_protocol::messages as later;
use millstream_types::TopicId;

fn group() -> GroupId {
    GroupId("g".into())
}

fn joins(member: &str) -> ShareGroupHeartbeatRequest {
    ShareGroupHeartbeatRequest::default()
        .with_group_id(group())
        .with_member_id(StrBytes::from_string(member.to_owned()))
        .with_subscribed_topic_names(Some(vec![topic_name("t")]))
}

fn still(epoch: i32) -> ShareGroupHeartbeatRequest {
    joins("m").with_subscribed_topic_names(None).with_member_epoch(epoch)
}

/// A node with topic "t" of two partitions, which serves its groups.
async fn node() -> Node {
    let node = Node::start().await;
    node.topic("t", 2, &[]).await;
    node.ask(3, &FindCoordinatorRequest::default().with_key("g".into())).await;
    for _ in 0..1_000 {
        if node.ask(0, &ListGroupsRequest::default()).await.error_code == 0 {
            return node;
        }
        tokio::task::yield_now().await;
    }
    panic!("groups were not loaded");
}

/// Where the partitions of "t" start, what they have left, and their errors.
async fn offsets(node: &Node, topics: Option<Vec<i32>>) -> Vec<(i64, i64, i16)> {
    let topic = |all: Vec<i32>| {
        DescribeShareGroupOffsetsRequestTopic::default().with_topic_name(topic_name("t")).with_partitions(all)
    };
    let asked = DescribeShareGroupOffsetsRequestGroup::default()
        .with_group_id(group())
        .with_topics(topics.map(|all| vec![topic(all)]));
    let request = DescribeShareGroupOffsetsRequest::default().with_groups(vec![asked]);
    let answer = node.ask(1, &later::DescribeShareGroupOffsetsRequest::from(request)).await;
    assert_eq!(answer.groups[0].error_code, 0);
    let partitions = answer.groups[0].topics.iter().flat_map(|topic| &topic.partitions);
    partitions.zip(&answer.lags).map(|(one, lag)| (one.start_offset, *lag, one.error_code)).collect()
}

fn alter(partitions: &[(i32, i64)]) -> AlterShareGroupOffsetsRequest {
    let all = partitions.iter().map(|(index, start)| {
        AlterShareGroupOffsetsRequestPartition::default().with_partition_index(*index).with_start_offset(*start)
    });
    let topic = AlterShareGroupOffsetsRequestTopic::default().with_topic_name(topic_name("t"));
    AlterShareGroupOffsetsRequest::default()
        .with_group_id(group())
        .with_topics(vec![topic.with_partitions(all.collect())])
}

fn delete(topic: &str) -> DeleteShareGroupOffsetsRequest {
    let topic = DeleteShareGroupOffsetsRequestTopic::default().with_topic_name(topic_name(topic));
    DeleteShareGroupOffsetsRequest::default().with_group_id(group()).with_topics(vec![topic])
}

#[tokio::test]
async fn a_member_joins_and_is_described() {
    let node = node().await;
    let beaten = node.ask(1, &joins("m")).await;
    assert_eq!((beaten.error_code, beaten.heartbeat_interval_ms), (0, 5_000), "{:?}", beaten.error_message);
    let assigned = beaten.assignment.unwrap().topic_partitions;
    assert_eq!((assigned.len(), assigned[0].partitions.as_slice()), (1, [0, 1].as_slice()));
    let fenced = node.ask(1, &still(beaten.member_epoch + 1)).await;
    assert_eq!(fenced.error_code, E::FencedMemberEpoch.code());
    assert_eq!(node.ask(1, &joins("")).await.error_code, E::InvalidRequest.code());

    let asked = vec![group(), GroupId("none".into()), GroupId("".into())];
    let describe = ShareGroupDescribeRequest::default().with_group_ids(asked).with_include_authorized_operations(true);
    let described = node.ask(1, &describe).await;
    let first = &described.groups[0];
    assert_eq!((first.group_state.as_str(), first.assignor_name.as_str()), ("Stable", "simple"));
    let member = &first.members[0];
    assert_eq!((member.member_id.as_str(), member.member_epoch), ("m", beaten.member_epoch));
    assert_eq!(member.assignment.topic_partitions[0].topic_name, topic_name("t"));
    assert_ne!(first.authorized_operations, i32::MIN);
    for (unknown, code) in described.groups[1..].iter().zip([E::GroupIdNotFound, E::InvalidGroupId]) {
        assert_eq!((unknown.error_code, unknown.authorized_operations), (code.code(), i32::MIN));
    }
    let listed = node.ask(5, &ListGroupsRequest::default().with_types_filter(vec!["Share".into()])).await;
    let only = &listed.groups[0];
    assert_eq!(
        (only.group_type.as_str(), only.protocol_type.as_str(), only.group_state.as_str()),
        ("share", "share", "Stable")
    );
}

#[tokio::test]
async fn offsets_are_seen_set_and_deleted() {
    let node = node().await;
    let beaten = node.ask(1, &joins("m")).await;
    assert_eq!(offsets(&node, None).await, [(-1, -1, 0), (-1, -1, 0)], "nobody has read yet");
    assert_eq!(node.ask(0, &alter(&[(0, 3)])).await.error_code, E::NonEmptyGroup.code());
    assert_eq!(node.ask(0, &delete("t")).await.error_code, E::NonEmptyGroup.code());
    assert_eq!(node.ask(1, &still(-1)).await.error_code, 0);
    assert!(beaten.member_epoch > 0);

    let altered = node.ask(0, &alter(&[(0, 0), (7, 3)])).await;
    let codes: Vec<i16> = altered.responses[0].partitions.iter().map(|one| one.error_code).collect();
    assert_eq!((altered.error_code, codes), (0, vec![0, E::UnknownTopicOrPartition.code()]));
    assert_eq!(offsets(&node, Some(vec![0, 7])).await, [(0, 0, 0), (-1, -1, 0)]);
    let deleted = node.ask(0, &delete("t")).await;
    assert_eq!((deleted.error_code, deleted.responses[0].error_code), (0, 0));
    assert_eq!(deleted.responses[0].topic_id, node.topic_id("t"));
    assert_eq!(offsets(&node, None).await, []);
    assert_eq!(node.ask(0, &delete("t")).await.responses[0].error_code, E::UnknownTopicOrPartition.code());
    let gone = node.ask(2, &DeleteGroupsRequest::default().with_groups_names(vec![group()])).await;
    assert_eq!(gone.results[0].error_code, 0);
    assert_eq!(node.ask(0, &delete("t")).await.error_code, E::GroupIdNotFound.code());
}

#[tokio::test]
async fn a_share_partition_has_a_coordinator() {
    let node = node().await;
    let id = TopicId(node.topic_id("t"));
    let find = |version: i16, key: String| {
        let node = &node;
        async move {
            let request = FindCoordinatorRequest::default().with_key_type(2).with_coordinator_keys(vec![key.into()]);
            node.ask(version, &request).await.coordinators[0].error_code
        }
    };
    assert_eq!(find(5, format!("g:{id}:0")).await, E::InvalidRequest.code());
    for wrong in ["g".to_owned(), format!(":{id}:0"), "g:x:0".into(), format!("g:{id}:x")] {
        assert_eq!(find(6, wrong).await, E::InvalidRequest.code());
    }
    let mut code = -1;
    for _ in 0..1_000 {
        code = find(6, format!("g:{id}:0")).await;
        if code == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(code, 0);
}

#[tokio::test]
async fn a_share_group_has_options_of_its_own() {
    let node = node().await;
    let set = |name: &'static str, value: &str| {
        let config =
            AlterableConfig::default().with_name(name.into()).with_value(Some(StrBytes::from_string(value.to_owned())));
        let resource = AlterConfigsResource::default()
            .with_resource_type(32)
            .with_resource_name("g".into())
            .with_configs(vec![config]);
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource])
    };
    for (name, value, code) in [
        ("share.heartbeat.interval.ms", "9000", 0),
        ("share.auto.offset.reset", "by_duration:PT1H", 0),
        ("share.auto.offset.reset", "by_duration:1 hour", E::InvalidConfig.code()),
        ("share.record.lock.duration.ms", "1000", E::InvalidConfig.code()),
        ("share.isolation.level", "none", E::InvalidConfig.code()),
    ] {
        assert_eq!(node.ask(1, &set(name, value)).await.responses[0].error_code, code, "{name}={value}");
    }
    let resource = DescribeConfigsResource::default()
        .with_resource_type(32)
        .with_resource_name("g".into())
        .with_configuration_keys(Some(vec!["share.auto.offset.reset".into()]));
    let described = node.ask(4, &DescribeConfigsRequest::default().with_resources(vec![resource])).await;
    let shown = &described.results[0].configs[0];
    assert_eq!((shown.value.as_deref(), shown.config_source), (Some("by_duration:PT1H"), 8));
    assert_eq!(node.ask(1, &joins("m")).await.heartbeat_interval_ms, 9_000);
}
