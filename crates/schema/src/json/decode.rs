//! JSON text straight into columns: one pass over the bytes, no tree, fields that are not wanted are checked and not built.

use super::date;
use super::scan::{Cursor, DEPTH_MAX, Quoted};
use crate::column::{Column, Store, end};
use crate::misfit::{Fit, Misfit};
use crate::shape::{FieldShape, Shape};
use arrow::datatypes::TimeUnit;
use std::collections::HashMap;

/// How objects of many fields find a field by name.
pub(crate) struct Plan {
    fields: Vec<Entry>,
    by_name: HashMap<Vec<u8>, usize>,
}

struct Entry {
    name: String,
    required: bool,
    nullable: bool,
    value: Value,
}

/// The row that is read and how deep it is nested there.
#[derive(Clone, Copy)]
struct Place {
    row: usize,
    depth: usize,
}

/// How a value of one shape is read.
pub(crate) enum Value {
    Scalar(Shape),
    Struct(Plan),
    List(Box<Self>),
    Map(Box<Self>),
}

impl Plan {
    pub(crate) fn new(fields: &[FieldShape]) -> Self {
        let entry = |field: &FieldShape| Entry {
            name: field.name.clone(),
            required: field.required,
            nullable: field.nullable,
            value: Value::new(&field.shape),
        };
        Self {
            fields: fields.iter().map(entry).collect(),
            by_name: fields.iter().enumerate().map(|(index, field)| (field.name.clone().into_bytes(), index)).collect(),
        }
    }

    /// The field of that name. Producers write fields in a steady order, so that the one after the last found is tried first.
    fn find(&self, name: &Quoted<'_>, hint: usize) -> Fit<Option<usize>> {
        if name.escaped {
            let mut text = Vec::new();
            name.unescape(&mut text)?;
            return Ok(self.by_name.get(&text).copied());
        }
        match self.fields.get(hint) {
            Some(entry) if entry.name.as_bytes() == name.raw => Ok(Some(hint)),
            _ => Ok(self.by_name.get(name.raw).copied()),
        }
    }

    /// Reads an object as one more row of `columns`.
    pub(crate) fn read(&self, cursor: &mut Cursor<'_>, columns: &mut [Column], row: usize, depth: usize) -> Fit {
        if depth >= DEPTH_MAX {
            return Err(Misfit::new(format!("it nests more than {DEPTH_MAX} deep")));
        }
        if cursor.peek() != b'{' {
            return Err(unlike("an object", cursor));
        }
        cursor.at += 1;
        let mut hint = 0;
        let mut found = 0;
        if !cursor.take(b'}') {
            loop {
                cursor.peek();
                let name = cursor.string()?;
                cursor.expect(b':')?;
                match self.find(&name, hint)? {
                    None => drop(cursor.skip(depth + 1)?),
                    Some(index) => {
                        found += usize::from(self.member(index, cursor, columns, Place { row, depth })?);
                        hint = index + 1;
                    }
                }
                if !cursor.take(b',') {
                    cursor.expect(b'}')?;
                    break;
                }
            }
        }
        if found < self.fields.len() { self.absent(columns, row) } else { Ok(()) }
    }

    /// Reads one member's value; returns whether it is the first of its name.
    fn member(&self, index: usize, cursor: &mut Cursor<'_>, columns: &mut [Column], place: Place) -> Fit<bool> {
        let Place { row, depth } = place;
        let (entry, column) = (&self.fields[index], &mut columns[index]);
        let first = column.len() == row;
        // The last of two members of one name wins, as in every reader of JSON.
        if !first {
            column.truncate(row);
        }
        if cursor.peek() == b'n' {
            cursor.word(b"null")?;
            if entry.required && !entry.nullable && !matches!(entry.value, Value::Scalar(Shape::Json)) {
                return Err(Misfit::new("it is null and must not be".to_owned()).within(&entry.name));
            }
            column.push_null();
            return Ok(first);
        }
        entry.value.read(cursor, column, depth + 1).map_err(|misfit| misfit.within(&entry.name))?;
        Ok(first)
    }

    fn absent(&self, columns: &mut [Column], row: usize) -> Fit {
        for (entry, column) in self.fields.iter().zip(columns) {
            if column.len() == row {
                if entry.required {
                    return Err(Misfit::new("it is required and absent".to_owned()).within(&entry.name));
                }
                column.push_null();
            }
        }
        Ok(())
    }
}

impl Value {
    pub(crate) fn new(shape: &Shape) -> Self {
        match shape {
            Shape::Struct(fields) => Self::Struct(Plan::new(fields)),
            Shape::List(item) => Self::List(Box::new(Self::new(item))),
            Shape::Map(value) => Self::Map(Box::new(Self::new(value))),
            scalar => Self::Scalar(scalar.clone()),
        }
    }

    /// Reads a value that is not null as one more row of `column`.
    pub(crate) fn read(&self, cursor: &mut Cursor<'_>, column: &mut Column, depth: usize) -> Fit {
        match self {
            Self::Scalar(shape) => return scalar(shape, cursor, column, depth),
            Self::Struct(plan) => {
                let row = column.len();
                let Store::Struct(children) = &mut column.store else { return Err(confused()) };
                plan.read(cursor, children, row, depth)?;
            }
            Self::List(item) => {
                let Store::List { ends, item: items } = &mut column.store else { return Err(confused()) };
                elements(cursor, depth, |cursor| item.read_or_null(cursor, items, depth + 1))?;
                ends.push(end(items.len()));
            }
            Self::Map(value) => {
                let Store::Map { ends, keys, values } = &mut column.store else { return Err(confused()) };
                entries(cursor, depth, keys, |cursor| value.read_or_null(cursor, values, depth + 1))?;
                ends.push(end(values.len()));
            }
        }
        column.pushed();
        Ok(())
    }

