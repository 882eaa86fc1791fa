//! Kafka's messages: the crate's, and in their place those of ours that have later versions.

pub use crate::later::{
    DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsResponse, ListOffsetsRequest, ListOffsetsResponse, OffsetCommitRequest,
    OffsetFetchRequest, ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse, ShareAcknowledgeRequest,
    ShareAcknowledgeResponse, ShareFetchRequest, ShareFetchResponse, WriteShareGroupStateRequest,
    WriteShareGroupStateResponse, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
pub use kafka_protocol::messages::*;
