//! UpdateFeatures: raising or lowering the level of a feature.
//!
//! What a node does at the levels it tells is all that this version can do: a wish for the level in force is granted, any other refused.

use crate::codes::Failure;
use crate::service::{Broker, Call};
use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::update_features_response::UpdatableFeatureResult;
use kafka_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use millstream_protocol::{Feature, ResponseError, StrBytes};

/// Kinds of change: the wire's numbers, never renumber.
const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;
const UNSAFE_DOWNGRADE: i8 = 3;
/// Requests say the kind of change from this version on; before they only allow a downgrade.
const SAYS_KIND: i16 = 1;
/// Answers have no results of their own for each feature from this version on (KIP-1022).
const ONE_RESULT: i16 = 2;

impl Broker {
    /// Answers UpdateFeatures: all of the changes or none.
    pub(crate) fn update_features(&self, call: &Call<'_>, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse {
        let refused = request.feature_updates.iter().find_map(|update| check(call.version, update).err());
        if let Some(failure) = refused {
            let code = failure.code.code();
            return UpdateFeaturesResponse::default().with_error_code(code).with_error_message(failure.text());
        }
        let response = UpdateFeaturesResponse::default().with_error_message(None);
        if call.version >= ONE_RESULT {
            return response;
        }
        let done = request.feature_updates.into_iter().map(|update| {
            let message = Some(StrBytes::from_static_str("NONE"));
            UpdatableFeatureResult::default().with_feature(update.feature).with_error_message(message)
        });
        response.with_results(done.collect())
    }
}

fn check(version: i16, update: &FeatureUpdateKey) -> Result<(), Failure> {
    let (name, level) = (update.feature.as_str(), update.max_version_level);
    let refuse = |reason: String| {
        let message = format!("nothing was changed, since {name} can't be set to level {level}: {reason}");
        Err(Failure::new(ResponseError::InvalidUpdateVersion, message))
    };
    let Some(feature) = Feature::named(name) else {
        return refuse("this node does not know the feature; ApiVersions tells which it knows".to_owned());
    };
    let kind = match version {
        SAYS_KIND.. => update.upgrade_type,
        _ if update.allow_downgrade => SAFE_DOWNGRADE,
        _ => UPGRADE,
    };
    if ![UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE].contains(&kind) {
        return refuse(format!("the upgrade type {kind} is unknown; expected 1, 2 or 3"));
    }
    if !(feature.min..=feature.max).contains(&level) {
        return refuse(format!("this node supports levels {} to {}", feature.min, feature.max));
    }
    match level - feature.level {
        0 => Ok(()),
        ..0 if kind == UPGRADE => refuse("that is a downgrade, and the upgrade type does not allow one".to_owned()),
        _ => refuse(format!("this version works at level {} only", feature.level)),
    }
}
