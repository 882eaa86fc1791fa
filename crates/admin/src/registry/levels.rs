//! `/config` and `/mode`: what a subject demands of a new version.

use super::answer::{Answer, Refusal, Registry};
use crate::about::About;
use crate::api::Api;
use crate::ports::Node;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use millstream_metadata::Error as MetadataError;
use millstream_metadata::schemas::COMPATIBILITY_DEFAULT;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub fn routes() -> Api {
    let level = || json!({"compatibilityLevel": "BACKWARD"});
    let set = |summary: &str| {
        let takes =
            About::new(summary).takes_any("application/vnd.schemaregistry.v1+json", json!({"compatibility": "FULL"}));
        takes.registry(json!({"compatibility": "FULL"}))
    };
    let unset = |summary: &str| About::new(summary).registry(json!("BACKWARD"));
    let own_about = About::new("A subject's compatibility level.")
        .query("defaultToGlobal", "`true` gives the common level where the subject has none.");
    let mode_about = |summary: &str| About::new(summary).registry(json!({"mode": "READWRITE"}));
    Api::default()
        .get("/config", common, About::new("The compatibility level of subjects that have none.").registry(level()))
        .put("/config", set_common, set("Set the common compatibility level."))
        .delete(
            "/config",
            delete_common,
            unset("Give the common level its default back; the one before is the answer."),
        )
        .get("/config/{subject}", own, own_about.registry(level()))
        .put("/config/{subject}", set_own, set("Set a subject's compatibility level."))
        .delete(
            "/config/{subject}",
            delete_own,
            unset("Give a subject the common level; its own before is the answer."),
        )
        .get("/mode", mode, mode_about("What may be done: always everything."))
        .get("/mode/{subject}", mode_of, mode_about("What may be done with a subject: always everything."))
}

#[derive(Deserialize)]
struct Wanted {
    compatibility: String,
}

#[derive(Deserialize)]
struct Flags {
    #[serde(default, rename = "defaultToGlobal")]
    default_to_global: bool,
}

fn wanted(body: &Bytes) -> Result<String, Refusal> {
    let wanted: Result<Wanted, _> = serde_json::from_slice(body);
    wanted
        .map(|wanted| wanted.compatibility.to_uppercase())
        .map_err(|error| Refusal::new(42203, format!("the body is not {{\"compatibility\": LEVEL}}: {error}")))
}

async fn common(State(node): State<Arc<Node>>) -> Registry<Value> {
    Registry(json!({"compatibilityLevel": node.schemas.image().compatibility().unwrap_or(COMPATIBILITY_DEFAULT)}))
}

async fn own(State(node): State<Arc<Node>>, Path(subject): Path<String>, Query(flags): Query<Flags>) -> Answer<Value> {
    let image = node.schemas.image();
    let fallback = flags.default_to_global.then(|| image.compatibility().unwrap_or(COMPATIBILITY_DEFAULT));
    let level = image.subject_compatibility(&subject).or(fallback);
    let level = level.ok_or(MetadataError::NoSubjectCompatibility { subject })?;
    Ok(Registry(json!({"compatibilityLevel": level})))
}

async fn set_common(State(node): State<Arc<Node>>, body: Bytes) -> Answer<Value> {
    let level = wanted(&body)?;
    node.schemas.set_compatibility(None, &level).await?;
    Ok(Registry(json!({"compatibility": level})))
}

async fn set_own(State(node): State<Arc<Node>>, Path(subject): Path<String>, body: Bytes) -> Answer<Value> {
    let level = wanted(&body)?;
    node.schemas.set_compatibility(Some(&subject), &level).await?;
    Ok(Registry(json!({"compatibility": level})))
}

async fn delete_common(State(node): State<Arc<Node>>) -> Answer<Value> {
    let before = node.schemas.delete_compatibility(None).await?;
    Ok(Registry(json!(before.unwrap_or_else(|| COMPATIBILITY_DEFAULT.to_owned()))))
}

async fn delete_own(State(node): State<Arc<Node>>, Path(subject): Path<String>) -> Answer<Value> {
    Ok(Registry(json!(node.schemas.delete_compatibility(Some(&subject)).await?)))
}

/// Everything can be read and written: there is no other mode.
async fn mode() -> Registry<Value> {
    Registry(json!({"mode": "READWRITE"}))
}

async fn mode_of(Path(_subject): Path<String>) -> Registry<Value> {
    mode().await
}
