//! A column being built from many rows. It can be cut back, so that a row that turns out not to fit leaves nothing behind.

use crate::Error;
use crate::shape::{FieldShape, Shape, UTC, map_entries};
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, Date32Array, Decimal128Array, Float32Array,
    Float64Array, Int32Array, Int64Array, ListArray, MapArray, StringArray, StructArray, Time32MillisecondArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, TimeUnit};
use std::sync::Arc;

/// A column's values so far. Where `keep` is off it only counts: a field that is checked but not wanted.
pub(crate) struct Column {
    keep: bool,
    len: usize,
    nulls: usize,
    valid: BooleanBufferBuilder,
    pub(crate) store: Store,
}

/// The values by physical type. Every store but `Nothing` has as many as the column.
pub(crate) enum Store {
    Nothing,
    Bool(BooleanBufferBuilder),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    I128(Vec<i128>),
    Bytes { ends: Vec<i32>, data: Vec<u8> },
    Struct(Vec<Column>),
    List { ends: Vec<i32>, item: Box<Column> },
    Map { ends: Vec<i32>, keys: Box<Column>, values: Box<Column> },
}

impl Column {
    pub(crate) fn new(shape: &Shape, keep: bool) -> Self {
        let child = |shape: &Shape| Box::new(Self::new(shape, keep));
        let store = match shape {
            Shape::Struct(fields) => Store::Struct(fields.iter().map(|field| Self::new(&field.shape, keep)).collect()),
            Shape::List(item) => Store::List { ends: Vec::new(), item: child(item) },
            Shape::Map(value) => Store::Map { ends: Vec::new(), keys: child(&Shape::Text), values: child(value) },
            _ if !keep => Store::Nothing,
            Shape::Boolean => Store::Bool(BooleanBufferBuilder::new(0)),
            Shape::Int32 | Shape::Date | Shape::Time(TimeUnit::Millisecond) => Store::I32(Vec::new()),
            Shape::Int64 | Shape::Time(_) | Shape::Timestamp(..) => Store::I64(Vec::new()),
            Shape::Float32 => Store::F32(Vec::new()),
            Shape::Float64 => Store::F64(Vec::new()),
            Shape::Decimal(..) => Store::I128(Vec::new()),
            Shape::Text | Shape::Json | Shape::Binary => Store::Bytes { ends: Vec::new(), data: Vec::new() },
        };
        Self { keep, len: 0, nulls: 0, valid: BooleanBufferBuilder::new(0), store }
    }

    /// How many rows it has.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether values are wanted at all.
    pub(crate) const fn keep(&self) -> bool {
        self.keep
    }

    /// Counts a row whose value was just put into the store.
    pub(crate) fn pushed(&mut self) {
        self.len += 1;
        if self.nulls > 0 {
            self.valid.append(true);
        }
    }

    pub(crate) fn push_null(&mut self) {
        if self.nulls == 0 {
            // Validity is kept from the first null on: most columns have none.
            self.valid = BooleanBufferBuilder::new(self.len + 64);
            self.valid.append_n(self.len, true);
        }
        self.nulls += 1;
        self.valid.append(false);
        self.len += 1;
        match &mut self.store {
            Store::Nothing => {}
            Store::Bool(values) => values.append(false),
            Store::I32(values) => values.push(0),
            Store::I64(values) => values.push(0),
            Store::F32(values) => values.push(0.0),
            Store::F64(values) => values.push(0.0),
            Store::I128(values) => values.push(0),
            Store::Bytes { ends, data } => ends.push(end(data.len())),
            Store::Struct(children) => children.iter_mut().for_each(Self::push_null),
            Store::List { ends, item } => ends.push(end(item.len)),
            Store::Map { ends, values, .. } => ends.push(end(values.len)),
        }
    }

    /// Cuts it back to `len` rows, and whatever of an unfinished row is in its children.
    pub(crate) fn truncate(&mut self, len: usize) {
        if self.nulls > 0 && self.len > len {
            let cut = (len..self.len).filter(|row| !self.valid.get_bit(*row)).count();
            self.nulls -= cut;
            self.valid.truncate(len);
        }
        self.len = self.len.min(len);
        match &mut self.store {
            Store::Nothing => {}
            Store::Bool(values) => values.truncate(len),
            Store::I32(values) => values.truncate(len),
            Store::I64(values) => values.truncate(len),
            Store::F32(values) => values.truncate(len),
            Store::F64(values) => values.truncate(len),
            Store::I128(values) => values.truncate(len),
            Store::Bytes { ends, data } => {
                ends.truncate(len);
                data.truncate(last(ends));
            }
            Store::Struct(children) => children.iter_mut().for_each(|child| child.truncate(len)),
            Store::List { ends, item } => {
                ends.truncate(len);
                item.truncate(last(ends));
            }
            Store::Map { ends, keys, values } => {
                ends.truncate(len);
                keys.truncate(last(ends));
                values.truncate(last(ends));
            }
        }
    }

