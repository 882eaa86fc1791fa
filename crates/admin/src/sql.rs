//! `/v1/sql`: queries; and the creation of streams.

use crate::about::About;
use crate::answer::{Answer, Body, Refusal};
use crate::api::Api;
use crate::ports::{Format, Node, Sql};
use axum::Json;
use axum::body::Body as Stream;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
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
    let answer = engine(&node)?.query(&query.query, query.format).await?;
    Ok(([(header::CONTENT_TYPE, answer.content_type)], Stream::from_stream(answer.body)).into_response())
}

async fn create(State(node): State<Arc<Node>>, Body(create): Body<Create>) -> Answer<(StatusCode, Json<Value>)> {
    let (name, generation) = engine(&node)?.create_stream(&create.sql).await?;
    Ok((StatusCode::CREATED, Json(json!({"name": name, "generation": generation}))))
}
