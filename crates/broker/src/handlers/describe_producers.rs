//! DescribeProducers: who has written to a partition, and whose transaction is open there.

use crate::codes::Failure;
use crate::service::Broker;
use kafka_protocol::messages::describe_producers_response::{
    DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::{DescribeProducersRequest, ProducerId as WireProducer};
use millstream_txn::SnapshotEntry;

impl Broker {
    /// Answers DescribeProducers.
    pub(crate) fn describe_producers(&self, request: DescribeProducersRequest) -> DescribeProducersResponse {
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|index| self.producers_of(&topic.name, *index));
            let partitions = partitions.collect();
            TopicResponse::default().with_name(topic.name).with_partitions(partitions)
        });
        DescribeProducersResponse::default().with_topics(topics.collect())
    }

    fn producers_of(&self, topic: &str, index: i32) -> PartitionResponse {
        let response = PartitionResponse::default().with_partition_index(index);
        let found = millstream_metadata::topics::check_name(topic).map_err(Failure::from);
        match found.and_then(|()| self.partition(topic, index)) {
            Ok(handle) => response.with_active_producers(handle.active_producers().iter().map(described).collect()),
            Err(failure) => response.with_error_code(failure.code.code()).with_error_message(failure.text()),
        }
    }
}

fn described(producer: &SnapshotEntry) -> ProducerState {
    ProducerState::default()
        .with_producer_id(WireProducer(producer.producer_id.0))
        .with_producer_epoch(i32::from(producer.epoch.0))
        .with_last_sequence(producer.last_sequence)
        .with_last_timestamp(producer.timestamp.0)
        .with_coordinator_epoch(producer.coordinator_epoch)
        .with_current_txn_start_offset(producer.current_txn_first_offset.0)
}
