//! WriteTxnMarkers: ends transactions in their partitions. Here it comes from an operator who ends one that hangs.

use crate::service::Broker;
use futures::future::join_all;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::write_txn_markers_request::WritableTxnMarker;
use kafka_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use millstream_coordinator::MarkError;
use millstream_protocol::ResponseError;
use millstream_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use millstream_txn::{Marker, Outcome, Partition, Version};
use millstream_types::{ProducerEpoch, ProducerId};
use std::collections::BTreeMap;

/// The rules that a marker says its transaction was written by.
const fn rules(transaction_version: i8) -> Version {
    if transaction_version >= 2 { Version::Bumping } else { Version::Classic }
}

/// What each partition answered, by producer, topic and partition: of two markers for one partition, the later.
type Results = BTreeMap<i64, BTreeMap<TopicName, BTreeMap<i32, i16>>>;

impl Broker {
    /// Answers WriteTxnMarkers, when the markers are written. The markers of one producer are answered together, as in Kafka.
    pub(crate) async fn write_txn_markers(&self, request: WriteTxnMarkersRequest) -> WriteTxnMarkersResponse {
        let mut results = Results::new();
        // One after another: two of one producer are in order.
        let versions = request.transaction_versions.into_iter().map(rules).chain(std::iter::repeat(Version::Classic));
        for (marker, version) in request.message.markers.into_iter().zip(versions) {
            self.write_one(marker, version, &mut results).await;
        }
        let markers = results.into_iter().map(told).collect();
        kafka_protocol::messages::WriteTxnMarkersResponse::default().with_markers(markers).into()
    }

    /// Writes a marker into its partitions, side by side.
    async fn write_one(&self, request: WritableTxnMarker, version: Version, results: &mut Results) {
        let marker = Marker {
            producer: ProducerId(request.producer_id.0),
            epoch: ProducerEpoch(request.producer_epoch),
            coordinator_epoch: request.coordinator_epoch,
            outcome: if request.transaction_result { Outcome::Commit } else { Outcome::Abort },
        };
        let partitions = request
            .topics
            .into_iter()
            .flat_map(|topic| topic.partition_indexes.into_iter().map(move |index| (topic.name.clone(), index)));
        let marked = partitions.map(|(name, index)| {
            let marker = &marker;
            async move {
                let partition = Partition { topic: name.to_string(), index };
                let code = self.mark(&partition, marker, version).await;
                (name, index, code)
            }
        });
        for (name, index, code) in join_all(marked).await {
            let topics = results.entry(marker.producer.0).or_default();
            topics.entry(name).or_default().insert(index, code);
        }
    }

    async fn mark(&self, partition: &Partition, marker: &Marker, version: Version) -> i16 {
        if let Err(failure) = self.partition(&partition.topic, partition.index) {
            return failure.code.code();
        }
        let Err(error) = self.coordinator.write_marker(partition, marker, version).await else { return 0 };
        tracing::warn!(topic = partition.topic, partition = partition.index, %error, "a marker was not written");
        let code = match error {
            MarkError::Refused(_) => ResponseError::InvalidProducerEpoch,
            MarkError::Superseded(_) => ResponseError::TransactionCoordinatorFenced,
            MarkError::Retry(_) => ResponseError::NotLeaderOrFollower,
        };
        code.code()
    }
}

fn told((producer, topics): (i64, BTreeMap<TopicName, BTreeMap<i32, i16>>)) -> WritableTxnMarkerResult {
    let topics = topics.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(index, code)| {
            WritableTxnMarkerPartitionResult::default().with_partition_index(index).with_error_code(code)
        });
        WritableTxnMarkerTopicResult::default().with_name(name).with_partitions(partitions.collect())
    });
    WritableTxnMarkerResult::default().with_producer_id(producer.into()).with_topics(topics.collect())
}
