//! How values of a writer's schema become rows of a reader's columns: Avro's schema resolution, decided once per pair of schemas.

use super::datum::Datum;
use super::nodes::{Logical, Node, Nodes, Record};
use super::shapes::nullable_branch;
use super::{default, text};
use crate::column::{Column, Store, end};
use crate::misfit::{Fit, Misfit};
use crate::shape::{FieldShape, Shape};
use std::sync::Arc;

/// The steps that read one value.
pub(crate) struct Plan {
    writer: Arc<Nodes>,
    root: Step,
}

enum Step {
    Skip(usize),
    Null,
    /// The writer's value as JSON text.
    Text(usize),
    Scalar(usize),
    Union(Vec<Step>),
    Struct(Fields),
    List(Box<Step>),
    Map(Box<Step>),
    /// The types do not resolve; a value may still not come this way (a branch of a union).
    Never(String),
}

/// How a record's fields are read.
struct Fields {
    /// The writer's fields in their order: how each is read, into which column if any, and its name.
    written: Vec<(Step, Option<usize>, String)>,
    /// The reader's fields that the writer does not have: the column, its default and its shape.
    absent: Vec<(usize, Option<serde_json::Value>, Shape)>,
}

impl Plan {
    /// Plans to read `writer`'s values into the columns of `reader`, whose shapes are `fields`.
    pub(crate) fn new(writer: Arc<Nodes>, reader: &Nodes, fields: &[FieldShape], is_record: bool) -> Self {
        let resolve = Resolve { writer: &writer, reader };
        let root = if is_record {
            resolve.root(fields)
        } else {
            let only = fields.first().map_or(&Shape::Json, |field| &field.shape);
            let step = resolve.step(writer.root, reader.root, only);
            Step::Struct(Fields { written: vec![(step, Some(0), String::new())], absent: Vec::new() })
        };
        Self { writer, root }
    }

    /// Reads one value as one more row of `columns`.
    pub(crate) fn read(&self, payload: &[u8], columns: &mut [Column]) -> Fit {
        let mut datum = Datum::new(payload);
        self.top(&self.root, &mut datum, columns)?;
        datum.end()
    }

    fn top(&self, step: &Step, datum: &mut Datum<'_>, columns: &mut [Column]) -> Fit {
        match step {
            Step::Struct(record) => self.fields(record, datum, columns, 0),
            Step::Union(branches) => {
                let branch = datum.index(branches.len(), "branch")?;
                self.top(&branches[branch], datum, columns)
            }
            Step::Null => {
                columns.iter_mut().for_each(Column::push_null);
                Ok(())
            }
            Step::Never(reason) => Err(Misfit::new(reason.clone())),
            _ => Err(Misfit::new("the value is no record".to_owned())),
        }
    }

    fn step(&self, step: &Step, datum: &mut Datum<'_>, column: &mut Column, depth: usize) -> Fit {
        match step {
            Step::Skip(node) => return datum.skip(&self.writer, *node, depth),
            Step::Null => {
                column.push_null();
                return Ok(());
            }
            Step::Never(reason) => return Err(Misfit::new(reason.clone())),
            Step::Union(branches) => {
                let branch = datum.index(branches.len(), "branch")?;
                return self.step(&branches[branch], datum, column, depth + 1);
            }
            Step::Text(node) => return text::push(&self.writer, *node, datum, column, depth),
            Step::Scalar(node) => scalar(self.writer.get(*node), datum, column)?,
            Step::Struct(record) => {
                let Store::Struct(children) = &mut column.store else { return Err(confused()) };
                self.fields(record, datum, children, depth)?;
            }
            Step::List(item) => {
                let Store::List { ends, item: items } = &mut column.store else { return Err(confused()) };
                datum.blocks(|datum| self.step(item, datum, items, depth + 1))?;
                ends.push(end(items.len()));
            }
            Step::Map(value) => {
                let Store::Map { ends, keys, values } = &mut column.store else { return Err(confused()) };
                datum.blocks(|datum| {
                    let key = datum.string()?;
                    push_bytes(key.as_bytes(), keys);
                    keys.pushed();
                    self.step(value, datum, values, depth + 1)
                })?;
                ends.push(end(values.len()));
            }
        }
        column.pushed();
        Ok(())
    }