    fn read_or_null(&self, cursor: &mut Cursor<'_>, column: &mut Column, depth: usize) -> Fit {
        if cursor.peek() == b'n' {
            cursor.word(b"null")?;
            column.push_null();
            return Ok(());
        }
        self.read(cursor, column, depth)
    }
}

fn elements(cursor: &mut Cursor<'_>, depth: usize, mut each: impl FnMut(&mut Cursor<'_>) -> Fit) -> Fit {
    if cursor.peek() != b'[' {
        return Err(unlike("an array", cursor));
    }
    if depth >= DEPTH_MAX {
        return Err(Misfit::new(format!("it nests more than {DEPTH_MAX} deep")));
    }
    cursor.at += 1;
    if cursor.take(b']') {
        return Ok(());
    }
    loop {
        each(cursor)?;
        if !cursor.take(b',') {
            return cursor.expect(b']');
        }
    }
}

fn entries(
    cursor: &mut Cursor<'_>,
    depth: usize,
    keys: &mut Column,
    mut each: impl FnMut(&mut Cursor<'_>) -> Fit,
) -> Fit {
    if cursor.peek() != b'{' {
        return Err(unlike("an object", cursor));
    }
    if depth >= DEPTH_MAX {
        return Err(Misfit::new(format!("it nests more than {DEPTH_MAX} deep")));
    }
    cursor.at += 1;
    if cursor.take(b'}') {
        return Ok(());
    }
    loop {
        cursor.peek();
        let key = cursor.string()?;
        push_text(&key, keys)?;
        cursor.expect(b':')?;
        each(cursor)?;
        if !cursor.take(b',') {
            return cursor.expect(b'}');
        }
    }
}

fn scalar(shape: &Shape, cursor: &mut Cursor<'_>, column: &mut Column, depth: usize) -> Fit {
    let first = cursor.peek();
    match (shape, first) {
        (Shape::Json, _) => {
            let text = cursor.skip(depth)?;
            if let Store::Bytes { ends, data } = &mut column.store {
                data.extend_from_slice(text);
                ends.push(end(data.len()));
            }
            column.pushed();
            Ok(())
        }
        (Shape::Boolean, b't' | b'f') => {
            let value = first == b't';
            cursor.word(if value { b"true" } else { b"false" })?;
            if let Store::Bool(values) = &mut column.store {
                values.append(value);
            }
            column.pushed();
            Ok(())
        }
        (Shape::Int64 | Shape::Int32, b'-' | b'0'..=b'9') => {
            let start = cursor.at;
            let Some(value) = cursor.number()?.integer() else {
                cursor.at = start;
                return Err(unlike("an integer of 64 bits", cursor));
            };
            if let Store::I64(values) = &mut column.store {
                values.push(value);
            }
            column.pushed();
            Ok(())
        }
        (Shape::Float64, b'-' | b'0'..=b'9') => {
            let number = cursor.number()?;
            if let Store::F64(values) = &mut column.store {
                values.push(number.float());
            }
            column.pushed();
            Ok(())
        }
        (Shape::Text, b'"') => {
            let text = cursor.string()?;
            push_text(&text, column)
        }
        (Shape::Date | Shape::Timestamp(..), b'"') => temporal(shape, cursor, column),
        _ => Err(unlike(shape.word(), cursor)),
    }
}

fn push_text(text: &Quoted<'_>, column: &mut Column) -> Fit {
    if text.escaped && !column.keep() {
        text.unescape(&mut Vec::new())?;
    }
    if let Store::Bytes { ends, data } = &mut column.store {
        if text.escaped {
            text.unescape(data)?;
        } else {
            data.extend_from_slice(text.raw);
        }
        ends.push(end(data.len()));
    }
    column.pushed();
    Ok(())
}

fn temporal(shape: &Shape, cursor: &mut Cursor<'_>, column: &mut Column) -> Fit {
    let start = cursor.at;
    let text = cursor.string()?;
    let pushed = match (&mut column.store, shape) {
        (Store::I32(values), Shape::Date) => date::days(text.raw).map(|days| values.push(days)),
        (Store::I64(values), Shape::Timestamp(TimeUnit::Microsecond, _)) => {
            date::micros(text.raw).map(|micros| values.push(micros))
        }
        (_, Shape::Date) => date::days(text.raw).map(drop),
        _ => date::micros(text.raw).map(drop),
    };
    if pushed.is_none() {
        cursor.at = start;
        return Err(unlike(shape.word(), cursor));
    }
    column.pushed();
    Ok(())
}

#[cold]
fn confused() -> Box<Misfit> {
    Misfit::new("its column has another shape; this is a bug in Millstream".to_owned())
}

/// Longest part of a value that a message shows.
const SHOWN_MAX: usize = 40;

#[cold]
fn unlike(expected: &str, cursor: &mut Cursor<'_>) -> Box<Misfit> {
    match cursor.skip(0) {
        Err(broken) => broken,
        Ok(text) => {
            let text = String::from_utf8_lossy(text);
            let shown: String = text.chars().take(SHOWN_MAX).collect();
            let more = if shown.len() < text.len() { "…" } else { "" };
            Misfit::new(format!("expected {expected}, found {shown}{more}"))
        }
    }
}
