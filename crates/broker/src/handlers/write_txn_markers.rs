//! WriteTxnMarkers: ends transactions in their partitions. Here it comes from an operator who ends one that hangs.

use crate::service::Broker;
use futures::future::join_all;
use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use millstream_coordinator::MarkError;
use millstream_protocol::ResponseError;
use millstream_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use millstream_txn::{Marker, Outcome, Partition, Version};
use millstream_types::{ProducerEpoch, ProducerId};

/// The rules that a marker says its transaction was written by.
const fn rules(transaction_version: i8) -> Version {
    if transaction_version >= 2 { Version::Bumping } else { Version::Classic }
}

impl Broker {
    /// Answers WriteTxnMarkers, when the markers are written.
    pub(crate) async fn write_txn_markers(&self, request: WriteTxnMarkersRequest) -> WriteTxnMarkersResponse {
        let mut results = Vec::with_capacity(request.markers.len());
        // One after another: two of one producer are in order.
        let versions = request.transaction_versions.into_iter().map(rules).chain(std::iter::repeat(Version::Classic));
        for (marker, version) in request.message.markers.into_iter().zip(versions) {
            results.push(self.write_one(marker, version).await);
        }
        kafka_protocol::messages::WriteTxnMarkersResponse::default().with_markers(results).into()
    }

    async fn write_one(&self, request: WritableTxnMarker, version: Version) -> WritableTxnMarkerResult {
        let marker = Marker {
            producer: ProducerId(request.producer_id.0),
            epoch: ProducerEpoch(request.producer_epoch),
            coordinator_epoch: request.coordinator_epoch,
            outcome: if request.transaction_result { Outcome::Commit } else { Outcome::Abort },
        };
        let topics = request.topics.into_iter().map(|topic| self.mark_topic(topic, &marker, version));
        WritableTxnMarkerResult::default().with_producer_id(request.producer_id).with_topics(join_all(topics).await)
    }

    async fn mark_topic(
        &self,
        topic: WritableTxnMarkerTopic,
        marker: &Marker,
        version: Version,
    ) -> WritableTxnMarkerTopicResult {
        let name = topic.name.to_string();
        let partitions = topic.partition_indexes.into_iter().map(|index| {
            let partition = Partition { topic: name.clone(), index };
            async move {
                let code = self.mark(&partition, marker, version).await;
                WritableTxnMarkerPartitionResult::default().with_partition_index(index).with_error_code(code)
            }
        });
        WritableTxnMarkerTopicResult::default().with_name(topic.name).with_partitions(join_all(partitions).await)
    }

    async fn mark(&self, partition: &Partition, marker: &Marker, version: Version) -> i16 {
        if let Err(failure) = self.partition(&partition.topic, partition.index) {
            return failure.code.code();
        }
        match self.coordinator.write_marker(partition, marker, version).await {
            Ok(()) => 0,
            Err(MarkError::Refused(why)) => {
                tracing::warn!(topic = partition.topic, partition = partition.index, why, "a marker was refused");
                ResponseError::InvalidProducerEpoch.code()
            }
            Err(MarkError::Retry(why)) => {
                tracing::warn!(topic = partition.topic, partition = partition.index, why, "a marker was not written");
                ResponseError::NotLeaderOrFollower.code()
            }
        }
    }
}
