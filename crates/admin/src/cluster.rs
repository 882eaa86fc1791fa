//! `/v1/cluster`: brokers.

use crate::ports::{BrokerRow, Node};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use std::sync::Arc;

pub fn routes() -> Router<Arc<Node>> {
    Router::new().route("/v1/cluster", get(status))
}

async fn status(State(node): State<Arc<Node>>) -> Json<Vec<BrokerRow>> {
    Json(node.cluster.brokers())
}
