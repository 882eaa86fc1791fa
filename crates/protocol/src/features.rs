//! What ApiVersions says of this node: APIs, versions and features.

use crate::{ApiKey, SERVED, StrBytes, advertised};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};

/// The level of Kafka's feature `metadata.version` that we behave as: 4.3-IV0.
pub const METADATA_VERSION: i16 = 30;
/// The lowest level of `metadata.version` that a Kafka 4 broker supports: 3.3-IV3.
pub const METADATA_VERSION_MIN: i16 = 7;

/// The level of Kafka's feature `transaction.version`: every end of a transaction bumps the producer's epoch, and brokers add the partitions
/// that are produced to (KIP-890).
pub const TRANSACTION_VERSION: i16 = 2;

/// The level of Kafka's feature `group.version`: the new consumer group protocol (KIP-848).
pub const GROUP_VERSION: i16 = 1;

/// The level of Kafka's feature `share.version`: share groups (KIP-932).
pub const SHARE_VERSION: i16 = 1;

/// A feature of Kafka's: levels of behaviour that a cluster agrees on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// Kafka's name.
    pub name: &'static str,
    /// The lowest level that is supported.
    pub min: i16,
    /// The highest level that is supported.
    pub max: i16,
    /// The level in force.
    pub level: i16,
}

const FEATURES: [Feature; 4] = [
    Feature { name: "metadata.version", min: METADATA_VERSION_MIN, max: METADATA_VERSION, level: METADATA_VERSION },
    Feature { name: "transaction.version", min: 0, max: TRANSACTION_VERSION, level: TRANSACTION_VERSION },
    Feature { name: "group.version", min: 0, max: GROUP_VERSION, level: GROUP_VERSION },
    Feature { name: "share.version", min: 0, max: SHARE_VERSION, level: SHARE_VERSION },
];

impl Feature {
    /// The feature of that name, if this node knows it.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        FEATURES.iter().find(|feature| feature.name == name)
    }
}

/// Clients know of levels that begin at 0 from this version on: before, such a feature is told to be in force, but not as supported.
const KNOWS_LEVEL_0: i16 = 4;

/// The answer to an ApiVersions request of `version` that we can read. `metadata_offset` is the epoch of the finalized features: the offset in the
/// metadata log up to which this node has applied it.
#[must_use]
pub fn api_versions_response(metadata_offset: i64, version: i16) -> ApiVersionsResponse {
    let is_known = |min: i16| min > 0 || version >= KNOWS_LEVEL_0;
    let supported = FEATURES.iter().filter(|feature| is_known(feature.min)).map(|feature| {
        let told = SupportedFeatureKey::default().with_name(StrBytes::from_static_str(feature.name));
        told.with_min_version(feature.min).with_max_version(feature.max)
    });
    let finalized = FEATURES.iter().map(|feature| {
        let told = FinalizedFeatureKey::default().with_name(StrBytes::from_static_str(feature.name));
        told.with_min_version_level(feature.level).with_max_version_level(feature.level)
    });
    ApiVersionsResponse::default()
        .with_api_keys(SERVED.iter().filter_map(|api| api_version(*api)).collect())
        .with_supported_features(supported.collect())
        .with_finalized_features_epoch(metadata_offset)
        .with_finalized_features(finalized.collect())
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
