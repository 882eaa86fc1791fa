//! A named listener: it accepts connections, as many as allowed, each in a task of its own.

use crate::connection::Connection;
use crate::counts::Counts;
use crate::memory::Memory;
use crate::pacing::Pacing;
use crate::places::{ListenerPlaces, Place, Refused};
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
use tokio::sync::Semaphore;

/// Connections that the system keeps for us before we accept them.
const BACKLOG: i32 = 1_024;
/// How long to wait after the system could not accept (no file descriptor free).
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// Connections of a listener that are closed late because their address has opened too many. More than these are closed at once.
const LATE_MAX: usize = 1_000;
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
    let counts = Arc::new(Counts::new(metrics, &name));
    let ListenerConfig { places, connections_max, connections_rate, .. } = &listener.config;
    let acceptor = Acceptor {
        memory: Arc::new(Memory::new(listener.config.budget.clone(), counts.budget_waits.clone())),
        counts,
        chunks: Arc::default(),
        places: places.of_listener(*connections_max, *connections_rate),
        config: Arc::new(listener.config),
        pacing: Pacing::off(&listener.socket),
        name,
        tasks: tasks.clone(),
        clock: runtime.clock.clone(),
        late: Arc::new(Semaphore::new(LATE_MAX)),
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
    memory: Arc<Memory>,
    chunks: Arc<Chunks>,
    places: ListenerPlaces,
    tasks: Tasks,
    clock: Arc<dyn Clock>,
    late: Arc<Semaphore>,
    handler: Arc<dyn Handler>,
}

impl Acceptor {
    async fn run(&self, socket: &TcpListener) {
        loop {
            match socket.accept().await {
                Ok((stream, peer)) => match self.place(peer).await {
                    Ok(place) => self.connect(stream, peer, place),
                    Err(Refused::TooMany(_)) => drop(stream),
                    Err(Refused::TooSoon(wait)) => self.close_late(stream, wait),
                },
                Err(error) => {
                    tracing::warn!(listener = %self.name, %error, "a connection could not be accepted; trying again");
                    self.clock.sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    /// Room for one more connection, as soon as there is. Those after it wait in the system's queue.
    async fn place(&self, peer: SocketAddr) -> Result<Place, Refused> {
        let waits = |limit: &str| {
            self.counts.delayed.inc();
            tracing::warn!(listener = %self.name, limit, "a limit of connections is reached; new ones wait");
        };
        let taken = self.places.take(peer.ip(), &*self.clock, waits).await;
        match taken {
            Ok(_) => {}
            Err(Refused::TooMany(open)) => {
                self.counts.closed("per_ip");
                tracing::warn!(
                    listener = %self.name, %peer, open,
                    "connection closed: its address has as many as max.connections.per.ip or its overrides let it have"
                );
            }
            Err(Refused::TooSoon(wait)) => {
                self.counts.closed("throttled");
                tracing::warn!(
                    listener = %self.name, %peer, closes_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                    "connection refused: its address opens more of them in a second than its quota connection_creation_rate"
                );
            }
        }
        taken
    }

    /// Closes a connection after a while: a peer that tries again at once would be let in no sooner.
    fn close_late(&self, stream: TcpStream, wait: Duration) {
        let Ok(permit) = self.late.clone().try_acquire_owned() else { return };
        let clock = self.clock.clone();
        self.tasks.spawn_until_stopped("throttled connection", async move {
            clock.sleep(wait).await;
            drop((stream, permit));
        });
    }

    fn connect(&self, stream: TcpStream, peer: SocketAddr, place: Place) {
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
            memory: self.memory.clone(),
            chunks: self.chunks.clone(),
            shutdown: self.tasks.shutdown(),
        };
        self.tasks.spawn("connection", async move {
            connection.run(stream).await;
            drop(place);
        });
    }
}
