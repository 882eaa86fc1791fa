//! Produce.

use crate::node::{Node, batch, code, fill, produce, sequenced};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_request::ProduceRequest;
use millstream_net::Answer;
use millstream_protocol::ResponseError as E;
use millstream_record::{BatchBuilder, Codec};
use uuid::Uuid;

/// The code that one partition's records get.
async fn code_of(node: &Node, topic: &str, partition: i32, records: Option<Bytes>) -> i16 {
    code(&node.ask(9, &produce(topic, partition, records, -1)).await)
}

#[tokio::test(start_paused = true)]
async fn offsets_are_given_in_order_by_name_and_by_id() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    assert_eq!(node.produce("t", batch(&["a", "b"])).await, 0);
    let mut by_id = produce("", 0, Some(batch(&["c"])), 1);
    by_id.topic_data[0].topic_id = node.topic_id("t");
    let response = node.ask(13, &by_id).await;
    let answer = &response.responses[0];
    assert_eq!(answer.topic_id, node.topic_id("t"));
    assert_eq!((answer.partition_responses[0].error_code, answer.partition_responses[0].base_offset), (0, 2));
    assert_eq!(
        (answer.partition_responses[0].log_start_offset, answer.partition_responses[0].log_append_time_ms),
        (0, -1)
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_has_its_code() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    assert_eq!(code_of(&node, "nope", 0, Some(batch(&["a"]))).await, E::UnknownTopicOrPartition.code());
    assert_eq!(code_of(&node, "t", 7, Some(batch(&["a"]))).await, E::UnknownTopicOrPartition.code());
    assert_eq!(code_of(&node, "t", -1, Some(batch(&["a"]))).await, E::UnknownTopicOrPartition.code());
    let mut by_id = produce("", 0, Some(batch(&["c"])), 1);
    by_id.topic_data[0].topic_id = Uuid::from_u128(99);
    assert_eq!(code(&node.ask(13, &by_id).await), E::UnknownTopicId.code());
}

