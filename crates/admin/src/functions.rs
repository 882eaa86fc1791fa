//! `/v1/components` and the deploy of functions.

use crate::about::About;
use crate::answer::{Answer, Body, Refusal};
use crate::api::Api;
use crate::deployments::{Deploy, deploy, deploy_about};
use crate::ports::Node;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use millstream_task::{DeploymentKind, Error};
use millstream_types::ErrorKind;
use serde_json::{Value, json};
use std::sync::Arc;

pub fn routes() -> Api {
    let hash = "fe7f4635791dfd8fe2ad31b26c5fd1f2d76fc9e54b3204b8ca5fa1c121da4bc3";
    let spec = json!({"component": hash, "inputs": ["orders"], "outputs": ["discounted"], "settings": {"min": 100}});
    let upload_about =
        About::new("Store a Wasm component after checking that it is one; its hash names it in a function's spec.");
    Api::default()
        .put(
            "/v1/components",
            upload,
            upload_about
                .takes_any("application/wasm", json!("(the component)"))
                .status(201)
                .shows(json!({"hash": hash, "bytes": 86_481})),
        )
        .post("/v1/functions", create, deploy_about("function", "discount", spec))
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
