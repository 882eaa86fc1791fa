//! `/v1/sql`: queries; and the creation of streams.

use crate::answer::{Answer, Body, Refusal};
use crate::ports::{Format, Node, Sql};
use axum::body::Body as Stream;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use millstream_task::Error;
use millstream_types::ErrorKind;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub fn routes() -> Router<Arc<Node>> {
    Router::new().route("/v1/sql", post(query)).route("/v1/streams", post(create))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    query: String,
    #[serde(default = "json_lines")]
    format: Format,
}

const fn json_lines() -> Format {
    Format::Json
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
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
