//! `/v1/topics`: topics.

use crate::about::About;
use crate::answer::{Answer, Body};
use crate::api::Api;
use crate::ports::{AlterTopic, NewTopic, Node, TopicDetail, TopicRow};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::json;
use std::sync::Arc;

pub fn routes() -> Api {
    let row = json!({"name": "orders", "id": "mfWb0DppRw6rwYHTn7Ez2g", "internal": false, "partitions": 3, "records": 1200,
        "bytes": 48100, "cleanup_policy": "delete", "cold": false});
    let mut detail = row.clone();
    detail["configs"] = json!({"retention.ms": "3600000"});
    detail["partition_details"] = json!([{"partition": 0, "leader": 1, "leader_epoch": 0, "log_start": 0,
        "high_watermark": 400, "bytes": 16033}]);
    let new = json!({"name": "orders", "partitions": 3, "configs": {"retention.ms": "3600000"}});
    let change = json!({"configs": {"retention.ms": null, "segment.bytes": "1048576"}, "partitions": 6});
    let made = About::new("Make a topic.").takes::<NewTopic>(new).status(201).gives::<TopicDetail>(detail.clone());
    let altered =
        About::new("Set options (null gives one its default back), or add partitions.").takes::<AlterTopic>(change);
    Api::default()
        .get("/v1/topics", list, About::new("List the topics.").gives::<Vec<TopicRow>>(json!([row])))
        .post("/v1/topics", create, made)
        .get("/v1/topics/{name}", describe, About::new("Show a topic.").gives::<TopicDetail>(detail.clone()))
        .patch("/v1/topics/{name}", alter, altered.gives::<TopicDetail>(detail))
        .delete("/v1/topics/{name}", delete, About::new("Delete a topic and all its records.").status(204))
}

async fn list(State(node): State<Arc<Node>>) -> Json<Vec<TopicRow>> {
    Json(node.cluster.topics())
}

async fn create(State(node): State<Arc<Node>>, Body(topic): Body<NewTopic>) -> Answer<(StatusCode, Json<TopicDetail>)> {
    Ok((StatusCode::CREATED, Json(node.cluster.create_topic(topic).await?)))
}

async fn describe(State(node): State<Arc<Node>>, Path(name): Path<String>) -> Answer<Json<TopicDetail>> {
    Ok(Json(node.cluster.topic(&name).await?))
}

async fn alter(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
    Body(change): Body<AlterTopic>,
) -> Answer<Json<TopicDetail>> {
    Ok(Json(node.cluster.alter_topic(&name, change).await?))
}

async fn delete(State(node): State<Arc<Node>>, Path(name): Path<String>) -> Answer<StatusCode> {
    node.cluster.delete_topic(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}
