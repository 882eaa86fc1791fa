//! GetTelemetrySubscriptions and PushTelemetry: clients are asked for their metrics, and push them (KIP-714).

use crate::client_metrics::instances::Refused;
use crate::client_metrics::subscription::{Asked, Client, asked};
use crate::client_metrics::{PUSH_BYTES_MAX, UNPACKED_BYTES_MAX};
use crate::service::{Broker, Call};
use kafka_protocol::messages::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, PushTelemetryRequest, PushTelemetryResponse,
};
use millstream_protocol::{ResponseError, StrBytes, telemetry};
use millstream_record::Codec;
use std::time::Duration;
use uuid::Uuid;

/// Ids that Kafka keeps for itself: none, and one that is never given out.
const RESERVED: [Uuid; 2] = [Uuid::nil(), Uuid::from_u128(1)];

impl Broker {
    /// Answers GetTelemetrySubscriptions.
    pub(crate) fn get_telemetry_subscriptions(
        &self,
        call: &Call<'_>,
        request: &GetTelemetrySubscriptionsRequest,
    ) -> GetTelemetrySubscriptionsResponse {
        let instance = match request.client_instance_id {
            id if id.is_nil() => self.new_instance_id(),
            id => id,
        };
        let asked = self.asked(call, instance);
        let interval = interval(&asked);
        let now = self.runtime.clock.elapsed();
        let known = self.client_instances.lock().ask(&self.metrics, instance, (asked.id, interval), now);
        if let Err(refused) = known {
            return GetTelemetrySubscriptionsResponse::default().with_error_code(code(refused).code());
        }
        // The wire's order is what a client chooses by: the first that it can do.
        let codecs = [Codec::Zstd, Codec::Lz4, Codec::Gzip, Codec::Snappy];
        GetTelemetrySubscriptionsResponse::default()
            .with_client_instance_id(instance)
            .with_subscription_id(asked.id)
            .with_accepted_compression_types(codecs.map(|codec| codec.id().cast_signed()).to_vec())
            .with_push_interval_ms(asked.interval_ms)
            .with_telemetry_max_bytes(i32::try_from(PUSH_BYTES_MAX).unwrap_or(i32::MAX))
            .with_delta_temporality(true)
            .with_requested_metrics(asked.metrics.into_iter().map(StrBytes::from_string).collect())
    }

    /// Answers PushTelemetry, when what was pushed is told on.
    pub(crate) fn push_telemetry(&self, call: &Call<'_>, request: &PushTelemetryRequest) -> PushTelemetryResponse {
        match self.pushed(call, request) {
            Ok(()) => PushTelemetryResponse::default(),
            Err(code) => PushTelemetryResponse::default().with_error_code(code.code()),
        }
    }

    fn pushed(&self, call: &Call<'_>, request: &PushTelemetryRequest) -> Result<(), ResponseError> {
        let instance = request.client_instance_id;
        if RESERVED.contains(&instance) {
            return Err(ResponseError::InvalidRequest);
        }
        let now = self.runtime.clock.elapsed();
        let mut instances = self.client_instances.lock();
        instances.may_push(&self.metrics, instance, request.terminating, now).map_err(code)?;
        if request.subscription_id != self.asked(call, instance).id {
            return Err(ResponseError::UnknownSubscriptionId);
        }
        let codec = u8::try_from(request.compression_type).ok().and_then(|id| Codec::from_id(id).ok());
        let codec = codec.ok_or(ResponseError::UnsupportedCompressionType)?;
        if request.metrics.len() > PUSH_BYTES_MAX {
            return Err(ResponseError::TelemetryTooLarge);
        }
        let plain = codec.decompress(&request.metrics, UNPACKED_BYTES_MAX).map_err(|_| ResponseError::InvalidRecord)?;
        let points = telemetry::points(&plain).map_err(|_| ResponseError::InvalidRecord)?;
        instances.keep(&self.metrics, (instance, call.client_id), points);
        Ok(())
    }

    fn asked(&self, call: &Call<'_>, instance: Uuid) -> Asked {
        let software = self.software.lock().get(&call.connection).cloned().unwrap_or_default();
        let client = Client {
            id: call.client_id,
            instance,
            software_name: &software.name,
            software_version: &software.version,
            source: call.source,
        };
        asked(&self.image(), &client)
    }

    fn new_instance_id(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.runtime.random.next_u128().to_be_bytes()).into_uuid()
    }
}

const fn code(refused: Refused) -> ResponseError {
    match refused {
        Refused::TooSoon => ResponseError::ThrottlingQuotaExceeded,
        Refused::Ended => ResponseError::InvalidRequest,
    }
}

fn interval(asked: &Asked) -> Duration {
    Duration::from_millis(u64::try_from(asked.interval_ms).unwrap_or(0))
}
