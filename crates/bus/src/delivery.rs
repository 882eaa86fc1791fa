//! Delivery to an HTTP endpoint: a POST for each event, tried again while that may help.

use crate::spec::{Http, Retry};
use bytes::Bytes;
use millstream_runtime::Runtime;
use millstream_types::ErrorKind;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, redirect};
use std::time::Duration;

const WAIT_MIN: Duration = Duration::from_millis(200);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The way to one endpoint.
#[derive(Clone)]
pub struct Delivery {
    client: Client,
    runtime: Runtime,
    url: String,
    headers: HeaderMap,
    content_type: &'static str,
    retry: Retry,
}

/// How one attempt ended.
enum Attempt {
    Delivered,
    /// It will not be taken, ever.
    Refused(String),
    /// It may be taken later.
    Later(String, Option<Duration>),
}

impl Delivery {
    /// A way to `http`, whose spec was checked.
    pub fn new(
        runtime: Runtime,
        http: &Http,
        content_type: &'static str,
        retry: Retry,
    ) -> Result<Self, millstream_task::Error> {
        let timeout = Duration::from_millis(http.timeout_ms);
        // A redirect of a POST would drop the event or send it where nobody said it should go.
        let client = Client::builder().timeout(timeout).redirect(redirect::Policy::none()).build();
        let client = client.map_err(|error| {
            millstream_task::Error::new(ErrorKind::Internal, format!("no HTTP client can be made: {error}"))
        })?;
        let pair = |(name, value): (&String, &String)| {
            Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?))
        };
        let headers = http.headers.iter().filter_map(pair).collect();
        Ok(Self { client, runtime, url: http.url.clone(), headers, content_type, retry })
    }

    /// Posts one event until it is taken; why not, where it is given up. Safe to drop: the event may then have been taken.
    pub async fn deliver(&self, body: Bytes) -> Result<(), String> {
        let clock = &self.runtime.clock;
        let deadline = clock.elapsed() + Duration::from_secs(self.retry.max_age_seconds);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (why, after) = match self.attempt(body.clone()).await {
                Attempt::Delivered => return Ok(()),
                Attempt::Refused(why) => return Err(format!("{} refused it: {why}", self.url)),
                Attempt::Later(why, after) => (why, after),
            };
            let wait = after.unwrap_or_else(|| self.wait(attempts)).min(WAIT_MAX);
            if attempts >= self.retry.attempts || clock.elapsed() + wait > deadline {
                return Err(format!("{} did not take it in {attempts} attempts: {why}", self.url));
            }
            clock.sleep(wait).await;
        }
    }

    /// Doubles with each attempt; half of it is random, so that not all come back at once.
    fn wait(&self, attempts: u32) -> Duration {
        let whole = WAIT_MIN.saturating_mul(1u32.checked_shl(attempts - 1).unwrap_or(u32::MAX)).min(WAIT_MAX);
        let half_ms = u64::try_from(whole.as_millis() / 2).unwrap_or(0);
        whole / 2 + Duration::from_millis(self.runtime.random.below(half_ms + 1))
    }

    async fn attempt(&self, body: Bytes) -> Attempt {
        let request = self
            .client
            .post(&self.url)
            .header(CONTENT_TYPE, self.content_type)
            .headers(self.headers.clone())
            .body(body);
        match request.send().await {
            Ok(response) => answered(&response),
            // The address may have a secret in it; the cause is said without it.
            Err(error) => Attempt::Later(root_cause(&error.without_url()), None),
        }
    }
}

fn answered(response: &Response) -> Attempt {
    let status = response.status();
    let why = format!("it answered {status}");
    let is_later = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::TOO_EARLY);
    match (status.is_success(), is_later) {
        (true, _) => Attempt::Delivered,
        (false, false) => Attempt::Refused(why),
        (false, true) => {
            let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            Attempt::Later(why, seconds.map(Duration::from_secs))
        }
    }
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    let mut said = error.to_string();
    while let Some(source) = cause.source() {
        cause = source;
        said = format!("{error}: {source}");
    }
    said
}
