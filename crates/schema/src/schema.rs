//! A parsed schema: checked once, with its references, its canonical form and its fingerprint.

use crate::text::Json;
use crate::{Error, Reference, Registered, SchemaLookup, SchemaType, avro, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The longest text of one schema.
pub const SCHEMA_BYTES_MAX: usize = 1 << 20;
/// How deep references may refer to references.
pub const REFERENCES_DEEP_MAX: usize = 16;

/// A schema that is valid in its language and whose references are resolved.
#[derive(Debug, Clone)]
pub struct Schema {
    schema_type: SchemaType,
    text: String,
    canonical: String,
    pub(crate) body: Body,
}

/// What a schema says, by language.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Avro(avro::Parsed),
    Json(json::Parsed),
}

impl Schema {
    /// Parses and checks a schema's text.
    ///
    /// # Errors
    /// When the text is too large or not a schema of its type, or a reference leads nowhere.
    pub fn parse(
        schema_type: SchemaType,
        text: &str,
        references: &[Reference],
        lookup: &dyn SchemaLookup,
    ) -> Result<Self, Error> {
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(Error::TooLarge { size: text.len(), limit: SCHEMA_BYTES_MAX });
        }
        let mut used = BTreeMap::new();
        resolve(references, lookup, &mut used, 0)?;
        let tree = Json::parse(text).map_err(|reason| Error::InvalidSchema { schema_type, reason })?;
        let body = match schema_type {
            SchemaType::Avro => Body::Avro(avro::Parsed::new(text, &used)?),
            SchemaType::Json => Body::Json(json::Parsed::new(tree.clone(), &used)?),
            SchemaType::Protobuf => return Err(Error::Unsupported { schema_type }),
        };
        let canonical = canonical(schema_type, tree, references);
        Ok(Self { schema_type, text: text.to_owned(), canonical, body })
    }

    /// Parses a registered schema.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn of(registered: &Registered, lookup: &dyn SchemaLookup) -> Result<Self, Error> {
        Self::parse(registered.schema_type, &registered.text, &registered.references, lookup)
    }

    /// Its language.
    #[must_use]
    pub const fn schema_type(&self) -> SchemaType {
        self.schema_type
    }

    /// Its text as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its text without what has no meaning (spaces, the order of keys), with its references. Two texts with the same canonical form
    /// are the same schema. Avro's own "parsing canonical form" is not used: it forgets defaults, which decide compatibility.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// SHA-256 of type and canonical form, in hex: what a registry finds a schema's id by. Stored: never change how it is made.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(self.schema_type.word());
        digest.update([0]);
        digest.update(&self.canonical);
        digest.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Collects the texts that a schema refers to, directly or not, by the names used.
fn resolve(
    references: &[Reference],
    lookup: &dyn SchemaLookup,
    used: &mut BTreeMap<String, String>,
    depth: usize,
) -> Result<(), Error> {
    if depth > REFERENCES_DEEP_MAX {
        return Err(Error::ReferencesTooDeep { limit: REFERENCES_DEEP_MAX });
    }
    for reference in references {
        if used.contains_key(&reference.name) {
            continue;
        }
        let Reference { name, subject, version } = reference;
        let found = match version {
            // The registry's clients may say "latest" as -1.
            -1 => lookup.latest(subject),
            version => lookup.by_version(subject, *version),
        };
        let Some(found) = found else {
            return Err(Error::UnresolvedReference { name: name.clone(), subject: subject.clone(), version: *version });
        };
        used.insert(name.clone(), found.text.clone());
        resolve(&found.references, lookup, used, depth + 1)?;
    }
    Ok(())
}

fn canonical(schema_type: SchemaType, tree: Json, references: &[Reference]) -> String {
    let tree = if schema_type == SchemaType::Avro { bare_types(tree) } else { tree };
    let mut text = String::new();
    tree.write_sorted(&mut text);
    let mut sorted = references.to_vec();
    sorted.sort();
    for Reference { name, subject, version } in sorted {
        let _ = write!(text, "\n{name:?} {subject:?} {version}");
    }
    text
}