    fn fields(&self, record: &Fields, datum: &mut Datum<'_>, columns: &mut [Column], depth: usize) -> Fit {
        for (step, child, name) in &record.written {
            let done = match (step, child.and_then(|child| columns.get_mut(child))) {
                (step, Some(column)) => self.step(step, datum, column, depth + 1),
                (Step::Skip(node), None) => datum.skip(&self.writer, *node, depth + 1),
                _ => Err(confused()),
            };
            done.map_err(|misfit| misfit.within(name))?;
        }
        for (child, value, shape) in &record.absent {
            let Some(column) = columns.get_mut(*child) else { return Err(confused()) };
            default::push(value.as_ref(), shape, column);
        }
        Ok(())
    }
}

struct Resolve<'a> {
    writer: &'a Nodes,
    reader: &'a Nodes,
}

impl Resolve<'_> {
    /// The value as a whole: a record, or null and a record.
    fn root(&self, fields: &[FieldShape]) -> Step {
        let reader = match self.reader.get(self.reader.root) {
            Node::Union(branches) => nullable_branch(self.reader, branches).unwrap_or(self.reader.root),
            _ => self.reader.root,
        };
        self.step(self.writer.root, reader, &Shape::Struct(fields.to_vec()))
    }

    fn step(&self, w: usize, r: usize, shape: &Shape) -> Step {
        if let Shape::Json = shape {
            return match self.writer.get(w) {
                Node::Null => Step::Null,
                _ => Step::Text(w),
            };
        }
        if let Node::Union(branches) = self.writer.get(w) {
            return Step::Union(branches.iter().map(|branch| self.step(*branch, r, shape)).collect());
        }
        if let Node::Union(branches) = self.reader.get(r) {
            return match nullable_branch(self.reader, branches) {
                Some(only) => self.step(w, only, shape),
                None => Step::Text(w),
            };
        }
        match (self.writer.get(w), self.reader.get(r), shape) {
            (Node::Null, ..) => Step::Null,
            (Node::Record(written), Node::Record(read), Shape::Struct(fields)) => self.record(written, read, fields),
            (Node::Array(written), Node::Array(read), Shape::List(item)) => {
                Step::List(Box::new(self.step(*written, *read, item)))
            }
            (Node::Map(written), Node::Map(read), Shape::Map(value)) => {
                Step::Map(Box::new(self.step(*written, *read, value)))
            }
            (written, read, _) if promotes(written, read) => Step::Scalar(w),
            (written, read, _) => {
                Step::Never(format!("it was written as {} and is read as {}", written.word(), read.word()))
            }
        }
    }

    fn record(&self, written: &Record, read: &Record, shapes: &[FieldShape]) -> Step {
        let mut found = vec![false; read.fields.len()];
        let mut fields = Vec::with_capacity(written.fields.len());
        for field in &written.fields {
            let by_name = read.fields.iter().position(|reader| reader.name == field.name);
            let target = by_name.or_else(|| read.fields.iter().position(|reader| reader.aliases.contains(&field.name)));
            // Two writer fields may match one reader field (by name and by alias): the first one is taken.
            let step = match target.filter(|index| !std::mem::replace(&mut found[*index], true)) {
                Some(index) => (self.step(field.node, read.fields[index].node, &shapes[index].shape), Some(index)),
                None => (Step::Skip(field.node), None),
            };
            fields.push((step.0, step.1, field.name.clone()));
        }
        let absent = read.fields.iter().zip(shapes).enumerate().filter(|(index, _)| !found[*index]);
        let absent =
            absent.map(|(index, (field, shape))| (index, field.default.clone(), shape.shape.clone())).collect();
        Step::Struct(Fields { written: fields, absent })
    }
}

