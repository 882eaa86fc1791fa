//! `/healthz`, `/readyz` and `/metrics`.

use crate::about::About;
use crate::api::Api;
use crate::ports::Node;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

pub fn routes() -> Api {
    let prometheus =
        "# TYPE kafka_server_replicamanager_leadercount gauge\nkafka_server_replicamanager_leadercount 12\n";
    Api::default()
        .get(
            "/healthz",
            alive,
            About::new("Whether the process runs and answers.").text("text/plain; charset=utf-8", "ok\n"),
        )
        .get(
            "/readyz",
            ready,
            About::new("Whether the node serves clients; 503 and why where it does not yet.")
                .text("text/plain; charset=utf-8", "ready\n"),
        )
        .get(
            "/metrics",
            metrics,
            About::new("Every metric, in Prometheus's text format.")
                .text("text/plain; version=0.0.4; charset=utf-8", prometheus),
        )
}

/// The process runs and answers.
async fn alive() -> &'static str {
    "ok\n"
}

/// The node serves clients; else what it waits for.
async fn ready(State(node): State<Arc<Node>>) -> Response {
    match node.cluster.ready() {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")).into_response(),
    }
}

/// Every metric, in Prometheus's text format.
async fn metrics(State(node): State<Arc<Node>>) -> Response {
    node.measures.refresh().await;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], node.metrics.export()).into_response()
}
