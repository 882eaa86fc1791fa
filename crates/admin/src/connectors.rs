//! `/v1/connector-types` and the creation of connectors.

use crate::about::About;
use crate::answer::{Answer, Body, not_found};
use crate::api::Api;
use crate::deployments::{Deploy, deploy};
use crate::ports::Node;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use millstream_task::{DeploymentKey, DeploymentKind};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use utoipa::ToSchema;

pub fn routes() -> Api {
    let file = json!({"type": "file", "topics": ["people"], "settings": {"path": "/data/people.csv", "key": "name"}});
    let mut named = file.clone();
    named["name"] = json!("people");
    let types_about = About::new("List the connector types.");
    let kind = json!({"name": "file", "direction": "source", "version": "0.1.0", "description": "Reads a file on the node into a topic."});
    let schema = json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]});
    let settings_about = About::new("The JSON Schema of a connector type's settings.");
    let create_about = About::new("Create a connector, or change its settings.").takes::<Connector>(named.clone());
    let validate_about =
        About::new("Check a connector's settings without creating anything.").takes::<Connector>(named);
    Api::default()
        .get("/v1/connector-types", types, types_about.shows(json!([kind])))
        .get("/v1/connector-types/{name}", settings, settings_about.gives::<Value>(schema))
        .post("/v1/connectors", create, create_about.status(201).shows(json!({"name": "people", "generation": 1})))
        .post("/v1/connectors/validate", validate, validate_about.shows(json!({"name": "people", "valid": true})))
}

/// A connector as people write it: its name, and beside it the fields of its spec (`type`, `topics`, `settings` and so on).
#[derive(Deserialize, ToSchema)]
struct Connector {
    /// Its name.
    name: String,
    /// Its type, its topics, its settings and what else its spec has.
    #[serde(flatten)]
    #[schema(value_type = Object)]
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
