//! The metrics of one listener.

use millstream_telemetry::{Counter, Gauge, Metrics, catalogue};
use std::sync::Arc;

/// Counters of a listener, taken once.
pub struct Counts {
    pub open: Gauge,
    pub accepted: Counter,
    pub delayed: Counter,
    pub frames: Counter,
    pub budget_waits: Counter,
    pub bytes_in: Counter,
    pub bytes_out: Counter,
    pub file_sent: Counter,
    pub file_read: Counter,
    listener: Arc<str>,
    metrics: Metrics,
}

impl Counts {
    pub fn new(metrics: &Metrics, listener: &Arc<str>) -> Self {
        let name: &[&str] = &[listener];
        Self {
            open: metrics.gauge(&catalogue::CONNECTIONS, name),
            accepted: metrics.counter(&catalogue::CONNECTIONS_ACCEPTED, name),
            delayed: metrics.counter(&catalogue::CONNECTIONS_DELAYED, name),
            budget_waits: metrics.counter(&catalogue::NETWORK_BUDGET_WAITS, name),
            frames: metrics.counter(&catalogue::NETWORK_REQUESTS, name),
            bytes_in: metrics.counter(&catalogue::NETWORK_BYTES_IN, name),
            bytes_out: metrics.counter(&catalogue::NETWORK_BYTES_OUT, name),
            file_sent: metrics.counter(&catalogue::NETWORK_FILE_BYTES, &[listener, "sendfile"]),
            file_read: metrics.counter(&catalogue::NETWORK_FILE_BYTES, &[listener, "read"]),
            listener: listener.clone(),
            metrics: metrics.clone(),
        }
    }

    /// Counts the end of a connection.
    pub fn closed(&self, reason: &str) {
        self.metrics.counter(&catalogue::CONNECTIONS_CLOSED, &[&self.listener, reason]).inc();
    }
}
