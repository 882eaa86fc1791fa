//! `/v1/buses`: event buses, and CloudEvents posted to them.

use crate::answer::{Answer, Body, not_found};
use crate::ports::{NewTopic, Node};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use millstream_task::DeploymentKind;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub fn routes() -> Router<Arc<Node>> {
    Router::new()
        .route("/v1/buses", get(list).post(create))
        .route("/v1/buses/{name}", get(describe).delete(delete))
        .route("/v1/buses/{name}/events", post(put))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    name: String,
    #[serde(default)]
    partitions: Option<i32>,
}

async fn list(State(node): State<Arc<Node>>) -> Json<Vec<Value>> {
    Json(rows(&node))
}

async fn create(State(node): State<Arc<Node>>, Body(create): Body<Create>) -> Answer<(StatusCode, Json<Value>)> {
    let topic =
        NewTopic { name: node.buses.topic(&create.name), partitions: create.partitions, configs: BTreeMap::new() };
    node.cluster.create_topic(topic).await?;
    Ok((StatusCode::CREATED, Json(one(&node, &create.name)?)))
}

async fn describe(State(node): State<Arc<Node>>, Path(name): Path<String>) -> Answer<Json<Value>> {
    Ok(Json(one(&node, &name)?))
}

async fn delete(State(node): State<Arc<Node>>, Path(name): Path<String>) -> Answer<StatusCode> {
    one(&node, &name)?;
    node.cluster.delete_topic(&node.buses.topic(&name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn put(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<(StatusCode, Json<Value>)> {
    let headers: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let (accepted, duplicates) = node.buses.put(&name, &headers, body).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"accepted": accepted, "duplicates": duplicates}))))
}

fn one(node: &Node, name: &str) -> Answer<Value> {
    let found = rows(node).into_iter().find(|row| row["name"] == name);
    found.ok_or_else(|| not_found(format!("there is no bus {name:?}; `millstream bus create {name}` makes it")))
}

fn rows(node: &Node) -> Vec<Value> {
    let rules: Vec<Value> = node
        .host
        .deployments()
        .into_iter()
        .filter(|one| one.key.kind == DeploymentKind::Rule)
        .map(|one| one.spec)
        .collect();
    let row = |topic: crate::ports::TopicRow| {
        let name = node.buses.bus_of(&topic.name)?;
        let count =
            rules.iter().filter(|spec| spec.pointer("/input/bus").and_then(Value::as_str) == Some(&name)).count();
        Some(json!({"name": name, "topic": topic.name, "events": topic.records, "rules": count}))
    };
    node.cluster.topics().into_iter().filter_map(row).collect()
}
