//! Kafka's wire protocol: a frame is bounded by the shape table, decoded into a [`Request`], and answered by an encoded frame.
//!
//! The messages are those of the `kafka-protocol` crate. What the crate does not do safely is done here: nothing reaches its decoders that
//! has not been walked first ([`shape`]), and versions are the ones it really encodes ([`supported`]). This crate does no I/O and knows
//! nothing of topics or groups.
//!
//! ```text
//! frame = length:int32 | header | body        requests and responses; `decode` takes a frame without its length
//! ```

mod apis;
mod client;
mod error;
mod features;
mod fetch;
mod later;
pub mod messages;
mod request;
mod response;
pub mod shape;
pub mod telemetry;
mod throttle;

pub use apis::{RequestKind, ResponseKind, SERVED, advertised, supported};
pub use client::{decode_response, encode_request};
pub use error::{Error, Malformed, Refused};
pub use features::{
    Feature, GROUP_VERSION, METADATA_VERSION, METADATA_VERSION_MIN, TRANSACTION_VERSION, api_versions_response,
    unsupported_api_versions_response,
};
pub use fetch::{
    AbortedTransaction, DivergingEpoch, FetchAnswer, FetchFrame, NodeEndpoint, PartitionAnswer, Piece,
    ShareFetchAnswer, TopicAnswer, encode_fetch, encode_share_fetch,
};
pub use kafka_protocol::ResponseError;
pub use kafka_protocol::messages::ApiKey;
pub use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, StrBytes};
pub use request::{Request, decode, is_plain_produce, may_wait};
pub use response::{encode, encode_kind};
