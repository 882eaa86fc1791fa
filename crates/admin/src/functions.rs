//! `/v1/components` and the deploy of functions.

use crate::answer::{Answer, Body, Refusal};
use crate::deployments::{Deploy, deploy};
use crate::ports::Node;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::{post, put};
use axum::{Json, Router};
use millstream_task::{DeploymentKind, Error};
use millstream_types::ErrorKind;
use serde_json::{Value, json};
use std::sync::Arc;

pub fn routes() -> Router<Arc<Node>> {
    Router::new().route("/v1/components", put(upload)).route("/v1/functions", post(create))
}

async fn create(State(node): State<Arc<Node>>, body: Body<Deploy>) -> Answer<(StatusCode, Json<Value>)> {
    deploy(&node, DeploymentKind::Function, body).await
}

async fn upload(State(node): State<Arc<Node>>, request: Request) -> Answer<(StatusCode, Json<Value>)> {
    let without = || {
        Refusal(Error::new(
            ErrorKind::Invalid,
            "this binary was built without functions; build it with the feature `functions`",
        ))
    };
    let components = node.components.as_ref().ok_or_else(without)?;
    let limit = node.component_bytes_max;
    let too_large = |_| {
        let message = format!(
            "the component could not be read, or is larger than {limit} bytes; raise function.component.bytes to accept more"
        );
        Refusal(Error::new(ErrorKind::Invalid, message))
    };
    let component = axum::body::to_bytes(request.into_body(), limit).await.map_err(too_large)?;
    let bytes = component.len();
    let hash = components.put(component).await?;
    Ok((StatusCode::CREATED, Json(json!({"hash": hash, "bytes": bytes}))))
}
