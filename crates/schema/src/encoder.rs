//! Arrow rows to JSON values: what a stream writes, and JSON lines.

use crate::{Error, JSON_TEXT};
use arrow::array::{Array, AsArray, RecordBatch, StringArray, UnionArray};
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;
use arrow::json::writer::{Encoder as Encode, EncoderFactory, EncoderOptions, NullableEncoder, make_encoder};
use millstream_record::BinaryColumn;
use std::sync::Arc;

/// Writes rows as JSON objects, every column of them: a null is written, so that all rows have one form. Moments are RFC 3339 texts,
/// bytes are hex, and columns of JSON text are put in as they are.
pub struct Encoder(EncoderOptions);

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder.
    #[must_use]
    pub fn new() -> Self {
        Self(EncoderOptions::default().with_explicit_nulls(true).with_encoder_factory(Arc::new(Special)))
    }

    /// Appends one JSON object a row.
    ///
    /// # Errors
    /// When a column has a type that JSON has no form for.
    pub fn encode(&self, batch: &RecordBatch, out: &mut BinaryColumn) -> Result<(), Error> {
        let mut row = Vec::new();
        self.rows(batch, |write| {
            row.clear();
            write(&mut row);
            out.push(Some(&row));
        })
    }

    /// Appends one line a row.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn lines(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Error> {
        self.rows(batch, |write| {
            write(out);
            out.push(b'\n');
        })
    }

    /// One column's values as JSON texts; a null stays null.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn texts(&self, field: &FieldRef, array: &dyn Array) -> Result<StringArray, Error> {
        let mut encoder = make_encoder(field, array, &self.0)?;
        let mut row = Vec::new();
        let mut text = |index: usize| {
            row.clear();
            (!encoder.is_null(index)).then(|| {
                encoder.encode(index, &mut row);
                String::from_utf8_lossy(&row).into_owned()
            })
        };
        Ok((0..array.len()).map(&mut text).collect())
    }

    fn rows(&self, batch: &RecordBatch, mut each: impl FnMut(&mut dyn FnMut(&mut Vec<u8>))) -> Result<(), Error> {
        let schema = batch.schema();
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (field, array) in schema.fields().iter().zip(batch.columns()) {
            let name = serde_json::Value::from(field.name().as_str()).to_string();
            columns.push((name, make_encoder(field, array.as_ref(), &self.0)?));
        }
        for row in 0..batch.num_rows() {
            each(&mut |out| {
                out.push(b'{');
                for (index, (name, encoder)) in columns.iter_mut().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(name.as_bytes());
                    out.push(b':');
                    nullable(encoder, row, out);
                }
                out.push(b'}');
            });
        }
        Ok(())
    }
}

fn nullable(encoder: &mut NullableEncoder<'_>, row: usize, out: &mut Vec<u8>) {
    if encoder.is_null(row) {
        out.extend_from_slice(b"null");
    } else {
        encoder.encode(row, out);
    }
}

/// The columns that Arrow's own encoders do not write as we want them.
#[derive(Debug)]
struct Special;

impl EncoderFactory for Special {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        match array.data_type() {
            DataType::Utf8 if field.metadata().contains_key(JSON_TEXT) => {
                Ok(Some(NullableEncoder::new(Box::new(Text(array)), array.nulls().cloned())))
            }
            DataType::Union(fields, _) => {
                let array = array.as_union();
                let mut branches = Vec::new();
                for (id, field) in fields.iter() {
                    let child = array.child(id).as_ref();
                    let encoder = match field.name().as_str() {
                        // What the JSON functions' `->` gives: arrays and objects are texts of JSON.
                        "array" | "object" if child.data_type() == &DataType::Utf8 => {
                            NullableEncoder::new(Box::new(Text(child)), child.nulls().cloned())
                        }
                        _ => make_encoder(field, child, options)?,
                    };
                    branches.push((id, encoder));
                }
                Ok(Some(NullableEncoder::new(Box::new(Alternatives { array, branches }), None)))
            }
            _ => Ok(None),
        }
    }
}

struct Text<'a>(&'a dyn Array);

impl Encode for Text<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_string::<i32>().value(row).as_bytes());
    }
}

struct Alternatives<'a> {
    array: &'a UnionArray,
    branches: Vec<(i8, NullableEncoder<'a>)>,
}

impl Encode for Alternatives<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let (id, offset) = (self.array.type_id(row), self.array.value_offset(row));
        match self.branches.iter_mut().find(|(branch, _)| *branch == id) {
            Some((_, encoder)) => nullable(encoder, offset, out),
            None => out.extend_from_slice(b"null"),
        }
    }
}
