//! Members of share groups as their clients are: a connection, a session, what was acquired.

use crate::node::{Node, connection};
use kafka_protocol::messages::GroupId;
use kafka_protocol::messages::share_acknowledge_request::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch, ShareAcknowledgeRequest,
};
use kafka_protocol::messages::share_fetch_request::{FetchPartition, FetchTopic, ShareFetchRequest};
use kafka_protocol::messages::share_fetch_response::{PartitionData, ShareFetchResponse};
use kafka_protocol::protocol::StrBytes;
use millstream_group::share::ShareKey;
use millstream_net::{ConnectionContext, Handler};
use millstream_record::{Limits, split};
use millstream_runtime::SimDisk;
use millstream_types::TopicId;
use std::sync::Arc;

pub const ACCEPT: i8 = 1;
pub const RELEASE: i8 = 2;
pub const REJECT: i8 = 3;
pub const GROUP: &str = "workers";

/// A record that a member was given: its offset, how often it was delivered, its value.
pub type Given = (i64, i16, String);

/// A member of the group, on a connection of its own.
pub struct Member {
    pub id: &'static str,
    pub connection: ConnectionContext,
    pub epoch: i32,
}

impl Member {
    pub fn new(id: &'static str, connection_id: u64) -> Self {
        Self { id, connection: connection(connection_id, false), epoch: 0 }
    }

    /// A fetch of partition 0 of "t" that waits for `max_wait_ms`.
    pub fn request(&mut self, node: &Node, max_wait_ms: i32) -> ShareFetchRequest {
        let topic = FetchTopic::default()
            .with_topic_id(node.topic_id("t"))
            .with_partitions(vec![FetchPartition::default().with_partition_index(0)]);
        let request = ShareFetchRequest::default()
            .with_group_id(Some(GroupId(GROUP.into())))
            .with_member_id(Some(StrBytes::from_static_str(self.id)))
            .with_share_session_epoch(self.epoch)
            .with_max_wait_ms(max_wait_ms)
            .with_min_bytes(1)
            .with_max_bytes(1 << 20)
            .with_max_records(500)
            .with_batch_size(500);
        let is_first = self.epoch == 0;
        self.epoch += 1;
        if is_first { request.with_topics(vec![topic]) } else { request }
    }

    pub async fn ask(&self, node: &Node, request: &ShareFetchRequest) -> ShareFetchResponse {
        node.ask_on(&self.connection, 1, request).await
    }

    /// What it is given, after waiting for that long at most.
    pub async fn take_within(&mut self, node: &Node, max_wait_ms: i32) -> Vec<Given> {
        let request = self.request(node, max_wait_ms);
        given(&self.ask(node, &request).await)
    }

    /// What it is given now.
    pub async fn take(&mut self, node: &Node) -> Vec<Given> {
        self.take_within(node, 0).await
    }

    /// Says something of records; gives the partition's error code.
    pub async fn say(&mut self, node: &Node, first: i64, last: i64, kinds: &[i8]) -> i16 {
        let batch = AcknowledgementBatch::default()
            .with_first_offset(first)
            .with_last_offset(last)
            .with_acknowledge_types(kinds.to_vec());
        let partition = AcknowledgePartition::default().with_acknowledgement_batches(vec![batch]);
        let topic = AcknowledgeTopic::default().with_topic_id(node.topic_id("t")).with_partitions(vec![partition]);
        let request = self.speak(self.epoch).with_topics(vec![topic]);
        self.epoch += 1;
        let response = node.ask_on(&self.connection, 1, &request).await;
        assert_eq!(response.error_code, 0, "{:?}", response.error_message);
        response.responses[0].partitions[0].error_code
    }

    pub fn speak(&self, epoch: i32) -> ShareAcknowledgeRequest {
        ShareAcknowledgeRequest::default()
            .with_group_id(Some(GroupId(GROUP.into())))
            .with_member_id(Some(StrBytes::from_static_str(self.id)))
            .with_share_session_epoch(epoch)
    }

    /// Its session ends.
    pub async fn leave(&self, node: &Node) {
        let response = node.ask_on(&self.connection, 1, &self.speak(-1)).await;
        assert_eq!(response.error_code, 0, "{:?}", response.error_message);
    }

    /// Its connection is closed.
    pub fn vanish(&self, node: &Node) {
        node.service.closed(&self.connection);
    }
}

/// The records that are the member's, of what it was sent.
pub fn given(response: &ShareFetchResponse) -> Vec<Given> {
    assert_eq!(response.error_code, 0, "{:?}", response.error_message);
    response.responses.iter().flat_map(|topic| &topic.partitions).flat_map(given_of).collect()
}

fn given_of(partition: &PartitionData) -> Vec<Given> {
    assert_eq!(partition.error_code, 0, "{:?}", partition.error_message);
    assert_eq!(partition.acknowledge_error_code, 0, "{:?}", partition.acknowledge_error_message);
    let mut records = Vec::new();
    for batch in split(partition.records.clone().unwrap_or_default()).unwrap() {
        if batch.is_control() {
            continue;
        }
        let read = batch.each(&Limits::default(), |record| {
            let offset = record.offset.0;
            let mut acquired = partition.acquired_records.iter();
            if let Some(one) = acquired.find(|one| (one.first_offset..=one.last_offset).contains(&offset)) {
                let value = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
                records.push((offset, one.delivery_count, value));
            }
        });
        read.unwrap();
    }
    records
}

/// Offsets and delivery counts of what was given.
pub fn counted(given: &[Given]) -> Vec<(i64, i16)> {
    given.iter().map(|(offset, count, _)| (*offset, *count)).collect()
}

/// The group's part of partition 0 of "t".
pub fn key(node: &Node) -> ShareKey {
    ShareKey { group: GROUP.into(), topic: TopicId(node.topic_id("t")), partition: 0 }
}

/// A node with topic "t", which the group reads from its begin on.
pub async fn sharing(disk: &Arc<SimDisk>, options: &[(&str, &str)], topic: &[(&str, &str)]) -> Node {
    let node = Node::on(3, disk.clone(), options).await;
    node.topic("t", 1, topic).await;
    node.coordinator.wait_for_share(&key(&node)).await.unwrap();
    node.coordinator.initialize_share(&key(&node), 1, 0).await.unwrap();
    node
}
