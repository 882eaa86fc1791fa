//! Fetch, ListOffsets, OffsetForLeaderEpoch.

use crate::node::{ME, Node, batch, topic_name};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::fetch_response::{FetchResponse, PartitionData};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use millstream_metadata::{Decision, PartitionChange, Record};
use millstream_protocol::ResponseError as E;
use millstream_record::split;
use millstream_types::{LeaderEpoch, PartitionIndex, TopicId};
use std::time::Duration;
use uuid::Uuid;

/// A fetch of partitions of "t" by name: (partition, offset).
fn fetch(wanted: &[(i32, i64)]) -> FetchRequest {
    let partition = |(partition, offset): &(i32, i64)| {
        FetchPartition::default()
            .with_partition(*partition)
            .with_fetch_offset(*offset)
            .with_partition_max_bytes(1 << 20)
    };
    let topic =
        FetchTopic::default().with_topic(topic_name("t")).with_partitions(wanted.iter().map(partition).collect());
    let topics = if wanted.is_empty() { Vec::new() } else { vec![topic] };
    FetchRequest::default()
        .with_max_wait_ms(0)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_topics(topics)
}

fn only(response: &FetchResponse) -> &PartitionData {
    assert_eq!((response.responses.len(), response.responses[0].partitions.len()), (1, 1));
    &response.responses[0].partitions[0]
}

fn offsets(data: &PartitionData) -> Vec<i64> {
    let records = data.records.clone().unwrap_or_default();
    split(records).unwrap().iter().map(|batch| batch.base_offset().0).collect()
}

