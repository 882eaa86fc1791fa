//! The creation of rules, and which of them an event would match.

use crate::answer::{Answer, Body};
use crate::deployments::{Deploy, deploy};
use crate::ports::Node;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use millstream_task::DeploymentKind;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub fn routes() -> Router<Arc<Node>> {
    Router::new().route("/v1/rules", post(create)).route("/v1/rules/test", post(test))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    event: Value,
    #[serde(default)]
    rule: Option<String>,
}

async fn create(State(node): State<Arc<Node>>, body: Body<Deploy>) -> Answer<(StatusCode, Json<Value>)> {
    deploy(&node, DeploymentKind::Rule, body).await
}

async fn test(State(node): State<Arc<Node>>, Body(test): Body<Test>) -> Answer<Json<Vec<Value>>> {
    let wanted = |name: &str| test.rule.as_deref().is_none_or(|rule| rule == name);
    let stored =
        node.host.deployments().into_iter().filter(|one| one.key.kind == DeploymentKind::Rule && wanted(&one.key.name));
    let rules: Vec<(String, Value)> = stored.map(|one| (one.key.name, one.spec)).collect();
    if let (Some(rule), true) = (&test.rule, rules.is_empty()) {
        return Err(crate::answer::not_found(format!("there is no rule {rule:?}")));
    }
    let matches = node.buses.test(&test.event, &rules)?;
    let row = |((name, spec), matches): ((String, Value), bool)| json!({"rule": name, "matches": matches, "target": spec["target"]});
    Ok(Json(rules.into_iter().zip(matches).map(row).collect()))
}
