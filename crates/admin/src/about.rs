//! What one route is for, takes and gives, each with an example.

use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, ArrayItems, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{HttpMethod, RefOr, Schema};

/// Fields whose content has no shape that all routes share: it is the deployed thing's own.
const FREE: [&str; 6] = ["spec", "settings", "status", "history", "event", "target"];

/// One method of one path.
pub struct Operation {
    /// The method.
    pub method: HttpMethod,
    /// The path, with its parameters in braces.
    pub path: String,
    /// What it does.
    pub about: About,
}

/// A body: how it is written, its shape, and one of it.
#[derive(Clone)]
pub struct Media {
    /// Its content type.
    pub content_type: &'static str,
    /// Its shape.
    pub schema: RefOr<Schema>,
    /// One that is right.
    pub example: Value,
}

/// What a route does.
#[derive(Clone)]
pub struct About {
    /// In a line.
    pub summary: String,
    /// The status of success.
    pub status: u16,
    /// Parameters after the path's question mark, each with what it says.
    pub queries: Vec<(&'static str, &'static str)>,
    /// The body it takes.
    pub request: Option<Media>,
    /// The body it gives.
    pub answer: Option<Media>,
    /// The shapes that the others name.
    pub schemas: Vec<(String, RefOr<Schema>)>,
}

impl About {
    /// A route that takes and gives nothing yet.
    pub fn new(summary: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            status: 200,
            queries: Vec::new(),
            request: None,
            answer: None,
            schemas: Vec::new(),
        }
    }

    /// The status of success where it is not 200.
    pub const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// A parameter after the question mark.
    pub fn query(mut self, name: &'static str, says: &'static str) -> Self {
        self.queries.push((name, says));
        self
    }

    /// It takes JSON of this type.
    pub fn takes<T: ToSchema>(mut self, example: Value) -> Self {
        T::schemas(&mut self.schemas);
        self.request = Some(Media { content_type: "application/json", schema: T::schema(), example });
        self
    }

    /// It takes a body that is of another type than JSON, or JSON of many shapes.
    pub fn takes_any(mut self, content_type: &'static str, example: Value) -> Self {
        self.request = Some(Media { content_type, schema: any(), example });
        self
    }

    /// It gives JSON of this type.
    pub fn gives<T: ToSchema>(mut self, example: Value) -> Self {
        T::schemas(&mut self.schemas);
        self.answer = Some(Media { content_type: "application/json", schema: T::schema(), example });
        self
    }

    /// It gives JSON of the example's shape. What is null there may be anything.
    pub fn shows(mut self, example: Value) -> Self {
        self.answer = Some(Media { content_type: "application/json", schema: shape(&example), example });
        self
    }

    /// The same in the schema registry's content type.
    pub fn registry(mut self, example: Value) -> Self {
        let schema = shape(&example);
        self.answer = Some(Media { content_type: "application/vnd.schemaregistry.v1+json", schema, example });
        self
    }

    /// It gives text, or lines.
    pub fn text(mut self, content_type: &'static str, example: &str) -> Self {
        let schema = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).into();
        self.answer = Some(Media { content_type, schema, example: Value::String(example.to_owned()) });
        self
    }
}

fn any() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).into()
}

/// The shape of a value: every field of an object is there, and every item of an array is like the first.
fn shape(example: &Value) -> RefOr<Schema> {
    let scalar = |kind: Type| ObjectBuilder::new().schema_type(SchemaType::Type(kind)).into();
    match example {
        Value::Null => any(),
        Value::Bool(_) => scalar(Type::Boolean),
        Value::Number(number) if number.is_f64() => scalar(Type::Number),
        Value::Number(_) => scalar(Type::Integer),
        Value::String(_) => scalar(Type::String),
        Value::Array(items) => {
            let item = ArrayItems::RefOrSchema(Box::new(items.first().map_or_else(any, shape)));
            ArrayBuilder::new().items(item).into()
        }
        Value::Object(fields) => {
            let object = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Object));
            let with = |object: ObjectBuilder, (name, value): (&String, &Value)| {
                let schema = if FREE.contains(&name.as_str()) { any() } else { shape(value) };
                object.property(name, schema).required(name)
            };
            fields.iter().fold(object, with).into()
        }
    }
}
