//! A named listener: it accepts connections, as many as allowed, each in a task of its own.

use crate::connection::Connection;
use crate::counts::Counts;
use crate::frames::Spares;
use crate::pacing::Pacing;
use crate::wire::Chunks;
use crate::{Authentication, ConnectionContext, Error, Handler, ListenerConfig};
use millstream_runtime::{Clock, Runtime, Tasks};
use millstream_telemetry::Metrics;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections that the system keeps for us before we accept them.
const BACKLOG: i32 = 1_024;
/// How long to wait after the system could not accept (no file descriptor free).
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// Numbers connections of all listeners of the process.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A bound listener that does not accept yet: the system keeps its callers waiting.
#[derive(Debug)]
pub struct Listener {
    config: ListenerConfig,
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds the listener's address. Call within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Address`] when it is none, [`Error::Bind`] when it can't be had.
    pub async fn bind(config: ListenerConfig) -> Result<Self, Error> {
        let unresolved = |source| Error::Address { name: config.name.clone(), address: config.address.clone(), source };
        let address = resolve(&config.address).await.map_err(unresolved)?;
        let bound = bind(address).and_then(|socket| Ok((socket.local_addr()?, socket)));
        match bound {
            Ok((address, socket)) => Ok(Self { config, socket, address }),
            Err(source) => Err(Error::Bind { name: config.name, address: config.address, source }),
        }
    }

    /// The listener's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The address it has, with the port that the system chose where 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn resolve(address: &str) -> io::Result<SocketAddr> {
    tokio::net::lookup_host(address).await?.next().ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A node that restarts takes its port back although old connections linger.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A listener at work.
#[derive(Clone)]
pub struct Serving {
    address: SocketAddr,
    tasks: Tasks,
}

impl Serving {
    /// The address it accepts on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more, lets every connection finish the request it is answering, closes all, and waits for that at most `limit`.
    /// Returns whether all had ended by then.
    pub async fn stop_and_wait(&self, limit: Duration) -> bool {
        self.tasks.stop_and_wait(limit).await
    }
}

/// Accepts connections and has `handler` answer their frames, until the runtime's tasks are stopped or the returned handle is told to.
#[must_use]
pub fn serve(listener: Listener, runtime: &Runtime, metrics: &Metrics, handler: Arc<dyn Handler>) -> Serving {
    let tasks = runtime.tasks.child();
    let name: Arc<str> = listener.config.name.as_str().into();
    let acceptor = Acceptor {
        counts: Arc::new(Counts::new(metrics, &name)),
        spares: Arc::default(),
        chunks: Arc::default(),
        permits: Arc::new(Semaphore::new(listener.config.connections_max.min(Semaphore::MAX_PERMITS))),
        config: Arc::new(listener.config),
        pacing: Pacing::off(&listener.socket),
        name,
        tasks: tasks.clone(),
        clock: runtime.clock.clone(),
        handler,
    };
    let address = listener.address;
    let socket = listener.socket;
    tasks.spawn_until_stopped("accept", async move { acceptor.run(&socket).await });
    Serving { address, tasks }
}

struct Acceptor {
    name: Arc<str>,
    pacing: Pacing,
    config: Arc<ListenerConfig>,
    counts: Arc<Counts>,
    spares: Arc<Spares>,
    chunks: Arc<Chunks>,
    permits: Arc<Semaphore>,
    tasks: Tasks,
    clock: Arc<dyn Clock>,
    handler: Arc<dyn Handler>,
}

impl Acceptor {
    async fn run(&self, socket: &TcpListener) {
        loop {
            let Some(permit) = self.permit().await else { return };
            match socket.accept().await {
                Ok((stream, peer)) => self.connect(stream, peer, permit),
                Err(error) => {
                    tracing::warn!(listener = %self.name, %error, "a connection could not be accepted; trying again");
                    self.clock.sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    /// Room for one more connection. As in Kafka, those over the limit wait in the system's queue.
    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Some(permit);
        }
        self.counts.delayed.inc();
        let max = self.config.connections_max;
        tracing::warn!(listener = %self.name, max, "the limit of connections is reached; new ones wait until one closes");
        self.permits.clone().acquire_owned().await.ok()
    }

    fn connect(&self, stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit) {
        self.pacing.accepted(&stream, peer);
        let mut context = ConnectionContext::new(self.name.clone(), peer, NEXT_ID.fetch_add(1, Ordering::Relaxed));
        if self.config.authenticates.is_some() {
            context.authentication = Authentication::needed();
        }
        self.counts.accepted.inc();
        self.counts.open.add(1);
        let connection = Connection {
            context,
            config: self.config.clone(),
            handler: self.handler.clone(),
            counts: self.counts.clone(),
            spares: self.spares.clone(),
            chunks: self.chunks.clone(),
            shutdown: self.tasks.shutdown(),
        };
        self.tasks.spawn("connection", async move {
            connection.run(stream).await;
            drop(permit);
        });
    }
}