#[tokio::test(start_paused = true)]
async fn what_was_produced_is_fetched_in_the_oldest_and_the_newest_version() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    node.produce("t", batch(&["a"])).await;
    node.produce("t", batch(&["b"])).await;
    let response = node.ask(4, &fetch(&[(0, 0)])).await;
    assert_eq!((only(&response).error_code, offsets(only(&response))), (0, vec![0, 1]));
    assert_eq!((only(&response).high_watermark, only(&response).last_stable_offset), (2, 2));
    let mut by_id = fetch(&[(0, 1)]);
    by_id.topics[0].topic_id = node.topic_id("t");
    let response = node.ask(18, &by_id).await;
    assert_eq!(response.responses[0].topic_id, node.topic_id("t"));
    assert_eq!(offsets(only(&response)), [1]);
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_read_has_its_code() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    node.produce("t", batch(&["a"])).await;
    for (partition, offset, expected) in
        [(0, 2, E::OffsetOutOfRange), (0, -5, E::OffsetOutOfRange), (3, 0, E::UnknownTopicOrPartition)]
    {
        let response = node.ask(12, &fetch(&[(partition, offset)])).await;
        assert_eq!(only(&response).error_code, expected.code());
        assert_eq!(only(&response).high_watermark, -1);
    }
    let mut by_id = fetch(&[(0, 0)]);
    by_id.topics[0].topic_id = Uuid::from_u128(9);
    assert_eq!(only(&node.ask(13, &by_id).await).error_code, E::UnknownTopicId.code());
    let mut newer = fetch(&[(0, 0)]);
    newer.topics[0].partitions[0].current_leader_epoch = 9;
    assert_eq!(only(&node.ask(12, &newer).await).error_code, E::UnknownLeaderEpoch.code());
    let mut replica = fetch(&[(0, 0)]);
    replica.replica_id = kafka_protocol::messages::BrokerId(2);
    let response = node.ask(12, &replica).await;
    assert_eq!(only(&response).error_code, E::NotLeaderOrFollower.code());
    assert_eq!(only(&response).current_leader.leader_id.0, ME.0);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_waits_for_records_and_no_longer() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    let waiting = fetch(&[(0, 0)]).with_max_wait_ms(5_000);
    let begun = node.runtime.clock.elapsed();
    assert_eq!(offsets(only(&node.ask(12, &waiting).await)), Vec::<i64>::new());
    assert_eq!(node.runtime.clock.elapsed() - begun, Duration::from_secs(5));
    let begun = node.runtime.clock.elapsed();
    let produce = async {
        node.runtime.clock.sleep(Duration::from_secs(1)).await;
        node.produce("t", batch(&["a"])).await
    };
    let (response, _) = tokio::join!(node.ask(12, &waiting), produce);
    assert_eq!(offsets(only(&response)), [0]);
    assert_eq!(node.runtime.clock.elapsed() - begun, Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_waits_for_as_many_bytes_as_it_asks_for() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    let size = i32::try_from(batch(&["a"]).len()).unwrap();
    let waiting = fetch(&[(0, 0)]).with_max_wait_ms(5_000).with_min_bytes(3 * size);
    let produce = async {
        for value in ["a", "b", "c"] {
            node.runtime.clock.sleep(Duration::from_secs(1)).await;
            node.produce("t", batch(&[value])).await;
        }
    };
    let (response, ()) = tokio::join!(node.ask(12, &waiting), produce);
    assert_eq!(offsets(only(&response)), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn bytes_are_shared_but_one_batch_always_comes() {
    let node = Node::start().await;
    node.topic("t", 2, &[]).await;
    for partition in 0..2 {
        let request = crate::node::produce("t", partition, Some(batch(&["a"])), -1);
        assert_eq!(crate::node::code(&node.ask(9, &request).await), 0);
    }
    let response = node.ask(12, &fetch(&[(0, 0), (1, 0)]).with_max_bytes(1)).await;
    let partitions = &response.responses[0].partitions;
    assert_eq!(partitions.iter().map(|data| offsets(data).len()).collect::<Vec<_>>(), [1, 0]);
    let response = node.ask(12, &fetch(&[(0, 0), (1, 0)])).await;
    let partitions = &response.responses[0].partitions;
    assert_eq!(partitions.iter().map(|data| offsets(data).len()).collect::<Vec<_>>(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_session_sends_only_what_changed() {
    let node = Node::start().await;
    node.topic("t", 2, &[]).await;
    let first = node.ask(12, &fetch(&[(0, 0), (1, 0)]).with_session_epoch(0)).await;
    assert_ne!(first.session_id, 0);
    assert_eq!(first.responses[0].partitions.len(), 2);
    let go_on = |epoch| fetch(&[]).with_session_id(first.session_id).with_session_epoch(epoch);
    let second = node.ask(12, &go_on(1)).await;
    assert_eq!((second.error_code, second.responses.len()), (0, 0));
    node.produce("t", batch(&["a"])).await;
    let third = node.ask(12, &go_on(2)).await;
    assert_eq!((only(&third).partition_index, offsets(only(&third))), (0, vec![0]));
    assert_eq!(node.ask(12, &go_on(9)).await.error_code, E::InvalidFetchSessionEpoch.code());
    let unknown = go_on(3).with_session_id(first.session_id.wrapping_add(1).max(1));
    assert_eq!(node.ask(12, &unknown).await.error_code, E::FetchSessionIdNotFound.code());
}

#[tokio::test(start_paused = true)]
async fn without_room_for_sessions_everything_is_sent() {
    let node = Node::with(&[("max.incremental.fetch.session.cache.slots", "0")]).await;
    node.topic("t", 1, &[]).await;
    assert_eq!(node.ask(12, &fetch(&[(0, 0)]).with_session_epoch(0)).await.session_id, 0);
}

/// Makes this broker lead partition 0 of "t" in another epoch.
async fn elect(node: &Node, epoch: i32) {
    let topic = TopicId(node.topic_id("t"));
    let change = PartitionChange {
        topic,
        partition: PartitionIndex(0),
        partition_epoch: epoch,
        leader: Some((ME, LeaderEpoch(epoch))),
        isr: None,
        replicas: None,
    };
    node.quorum.decide(|_| Ok(Decision::new(vec![Record::PartitionChange(change)], ()))).await.unwrap();
    let mut changes = node.partitions.changes();
    while node.partitions.all().iter().any(|handle| handle.bounds().leader_epoch != LeaderEpoch(epoch)) {
        changes.changed().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_of_a_cut_log_is_told_where_it_parted() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    node.produce("t", batch(&["a", "b"])).await;
    elect(&node, 2).await;
    node.produce("t", batch(&["c"])).await;
    let mut ahead = fetch(&[(0, 3)]);
    ahead.topics[0].partitions[0].last_fetched_epoch = 1;
    let response = node.ask(12, &ahead).await;
    let parted = &only(&response).diverging_epoch;
    assert_eq!((parted.epoch, parted.end_offset), (0, 2));
    let wanted = |current, epoch| {
        let partition = OffsetForLeaderPartition::default().with_current_leader_epoch(current).with_leader_epoch(epoch);
        let topic = OffsetForLeaderTopic::default().with_topic(topic_name("t")).with_partitions(vec![partition]);
        OffsetForLeaderEpochRequest::default().with_topics(vec![topic])
    };
    for (current, epoch, expected) in
        [(2, 0, (0, 0, 2)), (-1, 2, (0, 2, 3)), (2, 7, (0, -1, -1)), (1, 0, (E::FencedLeaderEpoch.code(), -1, -1))]
    {
        let response = node.ask(4, &wanted(current, epoch)).await;
        let end = &response.topics[0].partitions[0];
        assert_eq!((end.error_code, end.leader_epoch, end.end_offset), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn offsets_are_listed_by_time_and_by_end() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    node.produce("t", batch(&["a"])).await;
    node.produce("t", batch(&["b"])).await;
    let list = |timestamp| {
        let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
        ListOffsetsRequest::default().with_topics(vec![topic])
    };
    let stamp = 1_767_225_600_000;
    let table = [
        (-1, (0, 2, -1)),
        (-2, (0, 0, -1)),
        (-3, (0, 0, stamp)),
        (-4, (0, 0, -1)),
        (-5, (0, -1, -1)),
        (stamp, (0, 0, stamp)),
        (stamp + 1, (0, -1, -1)),
    ];
    for (timestamp, expected) in table {
        let response = node.ask(10, &list(timestamp)).await;
        let found = &response.topics[0].partitions[0];
        assert_eq!((found.error_code, found.offset, found.timestamp), expected, "timestamp {timestamp}");
    }
    for (version, timestamp) in [(6, -3), (7, -4), (8, -5), (10, -6), (10, -7)] {
        let response = node.ask(version, &list(timestamp)).await;
        assert_eq!(response.topics[0].partitions[0].error_code, E::UnsupportedVersion.code());
    }
    let mut twice = list(-1);
    let again = twice.topics[0].partitions[0].clone();
    twice.topics[0].partitions.push(again);
    let response = node.ask(7, &twice).await;
    let codes: Vec<i16> = response.topics[0].partitions.iter().map(|found| found.error_code).collect();
    assert_eq!(codes, [E::InvalidRequest.code()], "it is told of once");
}
