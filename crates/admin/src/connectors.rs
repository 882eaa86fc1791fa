//! `/v1/connector-types` and the creation of connectors.

use crate::answer::{Answer, Body, not_found};
use crate::deployments::{Deploy, deploy};
use crate::ports::Node;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use millstream_task::{DeploymentKey, DeploymentKind};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub fn routes() -> Router<Arc<Node>> {
    Router::new()
        .route("/v1/connector-types", get(types))
        .route("/v1/connector-types/{name}", get(settings))
        .route("/v1/connectors", post(create))
        .route("/v1/connectors/validate", post(validate))
}

/// A connector as people write it: its name, and beside it the fields of its spec (`type`, `topics`, `settings` and so on).
#[derive(Deserialize)]
struct Connector {
    name: String,
    #[serde(flatten)]
    spec: Map<String, Value>,
}

async fn types(State(node): State<Arc<Node>>) -> Json<Value> {
    Json(node.connector_types.list())
}

async fn settings(State(node): State<Arc<Node>>, Path(name): Path<String>) -> Answer<Json<Value>> {
    let schema = node.connector_types.settings_schema(&name);
    schema.map(Json).ok_or_else(|| {
        not_found(format!("there is no connector type {name:?}; `millstream connector types` lists them"))
    })
}

async fn create(State(node): State<Arc<Node>>, Body(connector): Body<Connector>) -> Answer<(StatusCode, Json<Value>)> {
    let spec = Value::Object(connector.spec);
    deploy(&node, DeploymentKind::Connector, Body(Deploy { name: connector.name, spec })).await
}

async fn validate(State(node): State<Arc<Node>>, Body(connector): Body<Connector>) -> Answer<Json<Value>> {
    let key = DeploymentKey { kind: DeploymentKind::Connector, name: connector.name.clone() };
    node.host.validate(&key, Value::Object(connector.spec)).await?;
    Ok(Json(json!({"name": connector.name, "valid": true})))
}
