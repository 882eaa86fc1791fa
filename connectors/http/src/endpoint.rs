//! The endpoint of the http source: `POST /{topic}`, answered when the events are in the log.

use crate::body::{self, Keys, Kind};
use crate::connection::Limited;
use crate::settings::SourceSettings;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use millstream_record::Columns;
use millstream_runtime::{Clock, Runtime, Tasks};
use serde_json::json;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// How much longer than a request may take a connection may be silent.
const IDLE_SLACK: Duration = Duration::from_secs(30);
/// How long open requests may take to get their answers when the endpoint stops.
const STOP_MAX: Duration = Duration::from_secs(5);

/// What became of a request's events: how many were appended, and why others were not.
pub(crate) struct Done {
    pub appended: usize,
    pub refused: Vec<String>,
}

/// Events of one request, on their way to the log.
pub(crate) struct Posted {
    /// Which of the connector's topics.
    pub topic: usize,
    pub records: Columns,
    pub done: oneshot::Sender<Done>,
}

/// A running endpoint. It stops when it is dropped.
pub(crate) struct Endpoint {
    tasks: Tasks,
    posted: mpsc::Receiver<Posted>,
}

struct Shared {
    settings: Arc<SourceSettings>,
    topics: Vec<String>,
    clock: Arc<dyn Clock>,
    permits: Semaphore,
    queue: mpsc::Sender<Posted>,
}

impl Endpoint {
    /// Binds the listener and begins to serve.
    pub async fn start(settings: Arc<SourceSettings>, topics: Vec<String>, runtime: &Runtime) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await?;
        let (queue, posted) = mpsc::channel(settings.requests_max);
        let limited = Limited {
            listener,
            permits: Arc::new(Semaphore::new(settings.connections_max)),
            clock: runtime.clock.clone(),
            idle_max: Duration::from_millis(settings.timeout_ms) + IDLE_SLACK,
        };
        let permits = Semaphore::new(settings.requests_max);
        let shared = Arc::new(Shared { settings, topics, clock: runtime.clock.clone(), permits, queue });
        let router = Router::new().route("/{topic}", post(take)).with_state(shared);
        let tasks = runtime.tasks.child();
        let shutdown = tasks.shutdown();
        tasks.spawn("http-source", async move {
            let stopped = async move { shutdown.requested().await };
            if let Err(error) = axum::serve(limited, router).with_graceful_shutdown(stopped).await {
                tracing::warn!(%error, "the endpoint of an http source ended");
            }
        });
        Ok(Self { tasks, posted })
    }

    /// The next request's events; nothing when the endpoint has ended.
    pub async fn next(&mut self) -> Option<Posted> {
        self.posted.recv().await
    }

    /// Another request's events, if there are any already.
    pub fn try_next(&mut self) -> Option<Posted> {
        self.posted.try_recv().ok()
    }

    /// Answers what is waiting with "not taken", and lets go of the port.
    pub async fn stop(mut self) {
        self.posted.close();
        while self.posted.try_recv().is_ok() {}
        self.tasks.stop_and_wait(STOP_MAX).await;
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    Path(topic): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match accept(&shared, &topic, &headers, body).await {
        Ok(done) if done.refused.is_empty() => {
            (StatusCode::OK, axum::Json(json!({ "appended": done.appended }))).into_response()
        }
        Ok(done) => {
            let answer =
                json!({"appended": done.appended, "refused": done.refused, "error": "the log refused some events"});
            (StatusCode::UNPROCESSABLE_ENTITY, axum::Json(answer)).into_response()
        }
        Err((status, message)) => {
            let mut response = (status, axum::Json(json!({ "error": message }))).into_response();
            if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
                response.headers_mut().insert(RETRY_AFTER, axum::http::HeaderValue::from_static("1"));
            }
            response
        }
    }
}

type Refusal = (StatusCode, String);

async fn accept(shared: &Shared, topic: &str, headers: &HeaderMap, body: Body) -> Result<Done, Refusal> {
    authorize(shared, headers)?;
    let place = shared.topics.iter().position(|known| known == topic).ok_or_else(|| {
        let message = format!("there is no topic {topic:?} here; there are {}", shared.topics.join(", "));
        (StatusCode::NOT_FOUND, message)
    })?;
    let busy = || {
        let message =
            format!("{} requests are being taken already: slow down and send it again", shared.settings.requests_max);
        (StatusCode::TOO_MANY_REQUESTS, message)
    };
    let _permit = shared.permits.try_acquire().map_err(|_| busy())?;
    let limit = Duration::from_millis(shared.settings.timeout_ms);
    let body = tokio::select! {
        body = read(shared, headers, body) => body?,
        () = shared.clock.sleep(limit) => {
            return Err((StatusCode::REQUEST_TIMEOUT, format!("the body did not come within {} ms: send it again", shared.settings.timeout_ms)));
        }
    };
    let key = headers.get("millstream-key").map(axum::http::HeaderValue::as_bytes);
    let kind = Kind::of(headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()));
    let keys = Keys { given: key, field: shared.settings.key.as_deref() };
    let records = body::records(kind, &body, &keys).map_err(|message| (StatusCode::BAD_REQUEST, message))?;
    if records.is_empty() {
        return Ok(Done { appended: 0, refused: Vec::new() });
    }
    let (done, wait) = oneshot::channel();
    shared.queue.try_send(Posted { topic: place, records, done }).map_err(|_| stopping())?;
    tokio::select! {
        done = wait => done.map_err(|_| stopping()),
        () = shared.clock.sleep(limit) => {
            let message = format!("the events are not in the log after {} ms; they may still come there", shared.settings.timeout_ms);
            Err((StatusCode::GATEWAY_TIMEOUT, message))
        }
    }
}

fn stopping() -> Refusal {
    (StatusCode::SERVICE_UNAVAILABLE, "the connector is stopping or starting again: send it again".to_owned())
}

fn authorize(shared: &Shared, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(token) = &shared.settings.bearer_token else { return Ok(()) };
    let given = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if given.is_some_and(|given| same(given, token.as_bytes())) {
        return Ok(());
    }
    Err((StatusCode::UNAUTHORIZED, "send the connector's token as `authorization: Bearer ...`".to_owned()))
}

/// Compares in a time that does not tell where two texts differ.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |differ, (left, right)| differ | (left ^ right)) == 0
}

async fn read(shared: &Shared, headers: &HeaderMap, body: Body) -> Result<bytes::Bytes, Refusal> {
    let most = shared.settings.body_bytes_max;
    let too_large =
        || (StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {most} bytes: send fewer events at once"));
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    to_bytes(body, most).await.map_err(|error| {
        use std::error::Error as _;
        let limit = error.source().is_some_and(|source| source.to_string().contains("length limit"));
        if limit { too_large() } else { (StatusCode::BAD_REQUEST, format!("the body could not be read: {error}")) }
    })
}
