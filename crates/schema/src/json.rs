//! JSON Schema: the parsed form, references, and the translation to columns.

pub(crate) mod date;
pub(crate) mod decode;
pub(crate) mod scan;
mod shapes;

pub(crate) use shapes::type_of;

use crate::shape::FieldShape;
use crate::text::Json;
use crate::{Error, SchemaType};
use jsonschema::{Retrieve, Uri, Validator};
use std::collections::BTreeMap;

/// Where names that are no addresses of their own are looked up.
const BASE: &str = "json-schema:///";

/// A checked JSON Schema.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    pub(crate) root: Json,
    references: BTreeMap<String, Json>,
}

impl Parsed {
    /// Checks a schema against its draft's own schema, and that every `$ref` leads somewhere.
    pub(crate) fn new(root: Json, used: &BTreeMap<String, String>) -> Result<Self, Error> {
        let invalid = |reason: String| Error::InvalidSchema { schema_type: SchemaType::Json, reason };
        if !matches!(root, Json::Object(_) | Json::Bool(_)) {
            return Err(invalid("a JSON Schema is an object, or true or false".to_owned()));
        }
        let references = used
            .iter()
            .map(|(name, text)| {
                Ok((name.clone(), Json::parse(text).map_err(|reason| invalid(format!("in {name}: {reason}")))?))
            })
            .collect::<Result<BTreeMap<_, _>, Error>>()?;
        let parsed = Self { root, references };
        parsed.validator()?;
        Ok(parsed)
    }

    /// What checks values against it. Nothing is ever fetched: what is not among the references is an error.
    pub(crate) fn validator(&self) -> Result<Validator, Error> {
        let references = self.references.iter().map(|(name, tree)| (name.clone(), tree.to_value())).collect();
        jsonschema::options()
            .with_base_uri(BASE)
            .with_retriever(References(references))
            .build(&self.root.to_value())
            .map_err(|error| Error::InvalidSchema { schema_type: SchemaType::Json, reason: in_words(&error) })
    }

    /// The columns of its values, and whether values are objects; one that does not describe objects has a single field of no name.
    pub(crate) fn fields(&self) -> (Vec<FieldShape>, bool) {
        shapes::fields(self)
    }

    /// What a `$ref` of the document `document` (none: this schema) leads to, and the document that it lies in.
    pub(crate) fn lookup<'a>(
        &'a self,
        reference: &'a str,
        document: Option<&'a str>,
    ) -> Option<(&'a Json, Option<&'a str>)> {
        let (name, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        let (tree, document) = if name.is_empty() {
            (document.map_or(Some(&self.root), |name| self.references.get(name))?, document)
        } else {
            let name = name.strip_prefix(BASE).unwrap_or(name);
            let (name, tree) = self.references.get_key_value(name)?;
            (tree, Some(name.as_str()))
        };
        let steps = pointer.split('/').skip(1);
        let found = steps.into_iter().try_fold(tree, |tree, step| {
            let step = step.replace("~1", "/").replace("~0", "~");
            match tree {
                Json::Array(items) => items.get(step.parse::<usize>().ok()?),
                object => object.get(&step),
            }
        })?;
        Some((found, document))
    }
}

/// An error of the validator with the place it was found at.
pub(crate) fn in_words(error: &jsonschema::ValidationError<'_>) -> String {
    match error.instance_path().as_str() {
        "" => error.to_string(),
        path => format!("{error} (at {path})"),
    }
}

struct References(BTreeMap<String, serde_json::Value>);

impl Retrieve for References {
    fn retrieve(&self, uri: &Uri<String>) -> Result<serde_json::Value, Box<dyn std::error::Error + Send + Sync>> {
        let uri = uri.as_str();
        let name = uri.strip_prefix(BASE).unwrap_or(uri);
        let last = uri.rsplit('/').next().unwrap_or(uri);
        let found = [uri, name, last].into_iter().find_map(|name| self.0.get(name));
        found.cloned().ok_or_else(|| format!("{name:?} is not among the schema's references").into())
    }
}
