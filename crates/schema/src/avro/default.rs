//! A reader's default for a field that the writer did not have.

use super::plan::push_bytes;
use crate::column::{Column, Store};
use crate::shape::Shape;
use serde_json::Value;

/// Pushes a field's default as one more row; null where there is none or it is of another type.
pub(super) fn push(value: Option<&Value>, shape: &Shape, column: &mut Column) {
    let Some(value) = value.filter(|value| !value.is_null()) else { return column.push_null() };
    match (&mut column.store, shape, value) {
        (_, Shape::Json, value) => {
            let text = value.to_string();
            push_bytes(text.as_bytes(), column);
        }
        (Store::Nothing, ..) => {}
        (Store::Bool(values), _, Value::Bool(value)) => values.append(*value),
        (Store::I32(values), _, Value::Number(number)) => {
            values.push(number.as_i64().and_then(|value| i32::try_from(value).ok()).unwrap_or_default());
        }
        (Store::I64(values), _, Value::Number(number)) => values.push(number.as_i64().unwrap_or_default()),
        (Store::F32(values), _, Value::Number(number)) => values.push(number.as_f64().unwrap_or_default() as f32),
        (Store::F64(values), _, Value::Number(number)) => values.push(number.as_f64().unwrap_or_default()),
        (_, Shape::Text, Value::String(text)) => push_bytes(text.as_bytes(), column),
        (_, Shape::Binary, Value::String(text)) => {
            // Avro writes bytes in defaults as the characters of those code points.
            let bytes: Vec<u8> = text.chars().filter_map(|character| u8::try_from(u32::from(character)).ok()).collect();
            push_bytes(&bytes, column);
        }
        (Store::Struct(children), Shape::Struct(fields), Value::Object(members)) => {
            for (child, field) in children.iter_mut().zip(fields) {
                push(members.get(&field.name), &field.shape, child);
            }
        }
        (Store::List { ends, item }, Shape::List(shape), Value::Array(items)) => {
            items.iter().for_each(|value| push(Some(value), shape, item));
            ends.push(crate::column::end(item.len()));
        }
        (Store::Map { ends, keys, values }, Shape::Map(shape), Value::Object(members)) => {
            for (key, value) in members {
                push_bytes(key.as_bytes(), keys);
                keys.pushed();
                push(Some(value), shape, values);
            }
            ends.push(crate::column::end(values.len()));
        }
        _ => return column.push_null(),
    }
    column.pushed();
}
