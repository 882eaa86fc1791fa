//! `/v1/buses`: event buses, and CloudEvents posted to them.

use crate::about::About;
use crate::answer::{Answer, Body, not_found};
use crate::api::Api;
use crate::ports::{NewTopic, Node};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use millstream_task::DeploymentKind;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

pub fn routes() -> Api {
    let row = json!({"name": "shop", "topic": "bus.shop", "events": 12, "rules": 1});
    let event = json!({"specversion": "1.0", "id": "1", "source": "/shop", "type": "order", "data": {"amount": 500}});
    let put_about = About::new(
        "Put CloudEvents on a bus: structured, binary or a batch, as the content type says. An id that was seen is not taken twice.",
    );
    let made = About::new("Make a bus.").takes::<Create>(json!({"name": "shop", "partitions": 3})).status(201);
    Api::default()
        .get("/v1/buses", list, About::new("List the event buses.").shows(json!([row])))
        .post("/v1/buses", create, made.shows(row.clone()))
        .get("/v1/buses/{name}", describe, About::new("Show a bus.").shows(row))
        .delete("/v1/buses/{name}", delete, About::new("Delete a bus and its events.").status(204))
        .post(
            "/v1/buses/{name}/events",
            put,
            put_about
                .takes_any("application/cloudevents+json", event)
                .status(202)
                .shows(json!({"accepted": 1, "duplicates": 0})),
        )
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Create {
    /// Its name.
    name: String,
    /// How many partitions its topic has; the broker's default where absent.
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
