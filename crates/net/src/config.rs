//! What a listener is told.

use crate::Tls;
use std::sync::Arc;
use std::time::Duration;

/// A listener's settings.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// Its name, as in Kafka's `listeners` (`PLAINTEXT`, `INTERNAL`).
    pub name: String,
    /// Host and port to listen on; port 0 lets the system choose.
    pub address: String,
    /// Connections open at once (`max.connections`). Further ones wait until one closes.
    pub connections_max: usize,
    /// Bytes of the largest frame (`socket.request.max.bytes`). A larger one closes its connection.
    pub frame_bytes_max: usize,
    /// TLS; none on plain sockets.
    pub tls: Option<Arc<Tls>>,
    /// Bytes of the largest frame of a peer that the handler has yet to authenticate (`sasl.server.max.receive.size`), where it is to do that.
    pub authenticates: Option<usize>,
    /// How long a connection may neither send nor take a byte (`connections.max.idle.ms`); none for ever.
    pub idle: Option<Duration>,
}

impl ListenerConfig {
    /// A listener with Kafka's defaults, and 10,000 connections at most.
    #[must_use]
    pub fn new(name: impl Into<String>, address: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            address: address.into(),
            connections_max: 10_000,
            frame_bytes_max: 100 << 20,
            tls: None,
            authenticates: None,
            idle: Some(Duration::from_secs(600)),
        }
    }
}
