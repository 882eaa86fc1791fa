//! The http sink: its type, and the worker that sends one partition's batches in order.

use crate::post::{Post, Verdict, judge, posts};
use crate::settings::{Method, PostFormat, SinkSettings};
use async_trait::async_trait;
use millstream_connect::{About, Error, Failure, Operator, OperatorError, Outcome, Sink, SinkContext};
use millstream_record::Columns;
use millstream_types::ErrorKind;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, redirect};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of an answer that are shown to a person.
const ANSWER_BYTES_MAX: usize = 300;
/// Longest wait that a receiver may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Posts batches to a URL.
pub struct HttpSink;

impl Sink for HttpSink {
    type Settings = SinkSettings;

    fn about(&self) -> About {
        About {
            name: "http-sink",
            version: env!("CARGO_PKG_VERSION"),
            summary: "Sends records to a URL as a JSON array, JSON lines or one by one, in order, at least once; what the receiver refuses goes by the error policy, what it can't take now is sent again.",
            one_topic: false,
        }
    }

    fn check(&self, settings: &SinkSettings) -> Result<(), Error> {
        settings.check()
    }

    fn worker(&self, settings: &Arc<SinkSettings>, context: SinkContext) -> Result<Box<dyn Operator>, Error> {
        let client = Client::builder()
            .timeout(Duration::from_millis(settings.timeout_ms))
            .redirect(redirect::Policy::none())
            .default_headers(headers(settings)?)
            .build()
            .map_err(|error| Error::outside(ErrorKind::Internal, format!("could not make an HTTP client: {error}")))?;
        let idempotency = HeaderName::from_bytes(settings.idempotency_header.as_bytes())
            .map_err(|error| Error::outside(ErrorKind::Invalid, format!("settings.idempotency_header: {error}")))?;
        Ok(Box::new(HttpSender {
            settings: settings.clone(),
            context,
            client,
            idempotency,
            sent_to: 0,
            refused: BTreeMap::new(),
        }))
    }
}

fn headers(settings: &SinkSettings) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    let content_type = match settings.format {
        PostFormat::JsonArray => "application/json",
        PostFormat::JsonLines => "application/x-ndjson",
        PostFormat::Single => &settings.content_type,
    };
    let given = settings.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in [(CONTENT_TYPE.as_str(), content_type)].into_iter().chain(given) {
        let wrong =
            |error: String| Error::outside(ErrorKind::Invalid, format!("header {name:?} can't be sent: {error}"));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| wrong(error.to_string()))?;
        // The value may be a secret: it is not shown.
        let mut value = HeaderValue::from_str(value).map_err(|error| wrong(error.to_string()))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

struct HttpSender {
    settings: Arc<SinkSettings>,
    context: SinkContext,
    client: Client,
    idempotency: HeaderName,
    /// Records before it have been taken by the receiver; a batch that is tried again goes on there.
    sent_to: i64,
    /// Offsets that the receiver refused, and why, while their batch is not done.
    refused: BTreeMap<i64, String>,
}

#[async_trait]
impl Operator for HttpSender {
    async fn process(&mut self, input: &Columns) -> Result<Outcome, OperatorError> {
        let first = input.offsets.first().copied().unwrap_or_default();
        self.refused = self.refused.split_off(&first);
        let (posts, mut failures) =
            posts(&self.settings, &self.context.topic, self.context.partition, input, &self.refused);
        let sent_to = self.sent_to;
        for post in posts.into_iter().filter(|post| post.last >= sent_to) {
            match self.send(&post).await? {
                None => self.sent_to = post.last + 1,
                Some(message) if post.places.len() == 1 => {
                    self.refused.insert(post.first, message.clone());
                    failures.push(Failure { input: post.places[0], message });
                }
                // The task looks for the record to blame.
                Some(message) => return Err(OperatorError::new(ErrorKind::Guest, message)),
            }
        }
        Ok(Outcome { outputs: Vec::new(), failures })
    }
}

impl HttpSender {
    /// Sends one request. What it returns is the receiver's refusal of its records.
    async fn send(&self, post: &Post) -> Result<Option<String>, OperatorError> {
        let key = format!("{}-{}-{}-{}", self.context.topic, self.context.partition, post.first, post.last);
        let request = match self.settings.method {
            Method::Post => self.client.post(&self.settings.url),
            Method::Put => self.client.put(&self.settings.url),
        };
        let sent = request.header(self.idempotency.clone(), key).body(post.body.clone()).send().await;
        // Without its URL, which may hold a secret.
        let response = sent.map_err(|error| {
            OperatorError::new(ErrorKind::Unavailable, format!("the request failed: {}", chain(&error.without_url())))
        })?;
        let status = response.status();
        match judge(status.as_u16()) {
            Verdict::Done => Ok(None),
            Verdict::Refused => Ok(Some(format!("the receiver answered {status}: {}", answer(response).await))),
            Verdict::Retry => {
                self.wait_as_told(&response).await;
                Err(OperatorError::new(
                    ErrorKind::Unavailable,
                    format!("the receiver answered {status}: {}", answer(response).await),
                ))
            }
            Verdict::Stop(kind) => {
                let message = format!(
                    "the receiver answered {status}: {}; correct the connector's url or headers and resume",
                    answer(response).await
                );
                Err(OperatorError::new(kind, message))
            }
        }
    }

    async fn wait_as_told(&self, response: &Response) {
        let told = response.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
        if let Some(seconds) = told {
            self.context.runtime.clock.sleep(Duration::from_secs(seconds).min(RETRY_AFTER_MAX)).await;
        }
    }
}

/// The beginning of an answer's body, on one line.
async fn answer(mut response: Response) -> String {
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES_MAX
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(ANSWER_BYTES_MAX);
    String::from_utf8_lossy(&body).replace(['\n', '\r'], " ")
}

/// An error with what caused it: the innermost says what happened ("connection refused").
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
