//! `/v1/topics`: topics.

use crate::answer::{Answer, Body};
use crate::ports::{AlterTopic, NewTopic, Node, TopicDetail, TopicRow};
use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use std::sync::Arc;

pub fn routes() -> Router<Arc<Node>> {
    Router::new()
        .route("/v1/topics", get(list).post(create))
        .route("/v1/topics/{name}", get(describe).patch(alter).delete(delete))
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
