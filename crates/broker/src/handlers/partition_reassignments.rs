//! AlterPartitionReassignments and ListPartitionReassignments: which brokers are to hold a partition, and what is on its way.
//!
//! One node can be given nothing but what it has: a wish is checked as in a cluster, and comes to nothing that would have to move.

use crate::codes::Failure;
use crate::service::Broker;
use crate::topics;
use kafka_protocol::messages::alter_partition_reassignments_request::ReassignablePartition;
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, BrokerId as WireBroker,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};
use millstream_metadata::{Image, Partition};
use millstream_protocol::ResponseError;
use millstream_types::{BrokerId, PartitionIndex};

impl Broker {
    /// Answers AlterPartitionReassignments.
    pub(crate) fn alter_partition_reassignments(
        &self,
        request: AlterPartitionReassignmentsRequest,
    ) -> AlterPartitionReassignmentsResponse {
        // Kafka looks no further at a request of nothing.
        if request.topics.is_empty() {
            return AlterPartitionReassignmentsResponse::default().with_error_message(None);
        }
        let image = self.image();
        let responses = request.topics.into_iter().map(|topic| {
            let tried = topic.partitions.into_iter().map(|wish| {
                let response = ReassignablePartitionResponse::default().with_partition_index(wish.partition_index);
                match reassign(&image, &topic.name, &wish) {
                    Ok(()) => response,
                    Err(failure) => response.with_error_code(failure.code.code()).with_error_message(failure.text()),
                }
            });
            let tried = tried.collect();
            ReassignableTopicResponse::default().with_name(topic.name).with_partitions(tried)
        });
        let response = AlterPartitionReassignmentsResponse::default().with_responses(responses.collect());
        response.with_allow_replication_factor_change(request.allow_replication_factor_change)
    }

    /// Answers ListPartitionReassignments: nothing is ever on its way.
    pub(crate) fn list_partition_reassignments(
        &self,
        _request: &ListPartitionReassignmentsRequest,
    ) -> ListPartitionReassignmentsResponse {
        ListPartitionReassignmentsResponse::default().with_error_message(None)
    }
}

fn reassign(image: &Image, topic: &str, wish: &ReassignablePartition) -> Result<(), Failure> {
    let index = wish.partition_index;
    let partition = topics::named(image, topic)?.partition(PartitionIndex(index)).ok_or_else(|| {
        let message = format!("the topic {topic:?} has no partition {index}");
        Failure::new(ResponseError::UnknownTopicOrPartition, message)
    })?;
    match &wish.replicas {
        None => {
            let message = format!("no reassignment of {topic}-{index} is on its way that could be cancelled");
            Err(Failure::new(ResponseError::NoReassignmentInProgress, message))
        }
        Some(replicas) => check(image, partition, replicas),
    }
}

fn check(image: &Image, partition: &Partition, replicas: &[WireBroker]) -> Result<(), Failure> {
    let refuse = |message: String| Err(Failure::new(ResponseError::InvalidReplicaAssignment, message));
    let wanted: Vec<BrokerId> = replicas.iter().map(|id| BrokerId(id.0)).collect();
    if wanted.is_empty() {
        return refuse("the assignment names no replica; name at least one broker".to_owned());
    }
    if let Some(unknown) = wanted.iter().find(|id| image.broker(**id).is_none()) {
        return refuse(format!("the assignment names broker {unknown}, which is not registered"));
    }
    if let Some(twice) = wanted.iter().enumerate().find(|(place, id)| wanted[..*place].contains(id)) {
        return refuse(format!("the assignment names broker {} more than once", twice.1));
    }
    if wanted != partition.replicas {
        return refuse("replicas can't be moved: this version keeps a partition where it was made".to_owned());
    }
    Ok(())
}
