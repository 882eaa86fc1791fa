//! Avro to columns. A union of null and one type is that type; other unions, and types within themselves, are JSON text.

use super::nodes::{Logical, Node, Nodes};
use crate::shape::{FieldShape, Shape};
use arrow::datatypes::TimeUnit;

/// How deep columns may nest before the rest is JSON text.
const DEPTH_MAX: usize = 24;
/// Columns that one schema may spread into, nested ones counted.
const FIELDS_MAX: usize = 10_000;
/// Digits that a column of decimals holds.
const DECIMAL_DIGITS_MAX: usize = 38;

pub(super) fn fields(nodes: &Nodes) -> (Vec<FieldShape>, bool) {
    match shape(nodes, nodes.root, &mut Vec::new(), &mut 0) {
        Shape::Struct(fields) => (fields, true),
        shape => (vec![FieldShape { name: String::new(), shape, required: true, nullable: true }], false),
    }
}

/// The one branch of a union beside null, if that is all there is.
pub(super) fn nullable_branch(nodes: &Nodes, branches: &[usize]) -> Option<usize> {
    let mut others = branches.iter().filter(|branch| !matches!(nodes.get(**branch), Node::Null));
    match (others.next(), others.next()) {
        (Some(only), None) => Some(*only),
        _ => None,
    }
}

fn shape(nodes: &Nodes, index: usize, path: &mut Vec<usize>, count: &mut usize) -> Shape {
    if path.contains(&index) || path.len() > DEPTH_MAX || *count > FIELDS_MAX {
        return Shape::Json;
    }
    path.push(index);
    let shape = match nodes.get(index) {
        Node::Null => Shape::Json,
        Node::Boolean => Shape::Boolean,
        Node::Int(Logical::Date) => Shape::Date,
        Node::Int(Logical::TimeMillis) => Shape::Time(TimeUnit::Millisecond),
        Node::Int(_) => Shape::Int32,
        Node::Long(logical) => long(*logical),
        Node::Float => Shape::Float32,
        Node::Double => Shape::Float64,
        Node::Bytes(logical) | Node::Fixed(_, logical) => binary(*logical),
        Node::String | Node::Enum(_) => Shape::Text,
        Node::Array(item) => Shape::List(Box::new(self::shape(nodes, *item, path, count))),
        Node::Map(value) => Shape::Map(Box::new(self::shape(nodes, *value, path, count))),
        Node::Union(branches) => {
            nullable_branch(nodes, branches).map_or(Shape::Json, |only| self::shape(nodes, only, path, count))
        }
        Node::Record(record) if record.fields.is_empty() => Shape::Json,
        Node::Record(record) => {
            *count += record.fields.len();
            let field = |field: &super::nodes::RecordField| FieldShape {
                name: field.name.clone(),
                shape: self::shape(nodes, field.node, path, count),
                required: false,
                nullable: true,
            };
            Shape::Struct(record.fields.iter().map(field).collect())
        }
    };
    path.pop();
    shape
}

fn long(logical: Logical) -> Shape {
    match logical {
        Logical::TimeMicros => Shape::Time(TimeUnit::Microsecond),
        Logical::TimestampMillis(utc) => Shape::Timestamp(TimeUnit::Millisecond, utc),
        Logical::TimestampMicros(utc) => Shape::Timestamp(TimeUnit::Microsecond, utc),
        Logical::TimestampNanos(utc) => Shape::Timestamp(TimeUnit::Nanosecond, utc),
        _ => Shape::Int64,
    }
}

fn binary(logical: Logical) -> Shape {
    match logical {
        Logical::Decimal(precision, scale) if precision <= DECIMAL_DIGITS_MAX && scale <= precision => {
            match (u8::try_from(precision), i8::try_from(scale)) {
                (Ok(precision), Ok(scale)) => Shape::Decimal(precision, scale),
                _ => Shape::Binary,
            }
        }
        Logical::Uuid => Shape::Text,
        _ => Shape::Binary,
    }
}
