//! The settings of the http source and the http sink.

use millstream_connect::{Error, Problem};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The settings of the http source.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    /// Where it listens. Anything but 127.0.0.1 opens it to others: then set a `bearer_token` too.
    #[serde(default = "loopback")]
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Bytes of the largest request body; a larger one gets 413.
    #[serde(default = "one_mebibyte")]
    #[schemars(range(min = 1, max = 67_108_864))]
    pub body_bytes_max: usize,
    /// Requests taken at once; one more gets 429. Memory used is at most this times `body_bytes_max`.
    #[serde(default = "sixty_four")]
    #[schemars(range(min = 1, max = 10_000))]
    pub requests_max: usize,
    /// Connections open at once; more wait to be accepted.
    #[serde(default = "one_thousand")]
    #[schemars(range(min = 1, max = 65_536))]
    pub connections_max: usize,
    /// Milliseconds after which a request whose events are not in the log yet gets 504.
    #[serde(default = "half_a_minute")]
    #[schemars(range(min = 1, max = 600_000))]
    pub timeout_ms: u64,
    /// The field of a JSON event whose value becomes the record's key; the header `millstream-key` sets it for a whole request.
    #[serde(default)]
    pub key: Option<String>,
    /// What requests must send as `authorization: Bearer ...`. Name a secret: `${env:MILLSTREAM_SECRET_...}`.
    #[serde(default)]
    pub bearer_token: Option<String>,
}

/// The settings of the http sink.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SinkSettings {
    /// Where batches are sent.
    pub url: String,
    /// How they are sent.
    #[serde(default)]
    pub method: Method,
    /// What a request's body is.
    #[serde(default)]
    pub format: PostFormat,
    /// Whether each record is sent with its topic, partition, offset, timestamp, key and headers around its value. Not with "single".
    #[serde(default)]
    pub envelope: bool,
    /// Most records in one request.
    #[serde(default = "five_hundred")]
    #[schemars(range(min = 1, max = 100_000))]
    pub batch_max: usize,
    /// Milliseconds after which a request is given up and sent again.
    #[serde(default = "ten_seconds")]
    #[schemars(range(min = 1, max = 600_000))]
    pub timeout_ms: u64,
    /// Headers of every request. Name secrets: `${env:MILLSTREAM_SECRET_...}`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The header that names a request's records (topic, partition, first and last offset), by which the receiver knows a repeated one.
    #[serde(default = "idempotency_key")]
    pub idempotency_header: String,
    /// The content type of "single" requests.
    #[serde(default = "json")]
    pub content_type: String,
}

/// How a request is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// POST.
    #[default]
    Post,
    /// PUT.
    Put,
}

/// What a request's body is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PostFormat {
    /// A JSON array of values.
    #[default]
    JsonArray,
    /// A JSON value a line.
    JsonLines,
    /// One record's value as it is.
    Single,
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8090))
}

const fn one_mebibyte() -> usize {
    1 << 20
}

const fn sixty_four() -> usize {
    64
}

const fn one_thousand() -> usize {
    1000
}

const fn half_a_minute() -> u64 {
    30_000
}

const fn five_hundred() -> usize {
    500
}

const fn ten_seconds() -> u64 {
    10_000
}

fn idempotency_key() -> String {
    "Idempotency-Key".to_owned()
}

fn json() -> String {
    "application/json".to_owned()
}

impl SinkSettings {
    /// What the schema can't say.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let mut problems = Vec::new();
        let mut wrong = |field: String, value: String, expected: &str| {
            problems.push(Problem {
                field: format!("settings.{field}"),
                value: Some(value),
                expected: expected.to_owned(),
            });
        };
        // A secret in the URL is not known yet; what is checked is what comes before it.
        match reqwest::Url::parse(&self.url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {}
            Ok(_) => wrong("url".to_owned(), format!("{:?}", self.url), "a URL that begins with http:// or https://"),
            Err(error) => wrong("url".to_owned(), format!("{:?}", self.url), &format!("a URL ({error})")),
        }
        if self.envelope && self.format == PostFormat::Single {
            wrong(
                "envelope".to_owned(),
                "true".to_owned(),
                "false where the format is \"single\", which sends values as they are",
            );
        }
        for name in self.headers.keys().chain([&self.idempotency_header]) {
            if reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
                wrong(format!("headers.{name}"), format!("{name:?}"), "a header's name");
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Spec(problems)) }
    }
}
