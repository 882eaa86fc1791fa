//! The APIs that are served: one line each, from which the request and response enums, the dispatch and the versions follow.

use crate::throttle::Throttled;
use crate::{ApiKey, Decodable, Error, Malformed, Message, StrBytes, client, messages, response};
use bytes::Bytes;
use kafka_protocol::protocol::VersionRange;
use std::ops::RangeInclusive;

/// Versions that both messages of an API can be told in. The crate's own `ApiKey::valid_versions` takes the response's alone.
const fn common(request: VersionRange, response: VersionRange) -> (i16, i16) {
    let min = if request.min > response.min { request.min } else { response.min };
    let max = if request.max < response.max { request.max } else { response.max };
    (min, max)
}

macro_rules! apis {
    ($($api:ident, $request:ident, $response:ident;)*) => {
        /// The body of a request that is served.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(missing_docs, reason = "a variant is its message")]
        pub enum RequestKind {
            $($api(messages::$request)),*
        }

        /// The body of an answer.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(missing_docs, reason = "a variant is its message")]
        pub enum ResponseKind {
            $($api(messages::$response)),*
        }

        $(
            impl From<messages::$request> for RequestKind {
                fn from(body: messages::$request) -> Self {
                    Self::$api(body)
                }
            }

            impl From<messages::$response> for ResponseKind {
                fn from(body: messages::$response) -> Self {
                    Self::$api(body)
                }
            }
        )*

        /// Every API that is served.
        pub const SERVED: &[ApiKey] = &[$(ApiKey::$api),*];

        /// The versions of an API that we decode and answer; none where the API is not served.
        #[must_use]
        pub const fn supported(api: ApiKey) -> Option<RangeInclusive<i16>> {
            let (min, max) = match api {
                $(ApiKey::$api => common(<messages::$request as Message>::VERSIONS, <messages::$response as Message>::VERSIONS),)*
                _ => return None,
            };
            Some(min..=max)
        }

        impl RequestKind {
            /// The API that the request calls.
            #[must_use]
            pub const fn api(&self) -> ApiKey {
                match self {
                    $(Self::$api(_) => ApiKey::$api),*
                }
            }

            /// The frame of the request, its length included: the other side of [`crate::decode`].
            ///
            /// # Errors
            /// As [`crate::encode_request`].
            pub fn encode(&self, version: i16, correlation_id: i32, client_id: Option<&StrBytes>) -> Result<Bytes, Error> {
                match self {
                    $(Self::$api(body) => client::encode_request(body, version, correlation_id, client_id)),*
                }
            }

            /// Decodes a body whose lengths and counts have been walked.
            pub(crate) fn decode(api: ApiKey, version: i16, body: &mut Bytes) -> Result<Self, Malformed> {
                let decoded = match api {
                    $(ApiKey::$api => messages::$request::decode(body, version).map(Self::$api),)*
                    _ => return Err(Malformed::Content { api, version, reason: "the API is not served".to_owned() }),
                };
                decoded.map_err(|error| Malformed::Content { api, version, reason: error.to_string() })
            }
        }

        impl ResponseKind {
            /// The API that is answered.
            #[must_use]
            pub const fn api(&self) -> ApiKey {
                match self {
                    $(Self::$api(_) => ApiKey::$api),*
                }
            }

            /// Says how long the client is throttled, where the answer has a place for it.
            pub fn set_throttle_time_ms(&mut self, milliseconds: i32) {
                match self {
                    $(Self::$api(body) => body.set_throttle_time_ms(milliseconds)),*
                }
            }

            pub(crate) fn encode(&self, version: i16, correlation_id: i32) -> Result<Bytes, Error> {
                match self {
                    $(Self::$api(body) => response::encode(body, version, correlation_id)),*
                }
            }
        }
    };
}

