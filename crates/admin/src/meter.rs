//! Counts and times requests by their route, never by their path: routes are few, paths are not.

use crate::ports::Node;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use millstream_telemetry::catalogue::{HTTP_REQUESTS, HTTP_TIME};
use std::sync::Arc;

/// The route of a path that is none of ours.
const NONE: &str = "none";

/// Answers the request and counts it; its time ends with the head of the answer.
pub async fn measure(State(node): State<Arc<Node>>, request: Request, next: Next) -> Response {
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| NONE.to_owned(), |path| path.as_str().to_owned());
    let begun = node.runtime.clock.elapsed();
    let response = next.run(request).await;
    let took = node.runtime.clock.elapsed().saturating_sub(begun);
    node.metrics.histogram(&HTTP_TIME, &[&route]).observe(took);
    node.metrics.counter(&HTTP_REQUESTS, &[&route, response.status().as_str()]).inc();
    response
}
