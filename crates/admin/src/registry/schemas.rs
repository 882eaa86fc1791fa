//! `/schemas`: schemas by their ids.

use super::answer::{Answer, Refusal, Registry};
use crate::about::About;
use crate::api::Api;
use crate::ports::Node;
use axum::extract::{Path, State};
use millstream_metadata::{Error as MetadataError, Image, Schema, SchemaType};
use serde_json::{Value, json};
use std::sync::Arc;

pub fn routes() -> Api {
    let schema = "{\"type\":\"object\"}";
    let versions_about = About::new("Where a schema is used: subjects with versions.");
    Api::default()
        .get(
            "/schemas/types",
            types,
            About::new("The kinds of schemas there can be.").registry(json!(["JSON", "AVRO"])),
        )
        .get("/schemas/ids/{id}", by_id, About::new("A schema by its id.").registry(json!({"schema": schema})))
        .get(
            "/schemas/ids/{id}/schema",
            text,
            About::new("A schema's own text.").text("text/plain; charset=utf-8", schema),
        )
        .get(
            "/schemas/ids/{id}/subjects",
            subjects,
            About::new("The subjects that have a schema.").registry(json!(["orders-value"])),
        )
        .get(
            "/schemas/ids/{id}/versions",
            versions,
            versions_about.registry(json!([{"subject": "orders-value", "version": 1}])),
        )
}

/// Adds type and references as the registry does: only where they are not Avro and none.
pub fn add_type(shown: &mut Value, content: &Schema) {
    match content.schema_type {
        SchemaType::Avro => {}
        SchemaType::Json => shown["schemaType"] = json!("JSON"),
        SchemaType::Protobuf => shown["schemaType"] = json!("PROTOBUF"),
    }
    if !content.references.is_empty() {
        shown["references"] = json!(content.references);
    }
}

fn content(image: &Image, id: i32) -> Result<&Arc<Schema>, Refusal> {
    image.schema(id).ok_or_else(|| MetadataError::UnknownSchema { id }.into())
}

async fn types() -> Registry<[&'static str; 2]> {
    Registry(["JSON", "AVRO"])
}

async fn by_id(State(node): State<Arc<Node>>, Path(id): Path<i32>) -> Answer<Value> {
    let image = node.schemas.image();
    let content = content(&image, id)?;
    let mut shown = json!({"schema": content.text});
    add_type(&mut shown, content);
    Ok(Registry(shown))
}

async fn text(State(node): State<Arc<Node>>, Path(id): Path<i32>) -> Result<String, Refusal> {
    let image = node.schemas.image();
    Ok(content(&image, id)?.text.clone())
}

/// Where an id is used: subject and version.
fn uses(image: &Image, id: i32) -> Vec<(String, i32)> {
    let of = |(name, stored): (&Arc<str>, &Arc<millstream_metadata::Subject>)| {
        let name = name.to_string();
        stored
            .live()
            .filter(|(_, state)| state.id == id)
            .map(move |(number, _)| (name.clone(), number))
            .collect::<Vec<_>>()
    };
    image.subjects().iter().flat_map(of).collect()
}

async fn subjects(State(node): State<Arc<Node>>, Path(id): Path<i32>) -> Answer<Vec<String>> {
    let image = node.schemas.image();
    content(&image, id)?;
    Ok(Registry(uses(&image, id).into_iter().map(|(subject, _)| subject).collect()))
}

async fn versions(State(node): State<Arc<Node>>, Path(id): Path<i32>) -> Answer<Vec<Value>> {
    let image = node.schemas.image();
    content(&image, id)?;
    Ok(Registry(
        uses(&image, id)
            .into_iter()
            .map(|(subject, version)| json!({"subject": subject, "version": version}))
            .collect(),
    ))
}
