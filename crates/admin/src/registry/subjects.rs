//! `/subjects` and `/compatibility`: schemas under names, version by version.

use super::answer::{Answer, Refusal, Registry};
use crate::about::About;
use crate::api::Api;
use crate::ports::{Node, SchemasError};
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use millstream_metadata::schemas::{COMPATIBILITY_DEFAULT, Register};
use millstream_metadata::{Error as MetadataError, Image, Schema as Content, SchemaReference, SchemaVersion, Subject};
use millstream_schema::{Compatibility, Level, Reference, Schema, SchemaType};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub fn routes() -> Api {
    let schema = "{\"type\":\"object\"}";
    let posted = || json!({"schema": schema, "schemaType": "JSON"});
    let takes = |about: About| about.takes_any("application/vnd.schemaregistry.v1+json", posted());
    let shown = || json!({"subject": "orders-value", "version": 1, "id": 1, "schema": schema});
    let deleted = |about: About| about.query("permanent", "`true` forgets what was deleted before.");
    let verdict = |about: About| {
        let verbose = takes(about).query("verbose", "`true` adds the reasons.");
        verbose.registry(json!({"is_compatible": true}))
    };
    let list_about = About::new("The subjects.").query("subjectPrefix", "Only those that begin so.");
    let hidden = |about: About| about.query("deleted", "`true` shows what was deleted as well.");
    Api::default()
        .get("/subjects", list, hidden(list_about).registry(json!(["orders-value"])))
        .post(
            "/subjects/{subject}",
            find,
            takes(About::new("The version of a subject that has this schema.")).registry(shown()),
        )
        .delete(
            "/subjects/{subject}",
            delete,
            deleted(About::new("Delete a subject; its versions are the answer.")).registry(json!([1])),
        )
        .get("/subjects/{subject}/versions", versions, hidden(About::new("A subject's versions.")).registry(json!([1])))
        .post(
            "/subjects/{subject}/versions",
            register,
            takes(About::new("Register a schema.")).registry(json!({"id": 1})),
        )
        .get("/subjects/{subject}/versions/{version}", show, hidden(About::new("A version.")).registry(shown()))
        .delete(
            "/subjects/{subject}/versions/{version}",
            delete_version,
            deleted(About::new("Delete a version; its number is the answer.")).registry(json!(1)),
        )
        .get(
            "/subjects/{subject}/versions/{version}/schema",
            text,
            About::new("A version's own text.").text("text/plain; charset=utf-8", schema),
        )
        .get(
            "/subjects/{subject}/versions/{version}/referencedby",
            referenced_by,
            About::new("The ids of schemas that refer to a version.").registry(json!([2])),
        )
        .post(
            "/compatibility/subjects/{subject}/versions/{version}",
            check,
            verdict(About::new("Whether a schema is compatible with a version.")),
        )
        .post(
            "/compatibility/subjects/{subject}/versions",
            check_all,
            verdict(About::new("Whether a schema is compatible with the versions that count at the subject's level.")),
        )
}

/// Registrations repeated because another came between.
const TRIES: usize = 5;

#[derive(Deserialize, Default)]
struct Flags {
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    permanent: bool,
    #[serde(default)]
    verbose: bool,
    #[serde(default, rename = "subjectPrefix")]
    prefix: String,
}

/// A schema as serializers post it; fields of data contracts that we do not carry are left alone.
#[derive(Deserialize)]
struct Posted {
    schema: String,
    #[serde(default, rename = "schemaType")]
    schema_type: Option<String>,
    #[serde(default)]
    references: Option<Vec<PostedReference>>,
}

#[derive(Deserialize)]
struct PostedReference {
    name: String,
    subject: String,
    version: i32,
}

/// Serializers post under several content types, so the body is read whatever it is called.
fn posted(node: &Node, body: &Bytes) -> Result<Schema, Refusal> {
    let posted: Posted = serde_json::from_slice(body)
        .map_err(|error| Refusal::new(42201, format!("the body is not a schema to register: {error}")))?;
    let kind: SchemaType =
        posted.schema_type.as_deref().unwrap_or("AVRO").parse().map_err(|error| Refusal::invalid_schema(&error))?;
    let references: Vec<Reference> = posted
        .references
        .unwrap_or_default()
        .into_iter()
        .map(|one| Reference { name: one.name, subject: one.subject, version: one.version })
        .collect();
    let parsed = Schema::parse(kind, &posted.schema, &references, &*node.lookup);
    parsed.map_err(|error| Refusal::invalid_schema(&error))
}

fn subject<'a>(image: &'a Image, name: &str) -> Result<&'a Arc<Subject>, Refusal> {
    let found = image.subject(name).filter(|subject| subject.latest().is_some());
    found.ok_or_else(|| MetadataError::UnknownSubject { subject: name.to_owned() }.into())
}

