//! `/v1/groups`: consumer groups.

use crate::answer::{Answer, Body};
use crate::from::From;
use crate::ports::{GroupDetail, GroupRow, Node};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use std::sync::Arc;

pub fn routes() -> Router<Arc<Node>> {
    Router::new()
        .route("/v1/groups", get(list))
        .route("/v1/groups/{name}", get(describe).delete(delete))
        .route("/v1/groups/{name}/reset", post(reset))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    topic: String,
    to: String,
}

async fn list(State(node): State<Arc<Node>>) -> Answer<Json<Vec<GroupRow>>> {
    Ok(Json(node.groups.list().await?))
}

async fn describe(State(node): State<Arc<Node>>, Path(name): Path<String>) -> Answer<Json<GroupDetail>> {
    Ok(Json(node.groups.describe(&name).await?))
}

async fn delete(State(node): State<Arc<Node>>, Path(name): Path<String>) -> Answer<StatusCode> {
    node.groups.delete(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn reset(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
    Body(reset): Body<Reset>,
) -> Answer<StatusCode> {
    node.groups.reset(&name, &reset.topic, From::parse(&reset.to)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
