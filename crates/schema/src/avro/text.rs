//! An Avro value as JSON text: what a column holds of unions of several types and of types within themselves.

use super::datum::Datum;
use super::nodes::{Logical, Node, Nodes};
use super::plan::push_bytes;
use crate::column::Column;
use crate::misfit::Fit;
use serde_json::Value;

/// Reads a value and pushes it as JSON text; null stays null.
pub(super) fn push(nodes: &Nodes, node: usize, datum: &mut Datum<'_>, column: &mut Column, depth: usize) -> Fit {
    if !column.keep() {
        datum.skip(nodes, node, depth)?;
        column.pushed();
        return Ok(());
    }
    match value(nodes, node, datum, depth)? {
        Value::Null => column.push_null(),
        value => {
            push_bytes(value.to_string().as_bytes(), column);
            column.pushed();
        }
    }
    Ok(())
}

fn value(nodes: &Nodes, index: usize, datum: &mut Datum<'_>, depth: usize) -> Fit<Value> {
    datum.visit(depth)?;
    Ok(match nodes.get(index) {
        Node::Null => Value::Null,
        Node::Boolean => datum.boolean()?.into(),
        Node::Int(_) => datum.int()?.into(),
        Node::Long(_) => datum.long()?.into(),
        Node::Float => datum.float()?.into(),
        Node::Double => datum.double()?.into(),
        Node::String => datum.string()?.into(),
        Node::Fixed(size, Logical::Uuid) => uuid(datum.take(*size)?).into(),
        Node::Bytes(_) => characters(datum.bytes()?).into(),
        Node::Fixed(size, _) => characters(datum.take(*size)?).into(),
        Node::Enum(one) => one.symbols[datum.index(one.symbols.len(), "symbol")?].as_str().into(),
        Node::Array(item) => {
            let mut items = Vec::new();
            datum.blocks(|datum| {
                items.push(value(nodes, *item, datum, depth + 1)?);
                Ok(())
            })?;
            items.into()
        }
        Node::Map(inner) => {
            let mut members = serde_json::Map::new();
            datum.blocks(|datum| {
                let key = datum.string()?.to_owned();
                members.insert(key, value(nodes, *inner, datum, depth + 1)?);
                Ok(())
            })?;
            members.into()
        }
        Node::Union(branches) => {
            let branch = datum.index(branches.len(), "branch")?;
            value(nodes, branches[branch], datum, depth + 1)?
        }
        Node::Record(record) => {
            let mut members = serde_json::Map::new();
            for field in &record.fields {
                members.insert(field.name.clone(), value(nodes, field.node, datum, depth + 1)?);
            }
            members.into()
        }
    })
}

/// Bytes as Avro's JSON encoding writes them: each as the character of that code point.
fn characters(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// 16 bytes as a UUID is written.
pub(super) fn uuid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    text
}