/// `latest`, `-1`, or a number.
fn version(image: &Image, name: &str, text: &str, deleted: bool) -> Result<(i32, SchemaVersion), Refusal> {
    let found = match image.subject(name) {
        Some(stored) if deleted || stored.latest().is_some() => stored,
        _ => return Err(MetadataError::UnknownSubject { subject: name.to_owned() }.into()),
    };
    if matches!(text, "latest" | "-1") {
        return found.latest().ok_or_else(|| MetadataError::UnknownSubject { subject: name.to_owned() }.into());
    }
    let number = number(text)?;
    let state = found.versions.get(&number).filter(|state| deleted || !state.deleted);
    state
        .map(|state| (number, *state))
        .ok_or_else(|| MetadataError::UnknownSchemaVersion { subject: name.to_owned(), version: number }.into())
}

fn number(text: &str) -> Result<i32, Refusal> {
    let number = text.parse::<i32>().ok().filter(|number| *number > 0);
    number.ok_or_else(|| Refusal::new(42202, format!("{text:?} is no version: expected a number from 1, or latest")))
}

/// How the registry shows one version; it leaves the type out where it is Avro.
fn shown(image: &Image, name: &str, version: i32, id: i32) -> Result<Value, Refusal> {
    let content = image.schema(id).ok_or(MetadataError::UnknownSchema { id })?;
    let mut shown = json!({"subject": name, "version": version, "id": id, "schema": content.text});
    super::schemas::add_type(&mut shown, content);
    Ok(shown)
}

async fn list(State(node): State<Arc<Node>>, Query(flags): Query<Flags>) -> Registry<Vec<String>> {
    let image = node.schemas.image();
    let seen = image.subjects().iter().filter(|(name, stored)| {
        name.starts_with(flags.prefix.as_str()) && (flags.deleted || stored.latest().is_some())
    });
    Registry(seen.map(|(name, _)| name.to_string()).collect())
}

async fn versions(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
    Query(flags): Query<Flags>,
) -> Answer<Vec<i32>> {
    let image = node.schemas.image();
    if flags.deleted {
        let stored = image.subject(&name).ok_or(MetadataError::UnknownSubject { subject: name })?;
        return Ok(Registry(stored.versions.keys().copied().collect()));
    }
    Ok(Registry(subject(&image, &name)?.live().map(|(number, _)| number).collect()))
}

async fn show(
    State(node): State<Arc<Node>>,
    Path((name, wanted)): Path<(String, String)>,
    Query(flags): Query<Flags>,
) -> Answer<Value> {
    let image = node.schemas.image();
    let (number, state) = version(&image, &name, &wanted, flags.deleted)?;
    Ok(Registry(shown(&image, &name, number, state.id)?))
}

async fn text(State(node): State<Arc<Node>>, Path((name, wanted)): Path<(String, String)>) -> Result<String, Refusal> {
    let image = node.schemas.image();
    let (_, state) = version(&image, &name, &wanted, false)?;
    let content = image.schema(state.id).ok_or(MetadataError::UnknownSchema { id: state.id })?;
    Ok(content.text.clone())
}

async fn referenced_by(
    State(node): State<Arc<Node>>,
    Path((name, wanted)): Path<(String, String)>,
) -> Answer<Vec<i32>> {
    let image = node.schemas.image();
    let (number, _) = version(&image, &name, &wanted, false)?;
    let refers = |id: i32| {
        image
            .schema(id)
            .is_some_and(|content| content.references.iter().any(|one| one.subject == name && one.version == number))
    };
    let mut ids: Vec<i32> = image
        .subjects()
        .iter()
        .flat_map(|(_, stored)| stored.live().map(|(_, state)| state.id).collect::<Vec<_>>())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(Registry(ids.into_iter().filter(|id| refers(*id)).collect()))
}

/// The version of the subject that has this content, in whatever spelling.
fn known(node: &Node, image: &Image, name: &str, schema: &Schema) -> Option<(i32, i32)> {
    let stored = image.subject(name)?;
    stored
        .live()
        .find(|(_, state)| {
            let registered = node.lookup.by_id(state.id);
            registered
                .and_then(|registered| Schema::of(&registered, &*node.lookup).ok())
                .is_some_and(|other| other.fingerprint() == schema.fingerprint())
        })
        .map(|(number, state)| (number, state.id))
}

