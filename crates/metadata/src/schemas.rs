//! Registering and deleting schemas, by the rules of Confluent's registry.
//!
//! Whether a text is a schema and fits its predecessors is checked by the caller, which then registers against the version it
//! checked against: a version that came between is a conflict, never an unchecked neighbour.

use crate::record::{SchemaRecord, SchemaReference};
use crate::{Decision, Error, Image, Record, Schema, Subject};

/// The levels of compatibility, under the registry's names.
pub const COMPATIBILITY_LEVELS: &[&str] =
    &["NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"];
/// The level where none is set.
pub const COMPATIBILITY_DEFAULT: &str = "BACKWARD";
/// Bytes of the longest schema.
pub const TEXT_LEN_MAX: usize = 1 << 20;

/// What is to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// The subject.
    pub subject: String,
    /// The content, checked by the caller.
    pub schema: Schema,
    /// The subject's latest version that compatibility was checked against: `Some(None)` says that there was none, `None` that
    /// nothing was checked.
    pub checked_against: Option<Option<i32>>,
}

/// Where a registered schema is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    /// The id of its content.
    pub id: i32,
    /// Its version within the subject.
    pub version: i32,
}

/// Registers a schema. A content that the subject has already keeps its version; one that another subject has keeps its id.
///
/// # Errors
/// [`Error::InvalidSchema`], [`Error::SubjectChanged`], [`Error::UnknownSchemaVersion`] for a reference to nothing.
pub fn register(image: &Image, request: &Register) -> Result<Decision<Registered>, Error> {
    check_content(image, request)?;
    let subject = image.subject(&request.subject);
    let known = image.schema_id_of(&request.schema);
    let live = subject.and_then(|subject| subject.live().find(|(_, version)| Some(version.id) == known));
    if let Some((version, state)) = live {
        return Ok(Decision::unchanged(Registered { id: state.id, version }));
    }
    let latest = subject.and_then(|subject| subject.latest()).map(|(version, _)| version);
    if request.checked_against.is_some_and(|checked| checked != latest) {
        return Err(Error::SubjectChanged { subject: request.subject.clone(), latest });
    }
    let next_id = || image.last_schema_id().checked_add(1).ok_or(Error::IdsExhausted { what: "schema ids" });
    let id = known.map_or_else(next_id, Ok)?;
    // Soft-deleted versions keep their numbers.
    let newest = subject.and_then(|subject| subject.versions.keys().next_back().copied()).unwrap_or(0);
    let version = newest.checked_add(1).ok_or(Error::IdsExhausted { what: "schema versions" })?;
    let record = Record::Schema(SchemaRecord {
        subject: request.subject.clone(),
        version,
        id,
        schema_type: request.schema.schema_type,
        text: request.schema.text.clone(),
        references: request.schema.references.clone(),
    });
    Ok(Decision::new(vec![record], Registered { id, version }))
}

/// Deletes one version; answers its number. `version` absent means the latest.
///
/// # Errors
/// The subject or version is unknown, referenced, or (for a permanent delete) not soft-deleted before.
pub fn delete_version(
    image: &Image,
    subject: &str,
    version: Option<i32>,
    permanent: bool,
) -> Result<Decision<i32>, Error> {
    let stored = find(image, subject)?;
    let latest = || {
        stored.latest().map(|(number, _)| number).ok_or_else(|| Error::UnknownSubject { subject: subject.to_owned() })
    };
    let number = version.map_or_else(latest, Ok)?;
    let name = || subject.to_owned();
    let state =
        stored.versions.get(&number).ok_or_else(|| Error::UnknownSchemaVersion { subject: name(), version: number })?;
    match (state.deleted, permanent) {
        (true, false) => return Err(Error::SchemaVersionSoftDeleted { subject: name(), version: number }),
        (false, true) => return Err(Error::SchemaVersionNotSoftDeleted { subject: name(), version: number }),
        (true, true) | (false, false) => {}
    }
    check_unreferenced(image, subject, number)?;
    Ok(Decision::new(vec![deleted(subject, number, permanent)], number))
}