apis! {
    Produce, ProduceRequest, ProduceResponse;
    Fetch, FetchRequest, FetchResponse;
    ListOffsets, ListOffsetsRequest, ListOffsetsResponse;
    Metadata, MetadataRequest, MetadataResponse;
    OffsetCommit, OffsetCommitRequest, OffsetCommitResponse;
    OffsetFetch, OffsetFetchRequest, OffsetFetchResponse;
    FindCoordinator, FindCoordinatorRequest, FindCoordinatorResponse;
    JoinGroup, JoinGroupRequest, JoinGroupResponse;
    Heartbeat, HeartbeatRequest, HeartbeatResponse;
    LeaveGroup, LeaveGroupRequest, LeaveGroupResponse;
    SyncGroup, SyncGroupRequest, SyncGroupResponse;
    DescribeGroups, DescribeGroupsRequest, DescribeGroupsResponse;
    ListGroups, ListGroupsRequest, ListGroupsResponse;
    ApiVersions, ApiVersionsRequest, ApiVersionsResponse;
    CreateTopics, CreateTopicsRequest, CreateTopicsResponse;
    DeleteTopics, DeleteTopicsRequest, DeleteTopicsResponse;
    DeleteRecords, DeleteRecordsRequest, DeleteRecordsResponse;
    InitProducerId, InitProducerIdRequest, InitProducerIdResponse;
    OffsetForLeaderEpoch, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse;
    DescribeConfigs, DescribeConfigsRequest, DescribeConfigsResponse;
    AlterConfigs, AlterConfigsRequest, AlterConfigsResponse;
    DescribeLogDirs, DescribeLogDirsRequest, DescribeLogDirsResponse;
    CreatePartitions, CreatePartitionsRequest, CreatePartitionsResponse;
    DeleteGroups, DeleteGroupsRequest, DeleteGroupsResponse;
    IncrementalAlterConfigs, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse;
    OffsetDelete, OffsetDeleteRequest, OffsetDeleteResponse;
    DescribeCluster, DescribeClusterRequest, DescribeClusterResponse;
    AddPartitionsToTxn, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse;
    AddOffsetsToTxn, AddOffsetsToTxnRequest, AddOffsetsToTxnResponse;
    EndTxn, EndTxnRequest, EndTxnResponse;
    WriteTxnMarkers, WriteTxnMarkersRequest, WriteTxnMarkersResponse;
    TxnOffsetCommit, TxnOffsetCommitRequest, TxnOffsetCommitResponse;
    DescribeProducers, DescribeProducersRequest, DescribeProducersResponse;
    DescribeTransactions, DescribeTransactionsRequest, DescribeTransactionsResponse;
    ListTransactions, ListTransactionsRequest, ListTransactionsResponse;
    AlterReplicaLogDirs, AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse;
    ElectLeaders, ElectLeadersRequest, ElectLeadersResponse;
    AlterPartitionReassignments, AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse;
    ListPartitionReassignments, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse;
    DescribeClientQuotas, DescribeClientQuotasRequest, DescribeClientQuotasResponse;
    AlterClientQuotas, AlterClientQuotasRequest, AlterClientQuotasResponse;
    DescribeQuorum, DescribeQuorumRequest, DescribeQuorumResponse;
    UpdateFeatures, UpdateFeaturesRequest, UpdateFeaturesResponse;
    UnregisterBroker, UnregisterBrokerRequest, UnregisterBrokerResponse;
    GetTelemetrySubscriptions, GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse;
    PushTelemetry, PushTelemetryRequest, PushTelemetryResponse;
    ListConfigResources, ListConfigResourcesRequest, ListConfigResourcesResponse;
    DescribeTopicPartitions, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse;
    ConsumerGroupHeartbeat, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse;
    ConsumerGroupDescribe, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse;
    ShareFetch, ShareFetchRequest, ShareFetchResponse;
    ShareAcknowledge, ShareAcknowledgeRequest, ShareAcknowledgeResponse;
    InitializeShareGroupState, InitializeShareGroupStateRequest, InitializeShareGroupStateResponse;
    ReadShareGroupState, ReadShareGroupStateRequest, ReadShareGroupStateResponse;
    WriteShareGroupState, WriteShareGroupStateRequest, WriteShareGroupStateResponse;
    DeleteShareGroupState, DeleteShareGroupStateRequest, DeleteShareGroupStateResponse;
    ReadShareGroupStateSummary, ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse;
    ShareGroupHeartbeat, ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse;
    ShareGroupDescribe, ShareGroupDescribeRequest, ShareGroupDescribeResponse;
    DescribeShareGroupOffsets, DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse;
    AlterShareGroupOffsets, AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse;
    DeleteShareGroupOffsets, DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse;
    SaslHandshake, SaslHandshakeRequest, SaslHandshakeResponse;
    SaslAuthenticate, SaslAuthenticateRequest, SaslAuthenticateResponse;
    DescribeUserScramCredentials, DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse;
    AlterUserScramCredentials, AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse;
}

/// The versions of an API that ApiVersions tells clients. They are those of [`supported`] but for Produce, told from 0: librdkafka takes a
/// broker without Produce v0 for one that can't compress, and silently stops compressing.
#[must_use]
pub fn advertised(api: ApiKey) -> Option<RangeInclusive<i16>> {
    let range = supported(api)?;
    match api {
        ApiKey::Produce => Some(0..=*range.end()),
        _ => Some(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_both_messages_have() {
        assert_eq!(supported(ApiKey::OffsetCommit), Some(2..=10));
        assert_eq!(supported(ApiKey::OffsetFetch), Some(1..=10));
        assert_eq!(supported(ApiKey::InitProducerId), Some(0..=5));
        assert_eq!(supported(ApiKey::Fetch), Some(4..=18));
        assert_eq!(supported(ApiKey::Vote), None);
    }

    #[test]
    fn produce_is_told_from_version_0() {
        assert_eq!(advertised(ApiKey::Produce), Some(0..=13));
        assert_eq!(supported(ApiKey::Produce), Some(3..=13));
    }

    #[test]
    fn no_api_is_served_twice_and_each_has_versions() {
        for (place, api) in SERVED.iter().enumerate() {
            assert!(!SERVED[..place].contains(api), "{api:?}");
            assert!(supported(*api).is_some_and(|range| !range.is_empty()), "{api:?}");
        }
    }
}