async fn find(State(node): State<Arc<Node>>, Path(name): Path<String>, body: Bytes) -> Answer<Value> {
    let image = node.schemas.image();
    subject(&image, &name)?;
    let schema = posted(&node, &body)?;
    let (number, id) = known(&node, &image, &name, &schema)
        .ok_or_else(|| Refusal::new(40403, format!("the subject {name:?} has no such schema")))?;
    Ok(Registry(shown(&image, &name, number, id)?))
}

fn level(image: &Image, name: &str) -> Level {
    let word = image.subject_compatibility(name).or_else(|| image.compatibility()).unwrap_or(COMPATIBILITY_DEFAULT);
    word.parse().unwrap_or_default()
}

/// The subject's versions before a new one, oldest first.
fn earlier(node: &Node, image: &Image, name: &str) -> Vec<Schema> {
    let stored = image.subject(name);
    let ids = stored.iter().flat_map(|stored| stored.live()).map(|(_, state)| state.id);
    ids.filter_map(|id| node.lookup.by_id(id))
        .filter_map(|registered| Schema::of(&registered, &*node.lookup).ok())
        .collect()
}

async fn register(State(node): State<Arc<Node>>, Path(name): Path<String>, body: Bytes) -> Answer<Value> {
    let schema = posted(&node, &body)?;
    let references: Posted = serde_json::from_slice(&body).map_err(|error| Refusal::new(42201, error.to_string()))?;
    for _ in 0..TRIES {
        let image = node.schemas.image();
        if let Some((_, id)) = known(&node, &image, &name, &schema) {
            return Ok(Registry(json!({"id": id})));
        }
        let compatibility = Compatibility::check(level(&image, &name), &schema, &earlier(&node, &image, &name));
        if !compatibility.is_compatible() {
            let message = format!(
                "the schema is not compatible with earlier versions of {name:?}: {}",
                compatibility.conflicts.join("; ")
            );
            return Err(Refusal::new(409, message));
        }
        let latest = image.subject(&name).and_then(|stored| stored.latest()).map(|(number, _)| number);
        let request =
            Register { subject: name.clone(), schema: content(&schema, &references), checked_against: Some(latest) };
        match node.schemas.register(request).await {
            Ok(registered) => return Ok(Registry(json!({"id": registered.id}))),
            Err(SchemasError::Metadata(MetadataError::SubjectChanged { .. })) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Refusal::new(409, format!("the subject {name:?} keeps changing; try again")))
}

fn content(schema: &Schema, posted: &Posted) -> Content {
    let references = posted.references.iter().flatten();
    Content {
        schema_type: match schema.schema_type() {
            SchemaType::Avro => millstream_metadata::SchemaType::Avro,
            SchemaType::Json => millstream_metadata::SchemaType::Json,
            SchemaType::Protobuf => millstream_metadata::SchemaType::Protobuf,
        },
        text: schema.text().to_owned(),
        references: references
            .map(|one| SchemaReference { name: one.name.clone(), subject: one.subject.clone(), version: one.version })
            .collect(),
    }
}

async fn delete(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
    Query(flags): Query<Flags>,
) -> Answer<Vec<i32>> {
    Ok(Registry(node.schemas.delete_subject(&name, flags.permanent).await?))
}

async fn delete_version(
    State(node): State<Arc<Node>>,
    Path((name, wanted)): Path<(String, String)>,
    Query(flags): Query<Flags>,
) -> Answer<i32> {
    let number = if matches!(wanted.as_str(), "latest" | "-1") { None } else { Some(number(&wanted)?) };
    Ok(Registry(node.schemas.delete_version(&name, number, flags.permanent).await?))
}

async fn check(
    State(node): State<Arc<Node>>,
    Path((name, wanted)): Path<(String, String)>,
    Query(flags): Query<Flags>,
    body: Bytes,
) -> Answer<Value> {
    let image = node.schemas.image();
    let schema = posted(&node, &body)?;
    let (_, state) = version(&image, &name, &wanted, false)?;
    let before = node.lookup.by_id(state.id).and_then(|registered| Schema::of(&registered, &*node.lookup).ok());
    Ok(verdict(&Compatibility::check(level(&image, &name), &schema, before.as_slice()), flags.verbose))
}

async fn check_all(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
    Query(flags): Query<Flags>,
    body: Bytes,
) -> Answer<Value> {
    let image = node.schemas.image();
    let schema = posted(&node, &body)?;
    subject(&image, &name)?;
    Ok(verdict(&Compatibility::check(level(&image, &name), &schema, &earlier(&node, &image, &name)), flags.verbose))
}

fn verdict(compatibility: &Compatibility, verbose: bool) -> Registry<Value> {
    let mut verdict = json!({"is_compatible": compatibility.is_compatible()});
    if verbose {
        verdict["messages"] = json!(compatibility.conflicts);
    }
    Registry(verdict)
}
