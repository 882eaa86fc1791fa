//! A listener over a closure, and the client's side of frames.

use bytes::Bytes;
use futures::future::BoxFuture;
use millstream_net::{Answer, ConnectionContext, Frame, Handler, Listener, ListenerConfig, Serving, serve};
use millstream_runtime::Runtime;
use millstream_telemetry::Metrics;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// What a handler and its test tell each other.
#[derive(Default)]
pub struct State {
    pub started: Notify,
    pub go_on: Notify,
    closed: AtomicUsize,
    /// Who sent the last frame.
    pub principal: Mutex<String>,
}

type Answering = dyn Fn(Arc<State>, Bytes) -> BoxFuture<'static, Answer> + Send + Sync;

struct Closure {
    state: Arc<State>,
    answer: Box<Answering>,
}

/// What frames begin with that overlap.
pub const OVERLAPS: &[u8] = b"overlaps";
/// What a frame begins with after which its peer counts as authenticated.
pub const LETS_IN: &[u8] = b"let me in";

#[async_trait::async_trait]
impl Handler for Closure {
    async fn handle(&self, connection: &ConnectionContext, frame: Frame) -> Answer {
        *self.state.principal.lock().unwrap() = connection.principal.to_string();
        if frame.bytes.starts_with(LETS_IN) {
            connection.authentication.done();
        }
        (self.answer)(self.state.clone(), frame.bytes).await
    }

    fn overlaps(&self, frame: &[u8]) -> bool {
        frame.starts_with(OVERLAPS)
    }

    fn closed(&self, _connection: &ConnectionContext) {
        self.state.closed.fetch_add(1, Ordering::SeqCst);
    }
}

pub struct Node {
    pub serving: Serving,
    pub state: Arc<State>,
    metrics: Metrics,
}

impl Node {
    pub async fn start(
        answer: impl Fn(Arc<State>, Bytes) -> BoxFuture<'static, Answer> + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(|_| {}, answer).await
    }

    pub async fn start_with(
        change: impl FnOnce(&mut ListenerConfig),
        answer: impl Fn(Arc<State>, Bytes) -> BoxFuture<'static, Answer> + Send + Sync + 'static,
    ) -> Self {
        let mut config = ListenerConfig::new("TEST", "127.0.0.1:0");
        change(&mut config);
        let (state, metrics) = (Arc::new(State::default()), Metrics::new());
        let handler = Closure { state: state.clone(), answer: Box::new(answer) };
        let listener = Listener::bind(config).await.expect("port 0 is free");
        Self { serving: serve(listener, &Runtime::real(), &metrics, Arc::new(handler)), state, metrics }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.serving.address()).await.expect("it listens")
    }

    pub fn closed(&self) -> usize {
        self.state.closed.load(Ordering::SeqCst)
    }

    /// The value of the one series whose name and labels contain `series`.
    pub fn metric(&self, series: &str) -> Option<u64> {
        self.metrics.export().lines().find(|line| line.contains(series))?.rsplit(' ').next()?.parse().ok()
    }
}

pub fn frame(content: &[u8]) -> Vec<u8> {
    let len = i32::try_from(content.len()).expect("short");
    [&len.to_be_bytes()[..], content].concat()
}

pub async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let len = usize::try_from(stream.read_i32().await?).map_err(io::Error::other)?;
    let mut content = vec![0; len];
    stream.read_exact(&mut content).await?;
    Ok(content)
}

pub async fn until(condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    waited.await.expect("the condition holds within 20 s");
}
