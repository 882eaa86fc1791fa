//! What a cluster of one node answers to questions about clusters.

use crate::node::{Node, topic_name};
use kafka_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, BrokerId, DescribeQuorumRequest, DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse, ElectLeadersRequest, ListConfigResourcesRequest, UnregisterBrokerRequest,
    UpdateFeaturesRequest, describe_quorum_request,
};
use millstream_protocol::ResponseError;

async fn page(node: &Node, topics: &[&str], limit: i32, from: Option<(&str, i32)>) -> DescribeTopicPartitionsResponse {
    let topics = topics.iter().map(|name| TopicRequest::default().with_name(topic_name(name)));
    let cursor = from
        .map(|(name, partition)| Cursor::default().with_topic_name(topic_name(name)).with_partition_index(partition));
    let request = DescribeTopicPartitionsRequest::default()
        .with_topics(topics.collect())
        .with_response_partition_limit(limit)
        .with_cursor(cursor);
    node.ask(0, &request).await
}

/// Topics with the partitions told, and where the next page begins.
type Told = (Vec<(String, Vec<i32>)>, Option<(String, i32)>);

fn told(page: &DescribeTopicPartitionsResponse) -> Told {
    let topics = page.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| partition.partition_index);
        (topic.name.as_ref().unwrap().to_string(), partitions.collect())
    });
    let next = page.next_cursor.as_ref().map(|next| (next.topic_name.to_string(), next.partition_index));
    (topics.collect(), next)
}

fn name(text: &str) -> String {
    text.to_owned()
}

#[tokio::test(start_paused = true)]
async fn topics_are_described_a_page_at_a_time() {
    let node = Node::start().await;
    node.topic("a", 3, &[]).await;
    node.topic("b", 1, &[]).await;
    let first = told(&page(&node, &[], 2, None).await);
    assert_eq!(first, (vec![(name("a"), vec![0, 1])], Some((name("a"), 2))));
    let second = told(&page(&node, &[], 2, Some(("a", 2))).await);
    assert_eq!(second, (vec![(name("a"), vec![2]), (name("b"), vec![0])], None));
    let exact = told(&page(&node, &[], 3, None).await);
    assert_eq!(exact, (vec![(name("a"), vec![0, 1, 2])], Some((name("b"), 0))), "a page may end with a topic");
    assert_eq!(told(&page(&node, &["b", "a"], -1, None).await).0, [(name("a"), vec![0])], "at least one is told");
}

