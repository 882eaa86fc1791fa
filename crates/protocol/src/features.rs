//! What ApiVersions says of this node: APIs, versions and features.

use crate::{ApiKey, SERVED, StrBytes, advertised};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};

/// The level of Kafka's feature `metadata.version` that we behave as: 4.3-IV0.
pub const METADATA_VERSION: i16 = 30;
/// The lowest level of `metadata.version` that a Kafka 4 broker supports: 3.3-IV3.
pub const METADATA_VERSION_MIN: i16 = 7;

const METADATA_VERSION_NAME: StrBytes = StrBytes::from_static_str("metadata.version");

/// The answer to an ApiVersions request that we can read. `metadata_offset` is the epoch of the finalized features: the offset in the
/// metadata log up to which this node has applied it.
#[must_use]
pub fn api_versions_response(metadata_offset: i64) -> ApiVersionsResponse {
    let supported = SupportedFeatureKey::default()
        .with_name(METADATA_VERSION_NAME)
        .with_min_version(METADATA_VERSION_MIN)
        .with_max_version(METADATA_VERSION);
    let finalized = FinalizedFeatureKey::default()
        .with_name(METADATA_VERSION_NAME)
        .with_min_version_level(METADATA_VERSION)
        .with_max_version_level(METADATA_VERSION);
    ApiVersionsResponse::default()
        .with_api_keys(SERVED.iter().filter_map(|api| api_version(*api)).collect())
        .with_supported_features(vec![supported])
        .with_finalized_features_epoch(metadata_offset)
        .with_finalized_features(vec![finalized])
}

/// The answer to an ApiVersions request of a version we do not know: told in version 0, with the versions of ApiVersions itself, so that
/// the client can ask again (KIP-511).
#[must_use]
pub fn unsupported_api_versions_response() -> ApiVersionsResponse {
    ApiVersionsResponse::default()
        .with_error_code(ResponseError::UnsupportedVersion.code())
        .with_api_keys(api_version(ApiKey::ApiVersions).into_iter().collect())
}

fn api_version(api: ApiKey) -> Option<ApiVersion> {
    let range = advertised(api)?;
    Some(ApiVersion::default().with_api_key(api as i16).with_min_version(*range.start()).with_max_version(*range.end()))
}
