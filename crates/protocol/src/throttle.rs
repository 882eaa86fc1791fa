//! The throttle time that almost every answer has a place for.

use crate::messages;

/// An answer that may say how long its client is throttled.
pub trait Throttled {
    /// Says so, where the answer has a place for it.
    fn set_throttle_time_ms(&mut self, milliseconds: i32);
}

macro_rules! throttled {
    (yes: $($with:ident),* $(,)?; no: $($without:ident),* $(,)?;) => {
        $(
            impl Throttled for messages::$with {
                fn set_throttle_time_ms(&mut self, milliseconds: i32) {
                    self.throttle_time_ms = milliseconds;
                }
            }
        )*
        $(
            impl Throttled for messages::$without {
                fn set_throttle_time_ms(&mut self, _milliseconds: i32) {}
            }
        )*
    };
}

throttled! {
    yes: AlterShareGroupOffsetsResponse, DeleteShareGroupOffsetsResponse, DescribeShareGroupOffsetsResponse,
        ShareGroupDescribeResponse, ShareGroupHeartbeatResponse, AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, AlterClientQuotasResponse, AlterConfigsResponse,
        AlterPartitionReassignmentsResponse, AlterReplicaLogDirsResponse, AlterUserScramCredentialsResponse,
        ApiVersionsResponse, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatResponse, CreatePartitionsResponse,
        CreateTopicsResponse, DeleteGroupsResponse, DeleteRecordsResponse, DeleteTopicsResponse,
        DescribeClientQuotasResponse, DescribeClusterResponse, DescribeConfigsResponse, DescribeGroupsResponse,
        DescribeLogDirsResponse, DescribeProducersResponse, DescribeTopicPartitionsResponse,
        DescribeTransactionsResponse, DescribeUserScramCredentialsResponse, ElectLeadersResponse, EndTxnResponse,
        FetchResponse, FindCoordinatorResponse, GetTelemetrySubscriptionsResponse, HeartbeatResponse,
        IncrementalAlterConfigsResponse, InitProducerIdResponse, JoinGroupResponse, LeaveGroupResponse,
        ListConfigResourcesResponse, ListGroupsResponse, ListOffsetsResponse, ListPartitionReassignmentsResponse,
        ListTransactionsResponse, MetadataResponse, OffsetCommitResponse, OffsetDeleteResponse, OffsetFetchResponse,
        OffsetForLeaderEpochResponse, ProduceResponse, PushTelemetryResponse, ShareAcknowledgeResponse,
        ShareFetchResponse, SyncGroupResponse, TxnOffsetCommitResponse, UnregisterBrokerResponse, UpdateFeaturesResponse;
    no: DeleteShareGroupStateResponse, DescribeQuorumResponse, InitializeShareGroupStateResponse,
        ReadShareGroupStateResponse, ReadShareGroupStateSummaryResponse, SaslAuthenticateResponse,
        SaslHandshakeResponse, WriteShareGroupStateResponse, WriteTxnMarkersResponse;
}
