//! The verbs that functions, streams, connectors and rules share, under `/v1/{functions|streams|connectors|rules}`.

use crate::about::About;
use crate::answer::{Answer, Body, not_found};
use crate::api::Api;
use crate::from::From;
use crate::ports::Node;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use millstream_task::{DeploymentKey, DeploymentKind, DeploymentStatus};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::ToSchema;

pub fn routes() -> Api {
    let kinds = [
        ("functions", DeploymentKind::Function),
        ("streams", DeploymentKind::Stream),
        ("connectors", DeploymentKind::Connector),
        ("rules", DeploymentKind::Rule),
    ];
    kinds.into_iter().fold(Api::default(), |api, (path, kind)| api.merge(of(&format!("/v1/{path}"), kind)))
}

/// The routes of one kind. Creating differs by kind and stands in a file of its own.
fn of(path: &str, kind: DeploymentKind) -> Api {
    let key = move |name: String| DeploymentKey { kind, name };
    let list = move |State(node): State<Arc<Node>>| async move { Json(rows(&node, kind)) };
    let describe =
        move |State(node): State<Arc<Node>>, Path(name): Path<String>| async move { describe(&node, &key(name)) };
    let delete = move |State(node): State<Arc<Node>>, Path(name): Path<String>| async move {
        node.host.delete(&key(name)).await?;
        Answer::Ok(StatusCode::NO_CONTENT)
    };
    let act = move |State(node): State<Arc<Node>>,
                    Path((name, verb)): Path<(String, String)>,
                    body: axum::body::Bytes| async move { act(&node, key(name), &verb, &body).await };
    let logs = move |State(node): State<Arc<Node>>, Path(name): Path<String>| async move { logs(&node, &key(name)) };
    let about = Words { kind: kind.word() };
    let one = format!("{path}/{{name}}");
    Api::default()
        .get(path, list, about.list())
        .get(one.as_str(), describe, about.describe())
        .delete(one.as_str(), delete, about.delete())
        .get(format!("{one}/logs"), logs, about.logs())
        .post(format!("{one}/{{verb}}"), act, about.act())
}

/// What the verbs of one kind are for.
struct Words {
    kind: &'static str,
}

impl Words {
    fn row() -> Value {
        json!({"name": "large", "state": "running", "generation": 1, "tasks": 3, "inputs": ["orders"], "outputs": ["large"],
            "records_in": 1200, "records_out": 340, "records_failed": 0, "lag": null, "error": null})
    }

    fn list(&self) -> About {
        About::new(format!("List each {} with state, counts and lag.", self.kind)).shows(json!([Self::row()]))
    }

    fn describe(&self) -> About {
        let mut described = Self::row();
        described["spec"] = json!({});
        described["group"] = json!(format!("millstream-{}-large", self.kind));
        described["status"] = json!({});
        described["history"] = json!([]);
        About::new(format!(
            "Show a {}: its spec, its tasks, its progress, its last error, and earlier generations.",
            self.kind
        ))
        .shows(described)
    }

    fn delete(&self) -> About {
        About::new(format!("Stop and forget a {}. Its topics stay.", self.kind)).status(204)
    }

    fn logs(&self) -> About {
        let line = json!({"time": "2026-01-31T12:00:00.000Z", "level": "info", "message": "began"});
        About::new(format!("What a {} logged last, and its last errors.", self.kind)).shows(json!([line]))
    }

    fn act(&self) -> About {
        About::new(format!(
            "Pause, resume, restart, roll back or reset a {}. A rollback may name a generation, a reset says where to.",
            self.kind
        ))
        .takes_any("application/json", json!({"to": "earliest"}))
        .shows(json!({"name": "large", "generation": 1}))
    }
}