/// Whether a writer's scalar may be read as a reader's, by Avro's table of promotions.
fn promotes(written: &Node, read: &Node) -> bool {
    match (written, read) {
        (Node::Int(a), Node::Int(b)) | (Node::Long(a), Node::Long(b)) | (Node::Bytes(a), Node::Bytes(b)) => a == b,
        (Node::Fixed(a, x), Node::Fixed(b, y)) => a == b && x == y,
        (Node::Int(Logical::None), Node::Long(Logical::None) | Node::Float | Node::Double)
        | (Node::Long(Logical::None), Node::Float | Node::Double)
        | (Node::Boolean, Node::Boolean)
        | (Node::Float, Node::Float | Node::Double)
        | (Node::Double, Node::Double)
        | (Node::String, Node::String | Node::Bytes(Logical::None))
        | (Node::Enum(_), Node::Enum(_)) => true,
        _ => false,
    }
}

fn scalar(node: &Node, datum: &mut Datum<'_>, column: &mut Column) -> Fit {
    match node {
        Node::Boolean => {
            let value = datum.boolean()?;
            if let Store::Bool(values) = &mut column.store {
                values.append(value);
            }
        }
        Node::Int(_) => integer(i64::from(datum.int()?), column),
        Node::Long(_) => integer(datum.long()?, column),
        Node::Float => float(f64::from(datum.float()?), column),
        Node::Double => float(datum.double()?, column),
        Node::String => push_bytes(datum.string()?.as_bytes(), column),
        Node::Enum(one) => {
            let index = datum.index(one.symbols.len(), "symbol")?;
            push_bytes(one.symbols[index].as_bytes(), column);
        }
        Node::Bytes(Logical::Decimal(..)) => decimal(datum.bytes()?, column)?,
        Node::Fixed(size, Logical::Decimal(..)) => decimal(datum.take(*size)?, column)?,
        Node::Fixed(size, Logical::Uuid) => push_bytes(text::uuid(datum.take(*size)?).as_bytes(), column),
        Node::Bytes(_) => push_bytes(datum.bytes()?, column),
        Node::Fixed(size, _) => push_bytes(datum.take(*size)?, column),
        _ => return Err(confused()),
    }
    Ok(())
}

fn integer(value: i64, column: &mut Column) {
    match &mut column.store {
        // Only an int is read as one: it fits.
        Store::I32(values) => values.push(i32::try_from(value).unwrap_or_default()),
        Store::I64(values) => values.push(value),
        Store::F32(values) => values.push(value as f32),
        Store::F64(values) => values.push(value as f64),
        _ => {}
    }
}

fn float(value: f64, column: &mut Column) {
    match &mut column.store {
        // Only a float is read as one: nothing is lost.
        Store::F32(values) => values.push(value as f32),
        Store::F64(values) => values.push(value),
        _ => {}
    }
}

fn decimal(bytes: &[u8], column: &mut Column) -> Fit {
    if let Store::Bytes { .. } = &column.store {
        // A decimal of more digits than a column holds is kept as its bytes.
        push_bytes(bytes, column);
        return Ok(());
    }
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let filler = if negative { 0xff } else { 0 };
    let skip = bytes.iter().take_while(|byte| **byte == filler).count().min(bytes.len().saturating_sub(16));
    let digits = &bytes[skip..];
    if digits.len() > 16 {
        return Err(Misfit::new(format!("a decimal of {} bytes is more than 38 digits", bytes.len())));
    }
    let mut wide = [filler; 16];
    wide[16 - digits.len()..].copy_from_slice(digits);
    if let Store::I128(values) = &mut column.store {
        values.push(i128::from_be_bytes(wide));
    }
    Ok(())
}

pub(super) fn push_bytes(bytes: &[u8], column: &mut Column) {
    if let Store::Bytes { ends, data } = &mut column.store {
        data.extend_from_slice(bytes);
        ends.push(end(data.len()));
    }
}

#[cold]
fn confused() -> Box<Misfit> {
    Misfit::new("its column has another shape; this is a bug in Millstream".to_owned())
}
