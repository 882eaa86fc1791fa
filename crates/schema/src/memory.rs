//! A registry in memory: the [`SchemaLookup`] of tests and of programs without a metadata log.

use crate::{Error, Reference, Registered, SchemaLookup, SchemaType, schema::Schema};
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

/// A registry without rules: what is registered is found, under ids from 1.
#[derive(Default)]
pub struct MemorySchemas(RwLock<Held>);

#[derive(Default)]
struct Held {
    subjects: BTreeMap<String, Vec<Registered>>,
    ids: BTreeMap<String, i32>,
}

impl MemorySchemas {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a schema as the next version of `subject`; the same schema gets the same id, and under one subject the same version.
    ///
    /// # Errors
    /// When the text is not a schema of its type or a reference leads nowhere.
    pub fn register(
        &self,
        subject: &str,
        schema_type: SchemaType,
        text: &str,
        references: &[Reference],
    ) -> Result<Registered, Error> {
        let fingerprint = Schema::parse(schema_type, text, references, self)?.fingerprint();
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let next = i32::try_from(held.ids.len()).unwrap_or(i32::MAX).saturating_add(1);
        let id = *held.ids.entry(fingerprint).or_insert(next);
        let versions = held.subjects.entry(subject.to_owned()).or_default();
        if let Some(same) = versions.iter().find(|registered| registered.id == id) {
            return Ok(same.clone());
        }
        let version = i32::try_from(versions.len()).unwrap_or(i32::MAX).saturating_add(1);
        let registered = Registered {
            id,
            version,
            subject: subject.to_owned(),
            schema_type,
            text: text.to_owned(),
            references: references.to_vec(),
        };
        versions.push(registered.clone());
        Ok(registered)
    }

    fn find<T>(&self, search: impl FnOnce(&Held) -> Option<T>) -> Option<T> {
        search(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SchemaLookup for MemorySchemas {
    fn latest(&self, subject: &str) -> Option<Registered> {
        self.find(|held| held.subjects.get(subject)?.last().cloned())
    }

    fn by_id(&self, id: i32) -> Option<Registered> {
        self.find(|held| held.subjects.values().flatten().find(|registered| registered.id == id).cloned())
    }

    fn by_version(&self, subject: &str, version: i32) -> Option<Registered> {
        self.find(|held| held.subjects.get(subject)?.iter().find(|registered| registered.version == version).cloned())
    }
}
