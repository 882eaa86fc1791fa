//! OffsetForLeaderEpoch: where an epoch ended, by which a consumer finds that the log was truncated under it.

use crate::codes::Failure;
use crate::service::Broker;
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use millstream_partition::EpochEnd;
use millstream_types::{LeaderEpoch, Offset};

impl Broker {
    /// Answers OffsetForLeaderEpoch.
    pub(crate) fn offset_for_leader_epoch(&self, request: OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
        let topics = request.topics.into_iter().map(|topic| {
            let partitions =
                topic.partitions.iter().map(|partition| answer(partition, self.epoch_end(&topic.topic, partition)));
            let partitions = partitions.collect();
            OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
        });
        OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
    }

    fn epoch_end(&self, topic: &str, partition: &OffsetForLeaderPartition) -> Result<EpochEnd, Failure> {
        let handle = self.partition(topic, partition.partition)?;
        let (current, requested) = (LeaderEpoch(partition.current_leader_epoch), LeaderEpoch(partition.leader_epoch));
        let found = handle.epoch_end(current, requested)?;
        // No epoch was asked about.
        Ok(if requested == LeaderEpoch::NONE { EpochEnd { end_offset: Offset::NONE, ..found } } else { found })
    }
}

fn answer(partition: &OffsetForLeaderPartition, found: Result<EpochEnd, Failure>) -> EpochEndOffset {
    let response = EpochEndOffset::default().with_partition(partition.partition);
    match found {
        Ok(EpochEnd { epoch, end_offset }) => response.with_leader_epoch(epoch.0).with_end_offset(end_offset.0),
        Err(failure) => response.with_error_code(failure.code.code()),
    }
}
