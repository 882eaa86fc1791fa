//! DeleteRecords: moves the first offset of partitions.

use crate::codes::Failure;
use crate::service::Broker;
use futures::future::join_all;
use kafka_protocol::messages::delete_records_request::DeleteRecordsRequest;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use millstream_protocol::ResponseError;
use millstream_types::Offset;

/// Kafka's "no low watermark".
const NONE: i64 = -1;

impl Broker {
    /// Answers DeleteRecords.
    pub(crate) async fn delete_records(&self, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let name = &topic.name;
            let partitions = topic.partitions.iter().map(|partition| async move {
                let result = DeleteRecordsPartitionResult::default().with_partition_index(partition.partition_index);
                match self.delete_before(name, partition.partition_index, Offset(partition.offset)).await {
                    Ok(start) => result.with_low_watermark(start.0),
                    Err(failure) => result.with_low_watermark(NONE).with_error_code(failure.code.code()),
                }
            });
            let partitions = join_all(partitions).await;
            if partitions.is_empty() {
                continue;
            }
            topics.push(DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions));
        }
        DeleteRecordsResponse::default().with_topics(topics)
    }

    async fn delete_before(&self, topic: &str, partition: i32, before: Offset) -> Result<Offset, Failure> {
        let handle = self.partition(topic, partition)?;
        if crate::topics::is_internal(topic) {
            let message = format!("records of the internal topic {topic:?} can't be deleted by offset");
            return Err(Failure::new(ResponseError::InvalidTopicException, message));
        }
        Ok(handle.delete_records(before).await?)
    }
}
