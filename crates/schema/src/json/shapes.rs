//! JSON Schema to columns. What has one type becomes a column of it; what may be of several becomes JSON text.

use super::Parsed;
use crate::shape::{FieldShape, Shape};
use crate::text::Json;
use arrow::datatypes::TimeUnit;

/// How deep columns may nest before the rest is JSON text; it also ends schemas that refer to themselves.
const DEPTH_MAX: usize = 24;
/// Columns that one schema may spread into, nested ones counted: beyond, what follows is JSON text.
const FIELDS_MAX: usize = 10_000;

pub(super) fn fields(parsed: &Parsed) -> (Vec<FieldShape>, bool) {
    let mut walk = Walk { parsed, path: Vec::new(), fields: 0 };
    match walk.shape(&parsed.root, None).shape {
        Shape::Struct(fields) => (fields, true),
        shape => (vec![FieldShape { name: String::new(), shape, required: true, nullable: true }], false),
    }
}

struct Typed {
    shape: Shape,
    nullable: bool,
}

struct Walk<'a> {
    parsed: &'a Parsed,
    path: Vec<&'a str>,
    fields: usize,
}

impl<'a> Walk<'a> {
    fn shape(&mut self, schema: &'a Json, document: Option<&'a str>) -> Typed {
        if self.path.len() > DEPTH_MAX || self.fields > FIELDS_MAX {
            return Typed::json();
        }
        if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
            return self.follow(reference, document);
        }
        for word in ["anyOf", "oneOf"] {
            if let Some(branches) = schema.get(word) {
                return self.alternatives(branches.items(), document);
            }
        }
        let (types, nullable) = types(schema);
        let shape = match types.as_slice() {
            ["boolean"] => Shape::Boolean,
            ["integer"] => Shape::Int64,
            ["number"] | ["integer", "number"] | ["number", "integer"] => Shape::Float64,
            ["string"] => text(schema),
            ["array"] => self.list(schema, document),
            ["object"] => self.object(schema, document),
            [] if schema.get("properties").is_some() || schema.get("allOf").is_some() => self.object(schema, document),
            _ => Shape::Json,
        };
        Typed { shape, nullable }
    }

    fn follow(&mut self, reference: &'a str, document: Option<&'a str>) -> Typed {
        if self.path.contains(&reference) {
            return Typed::json();
        }
        let Some((target, document)) = self.parsed.lookup(reference, document) else { return Typed::json() };
        self.path.push(reference);
        let typed = self.shape(target, document);
        self.path.pop();
        typed
    }

    /// One alternative beside null is that one; several are JSON text.
    fn alternatives(&mut self, branches: &'a [Json], document: Option<&'a str>) -> Typed {
        let is_null = |branch: &&Json| branch.get("type").and_then(Json::as_str) == Some("null");
        let mut others = branches.iter().filter(|branch| !is_null(branch));
        match (others.next(), others.next()) {
            (Some(only), None) => {
                self.path.push("");
                let typed = self.shape(only, document);
                self.path.pop();
                Typed { nullable: typed.nullable || branches.len() > 1, ..typed }
            }
            _ => Typed::json(),
        }
    }

    fn list(&mut self, schema: &'a Json, document: Option<&'a str>) -> Shape {
        match schema.get("items") {
            Some(items @ Json::Object(_)) if schema.get("prefixItems").is_none() => {
                self.path.push("");
                let item = self.shape(items, document).shape;
                self.path.pop();
                Shape::List(Box::new(item))
            }
            _ => Shape::Json,
        }
    }

    fn object(&mut self, schema: &'a Json, document: Option<&'a str>) -> Shape {
        let mut fields = Vec::new();
        self.path.push("");
        self.collect(schema, document, &mut fields);
        self.path.pop();
        match schema.get("additionalProperties") {
            Some(values @ Json::Object(members)) if fields.is_empty() && !members.is_empty() => {
                self.path.push("");
                let value = self.shape(values, document).shape;
                self.path.pop();
                Shape::Map(Box::new(value))
            }
            _ if fields.is_empty() => Shape::Json,
            _ => Shape::Struct(fields),
        }
    }

    /// The properties of an object and of everything in its `allOf`.
    fn collect(&mut self, schema: &'a Json, document: Option<&'a str>, fields: &mut Vec<FieldShape>) {
        self.fields += 1;
        if self.path.len() > DEPTH_MAX || self.fields > FIELDS_MAX {
            return;
        }
        let mut parts: Vec<(&'a Json, Option<&'a str>, &'a str)> = Vec::new();
        if let Some(reference) = schema.get("$ref").and_then(Json::as_str)
            && !self.path.contains(&reference)
            && let Some((target, inside)) = self.parsed.lookup(reference, document)
        {
            parts.push((target, inside, reference));
        }
        parts.extend(schema.get("allOf").map_or(&[][..], Json::items).iter().map(|part| (part, document, "")));
        for (part, inside, name) in parts {
            self.path.push(name);
            self.collect(part, inside, fields);
            self.path.pop();
        }
        for (name, property) in schema.get("properties").map_or(&[][..], Json::members) {
            self.fields += 1;
            let Typed { shape, nullable } = self.shape(property, document);
            let field = FieldShape { name: name.clone(), shape, required: false, nullable };
            match fields.iter_mut().find(|field| field.name == *name) {
                Some(same) => *same = field,
                None => fields.push(field),
            }
        }
        let required = schema.get("required").map_or(&[][..], Json::items);
        for name in required.iter().filter_map(Json::as_str) {
            fields.iter_mut().filter(|field| field.name == name).for_each(|field| field.required = true);
        }
    }
}

impl Typed {
    const fn json() -> Self {
        Self { shape: Shape::Json, nullable: true }
    }
}

/// The types a schema allows beside null, and whether null is one; where none is named, those of its `enum` or `const`.
fn types(schema: &Json) -> (Vec<&str>, bool) {
    let named: Vec<&str> = match schema.get("type") {
        Some(Json::String(word)) => vec![word],
        Some(list) => list.items().iter().filter_map(Json::as_str).collect(),
        None => {
            let constant = schema.get("const").map(std::slice::from_ref);
            let values = schema.get("enum").map(Json::items).or(constant).unwrap_or_default();
            let mut words: Vec<&str> = values.iter().map(type_of).collect();
            words.dedup();
            words
        }
    };
    let nullable = named.contains(&"null");
    (named.into_iter().filter(|word| *word != "null").collect(), nullable)
}

pub(crate) fn type_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_i64() => "integer",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

fn text(schema: &Json) -> Shape {
    match schema.get("format").and_then(Json::as_str) {
        Some("date-time") => Shape::Timestamp(TimeUnit::Microsecond, true),
        Some("date") => Shape::Date,
        _ => Shape::Text,
    }
}
