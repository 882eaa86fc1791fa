//! A JSON Schema for the rows of an Arrow schema, as [`crate::Encoder`] writes them: what a stream's topic is registered with.

use crate::JSON_TEXT;
use arrow::datatypes::{DataType, Field, Schema};
use serde_json::{Map, Value, json};

/// The text of a JSON Schema. Its properties are in the order of the columns, and each may be null.
#[must_use]
pub fn json_schema(title: &str, schema: &Schema) -> String {
    // Written by hand at the top, since a map of values would sort the properties.
    let properties: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| format!("{}:{}", Value::from(field.name().as_str()), nullable(field)))
        .collect();
    format!(
        r#"{{"$schema":"http://json-schema.org/draft-07/schema#","title":{},"type":"object","properties":{{{}}}}}"#,
        Value::from(title),
        properties.join(",")
    )
}

fn nullable(field: &Field) -> Value {
    match of(field.data_type(), field.metadata().contains_key(JSON_TEXT)) {
        Value::Object(mut members) => {
            if let Some(Value::String(word)) = members.get("type").cloned() {
                members.insert("type".to_owned(), json!([word, "null"]));
            }
            Value::Object(members)
        }
        other => other,
    }
}

fn of(data_type: &DataType, is_json: bool) -> Value {
    use DataType as T;
    match data_type {
        T::Null | T::Union(..) => json!({}),
        T::Boolean => json!({"type": "boolean"}),
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64 => {
            json!({"type": "integer"})
        }
        T::Float16 | T::Float32 | T::Float64 => json!({"type": "number"}),
        T::Decimal32(..) | T::Decimal64(..) | T::Decimal128(..) | T::Decimal256(..) => json!({"type": "number"}),
        T::Utf8 | T::LargeUtf8 | T::Utf8View if is_json => json!({}),
        T::Timestamp(..) => json!({"type": "string", "format": "date-time"}),
        T::Date32 => json!({"type": "string", "format": "date"}),
        T::Date64 => json!({"type": "string", "format": "date-time"}),
        T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) | T::ListView(item) | T::LargeListView(item) => {
            json!({"type": "array", "items": nullable(item)})
        }
        T::Struct(fields) => {
            let properties: Map<String, Value> =
                fields.iter().map(|field| (field.name().clone(), nullable(field))).collect();
            json!({"type": "object", "properties": properties})
        }
        T::Map(entries, _) => {
            let value = match entries.data_type() {
                T::Struct(pair) => pair.get(1).map_or_else(|| json!({}), |field| nullable(field)),
                _ => json!({}),
            };
            json!({"type": "object", "additionalProperties": value})
        }
        T::Dictionary(_, value) => of(value, is_json),
        T::RunEndEncoded(_, values) => of(values.data_type(), is_json),
        T::Utf8
        | T::LargeUtf8
        | T::Utf8View
        | T::Binary
        | T::LargeBinary
        | T::BinaryView
        | T::FixedSizeBinary(_)
        | T::Time32(_)
        | T::Time64(_)
        | T::Duration(_)
        | T::Interval(_) => json!({"type": "string"}),
    }
}
