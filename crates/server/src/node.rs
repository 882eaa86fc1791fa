//! One node: started in the order in which its parts need each other, stopped in the reverse.

mod core;
mod following;
mod http;
mod workers;

use self::core::Core;
use self::following::Following;
use self::http::HttpServing;
use crate::{Error, Settings};
use millstream_connect::Environment;
use millstream_net::{Budget, Listener, ListenerConfig, Places, Serving, Tls};
use millstream_runtime::Runtime;
use millstream_task::Host;
use millstream_telemetry::Metrics;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long a connection may take to finish the request it is at, when the node stops.
const CONNECTIONS_LIMIT: Duration = Duration::from_secs(5);
/// How long the node's own tasks may take to end.
const TASKS_LIMIT: Duration = Duration::from_secs(10);

/// Where a node listens.
#[derive(Debug, Clone)]
pub struct Bound {
    /// Kafka's protocol: each listener's name and address.
    pub kafka: Vec<(String, SocketAddr)>,
    /// HTTP.
    pub http: SocketAddr,
}

/// A running node.
pub struct Node {
    runtime: Runtime,
    core: Core,
    host: Host,
    serving: Vec<Serving>,
    http: HttpServing,
    bound: Bound,
}

impl Node {
    /// Starts a node and returns when it serves clients. Nothing is left running when it fails. `environment` is where secrets in the
    /// settings of connectors are looked up.
    ///
    /// # Errors
    /// A port that is taken, a data folder that can't be used or is another node's, a part that does not start.
    pub async fn start(settings: Settings, environment: Environment) -> Result<Self, Error> {
        let runtime = Runtime::real();
        let started = Self::start_on(runtime.clone(), settings, environment).await;
        if started.is_err() {
            runtime.tasks.stop_and_wait(TASKS_LIMIT).await;
        }
        started
    }

    async fn start_on(runtime: Runtime, settings: Settings, environment: Environment) -> Result<Self, Error> {
        // Ports first: one that is taken is told before anything is touched.
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let places = Places::new(settings.connection_limits(files)?);
        let listeners = bind(&runtime, &settings, &places).await?;
        let http = TcpListener::bind(settings.http).await;
        let http = http.map_err(|source| Error::Http { address: settings.http, source })?;
        let http_address = http.local_addr().map_err(|source| Error::Http { address: settings.http, source })?;
        let metrics = Metrics::new();
        let addresses: Vec<(String, SocketAddr)> =
            listeners.iter().map(|listener| (listener.name().to_owned(), listener.address())).collect();
        let core = Core::start(&runtime, &metrics, &settings, &addresses).await?;
        let broker = core.broker(&runtime, &metrics, &settings)?;
        let following = Following {
            runtime: runtime.clone(),
            settings: settings.clone(),
            quorum: core.quorum.clone(),
            partitions: core.partitions.clone(),
            places,
            files,
        };
        following.begin().await;
        let serving = listeners
            .into_iter()
            .map(|listener| millstream_net::serve(listener, &runtime, &metrics, broker.clone()))
            .collect();
        let (host, api) = workers::start(&runtime, &metrics, &settings, (&core, environment)).await?;
        let http = http::serve(&runtime, http, api);
        core.announce().await?;
        Ok(Self { runtime, core, host, serving, http, bound: Bound { kafka: addresses, http: http_address } })
    }

    /// Where it listens.
    #[must_use]
    pub const fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Stops in order: connections, tasks, logs, metadata. What was acknowledged is on disk, and the next start has nothing to recover.
    ///
    /// # Errors
    /// The first thing that went wrong; the next start checks what it has to.
    pub async fn stop(self) -> Result<(), Error> {
        let kafka = self.serving.iter().map(|serving| serving.stop_and_wait(CONNECTIONS_LIMIT));
        futures::future::join(futures::future::join_all(kafka), self.http.stop_and_wait()).await;
        if !self.host.stop().await {
            tracing::warn!("some tasks did not finish their batch in time; they repeat it at the next start");
        }
        self.runtime.tasks.stop();
        let closed = self.core.close().await;
        self.runtime.tasks.stop_and_wait(TASKS_LIMIT).await;
        closed
    }
}

async fn bind(runtime: &Runtime, settings: &Settings, places: &Arc<Places>) -> Result<Vec<Listener>, Error> {
    let mut listeners = Vec::new();
    // What the listeners share, beside their places.
    let budget = Budget::new(settings.request_memory()?);
    for listener in &settings.listeners {
        let mut config = ListenerConfig::new(&listener.name, listener.address.to_string());
        config.connections_max = listener.connections.max.unwrap_or(usize::MAX);
        config.connections_rate = listener.connections.rate.unwrap_or(u32::MAX);
        (config.places, config.budget) = (places.clone(), budget.clone());
        config.frame_bytes_max = settings.broker_number("socket.request.max.bytes")?;
        config.idle =
            u64::try_from(settings.broker_number::<i64>("connections.max.idle.ms")?).ok().map(Duration::from_millis);
        if listener.sasl.is_some() {
            config.authenticates = Some(settings.broker_number("sasl.server.max.receive.size")?);
        }
        if let Some(files) = &listener.tls {
            let interval = settings.tls_reload_interval;
            config.tls = Some(Tls::open(runtime, &listener.name, files.clone(), interval).await?);
        }
        listeners.push(Listener::bind(config).await?);
    }
    Ok(listeners)
}
