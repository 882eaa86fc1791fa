//! The columns of a topic: those of its registered schema, or `_value`, and beside them where each record lies.
//!
//! Keys, header values and the values of topics without a schema are texts: as they are where they are UTF-8, otherwise `\x` and hex, as
//! PostgreSQL prints bytes. So nothing is lost or left out, `_value->>'a'` works, and keys of two topics can be joined.

use crate::Error;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use millstream_schema::{FieldShape, SchemaLookup, TableSchema, UTC, value_subject};
use std::sync::Arc;

/// The partition a record lies in.
pub(crate) const PARTITION: &str = "_partition";
/// Its offset.
pub(crate) const OFFSET: &str = "_offset";
/// Its timestamp.
pub(crate) const TIMESTAMP: &str = "_timestamp";
/// Its key.
pub(crate) const KEY: &str = "_key";
/// Its headers.
pub(crate) const HEADERS: &str = "_headers";
/// The value of a topic without a schema, and of a row in quarantine.
pub(crate) const VALUE: &str = "_value";
/// Why a row is in quarantine.
pub(crate) const REASON: &str = "_reason";
/// What the name of a topic's quarantine ends in.
pub(crate) const QUARANTINE: &str = "$quarantine";

/// What a column is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// A field of the schema.
    Field(usize),
    Partition,
    Offset,
    Timestamp,
    Key,
    Headers,
    /// The whole value as text.
    Value,
    Reason,
}

/// Which rows a table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Those that fit the schema.
    Good,
    /// Those that do not.
    Bad,
}

/// A topic's columns.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) topic: String,
    pub(crate) rows: Rows,
    pub(crate) schema: SchemaRef,
    pub(crate) parts: Vec<Part>,
    /// The registered schema; none for a topic without one.
    pub(crate) values: Option<Arc<TableSchema>>,
}

impl Layout {
    /// The columns of a topic's rows.
    pub(crate) fn of(topic: &str, rows: Rows, schemas: &dyn SchemaLookup) -> Result<Self, Error> {
        let values = match schemas.latest(&value_subject(topic)) {
            None => None,
            Some(registered) => {
                let table = TableSchema::of(&registered, schemas);
                Some(Arc::new(
                    table.map_err(|error| Error::Schema { topic: topic.to_owned(), reason: error.to_string() })?,
                ))
            }
        };
        let mut columns: Vec<(FieldRef, Part)> = Vec::new();
        match (rows, &values) {
            (Rows::Good, Some(table)) => {
                let fields = table.fields().iter().enumerate();
                columns.extend(fields.map(|(index, field)| (field_of(field, table.fields()), Part::Field(index))));
            }
            _ => columns.push((named(VALUE, DataType::Utf8, true), Part::Value)),
        }
        if rows == Rows::Bad {
            columns.push((named(REASON, DataType::Utf8, false), Part::Reason));
        }
        columns.extend(beside());
        let (fields, parts): (Vec<FieldRef>, Vec<Part>) = columns.into_iter().unzip();
        Ok(Self { topic: topic.to_owned(), rows, schema: Arc::new(Schema::new(fields)), parts, values })
    }
}

/// The columns that every topic has.
fn beside() -> [(FieldRef, Part); 5] {
    [
        (named(PARTITION, DataType::Int32, false), Part::Partition),
        (named(OFFSET, DataType::Int64, false), Part::Offset),
        (named(TIMESTAMP, DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into())), false), Part::Timestamp),
        (named(KEY, DataType::Utf8, true), Part::Key),
        (named(HEADERS, DataType::List(header_item()), false), Part::Headers),
    ]
}

/// One header: its name and its value.
pub(crate) fn header_item() -> FieldRef {
    named("item", DataType::Struct(header_fields()), false)
}

pub(crate) fn header_fields() -> Fields {
    Fields::from(vec![named("name", DataType::Utf8, false), named("value", DataType::Utf8, true)])
}

fn named(name: &str, data_type: DataType, nullable: bool) -> FieldRef {
    Arc::new(Field::new(name, data_type, nullable))
}

/// A field under its name; one that is called like a column every topic has gets underscores behind it until it is not.
fn field_of(field: &FieldShape, all: &[FieldShape]) -> FieldRef {
    let arrow = field.arrow();
    let taken = |name: &str| {
        [PARTITION, OFFSET, TIMESTAMP, KEY, HEADERS].contains(&name)
            || (name != field.name && all.iter().any(|other| other.name == name))
    };
    let mut name = field.name.clone();
    while taken(&name) {
        name.push('_');
    }
    if name == field.name { arrow } else { Arc::new(arrow.as_ref().clone().with_name(name)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_schema::{MemorySchemas, SchemaType};

    fn names(layout: &Layout) -> Vec<String> {
        layout.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    #[test]
    fn a_topic_without_a_schema_has_its_value() {
        let layout = Layout::of("t", Rows::Good, &MemorySchemas::new()).expect("a layout");
        assert_eq!(names(&layout), ["_value", "_partition", "_offset", "_timestamp", "_key", "_headers"]);
    }

    #[test]
    fn a_field_never_hides_where_a_record_lies() {
        let schemas = MemorySchemas::new();
        let text = r#"{"type":"object","properties":{"a":{"type":"integer"},"_offset":{"type":"string"},"_key":{},"_key_":{}}}"#;
        schemas.register("t-value", SchemaType::Json, text, &[]).expect("a schema");
        let layout = Layout::of("t", Rows::Good, &schemas).expect("a layout");
        assert_eq!(
            names(&layout),
            ["a", "_offset_", "_key__", "_key_", "_partition", "_offset", "_timestamp", "_key", "_headers"]
        );
    }

    #[test]
    fn a_quarantine_has_values_and_reasons() {
        let layout = Layout::of("t", Rows::Bad, &MemorySchemas::new()).expect("a layout");
        assert_eq!(names(&layout), ["_value", "_reason", "_partition", "_offset", "_timestamp", "_key", "_headers"]);
    }
}