/// Deletes all versions of a subject; answers their numbers. A soft delete takes those that are still there.
///
/// # Errors
/// The subject is unknown, one of its versions is referenced, or (for a permanent delete) not all are soft-deleted before.
pub fn delete_subject(image: &Image, subject: &str, permanent: bool) -> Result<Decision<Vec<i32>>, Error> {
    let stored = find(image, subject)?;
    let name = || subject.to_owned();
    let numbers: Vec<i32> = match permanent {
        true if stored.latest().is_some() => return Err(Error::SubjectNotSoftDeleted { subject: name() }),
        true => stored.versions.keys().copied().collect(),
        false if stored.latest().is_none() => return Err(Error::SubjectSoftDeleted { subject: name() }),
        false => stored.live().map(|(number, _)| number).collect(),
    };
    numbers.iter().try_for_each(|number| check_unreferenced(image, subject, *number))?;
    let versions = numbers.iter().map(|number| deleted(subject, *number, permanent));
    let own_level = image.subject_compatibility(subject).filter(|_| permanent);
    let level = own_level.map(|_| Record::SchemaCompatibility { subject: Some(name()), level: None });
    Ok(Decision::new(versions.chain(level).collect(), numbers))
}

/// Sets the level of compatibility of a subject, or (absent) of all without one of their own.
///
/// # Errors
/// [`Error::InvalidCompatibility`].
pub fn set_compatibility(image: &Image, subject: Option<&str>, level: &str) -> Result<Decision<()>, Error> {
    if !COMPATIBILITY_LEVELS.contains(&level) {
        let expected = COMPATIBILITY_LEVELS.join(", ");
        return Err(Error::InvalidCompatibility { level: level.to_owned(), expected });
    }
    let stored = subject.map_or(image.compatibility(), |subject| image.subject_compatibility(subject));
    if stored == Some(level) {
        return Ok(Decision::unchanged(()));
    }
    Ok(Decision::new(vec![compatibility(subject, Some(level))], ()))
}

/// Gives a subject the common level again, or (absent) all the default. Answers the level that was set.
///
/// # Errors
/// [`Error::NoSubjectCompatibility`].
pub fn delete_compatibility(image: &Image, subject: Option<&str>) -> Result<Decision<Option<String>>, Error> {
    let stored = subject.map_or(image.compatibility(), |subject| image.subject_compatibility(subject));
    match (stored, subject) {
        (Some(level), _) => Ok(Decision::new(vec![compatibility(subject, None)], Some(level.to_owned()))),
        (None, Some(subject)) => Err(Error::NoSubjectCompatibility { subject: subject.to_owned() }),
        (None, None) => Ok(Decision::unchanged(None)),
    }
}

fn compatibility(subject: Option<&str>, level: Option<&str>) -> Record {
    Record::SchemaCompatibility { subject: subject.map(str::to_owned), level: level.map(str::to_owned) }
}

fn deleted(subject: &str, version: i32, permanent: bool) -> Record {
    Record::SchemaDeleted { subject: subject.to_owned(), version, permanent }
}

fn find<'a>(image: &'a Image, subject: &str) -> Result<&'a Subject, Error> {
    image.subject(subject).map(|shared| &**shared).ok_or_else(|| Error::UnknownSubject { subject: subject.to_owned() })
}

fn check_content(image: &Image, request: &Register) -> Result<(), Error> {
    let refuse = |reason: String| Err(Error::InvalidSchema { subject: request.subject.clone(), reason });
    if request.subject.is_empty() {
        return refuse("the subject's name is empty".into());
    }
    if request.schema.text.len() > TEXT_LEN_MAX {
        return refuse(format!("it has {} bytes; at most {TEXT_LEN_MAX} are allowed", request.schema.text.len()));
    }
    for SchemaReference { subject, version, .. } in &request.schema.references {
        let live =
            image.subject(subject).and_then(|stored| stored.versions.get(version)).is_some_and(|state| !state.deleted);
        if !live {
            return Err(Error::UnknownSchemaVersion { subject: subject.clone(), version: *version });
        }
    }
    Ok(())
}

fn check_unreferenced(image: &Image, subject: &str, version: i32) -> Result<(), Error> {
    let refers = |id: i32| {
        let references = image.schema(id).map(|schema| schema.references.as_slice()).unwrap_or_default();
        references.iter().any(|reference| reference.subject == subject && reference.version == version)
    };
    let referrer = image.subjects().iter().find_map(|(name, stored)| {
        let number = stored.live().find(|(_, state)| refers(state.id))?.0;
        Some(format!("version {number} of {name:?}"))
    });
    match referrer {
        Some(by) => Err(Error::SchemaReferenced { subject: subject.to_owned(), version, by }),
        None => Ok(()),
    }
}