/// Avro's `{"type": "string"}` is `"string"`: clients of different languages write one or the other.
fn bare_types(tree: Json) -> Json {
    match tree {
        Json::Array(items) => Json::Array(items.into_iter().map(bare_types).collect()),
        Json::Object(members) => match <[(String, Json); 1]>::try_from(members) {
            Ok([(key, only)]) if key == "type" => bare_types(only),
            Ok([(key, only)]) => Json::Object(vec![(key, bare_types(only))]),
            Err(members) => Json::Object(members.into_iter().map(|(key, value)| (key, bare_types(value))).collect()),
        },
        scalar => scalar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemorySchemas;

    fn fingerprint(schema_type: SchemaType, text: &str) -> String {
        Schema::parse(schema_type, text, &[], &MemorySchemas::new()).expect("valid").fingerprint()
    }

    #[test]
    fn spaces_and_key_order_do_not_make_another_schema() {
        let a = r#"{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"integer"}}}"#;
        let b = r#"{ "properties": {"a": {"type":"integer"}, "b":{"type":"string"}}, "type":"object" }"#;
        assert_eq!(fingerprint(SchemaType::Json, a), fingerprint(SchemaType::Json, b));
    }

    #[test]
    fn an_avro_default_makes_another_schema() {
        let a = r#"{"type":"record","name":"R","fields":[{"name":"x","type":"int"}]}"#;
        let b = r#"{"type":"record","name":"R","fields":[{"name":"x","type":"int","default":1}]}"#;
        assert_ne!(fingerprint(SchemaType::Avro, a), fingerprint(SchemaType::Avro, b));
    }

    #[test]
    fn avro_types_in_braces_are_the_same_schema() {
        let a = r#"{"type":"record","name":"R","fields":[{"name":"x","type":{"type":"int"}}]}"#;
        let b = r#"{"name":"R","type":"record","fields":[{"type":"int","name":"x"}]}"#;
        assert_eq!(fingerprint(SchemaType::Avro, a), fingerprint(SchemaType::Avro, b));
        assert_eq!(fingerprint(SchemaType::Avro, r#"{"type":"string"}"#), fingerprint(SchemaType::Avro, r#""string""#));
    }

    #[test]
    fn a_type_is_part_of_the_fingerprint() {
        let text = r#"{"type":"array","items":"string"}"#;
        assert!(Schema::parse(SchemaType::Json, text, &[], &MemorySchemas::new()).is_err());
        assert_eq!(fingerprint(SchemaType::Avro, text).len(), 64);
    }

    #[test]
    fn what_is_no_schema_is_refused_in_words() {
        for (schema_type, text) in [
            (SchemaType::Json, "{"),
            (SchemaType::Json, r#"{"type":"number or so"}"#),
            (SchemaType::Json, "[]"),
            (SchemaType::Avro, "{}"),
            (SchemaType::Avro, r#"{"type":"record","name":"R","fields":[{"name":"x","type":"Nowhere"}]}"#),
        ] {
            let error = Schema::parse(schema_type, text, &[], &MemorySchemas::new()).expect_err(text);
            assert!(matches!(&error, Error::InvalidSchema { .. }), "{error}");
            assert!(error.to_string().contains("correct the schema text"), "{error}");
        }
    }

    #[test]
    fn a_deep_text_is_refused_and_not_a_crash() {
        let deep = format!("{}{}", r#"{"items":"#.repeat(10_000), "}".repeat(10_000));
        for schema_type in [SchemaType::Json, SchemaType::Avro] {
            assert!(Schema::parse(schema_type, &deep, &[], &MemorySchemas::new()).is_err());
        }
    }

    #[test]
    fn a_reference_to_nothing_names_what_is_missing() {
        let reference = Reference { name: "money.json".into(), subject: "money".into(), version: 3 };
        let error = Schema::parse(SchemaType::Json, "{}", &[reference], &MemorySchemas::new()).expect_err("missing");
        assert!(error.to_string().contains("version 3 of the subject \"money\""), "{error}");
    }

    #[test]
    fn references_are_resolved() {
        let schemas = MemorySchemas::new();
        schemas
            .register(
                "money",
                SchemaType::Avro,
                r#"{"type":"record","name":"shop.Money","fields":[{"name":"cents","type":"long"}]}"#,
                &[],
            )
            .expect("valid");
        let reference = Reference { name: "shop.Money".into(), subject: "money".into(), version: 1 };
        let order = r#"{"type":"record","name":"Order","fields":[{"name":"total","type":"shop.Money"}]}"#;
        assert!(Schema::parse(SchemaType::Avro, order, &[reference], &schemas).is_ok());
        assert!(Schema::parse(SchemaType::Avro, order, &[], &schemas).is_err());
    }
}
