//! Share groups' data (KIP-932): who has which record, for how long, how often, and what of that survives.

use crate::node::{Node, batch, fill};
use crate::sharing::{ACCEPT, GROUP, Member, REJECT, RELEASE, counted, given, key, sharing};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use kafka_protocol::messages::read_share_group_state_request::{PartitionData as ReadPartition, ReadStateData};
use kafka_protocol::messages::share_fetch_request::AcknowledgementBatch;
use kafka_protocol::messages::{
    DeleteShareGroupStateRequest, ReadShareGroupStateRequest, delete_share_group_state_request,
};
use kafka_protocol::protocol::StrBytes;
use millstream_protocol::ResponseError as E;
use millstream_record::{BatchBuilder, Codec, Limits, split};
use millstream_runtime::SimDisk;
use millstream_telemetry::catalogue::SHARE_PARTITIONS;
use millstream_types::{ProducerEpoch, ProducerId};
use std::sync::Arc;
use std::time::Duration;

const LOCK: Duration = Duration::from_secs(30);

async fn node() -> Node {
    sharing(&Arc::new(SimDisk::new()), &[], &[]).await
}

#[tokio::test(start_paused = true)]
async fn a_record_is_given_to_one_member_and_is_done_when_that_says_so() {
    let node = node().await;
    node.produce("t", batch(&["a", "b", "c"])).await;
    let (mut one, mut other) = (Member::new("one", 1), Member::new("other", 2));
    let taken = one.take(&node).await;
    assert_eq!(counted(&taken), [(0, 1), (1, 1), (2, 1)]);
    assert_eq!(taken[2].2, "c");
    assert_eq!(other.take(&node).await, [], "they are taken");
    assert_eq!(other.say(&node, 0, 0, &[ACCEPT]).await, E::InvalidRecordState.code());
    assert_eq!(one.say(&node, 0, 2, &[ACCEPT, RELEASE, ACCEPT]).await, 0);
    assert_eq!(counted(&other.take(&node).await), [(1, 2)], "it was released");
    assert_eq!(one.say(&node, 1, 1, &[ACCEPT]).await, E::InvalidRecordState.code());
    assert_eq!(other.say(&node, 1, 1, &[ACCEPT]).await, 0);
    assert_eq!(node.coordinator.share_summary(&key(&node)).unwrap().state_epoch, 1);
    assert_eq!(one.take(&node).await, []);
}

