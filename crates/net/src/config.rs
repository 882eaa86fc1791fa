//! What a listener is told.

use crate::places::ConnectionLimits;
use crate::{Budget, Places, Tls};
use std::sync::Arc;
use std::time::Duration;

/// A listener's settings.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// Its name, as in Kafka's `listeners` (`PLAINTEXT`, `INTERNAL`).
    pub name: String,
    /// Host and port to listen on; port 0 lets the system choose.
    pub address: String,
    /// Its connections open at once (`listener.name.NAME.max.connections`). Further ones wait until one closes.
    pub connections_max: usize,
    /// Its new connections a second (`listener.name.NAME.max.connection.creation.rate`). Further ones wait.
    pub connections_rate: u32,
    /// The limits of connections that it shares with other listeners.
    pub places: Arc<Places>,
    /// The memory for large frames that it shares with other listeners.
    pub budget: Arc<Budget>,
    /// Bytes of the largest frame (`socket.request.max.bytes`). A larger one closes its connection.
    pub frame_bytes_max: usize,
    /// TLS; none on plain sockets.
    pub tls: Option<Arc<Tls>>,
    /// Bytes of the largest frame of a peer that the handler has yet to authenticate (`sasl.server.max.receive.size`), where it is to do that.
    pub authenticates: Option<usize>,
    /// How long a connection may neither send nor take a byte (`connections.max.idle.ms`); none for ever.
    pub idle: Option<Duration>,
    /// How long a frame that has begun to come may pause. It is short, since what came of it takes memory.
    pub frame_wait: Duration,
}

impl ListenerConfig {
    /// A listener with Kafka's defaults, alone.
    #[must_use]
    pub fn new(name: impl Into<String>, address: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            address: address.into(),
            connections_max: usize::MAX,
            connections_rate: u32::MAX,
            places: Places::new(ConnectionLimits::default()),
            budget: Budget::new(usize::MAX),
            frame_bytes_max: 100 << 20,
            tls: None,
            authenticates: None,
            idle: Some(Duration::from_secs(600)),
            frame_wait: Duration::from_secs(30),
        }
    }
}