#[tokio::test(start_paused = true)]
async fn topics_that_can_not_be_described_say_why() {
    let node = Node::start().await;
    node.topic("a", 1, &[]).await;
    let codes = |page: DescribeTopicPartitionsResponse| -> Vec<i16> {
        page.topics.iter().map(|topic| topic.error_code).collect()
    };
    let answer = page(&node, &["nope", "bad name", "a"], 10, None).await;
    assert_eq!(
        codes(answer),
        [0, ResponseError::InvalidTopicException.code(), ResponseError::UnknownTopicOrPartition.code()]
    );
    for cursor in [("a", -1), ("Z", 2)] {
        let answer = page(&node, &["a"], 10, Some(cursor)).await;
        assert_eq!(codes(answer), [ResponseError::InvalidRequest.code()], "{cursor:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn leaders_that_stand_where_they_should_need_no_election() {
    let node = Node::start().await;
    node.topic("a", 1, &[]).await;
    let asked = |name: &str, partitions: &[i32]| {
        TopicPartitions::default().with_topic(topic_name(name)).with_partitions(partitions.to_vec())
    };
    let request =
        ElectLeadersRequest::default().with_topic_partitions(Some(vec![asked("a", &[0, 9]), asked("nope", &[0])]));
    let answer = node.ask(2, &request).await;
    let codes = answer.replica_election_results.iter().flat_map(|topic| &topic.partition_result);
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    assert_eq!(
        codes.map(|partition| partition.error_code).collect::<Vec<_>>(),
        [ResponseError::ElectionNotNeeded.code(), unknown, unknown]
    );
    let everywhere = node.ask(2, &ElectLeadersRequest::default().with_topic_partitions(None)).await;
    assert!(everywhere.replica_election_results.iter().all(|topic| topic.partition_result.is_empty()));
    let strange = node
        .ask(
            2,
            &ElectLeadersRequest::default().with_election_type(7).with_topic_partitions(Some(vec![asked("a", &[0])])),
        )
        .await;
    assert_eq!(strange.error_code, ResponseError::InvalidRequest.code());
}

#[tokio::test(start_paused = true)]
async fn a_partition_can_be_given_only_to_brokers_there_are() {
    let node = Node::start().await;
    node.topic("a", 1, &[]).await;
    let refused = ResponseError::InvalidReplicaAssignment;
    let table = [
        (Some(vec![1]), 0),
        (Some(vec![]), refused.code()),
        (Some(vec![1, 1]), refused.code()),
        (Some(vec![7]), refused.code()),
        (None, ResponseError::NoReassignmentInProgress.code()),
    ];
    for (replicas, code) in table {
        let wanted = replicas.clone().map(|ids: Vec<i32>| ids.into_iter().map(BrokerId).collect());
        let partition = ReassignablePartition::default().with_replicas(wanted);
        let topic = ReassignableTopic::default().with_name(topic_name("a")).with_partitions(vec![partition]);
        let request = AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]);
        let answer = node.ask(1, &request).await;
        assert_eq!(answer.responses[0].partitions[0].error_code, code, "{replicas:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_quorum_is_this_node() {
    let node = Node::start().await;
    let topic = |name: &str| {
        describe_quorum_request::TopicData::default()
            .with_topic_name(topic_name(name))
            .with_partitions(vec![describe_quorum_request::PartitionData::default()])
    };
    let request = DescribeQuorumRequest::default().with_topics(vec![topic("__cluster_metadata"), topic("a")]);
    let answer = node.ask(2, &request).await;
    let [metadata, other] = [0, 1].map(|place| &answer.topics[place].partitions[0]);
    assert_eq!((metadata.error_code, metadata.leader_id), (0, BrokerId(1)));
    assert!(metadata.high_watermark > 0 && metadata.leader_epoch > 0, "{metadata:?}");
    assert_eq!(metadata.current_voters.len(), 1);
    assert_eq!(metadata.current_voters[0].log_end_offset, metadata.high_watermark);
    assert_eq!(other.error_code, ResponseError::UnknownTopicOrPartition.code());
}

#[tokio::test(start_paused = true)]
async fn features_stay_at_the_levels_this_version_works_at() {
    let node = Node::start().await;
    let table = [
        ("metadata.version", 30, 1, 0),
        ("transaction.version", 2, 1, 0),
        ("transaction.version", 1, 2, ResponseError::InvalidUpdateVersion.code()),
        ("transaction.version", 99, 1, ResponseError::InvalidUpdateVersion.code()),
        ("nope", 1, 1, ResponseError::InvalidUpdateVersion.code()),
    ];
    for (feature, level, kind, code) in table {
        let update = FeatureUpdateKey::default()
            .with_feature(feature.into())
            .with_max_version_level(level)
            .with_upgrade_type(kind);
        let answer = node.ask(2, &UpdateFeaturesRequest::default().with_feature_updates(vec![update])).await;
        assert_eq!(answer.error_code, code, "{feature} {level}: {:?}", answer.error_message);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_runs_or_is_unknown_is_not_forgotten() {
    let node = Node::start().await;
    for (broker, code) in [(7, ResponseError::BrokerIdNotRegistered), (1, ResponseError::InvalidRequest)] {
        let answer = node.ask(0, &UnregisterBrokerRequest::default().with_broker_id(BrokerId(broker))).await;
        assert_eq!(answer.error_code, code.code(), "{:?}", answer.error_message);
    }
}

#[tokio::test(start_paused = true)]
async fn resources_with_options_are_listed_by_kind() {
    let node = Node::start().await;
    node.topic("a", 1, &[]).await;
    let list = async |version, kinds: &[i8]| {
        let request = ListConfigResourcesRequest::default().with_resource_types(kinds.to_vec());
        let answer = node.ask(version, &request).await;
        let names = answer.config_resources.iter().map(|one| (one.resource_type, one.resource_name.to_string()));
        (answer.error_code, names.collect::<Vec<_>>())
    };
    assert_eq!(list(1, &[2]).await, (0, vec![(2, name("a"))]));
    assert_eq!(list(1, &[4, 8]).await, (0, vec![(8, name("1")), (4, name("1"))]));
    assert_eq!(list(0, &[]).await, (0, vec![]), "version 0 lists subscriptions to client metrics alone");
    assert_eq!(list(1, &[1]).await, (ResponseError::UnsupportedVersion.code(), vec![]));
}