#[tokio::test(start_paused = true)]
async fn two_members_share_one_partition() {
    let node = node().await;
    for value in ["a", "b", "c", "d"] {
        node.produce("t", batch(&[value])).await;
    }
    let (mut one, mut other) = (Member::new("one", 1), Member::new("other", 2));
    let few = one.request(&node, 0).with_max_records(2);
    assert_eq!(counted(&given(&one.ask(&node, &few).await)), [(0, 1), (1, 1)]);
    assert_eq!(counted(&other.take(&node).await), [(2, 1), (3, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_ends_gives_the_record_to_another() {
    let node = node().await;
    node.produce("t", batch(&["a"])).await;
    let (mut slow, mut other) = (Member::new("slow", 1), Member::new("other", 2));
    assert_eq!(counted(&slow.take(&node).await), [(0, 1)]);
    let begun = node.runtime.clock.elapsed();
    assert_eq!(counted(&other.take_within(&node, 60_000).await), [(0, 2)], "woken by the end of the lock");
    let waited = node.runtime.clock.elapsed() - begun;
    assert!(waited >= LOCK && waited < LOCK + Duration::from_secs(1), "{waited:?}");
    assert_eq!(slow.say(&node, 0, 0, &[ACCEPT]).await, E::InvalidRecordState.code(), "too late");
}

#[tokio::test(start_paused = true)]
async fn what_a_member_has_is_given_back_when_its_session_ends() {
    let node = node().await;
    node.produce("t", batch(&["a", "b"])).await;
    let (mut one, mut two, mut three) = (Member::new("one", 1), Member::new("two", 2), Member::new("three", 3));
    assert_eq!(one.take(&node).await.len(), 2);
    one.leave(&node).await;
    assert_eq!(counted(&two.take(&node).await), [(0, 2), (1, 2)], "as Kafka counts");
    two.vanish(&node);
    assert_eq!(counted(&three.take_within(&node, 1_000).await), [(0, 3), (1, 3)]);
    let gone = two.request(&node, 0);
    assert_eq!(two.ask(&node, &gone).await.error_code, E::ShareSessionNotFound.code());
}

#[tokio::test(start_paused = true)]
async fn a_fetch_waits_for_records_and_acknowledges_on_its_way() {
    let node = node().await;
    node.produce("t", batch(&["a"])).await;
    let (mut one, mut other) = (Member::new("one", 1), Member::new("other", 2));
    assert_eq!(one.take(&node).await.len(), 1);
    let acknowledges = one.request(&node, 500);
    let said = AcknowledgementBatch::default().with_acknowledge_types(vec![RELEASE]);
    let partition = kafka_protocol::messages::share_fetch_request::FetchPartition::default()
        .with_acknowledgement_batches(vec![said]);
    let topic = kafka_protocol::messages::share_fetch_request::FetchTopic::default()
        .with_topic_id(node.topic_id("t"))
        .with_partitions(vec![partition]);
    let waits = other.request(&node, 5_000);
    let acknowledges = acknowledges.with_topics(vec![topic]);
    let (first, second) = tokio::join!(other.ask(&node, &waits), one.ask(&node, &acknowledges));
    let mut got = counted(&given(&first));
    got.extend(counted(&given(&second)));
    assert_eq!(got, [(0, 2)], "one of them has it again");
    let late = async {
        node.runtime.clock.sleep(Duration::from_secs(1)).await;
        node.produce("t", batch(&["b"])).await;
    };
    let waits = other.request(&node, 5_000);
    let ((), response) = tokio::join!(late, other.ask(&node, &waits));
    assert_eq!(counted(&given(&response)), [(1, 1)]);
    let begun = node.runtime.clock.elapsed();
    assert_eq!(other.take_within(&node, 700).await, []);
    assert_eq!(node.runtime.clock.elapsed() - begun, Duration::from_millis(700));
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_nobody_uses_is_let_go_and_goes_on_where_it_was() {
    let node = node().await;
    let open = |node: &Node| node.metrics.gauge(&SHARE_PARTITIONS, &[]).value();
    let (mut one, mut two, mut three) = (Member::new("one", 1), Member::new("two", 2), Member::new("three", 3));
    let undecided = -1;
    node.coordinator.initialize_share(&key(&node), 2, undecided).await.unwrap();
    assert_eq!(one.take(&node).await, []);
    one.leave(&node).await;
    node.runtime.clock.sleep(Duration::from_secs(1_000)).await;
    assert_eq!(open(&node), 1, "where it begins is not stored: it stays");
    node.produce("t", batch(&["a", "b", "c"])).await;
    assert_eq!(two.take(&node).await.len(), 3);
    assert_eq!(two.say(&node, 0, 2, &[ACCEPT, RELEASE, ACCEPT]).await, 0);
    node.runtime.clock.sleep(Duration::from_secs(1_000)).await;
    assert_eq!(open(&node), 1, "a member has a session");
    two.vanish(&node);
    node.runtime.clock.sleep(Duration::from_secs(100)).await;
    assert_eq!(open(&node), 0);
    assert_eq!(counted(&three.take(&node).await), [(1, 2)], "as if it had not been away");
    node.runtime.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(open(&node), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_survives_a_kill() {
    let disk = Arc::new(SimDisk::new());
    let node = sharing(&disk, &[], &[("flush.messages", "1")]).await;
    node.produce("t", batch(&["a", "b", "c", "d"])).await;
    let mut one = Member::new("one", 1);
    assert_eq!(one.take(&node).await.len(), 4);
    assert_eq!(one.say(&node, 1, 2, &[ACCEPT, RELEASE]).await, 0);
    node.runtime.tasks.stop();
    drop(node);
    let disk = Arc::new(disk.after_power_cut(|_| 0));
    let node = Node::on(4, disk, &[]).await;
    let mut other = Member::new("other", 2);
    assert_eq!(counted(&other.take(&node).await), [(0, 1), (2, 2), (3, 1)]);
    assert_eq!(other.say(&node, 0, 0, &[ACCEPT]).await, 0);
    assert_eq!(node.coordinator.share_summary(&key(&node)).unwrap().start, 0, "as it was when that was decided");
    assert_eq!(other.say(&node, 2, 2, &[ACCEPT]).await, 0);
    assert_eq!(node.coordinator.share_summary(&key(&node)).unwrap().start, 2);
}

#[tokio::test(start_paused = true)]
async fn a_record_is_delivered_so_often_and_then_given_up() {
    let node = node().await;
    node.produce("t", batch(&["poison"])).await;
    let mut one = Member::new("one", 1);
    for count in 1..=5 {
        assert_eq!(counted(&one.take(&node).await), [(0, count)]);
        assert_eq!(one.say(&node, 0, 0, &[RELEASE]).await, 0);
    }
    assert_eq!(one.take(&node).await, []);
}

/// Sets options of the group.
async fn set(node: &Node, options: &[(&str, &str)]) {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let configs = options
        .iter()
        .map(|(name, value)| AlterableConfig::default().with_name(text(name)).with_value(Some(text(value))))
        .collect();
    let group =
        AlterConfigsResource::default().with_resource_type(32).with_resource_name(text(GROUP)).with_configs(configs);
    let response = node.ask(1, &IncrementalAlterConfigsRequest::default().with_resources(vec![group])).await;
    assert_eq!(response.responses[0].error_code, 0, "{:?}", response.responses[0].error_message);
}

/// The dead letters: value and headers.
async fn letters(node: &Node, topic: &str) -> Vec<(Option<String>, Vec<String>)> {
    let partition = FetchPartition::default().with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic_id(node.topic_id(topic)).with_partitions(vec![partition]);
    let request = FetchRequest::default().with_max_bytes(1 << 20).with_session_epoch(-1).with_topics(vec![topic]);
    let response = node.ask(13, &request).await;
    let mut letters = Vec::new();
    for batch in split(response.responses[0].partitions[0].records.clone().unwrap_or_default()).unwrap() {
        let read = batch.each(&Limits::default(), |record| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let headers = record.headers.map(|(_, value)| text(value.unwrap_or_default())).collect();
            letters.push((record.value.map(text), headers));
        });
        read.unwrap();
    }
    letters
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_goes_to_the_groups_topic_first() {
    let node = node().await;
    node.topic("dlq.t", 1, &[("errors.deadletterqueue.group.enable", "true")]).await;
    let named = ("errors.deadletterqueue.topic.name", "dlq.t");
    set(&node, &[named, ("errors.deadletterqueue.copy.record.enable", "true")]).await;
    node.produce("t", batch(&["a", "b", "c"])).await;
    let mut one = Member::new("one", 1);
    assert_eq!(one.take(&node).await.len(), 3);
    assert_eq!(one.say(&node, 0, 2, &[ACCEPT, REJECT, RELEASE]).await, 0);
    let headers = |offset: &str, count: &str, why: &str| {
        [&["t", "0", offset, GROUP, count], [why].as_slice()]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let rejected = (Some("b".to_owned()), headers("1", "1", "Offset rejected by client."));
    assert_eq!(letters(&node, "dlq.t").await, std::slice::from_ref(&rejected));
    for count in 2..=5 {
        assert_eq!(counted(&one.take(&node).await), [(2, count)]);
        assert_eq!(one.say(&node, 2, 2, &[RELEASE]).await, 0);
    }
    let often = (Some("c".to_owned()), headers("2", "5", "Offset delivery count exceeded the threshold."));
    assert_eq!(letters(&node, "dlq.t").await, [rejected, often]);
    set(&node, &[("errors.deadletterqueue.copy.record.enable", "false")]).await;
    node.produce("t", batch(&["d"])).await;
    assert_eq!(one.take(&node).await.len(), 1);
    assert_eq!(one.say(&node, 3, 3, &[REJECT]).await, 0);
    assert_eq!(letters(&node, "dlq.t").await[2].0, None, "only where it was");
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_its_topic_does_not_take_goes_without_its_record_and_holds_nobody_up() {
    let node = node().await;
    let takes = ("errors.deadletterqueue.group.enable", "true");
    node.topic("dlq.small", 1, &[takes, ("max.message.bytes", "600")]).await;
    node.topic("dlq.tiny", 1, &[takes, ("max.message.bytes", "100")]).await;
    node.topic("dlq.keyed", 1, &[takes, ("cleanup.policy", "compact")]).await;
    let (large, mut one, mut next) = ("x".repeat(2_000), Member::new("one", 1), 0);
    for topic in ["dlq.small", "dlq.tiny", "dlq.keyed"] {
        let named = ("errors.deadletterqueue.topic.name", topic);
        // What has no key a compacted topic does not take.
        let copies = if topic == "dlq.keyed" { "false" } else { "true" };
        set(&node, &[named, ("errors.deadletterqueue.copy.record.enable", copies)]).await;
        node.produce("t", batch(&["a", &large, "b", "c"])).await;
        assert_eq!(one.take(&node).await.len(), 4);
        assert_eq!(one.say(&node, next, next + 3, &[REJECT]).await, 0, "{topic}: it is answered");
        next += 4;
        let stored = node.coordinator.share_summary(&key(&node)).unwrap();
        assert_eq!(stored.start + i64::from(stored.complete), next, "and done with");
    }
    let small = letters(&node, "dlq.small").await;
    let values: Vec<Option<&str>> = small.iter().map(|(value, _)| value.as_deref()).collect();
    assert_eq!(values, [Some("a"), None, Some("b"), Some("c")]);
    let places: Vec<[&str; 3]> = small.iter().map(|(_, said)| [&*said[0], &*said[1], &*said[2]]).collect();
    assert_eq!(places, [["t", "0", "0"], ["t", "0", "1"], ["t", "0", "2"], ["t", "0", "3"]]);
    assert_eq!((letters(&node, "dlq.tiny").await, letters(&node, "dlq.keyed").await), (Vec::new(), Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_may_not_be_used_gets_no_dead_letters() {
    let node = node().await;
    node.topic("dlq.t", 1, &[]).await;
    node.topic("orders", 1, &[("errors.deadletterqueue.group.enable", "true")]).await;
    let mut one = Member::new("one", 1);
    for (round, topic) in ["dlq.t", "orders", "dlq.none"].into_iter().enumerate() {
        set(&node, &[("errors.deadletterqueue.topic.name", topic)]).await;
        node.produce("t", batch(&["a"])).await;
        assert_eq!(one.take(&node).await.len(), 1);
        let offset = i64::try_from(round).unwrap();
        assert_eq!(one.say(&node, offset, offset, &[REJECT]).await, 0, "the group goes on");
    }
    assert_eq!((letters(&node, "dlq.t").await, letters(&node, "orders").await), (Vec::new(), Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn what_the_log_has_not_any_more_is_nobodys() {
    let node = node().await;
    node.produce("t", batch(&["a", "b"])).await;
    node.produce("t", batch(&["c"])).await;
    let mut one = Member::new("one", 1);
    let few = one.request(&node, 0).with_max_records(1);
    assert_eq!(given(&one.ask(&node, &few).await).len(), 2);
    let handle = node.partitions.named("t", millstream_types::PartitionIndex(0)).unwrap().unwrap();
    handle.delete_records(millstream_types::Offset(2)).await.unwrap();
    assert_eq!(counted(&one.take(&node).await), [(2, 1)]);
    assert_eq!(one.say(&node, 0, 1, &[ACCEPT]).await, 0, "it is below the start");
    assert_eq!(one.say(&node, 2, 2, &[ACCEPT]).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_reads_committed_records_is_not_given_others() {
    let node = node().await;
    set(&node, &[("share.isolation.level", "read_committed")]).await;
    let transactional = |producer: i64, values: &[&str]| {
        fill(BatchBuilder::new(Codec::None).producer(ProducerId(producer), ProducerEpoch(0), 0).transactional(), values)
    };
    let handle = node.partitions.named("t", millstream_types::PartitionIndex(0)).unwrap().unwrap();
    let append = async |records: bytes::Bytes| {
        let batches = split(records).unwrap();
        let (producer, epoch) = (batches[0].producer_id(), batches[0].producer_epoch());
        let asked = millstream_txn::Unverified { producer, epoch, first_sequence: 0, bumps: false };
        let guard = handle.verify(&asked);
        let options = millstream_partition::AppendOptions::new(millstream_partition::Origin::Coordinator);
        let options = millstream_partition::AppendOptions { guard, ..options };
        handle.append(batches, options).await.unwrap();
    };
    let end = async |producer: i64, outcome: millstream_txn::Outcome| {
        let marker = millstream_txn::Marker {
            producer: ProducerId(producer),
            epoch: ProducerEpoch(0),
            outcome,
            coordinator_epoch: 0,
        };
        handle.end_transaction(&marker, millstream_txn::Version::Classic).await.unwrap();
    };
    append(transactional(7, &["aborted"])).await;
    let mut one = Member::new("one", 1);
    assert_eq!(one.take(&node).await, [], "it is not decided");
    end(7, millstream_txn::Outcome::Abort).await;
    append(transactional(8, &["committed"])).await;
    end(8, millstream_txn::Outcome::Commit).await;
    node.produce("t", batch(&["plain"])).await;
    let taken = one.take(&node).await;
    assert_eq!(taken.iter().map(|(_, _, value)| value.as_str()).collect::<Vec<_>>(), ["committed", "plain"]);
}

#[tokio::test(start_paused = true)]
async fn a_member_without_a_name_or_session_is_refused() {
    let node = node().await;
    let mut one = Member::new("one", 1);
    let nameless = one.request(&node, 0).with_member_id(None);
    assert_eq!(one.ask(&node, &nameless).await.error_code, E::InvalidRequest.code());
    let groupless = one.request(&node, 0).with_group_id(None);
    assert_eq!(one.ask(&node, &groupless).await.error_code, E::InvalidRequest.code());
    let stranger = Member::new("stranger", 2);
    let response = node.ask_on(&stranger.connection, 1, &stranger.speak(3)).await;
    assert_eq!(response.error_code, E::ShareSessionNotFound.code());
    let mut unknown = Member::new("unknown", 3);
    let request = unknown.request(&node, 0);
    let mut topics = request.topics.clone();
    topics[0].topic_id = uuid::Uuid::from_u128(9);
    let response = unknown.ask(&node, &request.with_topics(topics)).await;
    assert_eq!(response.responses[0].partitions[0].error_code, E::UnknownTopicId.code());
}

#[tokio::test(start_paused = true)]
async fn states_are_told_by_kafkas_codes() {
    let node = node().await;
    node.produce("t", batch(&["a"])).await;
    Member::new("one", 1).take(&node).await;
    let ask = async |group: &'static str, topic, partitions: Vec<i32>| {
        let partition = |index: i32| ReadPartition::default().with_partition(index).with_leader_epoch(0);
        let topics = ReadStateData::default().with_topic_id(topic);
        let topics = topics.with_partitions(partitions.into_iter().map(partition).collect());
        let request = ReadShareGroupStateRequest::default().with_group_id(StrBytes::from_static_str(group));
        let response = node.ask(0, &request.with_topics(vec![topics])).await;
        let told = response.results.into_iter().flat_map(|result| result.partitions);
        told.map(|partition| (partition.partition, partition.error_code)).collect::<Vec<_>>()
    };
    let (known, none) = (node.topic_id("t"), uuid::Uuid::nil());
    let invalid = E::InvalidRequest.code();
    assert_eq!(ask(GROUP, known, vec![0, -1]).await, [(0, 0), (-1, invalid)]);
    assert_eq!(ask(GROUP, known, vec![7]).await, [(7, invalid)], "no state is told before no partition");
    assert_eq!(ask("another", known, vec![0]).await, [(0, invalid)]);
    assert_eq!(ask(GROUP, none, vec![0]).await, [(0, invalid)]);
    assert_eq!(ask(GROUP, known, vec![]).await, []);
    let delete = |topic| {
        let partition = delete_share_group_state_request::PartitionData::default();
        let topics = delete_share_group_state_request::DeleteStateData::default().with_topic_id(topic);
        let request = DeleteShareGroupStateRequest::default().with_group_id(StrBytes::from_static_str(GROUP));
        request.with_topics(vec![topics.with_partitions(vec![partition])])
    };
    let gone = node.ask(0, &delete(none)).await.results.remove(0).partitions.remove(0);
    assert_eq!(gone.error_code, E::UnknownTopicOrPartition.code());
    assert_eq!(node.ask(0, &delete(known)).await.results.remove(0).partitions.remove(0).error_code, 0);
    assert_eq!(ask(GROUP, known, vec![0]).await, [(0, invalid)], "there is no state any more");
}
