//! Groups of the consumer protocol (KIP-848) as clients and administrators speak of them.

use crate::node::{Node, topic_name};
use kafka_protocol::messages::consumer_group_heartbeat_request::{ConsumerGroupHeartbeatRequest, TopicPartitions};
use kafka_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestGroup};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, DescribeGroupsRequest, FindCoordinatorRequest, GroupId, ListGroupsRequest,
};
use kafka_protocol::protocol::StrBytes;
use millstream_protocol::ResponseError as E;

fn group() -> GroupId {
    GroupId("g".into())
}

fn joins(member: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group())
        .with_member_id(StrBytes::from_string(member.to_owned()))
        .with_member_epoch(0)
        .with_rebalance_timeout_ms(60_000)
        .with_subscribed_topic_names(Some(vec![topic_name("t")]))
        .with_topic_partitions(Some(Vec::new()))
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

#[tokio::test]
async fn a_member_joins_commits_and_is_described() {
    let node = node().await;
    let beaten = node.ask(1, &joins("m")).await;
    assert_eq!((beaten.error_code, beaten.member_epoch, beaten.heartbeat_interval_ms), (0, 1, 5_000));
    let assigned = beaten.assignment.unwrap().topic_partitions;
    assert_eq!((assigned.len(), assigned[0].partitions.as_slice()), (1, [0, 1].as_slice()));
    let stale = joins("m").with_member_epoch(7);
    let stale = node.ask(1, &stale).await;
    assert_eq!(stale.error_code, E::FencedMemberEpoch.code());
    assert!(stale.error_message.is_some());

    let partition = OffsetCommitRequestPartition::default().with_partition_index(0).with_committed_offset(5);
    let topic = OffsetCommitRequestTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
    let commit = |epoch| {
        OffsetCommitRequest::default()
            .with_group_id(group())
            .with_member_id("m".into())
            .with_generation_id_or_member_epoch(epoch)
            .with_topics(vec![topic.clone()])
    };
    for (version, epoch, code) in [(9, 1, 0), (9, 2, E::StaleMemberEpoch.code()), (8, 1, E::UnsupportedVersion.code())]
    {
        let answer = node.ask(version, &commit(epoch)).await;
        assert_eq!(answer.topics[0].partitions[0].error_code, code, "epoch {epoch} in version {version}");
    }
    let fetch = |epoch| {
        let asked = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(None);
        let asked = asked.with_member_id(Some("m".into())).with_member_epoch(epoch);
        OffsetFetchRequest::default().with_groups(vec![asked])
    };
    let fetched = node.ask(9, &fetch(1)).await;
    assert_eq!(fetched.groups[0].topics[0].partitions[0].committed_offset, 5);
    assert_eq!(node.ask(9, &fetch(3)).await.groups[0].error_code, E::StaleMemberEpoch.code());

    let asked = vec![group(), GroupId("none".into()), GroupId("".into())];
    let describe = ConsumerGroupDescribeRequest::default().with_group_ids(asked);
    let describe = describe.with_include_authorized_operations(true);
    let described = node.ask(1, &describe).await;
    let first = &described.groups[0];
    assert_eq!((first.group_state.as_str(), first.group_epoch, first.assignor_name.as_str()), ("Stable", 1, "uniform"));
    let member = &first.members[0];
    assert_eq!((member.member_id.as_str(), member.member_epoch, member.member_type), ("m", 1, 1));
    assert_eq!(member.assignment.topic_partitions[0].topic_name, topic_name("t"));
    assert_ne!(first.authorized_operations, i32::MIN);
    for (unknown, code) in described.groups[1..].iter().zip([E::GroupIdNotFound, E::InvalidGroupId]) {
        assert_eq!((unknown.error_code, unknown.authorized_operations), (code.code(), i32::MIN));
    }
    let classic = node.ask(6, &DescribeGroupsRequest::default().with_groups(vec![group()])).await;
    assert_eq!(classic.groups[0].error_code, E::GroupIdNotFound.code());
    let listed = node.ask(5, &ListGroupsRequest::default().with_types_filter(vec!["consumer".into()])).await;
    assert_eq!((listed.groups[0].group_type.as_str(), listed.groups[0].group_state.as_str()), ("consumer", "Stable"));
}

#[tokio::test]
async fn requests_that_contradict_themselves_are_refused_with_kafkas_codes() {
    let node = node().await;
    let topics = vec![TopicPartitions::default().with_partitions(vec![1])];
    let table = [
        (joins("m").with_rebalance_timeout_ms(-1), E::InvalidRequest),
        (joins("m").with_topic_partitions(Some(topics)), E::InvalidRequest),
        (joins(""), E::InvalidRequest),
        (joins("m").with_member_epoch(-5), E::InvalidRequest),
        (joins("m").with_server_assignor(Some("mine".into())), E::UnsupportedAssignor),
        (joins("m").with_subscribed_topic_regex(Some("[".into())), E::InvalidRegularExpression),
        (joins("m").with_member_epoch(4), E::GroupIdNotFound),
    ];
    for (request, code) in table {
        assert_eq!(node.ask(1, &request).await.error_code, code.code(), "{request:?}");
    }
}

#[tokio::test]
async fn a_group_has_options_of_its_own() {
    let node = node().await;
    let set = |value: &str| {
        let config = AlterableConfig::default()
            .with_name("consumer.heartbeat.interval.ms".into())
            .with_value(Some(StrBytes::from_string(value.to_owned())));
        let resource = AlterConfigsResource::default()
            .with_resource_type(32)
            .with_resource_name("g".into())
            .with_configs(vec![config]);
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource])
    };
    assert_eq!(node.ask(1, &set("9000")).await.responses[0].error_code, 0);
    assert_eq!(node.ask(1, &set("90000")).await.responses[0].error_code, E::InvalidConfig.code());
    let resource = DescribeConfigsResource::default().with_resource_type(32).with_resource_name("g".into());
    let described = node.ask(4, &DescribeConfigsRequest::default().with_resources(vec![resource])).await;
    let of_consumers = described.results[0].configs.iter().filter(|one| one.name.starts_with("consumer."));
    let shown = of_consumers.map(|one| (one.value.as_deref(), one.config_source));
    assert_eq!(shown.collect::<Vec<_>>(), [(Some("9000"), 8), (Some("45000"), 5)]);
    assert_eq!(node.ask(1, &joins("m")).await.heartbeat_interval_ms, 9_000);
}