/// What the creation of a `kind` takes and gives.
pub fn deploy_about(kind: &str, name: &str, spec: Value) -> About {
    About::new(format!("Deploy a {kind}: its first generation, or the next of the same name."))
        .takes::<Deploy>(json!({"name": name, "spec": spec}))
        .status(201)
        .shows(json!({"name": name, "generation": 1}))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Rollback {
    #[serde(default)]
    generation: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    to: String,
}

async fn act(node: &Node, key: DeploymentKey, verb: &str, body: &[u8]) -> Answer<Json<Value>> {
    match verb {
        "pause" => drop(node.host.pause(&key).await?),
        "resume" => drop(node.host.resume(&key).await?),
        "restart" => drop(node.host.restart(&key).await?),
        "rollback" => {
            let rollback: Rollback = if body.is_empty() { Rollback::default() } else { parse(body)? };
            drop(node.host.rollback(&key, rollback.generation).await?);
        }
        "reset" => {
            let reset: Reset = parse(body)?;
            node.host.reset(&key, From::parse(&reset.to)?.reset()).await?;
        }
        other => {
            return Err(not_found(format!(
                "there is no verb {other:?}: expected pause, resume, restart, rollback or reset"
            )));
        }
    }
    let generation = node.host.deployment(&key).map(|deployment| deployment.generation);
    Ok(Json(json!({"name": key.name, "generation": generation})))
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Answer<T> {
    serde_json::from_slice(body)
        .map_err(|error| crate::answer::invalid(format!("the body is not what is expected here: {error}")))
}

/// The deployments of one kind, as a list shows them.
pub fn rows(node: &Node, kind: DeploymentKind) -> Vec<Value> {
    node.host.status().iter().filter(|status| status.key.kind == kind).map(row).collect()
}

fn row(status: &DeploymentStatus) -> Value {
    let error = status.error.as_ref().or_else(|| status.tasks.iter().find_map(|task| task.error.as_ref()));
    json!({
        "name": status.key.name, "state": status.state, "generation": status.generation, "tasks": status.tasks.len(),
        "inputs": status.inputs, "outputs": status.outputs,
        "records_in": status.counts.records_in, "records_out": status.counts.records_out, "records_failed": status.counts.records_failed,
        "lag": status.lag.as_ref().map(|lag| lag.amount), "error": error.map(|error| &error.message),
    })
}

fn describe(node: &Node, key: &DeploymentKey) -> Answer<Json<Value>> {
    let missing = || {
        not_found(format!(
            "there is no {} {:?}; `millstream {} list` shows what there is",
            key.kind.word(),
            key.name,
            key.kind.word()
        ))
    };
    let (status, stored) = node.host.status_one(key).zip(node.host.deployment(key)).ok_or_else(missing)?;
    let mut described = row(&status);
    described["spec"] = stored.spec;
    described["group"] = json!(key.group());
    described["status"] = json!(status);
    described["history"] = json!(
        stored
            .history
            .iter()
            .map(|(generation, spec)| json!({"generation": generation, "spec": spec}))
            .collect::<Vec<_>>()
    );
    Ok(Json(described))
}

/// What a deployment logged: a guest's own lines, and its last errors.
fn logs(node: &Node, key: &DeploymentKey) -> Answer<Json<Vec<Value>>> {
    let missing = || not_found(format!("there is no {} {:?}", key.kind.word(), key.name));
    let status = node.host.status_one(key).ok_or_else(missing)?;
    let guest = node
        .components
        .as_ref()
        .filter(|_| key.kind == DeploymentKind::Function)
        .map(|components| components.logs(&key.name));
    let mut lines = guest.unwrap_or_default();
    let errors = status.error.iter().chain(status.tasks.iter().filter_map(|task| task.error.as_ref()));
    lines.extend(errors.map(|error| json!({"time": time(error.at.0), "level": "error", "message": error.message})));
    Ok(Json(lines))
}

fn time(ms: i64) -> Option<String> {
    chrono::DateTime::from_timestamp_millis(ms).map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}

/// A deploy of any kind.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// The name.
    pub name: String,
    /// What it is, in its kind's own words.
    pub spec: Value,
}

/// Stores a deployment's next generation and says which it is.
pub async fn deploy(
    node: &Node,
    kind: DeploymentKind,
    Body(deploy): Body<Deploy>,
) -> Answer<(StatusCode, Json<Value>)> {
    let key = DeploymentKey { kind, name: deploy.name };
    let stored = node.host.deploy(key, deploy.spec).await?;
    Ok((StatusCode::CREATED, Json(json!({"name": stored.key.name, "generation": stored.generation}))))
}
