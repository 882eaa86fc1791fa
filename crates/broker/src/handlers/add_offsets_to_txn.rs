//! AddOffsetsToTxn: the partition that holds a group's offsets becomes part of a transaction.

use crate::service::{Broker, Call};
use crate::topics::OFFSETS_TOPIC;
use crate::transactions::{code, transactor};
use kafka_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use millstream_coordinator::Error;
use millstream_txn::{Partition, Version};

/// PRODUCER_FENCED is told from this version on.
const TELLS_FENCED: i16 = 2;

impl Broker {
    /// Answers AddOffsetsToTxn, when it is written.
    pub(crate) async fn add_offsets_to_txn(
        &self,
        call: &Call<'_>,
        request: AddOffsetsToTxnRequest,
    ) -> AddOffsetsToTxnResponse {
        let added = self.add_offsets(&request).await;
        let code = added.map_or_else(|error| code(error, call.version >= TELLS_FENCED), |()| 0);
        AddOffsetsToTxnResponse::default().with_error_code(code)
    }

    async fn add_offsets(&self, request: &AddOffsetsToTxnRequest) -> Result<(), Error> {
        let index = self.coordinator.partition_of(&request.group_id).await?;
        let identity = (request.producer_id, request.producer_epoch);
        let transactor = transactor(&request.transactional_id, identity, Version::Classic);
        let partition = Partition { topic: OFFSETS_TOPIC.to_owned(), index: index.0 };
        self.coordinator.add_partitions(&transactor, [partition].into_iter().collect()).await
    }
}
