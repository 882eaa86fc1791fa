//! How outcomes become HTTP answers: one place that knows statuses.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use millstream_task::Error;
use millstream_types::ErrorKind;
use serde::de::DeserializeOwned;
use serde_json::json;

/// What a route gives: something to answer, or an error of the node.
pub type Answer<T> = Result<T, Refusal>;

/// An error on its way out: `{"error": {"kind": ..., "message": ...}}`.
#[derive(Debug)]
pub struct Refusal(pub Error);

impl std::convert::From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"error": {"kind": self.0.kind, "message": self.0.message}});
        (status(self.0.kind), Json(body)).into_response()
    }
}

/// The status of a kind of error.
#[must_use]
pub const fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthorized => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict | ErrorKind::Fenced => StatusCode::CONFLICT,
        ErrorKind::Throttled => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::NotLeader | ErrorKind::Exhausted | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Guest => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Corrupt | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A refusal of what the caller sent.
#[must_use]
pub fn invalid(message: impl Into<String>) -> Refusal {
    Refusal(Error::new(ErrorKind::Invalid, message))
}

/// A refusal because there is no such thing.
#[must_use]
pub fn not_found(message: impl Into<String>) -> Refusal {
    Refusal(Error::new(ErrorKind::NotFound, message))
}

/// The answer for a path that is none of ours.
pub async fn no_such_path(uri: Uri) -> Refusal {
    not_found(format!(
        "there is nothing at {}; the API is under /v1, the schema registry under /subjects and /schemas",
        uri.path()
    ))
}

/// A JSON body whose errors are in our form.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(JsonRejection::MissingJsonContentType(_)) => {
                Err(invalid("the body must be JSON: set content-type: application/json"))
            }
            Err(JsonRejection::BytesRejection(_)) => Err(invalid(format!(
                "the body can't be read whole: it may have {} bytes; send less at once",
                crate::JSON_BYTES_MAX
            ))),
            Err(other) => Err(invalid(format!("the body is not what is expected here: {}", other.body_text()))),
        }
    }
}
