//! The creation of rules, and which of them an event would match.

use crate::about::About;
use crate::answer::{Answer, Body};
use crate::api::Api;
use crate::deployments::{Deploy, deploy, deploy_about};
use crate::ports::Node;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use millstream_task::DeploymentKind;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::ToSchema;

pub fn routes() -> Api {
    let spec = json!({"input": {"bus": "shop"}, "pattern": {"data": {"amount": [{"numeric": [">", 100]}]}}, "target": {"topic": "big-orders"}});
    let event = json!({"specversion": "1.0", "id": "1", "source": "/shop", "type": "order", "data": {"amount": 500}});
    let verdicts = json!([{"rule": "big", "matches": true, "target": {"topic": "big-orders"}}]);
    let test_about = About::new("Which rules an event would match: all of them, or the one that is named.");
    Api::default().post("/v1/rules", create, deploy_about("rule", "big", spec)).post(
        "/v1/rules/test",
        test,
        test_about.takes::<Test>(json!({"event": event, "rule": null})).shows(verdicts),
    )
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Test {
    /// The event.
    event: Value,
    /// Only this rule.
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
