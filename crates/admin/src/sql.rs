//! `/v1/sql`: queries; and the creation of streams.

use crate::about::About;
use crate::answer::{Answer, Body, Refusal};
use crate::api::Api;
use crate::ports::{Format, Node, QueryAnswer, Sql};
use axum::Json;
use axum::body::Body as Stream;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use millstream_task::Error;
use millstream_types::ErrorKind;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::ToSchema;

pub fn routes() -> Api {
    let query_about = About::new(
        "Run statements and stream the rows of the last one: JSON lines by default, a table, CSV or Arrow's IPC stream.",
    );
    let ask = json!({"query": "SELECT count(*) AS orders FROM orders", "format": "json"});
    let statement = json!({"sql": "CREATE STREAM large AS SELECT user, amount FROM orders WHERE amount > 100"});
    let create_about = About::new("Create a stream from its statement.");
    Api::default()
        .post("/v1/sql", query, query_about.takes::<Query>(ask).text("application/x-ndjson", "{\"orders\":3}\n"))
        .post(
            "/v1/streams",
            create,
            create_about.takes::<Create>(statement).status(201).shows(json!({"name": "large", "generation": 1})),
        )
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Query {
    /// The statements, separated by semicolons.
    query: String,
    /// How rows are written.
    #[serde(default = "json_lines")]
    format: Format,
}

const fn json_lines() -> Format {
    Format::Json
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Create {
    /// The statement.
    sql: String,
}

fn engine(node: &Node) -> Answer<&Arc<dyn Sql>> {
    let without = || {
        Refusal(Error::new(ErrorKind::Invalid, "this binary was built without SQL; build it with the feature `sql`"))
    };
    node.sql.as_ref().ok_or_else(without)
}

async fn query(State(node): State<Arc<Node>>, Body(query): Body<Query>) -> Answer<Response> {
    let QueryAnswer { content_type, mut body } = engine(&node)?.query(&query.query, query.format).await?;
    // The first rows are waited for: what fails before there are any is still told by the status.
    let first = body.next().await.transpose()?;
    let body = stream::iter(first.map(Ok)).chain(rest(body, query.format));
    Ok(([(header::CONTENT_TYPE, content_type)], Stream::from_stream(body)).into_response())
}

/// The rows after the first. When they fail the status is sent already: the cause is logged, and is the last line where the format has room
/// for it; otherwise the answer is cut off.
fn rest(
    body: BoxStream<'static, Result<Bytes, Error>>,
    format: Format,
) -> impl futures::Stream<Item = Result<Bytes, Error>> + Send {
    stream::unfold(Some(body), move |body| async move {
        let mut body = body?;
        match body.next().await? {
            Ok(piece) => Some((Ok(piece), Some(body))),
            Err(error) => {
                tracing::warn!(%error, "a query failed while its rows were being read");
                Some((last_words(format, error), None))
            }
        }
    })
}

fn last_words(format: Format, error: Error) -> Result<Bytes, Error> {
    match format {
        Format::Table => Ok(format!("error: {}\n", error.message).into()),
        Format::Json => Ok(format!("{}\n", json!({"error": {"kind": error.kind, "message": error.message}})).into()),
        Format::Csv | Format::Arrow => Err(error),
    }
}

async fn create(State(node): State<Arc<Node>>, Body(create): Body<Create>) -> Answer<(StatusCode, Json<Value>)> {
    let (name, generation) = engine(&node)?.create_stream(&create.sql).await?;
    Ok((StatusCode::CREATED, Json(json!({"name": name, "generation": generation}))))
}
