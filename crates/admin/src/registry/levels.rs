//! `/config` and `/mode`: what a subject demands of a new version.

use super::answer::{Answer, Refusal, Registry};
use crate::ports::Node;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::routing::get;
use millstream_metadata::Error as MetadataError;
use millstream_metadata::schemas::COMPATIBILITY_DEFAULT;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub fn routes() -> Router<Arc<Node>> {
    Router::new()
        .route("/config", get(common).put(set_common).delete(delete_common))
        .route("/config/{subject}", get(own).put(set_own).delete(delete_own))
        .route("/mode", get(mode))
        .route("/mode/{subject}", get(mode_of))
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
