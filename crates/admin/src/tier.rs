//! `/v1/tier`: cold storage.

use crate::answer::{Answer, Body};
use crate::ports::{Node, TierRow};
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub fn routes() -> Router<Arc<Node>> {
    Router::new()
        .route("/v1/tier", get(status))
        .route("/v1/tier/offload", post(offload))
        .route("/v1/tier/recover", post(recover))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Offload {
    topic: String,
    #[serde(default)]
    drop_local: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recover {
    topic: String,
}

async fn status(State(node): State<Arc<Node>>) -> Json<Vec<TierRow>> {
    Json(node.tier.status().await)
}

async fn offload(State(node): State<Arc<Node>>, Body(offload): Body<Offload>) -> Answer<Json<Value>> {
    let (segments, bytes, dropped_bytes) = node.tier.offload(&offload.topic, offload.drop_local).await?;
    Ok(Json(json!({"topic": offload.topic, "segments": segments, "bytes": bytes, "dropped_bytes": dropped_bytes})))
}

async fn recover(State(node): State<Arc<Node>>, Body(recover): Body<Recover>) -> Answer<Json<Value>> {
    let partitions = node.tier.recover(&recover.topic).await?;
    Ok(Json(json!({"topic": recover.topic, "partitions": partitions})))
}