    /// The column as an Arrow array; it is empty afterwards and keeps its shape.
    pub(crate) fn finish(&mut self, shape: &Shape) -> Result<ArrayRef, Error> {
        let nulls = (self.nulls > 0).then(|| NullBuffer::new(self.valid.finish()));
        let len = std::mem::take(&mut self.len);
        self.nulls = 0;
        Ok(match &mut self.store {
            Store::Nothing => arrow::array::new_null_array(&shape.arrow(), len),
            Store::Bool(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Store::I32(values) => int32(std::mem::take(values), nulls, shape),
            Store::I64(values) => int64(std::mem::take(values), nulls, shape),
            Store::F32(values) => Arc::new(Float32Array::new(std::mem::take(values).into(), nulls)),
            Store::F64(values) => Arc::new(Float64Array::new(std::mem::take(values).into(), nulls)),
            Store::I128(values) => {
                let array = Decimal128Array::new(std::mem::take(values).into(), nulls);
                Arc::new(array.with_data_type(shape.arrow()))
            }
            Store::Bytes { ends, data } => bytes(ends, data, nulls, shape)?,
            Store::Struct(children) => structure(children, nulls, len, shape)?,
            Store::List { ends, item } => {
                let Shape::List(inner) = shape else { return Err(mismatch(shape)) };
                let field = match shape.arrow() {
                    DataType::List(field) => field,
                    _ => return Err(mismatch(shape)),
                };
                Arc::new(ListArray::try_new(field, offsets(ends), item.finish(inner)?, nulls)?)
            }
            Store::Map { ends, keys, values } => {
                let Shape::Map(inner) = shape else { return Err(mismatch(shape)) };
                let entries = map_entries(inner);
                let DataType::Struct(fields) = entries.data_type() else { return Err(mismatch(shape)) };
                let columns = vec![keys.finish(&Shape::Text)?, values.finish(inner)?];
                let pairs = StructArray::try_new(fields.clone(), columns, None)?;
                Arc::new(MapArray::try_new(entries, offsets(ends), pairs, nulls, false)?)
            }
        })
    }
}

/// Where a value ends. Arrow's offsets are `i32`: the decoder bounds a batch's bytes far below.
pub(crate) fn end(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

fn last(ends: &[i32]) -> usize {
    ends.last().map_or(0, |end| usize::try_from(*end).unwrap_or(0))
}

fn mismatch(shape: &Shape) -> Error {
    Error::Columns { reason: format!("a store and its shape differ: {shape:?}") }
}

fn offsets(ends: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let mut offsets = Vec::with_capacity(ends.len() + 1);
    offsets.push(0);
    offsets.append(ends);
    OffsetBuffer::new(ScalarBuffer::from(offsets))
}

fn int32(values: Vec<i32>, nulls: Option<NullBuffer>, shape: &Shape) -> ArrayRef {
    match shape {
        Shape::Date => Arc::new(Date32Array::new(values.into(), nulls)),
        Shape::Time(_) => Arc::new(Time32MillisecondArray::new(values.into(), nulls)),
        _ => Arc::new(Int32Array::new(values.into(), nulls)),
    }
}

fn int64(values: Vec<i64>, nulls: Option<NullBuffer>, shape: &Shape) -> ArrayRef {
    let zone = |utc: bool| utc.then_some(UTC);
    match shape {
        Shape::Time(_) => Arc::new(Time64MicrosecondArray::new(values.into(), nulls)),
        Shape::Timestamp(TimeUnit::Millisecond, utc) => {
            Arc::new(TimestampMillisecondArray::new(values.into(), nulls).with_timezone_opt(zone(*utc)))
        }
        Shape::Timestamp(TimeUnit::Nanosecond, utc) => {
            Arc::new(TimestampNanosecondArray::new(values.into(), nulls).with_timezone_opt(zone(*utc)))
        }
        Shape::Timestamp(_, utc) => {
            Arc::new(TimestampMicrosecondArray::new(values.into(), nulls).with_timezone_opt(zone(*utc)))
        }
        _ => Arc::new(Int64Array::new(values.into(), nulls)),
    }
}

fn bytes(ends: &mut Vec<i32>, data: &mut Vec<u8>, nulls: Option<NullBuffer>, shape: &Shape) -> Result<ArrayRef, Error> {
    let (offsets, data) = (offsets(ends), Buffer::from_vec(std::mem::take(data)));
    Ok(match shape {
        Shape::Binary => Arc::new(BinaryArray::try_new(offsets, data, nulls)?),
        _ => Arc::new(StringArray::try_new(offsets, data, nulls)?),
    })
}

fn structure(children: &mut [Column], nulls: Option<NullBuffer>, len: usize, shape: &Shape) -> Result<ArrayRef, Error> {
    let Shape::Struct(fields) = shape else { return Err(mismatch(shape)) };
    let arrow = fields.iter().map(FieldShape::arrow).collect::<Vec<Arc<Field>>>();
    let arrays =
        children.iter_mut().zip(fields).map(|(child, field)| child.finish(&field.shape)).collect::<Result<_, _>>()?;
    Ok(Arc::new(StructArray::try_new_with_length(arrow.into(), arrays, nulls, len)?))
}
