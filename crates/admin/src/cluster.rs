//! `/v1/cluster`: brokers.

use crate::about::About;
use crate::api::Api;
use crate::ports::{BrokerRow, Node};
use axum::Json;
use axum::extract::State;
use serde_json::json;
use std::sync::Arc;

pub fn routes() -> Api {
    let row = json!({"node": 1, "address": "127.0.0.1:9092", "epoch": 1, "controller": true, "fenced": false, "topics": 4, "partitions": 12});
    Api::default().get("/v1/cluster", status, About::new("List the brokers.").gives::<Vec<BrokerRow>>(json!([row])))
}

async fn status(State(node): State<Arc<Node>>) -> Json<Vec<BrokerRow>> {
    Json(node.cluster.brokers())
}
