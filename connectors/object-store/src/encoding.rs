//! Records as Arrow batches or JSON lines as they come in, and those as the bytes of an object.

use crate::settings::{Format, Settings};
use arrow::array::{
    ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use millstream_connect::OperatorError;
use millstream_record::{BinaryColumn, Columns};
use millstream_schema::{Decoder, Registered, SchemaLookup, TableSchema, value_subject};
use millstream_types::ErrorKind;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::sync::Arc;

const UTC: &str = "UTC";

/// How the records of one object are kept until it is complete.
pub(crate) enum Encoding {
    Parquet(Parquet),
    Lines(Vec<u8>),
}

/// A Parquet object to be.
pub(crate) struct Parquet {
    partition: i32,
    text: bool,
    schema: SchemaRef,
    /// Of values with a registered schema; otherwise values are one column.
    decoder: Option<Decoder>,
    batches: Vec<RecordBatch>,
}

/// A record that can't be in the object: its place among those given, and why.
pub(crate) type Bad = (usize, String);

impl Encoding {
    /// Begins an object with the topic's schema as it is now.
    pub fn begin(
        settings: &Settings,
        topic: &str,
        partition: i32,
        lookup: &Arc<dyn SchemaLookup>,
    ) -> Result<Self, OperatorError> {
        if settings.format == Format::JsonLines {
            return Ok(Self::Lines(Vec::new()));
        }
        let registered = lookup.latest(&value_subject(topic));
        let decoder = registered.map(|registered| decoder(&registered, topic, lookup)).transpose()?;
        let values: Vec<FieldRef> = match &decoder {
            Some(decoder) => decoder.schema().fields().iter().cloned().collect(),
            None => vec![Arc::new(Field::new("_value", bytes_type(settings.text), true))],
        };
        let fields: Vec<FieldRef> = own_fields(settings.text).into_iter().map(Arc::new).chain(values).collect();
        if let Some(twice) = fields
            .iter()
            .enumerate()
            .find(|(at, field)| fields[..*at].iter().any(|before| before.name() == field.name()))
        {
            let message = format!(
                "the schema of topic {topic:?} has a field {:?}, which is the name of a column of the object's own: use format json-lines",
                twice.1.name()
            );
            return Err(OperatorError::new(ErrorKind::Invalid, message));
        }
        let schema = Arc::new(Schema::new(fields));
        Ok(Self::Parquet(Parquet { partition, text: settings.text, schema, decoder, batches: Vec::new() }))
    }

    /// Adds records and returns those that do not fit; with `stop_at_bad` only what is before the first of them is added.
    pub fn add(&mut self, records: &Columns, stop_at_bad: bool) -> Result<Vec<Bad>, OperatorError> {
        match self {
            Self::Parquet(parquet) => parquet.add(records, stop_at_bad),
            Self::Lines(lines) => Ok(add_lines(lines, records, stop_at_bad)),
        }
    }

    /// The object's bytes; none where no record fit. Takes a while: run it on a compute thread.
    pub fn finish(&self) -> Result<Option<Bytes>, OperatorError> {
        match self {
            Self::Lines(lines) if lines.is_empty() => Ok(None),
            Self::Lines(lines) => Ok(Some(Bytes::copy_from_slice(lines))),
            Self::Parquet(parquet) if parquet.batches.is_empty() => Ok(None),
            Self::Parquet(parquet) => parquet.finish().map(Some),
        }
    }
}

fn decoder(registered: &Registered, topic: &str, lookup: &Arc<dyn SchemaLookup>) -> Result<Decoder, OperatorError> {
    let table = TableSchema::of(registered, lookup.as_ref()).map_err(|error| {
        OperatorError::new(
            ErrorKind::Invalid,
            format!("the registered schema of topic {topic:?} can't be used: {error}"),
        )
    })?;
    let all: Vec<usize> = (0..table.fields().len()).collect();
    Ok(Decoder::new(Arc::new(table), &all, lookup.clone()))
}

fn bytes_type(text: bool) -> DataType {
    if text { DataType::Utf8 } else { DataType::Binary }
}

fn own_fields(text: bool) -> [Field; 4] {
    [
        Field::new("_partition", DataType::Int32, false),
        Field::new("_offset", DataType::Int64, false),
        Field::new("_timestamp", DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into())), false),
        Field::new("_key", bytes_type(text), true),
    ]
}

