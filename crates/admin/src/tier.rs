//! `/v1/tier`: cold storage.

use crate::about::About;
use crate::answer::{Answer, Body};
use crate::api::Api;
use crate::ports::{Node, TierRow};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::ToSchema;

pub fn routes() -> Api {
    let row = json!({"topic": "orders", "partition": 0, "log_start": 0, "local_start": 300, "high_watermark": 400,
        "bytes_hot": 4100, "bytes_cold": 12300, "segments_cold": 3, "error": null});
    let copied = json!({"topic": "orders", "segments": 3, "bytes": 12300, "dropped_bytes": 12300});
    let offload_about = About::new("Close a topic's open segments and copy all closed ones to the object store, now.");
    let recover_about = About::new("Make a topic again from the object store alone.");
    Api::default()
        .get(
            "/v1/tier",
            status,
            About::new("What is hot and what is cold, by partition.").gives::<Vec<TierRow>>(json!([row])),
        )
        .post(
            "/v1/tier/offload",
            offload,
            offload_about.takes::<Offload>(json!({"topic": "orders", "drop_local": true})).shows(copied),
        )
        .post(
            "/v1/tier/recover",
            recover,
            recover_about
                .takes::<Recover>(json!({"topic": "orders"}))
                .shows(json!({"topic": "orders", "partitions": 3})),
        )
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Offload {
    /// The topic.
    topic: String,
    /// Whether the local copies of what was copied go as well.
    #[serde(default)]
    drop_local: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Recover {
    /// The topic.
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