#[tokio::test(start_paused = true)]
async fn what_is_no_batch_is_refused_and_others_are_unharmed() {
    let node = Node::start().await;
    node.topic("t", 2, &[("max.message.bytes", "200")]).await;
    node.topic("compacted", 1, &[("cleanup.policy", "compact")]).await;
    let mut flipped = BytesMut::from(&batch(&["a"])[..]);
    *flipped.last_mut().unwrap() ^= 1;
    let twice = Bytes::from([batch(&["a"]), batch(&["b"])].concat());
    let mut keyless = BatchBuilder::new(Codec::None);
    keyless.push(millstream_types::TimestampMs(1), None, Some(b"v"), []);
    let keyless = keyless.build(millstream_types::Offset(0), millstream_types::LeaderEpoch(0)).unwrap().into_bytes();
    let table = [
        ("t", Some(flipped.freeze()), E::CorruptMessage),
        ("t", Some(batch(&["a"]).slice(..40)), E::InvalidRecord),
        ("t", Some(twice), E::InvalidRecord),
        ("t", Some(Bytes::new()), E::InvalidRecord),
        ("t", None, E::InvalidRecord),
        ("t", Some(batch(&[&"x".repeat(300)])), E::MessageTooLarge),
        ("t", Some(fill(BatchBuilder::new(Codec::None).control(), &["a"])), E::InvalidRecord),
        ("compacted", Some(keyless), E::InvalidRecord),
    ];
    for (topic, records, expected) in table {
        let mut request = produce(topic, 0, records, -1);
        let other = produce("t", 1, Some(batch(&["fine"])), -1).topic_data.remove(0);
        request.topic_data.push(other);
        let response = node.ask(9, &request).await;
        let refused = &response.responses[0].partition_responses[0];
        assert_eq!(refused.error_code, expected.code(), "{:?}", refused.error_message);
        assert!(refused.error_message.is_some());
        assert_eq!(refused.base_offset, -1);
        assert_eq!(response.responses[1].partition_responses[0].error_code, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn records_of_a_transaction_that_is_not_named_keep_their_whole_request_out() {
    let node = Node::start().await;
    node.topic("t", 2, &[]).await;
    let mut request = produce("t", 0, Some(fill(BatchBuilder::new(Codec::None).transactional(), &["a"])), -1);
    request.topic_data.push(produce("t", 1, Some(batch(&["fine"])), -1).topic_data.remove(0));
    let response = node.ask(9, &request).await;
    let codes = response.responses.iter().map(|topic| topic.partition_responses[0].error_code);
    let refused = E::TransactionalIdAuthorizationFailed.code();
    assert_eq!(codes.collect::<Vec<_>>(), [refused, refused]);
    let after = node.ask(9, &produce("t", 1, Some(batch(&["first"])), -1)).await;
    assert_eq!(after.responses[0].partition_responses[0].base_offset, 0, "nothing of it was written");
}

#[tokio::test(start_paused = true)]
async fn a_timestamp_too_far_ahead_blames_its_record() {
    let node = Node::start().await;
    node.topic("t", 1, &[("message.timestamp.after.max.ms", "1000")]).await;
    let mut builder = BatchBuilder::new(Codec::None);
    let now = node.runtime.clock.now().0;
    builder.push(millstream_types::TimestampMs(now), None, Some(b"v"), []);
    builder.push(millstream_types::TimestampMs(now + 60_000), None, Some(b"v"), []);
    let records = builder.build(millstream_types::Offset(0), millstream_types::LeaderEpoch(0)).unwrap().into_bytes();
    let response = node.ask(9, &produce("t", 0, Some(records), -1)).await;
    let answer = &response.responses[0].partition_responses[0];
    assert_eq!(answer.error_code, E::InvalidTimestamp.code());
    assert_eq!(answer.record_errors[0].batch_index, 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_of_an_idempotent_producer_is_answered_as_before() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    assert_eq!(node.produce("t", sequenced(5, 0, &["a", "b"])).await, 0);
    assert_eq!(node.produce("t", sequenced(5, 0, &["a", "b"])).await, 0);
    assert_eq!(node.produce("t", sequenced(5, 2, &["c"])).await, 2);
    assert_eq!(code_of(&node, "t", 0, Some(sequenced(5, 9, &["x"]))).await, E::OutOfOrderSequenceNumber.code());
}

#[tokio::test(start_paused = true)]
async fn without_acks_there_is_no_answer_but_a_close_on_errors() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    assert!(matches!(node.send(9, &produce("t", 0, Some(batch(&["a"])), 0)).await, Answer::NoReply));
    assert!(matches!(node.send(9, &produce("t", 5, Some(batch(&["a"])), 0)).await, Answer::Close(_)));
    assert_eq!(node.produce("t", batch(&["b"])).await, 1);
}

#[tokio::test(start_paused = true)]
async fn unknown_acks_and_internal_topics_are_refused() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    node.topic("__consumer_offsets", 1, &[]).await;
    let response = node.ask(9, &produce("t", 0, Some(batch(&["a"])), 2)).await;
    assert_eq!(code(&response), E::InvalidRequiredAcks.code());
    assert_eq!(code_of(&node, "__consumer_offsets", 0, Some(batch(&["a"]))).await, E::InvalidTopicException.code());
}

#[tokio::test(start_paused = true)]
async fn the_brokers_time_is_told() {
    let node = Node::start().await;
    node.topic("t", 1, &[("message.timestamp.type", "LogAppendTime")]).await;
    let now = node.runtime.clock.now().0;
    let response = node.ask(9, &produce("t", 0, Some(batch(&["a"])), -1)).await;
    assert_eq!(response.responses[0].partition_responses[0].log_append_time_ms, now);
}

#[tokio::test(start_paused = true)]
async fn an_empty_request_has_an_empty_answer() {
    let node = Node::start().await;
    assert!(node.ask(9, &ProduceRequest::default().with_acks(-1)).await.responses.is_empty());
}