impl Parquet {
    fn add(&mut self, records: &Columns, stop_at_bad: bool) -> Result<Vec<Bad>, OperatorError> {
        let mut bad = if self.text { not_text(&records.keys, "key") } else { Vec::new() };
        if self.text && self.decoder.is_none() {
            bad.extend(not_text(&records.values, "value"));
            bad.sort();
            bad.dedup_by_key(|(place, _)| *place);
        }
        let fits = |bad: &[Bad], at: usize| bad.binary_search_by_key(&at, |(place, _)| *place).is_err();
        let mut decoded = None;
        if let Some(decoder) = &mut self.decoder {
            let columns = decoder.decode_where(&records.values, |at| fits(&bad, at));
            let columns = columns.map_err(|error| OperatorError::new(error.kind(), error.to_string()))?;
            bad.extend(columns.bad.into_iter().map(|row| (row.index as usize, row.reason)));
            bad.sort();
            decoded = Some(columns.batch);
        }
        if stop_at_bad && let Some((place, message)) = bad.first() {
            let mut before = Columns::default();
            (0..*place).for_each(|at| before.push_from(records, at));
            let first = (*place, message.clone());
            self.add(&before, false)?;
            return Ok(vec![first]);
        }
        let rows: Vec<usize> = (0..records.len()).filter(|at| fits(&bad, *at)).collect();
        if !rows.is_empty() {
            let values =
                decoded.map_or_else(|| vec![self.bytes(&records.values, &rows)], |batch| batch.columns().to_vec());
            let columns = self.own_columns(records, &rows).into_iter().chain(values).collect();
            let refused = |error| OperatorError::new(ErrorKind::Internal, format!("Arrow refused a batch: {error}"));
            self.batches.push(RecordBatch::try_new(self.schema.clone(), columns).map_err(refused)?);
        }
        Ok(bad)
    }

    fn own_columns(&self, records: &Columns, rows: &[usize]) -> [ArrayRef; 4] {
        let timestamps = rows.iter().map(|at| records.timestamps[*at]);
        [
            Arc::new(Int32Array::from_iter_values(rows.iter().map(|_| self.partition))),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|at| records.offsets[*at]))),
            Arc::new(TimestampMillisecondArray::from_iter_values(timestamps).with_timezone(UTC)),
            self.bytes(&records.keys, rows),
        ]
    }

    /// A column of bytes, of which those in `rows` are text where text is wanted.
    fn bytes(&self, column: &BinaryColumn, rows: &[usize]) -> ArrayRef {
        let values = rows.iter().map(|at| column.get(*at));
        if self.text {
            return Arc::new(
                values
                    .map(|value| value.map(|value| std::str::from_utf8(value).unwrap_or_default()))
                    .collect::<StringArray>(),
            );
        }
        Arc::new(values.collect::<BinaryArray>())
    }

    fn finish(&self) -> Result<Bytes, OperatorError> {
        let failed = |error: parquet::errors::ParquetError| {
            OperatorError::new(ErrorKind::Internal, format!("could not encode Parquet: {error}"))
        };
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), self.schema.clone(), Some(properties)).map_err(failed)?;
        for batch in &self.batches {
            writer.write(batch).map_err(failed)?;
        }
        writer.into_inner().map(Bytes::from).map_err(failed)
    }
}

fn not_text(column: &BinaryColumn, what: &str) -> Vec<Bad> {
    let bad =
        column.iter().enumerate().filter(|(_, bytes)| bytes.is_some_and(|bytes| std::str::from_utf8(bytes).is_err()));
    bad.map(|(at, _)| (at, format!("its {what} is not UTF-8, which the setting `text` needs"))).collect()
}

fn add_lines(lines: &mut Vec<u8>, records: &Columns, stop_at_bad: bool) -> Vec<Bad> {
    let mut bad = Vec::new();
    for (at, value) in records.values.iter().enumerate() {
        let value = value.unwrap_or(b"null");
        match serde_json::from_slice::<serde::de::IgnoredAny>(value) {
            // In JSON a line break can only be between tokens: a blank means the same.
            Ok(_) => {
                lines.extend(
                    value.trim_ascii().iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }),
                );
                lines.push(b'\n');
            }
            Err(error) => bad.push((at, format!("its value is not JSON, which the format json-lines needs: {error}"))),
        }
        if stop_at_bad && !bad.is_empty() {
            break;
        }
    }
    bad
}
