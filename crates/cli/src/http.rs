//! Talking to a node's HTTP API: JSON in and out, errors in the node's own words.

use crate::error::Error;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

/// What may stand in a path segment as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A node's HTTP API.
pub struct Client {
    address: String,
    inner: reqwest::Client,
}

impl Client {
    /// The API at `address` (`host:port`). No connection is made yet.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned(), inner: reqwest::Client::builder().no_proxy().build().unwrap_or_default() }
    }

    /// A request for `path`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.inner.request(method, format!("http://{}{path}", self.address))
    }

    /// Sends a request; an answer that is not a success becomes the node's own error message.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.text().await.unwrap_or_default();
        Err(Error::Node(message_of(&body).unwrap_or_else(|| format!("the node answered {status}: {body}"))))
    }

    /// The JSON at `path`.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        json(self.send(self.request(Method::GET, path)).await?).await
    }

    /// Sends JSON to `path` by `method`; the answer's JSON, null where it has no body.
    pub async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Value, Error> {
        json(self.send(self.request(method, path).json(body)).await?).await
    }

    /// Deletes what is at `path`.
    pub async fn delete(&self, path: &str) -> Result<Value, Error> {
        json(self.send(self.request(Method::DELETE, path)).await?).await
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        let mut reason = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            reason = inner.to_string();
            source = inner.source();
        }
        Error::Unreachable { address: self.address.clone(), reason }
    }
}

/// A name as one segment of a path.
#[must_use]
pub fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

/// The rows of a JSON array; one row where it is an object.
#[must_use]
pub fn rows(value: Value) -> Vec<Value> {
    match value {
        Value::Array(rows) => rows,
        Value::Null => Vec::new(),
        row => vec![row],
    }
}

async fn json(response: Response) -> Result<Value, Error> {
    let body = response.bytes().await.map_err(|error| Error::Node(format!("the answer was cut off: {error}")))?;
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&body)
        .map_err(|error| Error::Node(format!("the answer is not JSON ({error}); is this a Millstream node?")))
}

/// Our API says `{"error": {"message": ...}}`, the schema registry's `{"message": ...}`.
fn message_of(body: &str) -> Option<String> {
    let value: Value = serde_json::from_str(body).ok()?;
    let message = value.pointer("/error/message").or_else(|| value.get("message"))?;
    message.as_str().map(str::to_owned)
}
