//! Metrics of requests, by API: taken once, so that a request looks none up.

use millstream_net::{Answer, Part};
use millstream_protocol::{ApiKey, SERVED};
use millstream_telemetry::catalogue::{REQUEST_BYTES, REQUEST_TOTAL_TIME, REQUESTS, RESPONSE_BYTES};
use millstream_telemetry::{Counter, Histogram, Metrics};
use std::collections::BTreeMap;
use std::time::Duration;

struct Meter {
    requests: Counter,
    time: Histogram,
    bytes_in: Counter,
    bytes_out: Counter,
}

/// The metrics of every API that is served.
pub(crate) struct Meters(BTreeMap<i16, Meter>);

impl Meters {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let meter = |api: &ApiKey| {
            let name = format!("{api:?}");
            let labels = [name.as_str()];
            let meter = Meter {
                requests: metrics.counter(&REQUESTS, &labels),
                time: metrics.histogram(&REQUEST_TOTAL_TIME, &labels),
                bytes_in: metrics.counter(&REQUEST_BYTES, &labels),
                bytes_out: metrics.counter(&RESPONSE_BYTES, &labels),
            };
            (*api as i16, meter)
        };
        Self(SERVED.iter().map(meter).collect())
    }

    /// Counts a request.
    pub(crate) fn answered(&self, api: ApiKey, took: Duration, bytes: usize, answer: &Answer) {
        let Some(meter) = self.0.get(&(api as i16)) else { return };
        meter.requests.inc();
        meter.time.observe(took);
        meter.bytes_in.add(bytes as u64);
        match answer {
            Answer::Reply(parts) | Answer::Last(parts, _) => {
                meter.bytes_out.add(parts.iter().map(Part::len).sum::<usize>() as u64);
            }
            Answer::NoReply | Answer::Close(_) => {}
        }
    }
}
