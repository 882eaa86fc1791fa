//! The registry's own form of answers and errors: `{"error_code": 40401, "message": ...}`.

use crate::answer::status;
use crate::ports::SchemasError;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use millstream_metadata::Error as MetadataError;
use millstream_schema::Error as SchemaError;
use serde_json::json;

const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// JSON under the registry's content type.
pub struct Registry<T>(pub T);

impl<T: serde::Serialize> IntoResponse for Registry<T> {
    /// `Json` sets a content type of its own, so ours is put over it.
    fn into_response(self) -> Response {
        let mut response = Json(self.0).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(CONTENT_TYPE));
        response
    }
}

/// What a registry route gives.
pub type Answer<T> = Result<Registry<T>, Refusal>;

/// A registry error: its status is the code's first three digits.
#[derive(Debug)]
pub struct Refusal {
    code: u32,
    message: String,
}

impl Refusal {
    /// An error of the registry's `code`.
    pub fn new(code: u32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// 42201: what was sent is not a schema.
    pub fn invalid_schema(error: &SchemaError) -> Self {
        Self::new(42201, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let digits = if self.code >= 1000 { self.code / 100 } else { self.code };
        let status = u16::try_from(digits).ok().and_then(|digits| StatusCode::from_u16(digits).ok());
        let mut response = Registry(json!({"error_code": self.code, "message": self.message})).into_response();
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response
    }
}

impl From<MetadataError> for Refusal {
    fn from(error: MetadataError) -> Self {
        Self::new(code(&error), error.to_string())
    }
}

impl From<SchemasError> for Refusal {
    fn from(error: SchemasError) -> Self {
        match error {
            SchemasError::Metadata(error) => error.into(),
            SchemasError::Other(error) => Self::new(u32::from(status(error.kind).as_u16()), error.message),
        }
    }
}

fn code(error: &MetadataError) -> u32 {
    match error {
        MetadataError::UnknownSubject { .. } => 40401,
        MetadataError::UnknownSchemaVersion { .. } => 40402,
        MetadataError::UnknownSchema { .. } => 40403,
        MetadataError::SubjectSoftDeleted { .. } => 40404,
        MetadataError::SubjectNotSoftDeleted { .. } => 40405,
        MetadataError::SchemaVersionSoftDeleted { .. } => 40406,
        MetadataError::SchemaVersionNotSoftDeleted { .. } => 40407,
        MetadataError::NoSubjectCompatibility { .. } => 40408,
        MetadataError::InvalidSchema { .. } => 42201,
        MetadataError::InvalidCompatibility { .. } => 42203,
        MetadataError::SchemaReferenced { .. } => 42206,
        other => u32::from(status(other.kind()).as_u16()),
    }
}
