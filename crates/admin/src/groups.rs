//! `/v1/groups`: consumer groups.

use crate::about::About;
use crate::answer::{Answer, Body};
use crate::api::Api;
use crate::from::From;
use crate::ports::{GroupDetail, GroupRow, Node};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;

pub fn routes() -> Api {
    let row = json!({"group": "billing", "state": "Stable", "protocol_type": "consumer", "group_type": "classic", "members": 2, "lag": 17});
    let mut detail = row.clone();
    detail["member_details"] =
        json!([{"member_id": "billing-1-6f1c", "client_id": "billing-1", "client_host": "127.0.0.1"}]);
    detail["offsets"] = json!([{"topic": "orders", "partition": 0, "offset": 383, "high_watermark": 400, "lag": 17}]);
    let reset_about = About::new("Move the offsets of a group without members in one topic.");
    Api::default()
        .get("/v1/groups", list, About::new("List the consumer groups.").gives::<Vec<GroupRow>>(json!([row])))
        .get("/v1/groups/{name}", describe, About::new("Show a group.").gives::<GroupDetail>(detail))
        .delete("/v1/groups/{name}", delete, About::new("Delete a group without members.").status(204))
        .post(
            "/v1/groups/{name}/reset",
            reset,
            reset_about.takes::<Reset>(json!({"topic": "orders", "to": "earliest"})).status(204),
        )
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reset {
    /// The topic.
    topic: String,
    /// `earliest`, `latest`, an offset, or a time such as 2026-01-31T12:00:00Z.
    to: String,
}

async fn list(State(node): State<Arc<Node>>) -> Answer<Json<Vec<GroupRow>>> {
    Ok(Json(node.groups.list().await?))
}

async fn describe(State(node): State<Arc<Node>>, Path(name): Path<String>) -> Answer<Json<GroupDetail>> {
    Ok(Json(node.groups.describe(&name).await?))
}

async fn delete(State(node): State<Arc<Node>>, Path(name): Path<String>) -> Answer<StatusCode> {
    node.groups.delete(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn reset(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
    Body(reset): Body<Reset>,
) -> Answer<StatusCode> {
    node.groups.reset(&name, &reset.topic, From::parse(&reset.to)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
