//! Records to rows: the columns a query asked for, of the records that fit.

use super::layout::{Layout, Part, Rows, header_fields, header_item};
use super::prune::Scope;
use crate::Error;
use arrow::array::{
    ArrayRef, Int32Array, Int64Array, ListArray, RecordBatch, RecordBatchOptions, StringArray, StringBuilder,
    StructArray, TimestampMillisecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{Schema, SchemaRef};
use millstream_record::Columns;
use millstream_schema::{BadRow, Decoder, SchemaLookup, UTC};
use std::fmt::Write as _;
use std::sync::Arc;

/// Makes rows of one topic's records.
pub(crate) struct Maker {
    rows: Rows,
    parts: Vec<Part>,
    schema: SchemaRef,
    /// Reads the values; none for a topic without a schema.
    decoder: Option<Decoder>,
}

/// Rows that were made.
pub(crate) struct Made {
    pub(crate) batch: RecordBatch,
    /// For each row the index of its record; none when every record is a row.
    pub(crate) records: Option<Vec<u32>>,
    /// Records in scope that do not fit the schema.
    pub(crate) bad: Vec<BadRow>,
}

/// Which records become rows.
struct Chosen<'a> {
    /// Their indexes; none when it is all.
    rows: Option<&'a [u32]>,
    /// Their decoded fields, for a topic with a schema.
    values: Option<&'a RecordBatch>,
    /// The records that do not fit.
    bad: &'a [BadRow],
}

impl Maker {
    /// A maker of the columns `projection` of `layout`.
    pub(crate) fn new(layout: &Layout, projection: &[usize], schemas: Arc<dyn SchemaLookup>) -> Self {
        let parts: Vec<Part> = projection.iter().filter_map(|index| layout.parts.get(*index).copied()).collect();
        let fields: Vec<usize> =
            parts.iter().filter_map(|part| if let Part::Field(index) = part { Some(*index) } else { None }).collect();
        let schema =
            Schema::new(projection.iter().map(|index| layout.schema.fields()[*index].clone()).collect::<Vec<_>>());
        let decoder = layout.values.clone().map(|table| Decoder::new(table, &fields, schemas));
        Self { rows: layout.rows, parts, schema: Arc::new(schema), decoder }
    }

    /// The columns it makes.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The rows of `records` of `partition` that lie in `scope`.
    pub(crate) fn make(&mut self, records: &Columns, partition: i32, scope: &Scope) -> Result<Made, Error> {
        let within = |index: usize| scope.has(records.offsets[index], records.timestamps[index]);
        let (values, chosen, bad) = match &mut self.decoder {
            Some(decoder) => {
                let decoded = decoder
                    .decode_where(&records.values, within)
                    .map_err(|error| Error::Internal { reason: error.to_string() })?;
                (Some(decoded.batch), decoded.rows, decoded.bad)
            }
            None => {
                let chosen: Vec<u32> = (0..records.len()).filter(|index| within(*index)).map(small).collect();
                (None, (chosen.len() < records.len()).then_some(chosen), Vec::new())
            }
        };
        if self.rows == Rows::Bad {
            let chosen: Vec<u32> = bad.iter().map(|row| row.index).collect();
            let batch = self.batch(records, partition, &Chosen { rows: Some(&chosen), values: None, bad: &bad })?;
            return Ok(Made { batch, records: Some(chosen), bad });
        }
        let batch =
            self.batch(records, partition, &Chosen { rows: chosen.as_deref(), values: values.as_ref(), bad: &bad })?;
        Ok(Made { batch, records: chosen, bad })
    }

    fn batch(&self, records: &Columns, partition: i32, chosen: &Chosen<'_>) -> Result<RecordBatch, Error> {
        let Chosen { rows: chosen, values, bad } = *chosen;
        let count = chosen.map_or(records.len(), <[u32]>::len);
        let mut fields = values.map_or(&[][..], RecordBatch::columns).iter();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            arrays.push(match part {
                Part::Field(_) => fields
                    .next()
                    .cloned()
                    .ok_or_else(|| Error::Internal { reason: "a decoded column is missing".to_owned() })?,
                Part::Partition => Arc::new(Int32Array::from_value(partition, count)),
                Part::Offset => {
                    Arc::new(Int64Array::from_iter_values(each(chosen, count).map(|index| records.offsets[index])))
                }
                Part::Timestamp => {
                    let times = each(chosen, count).map(|index| records.timestamps[index]);
                    Arc::new(TimestampMillisecondArray::from_iter_values(times).with_timezone(UTC))
                }
                Part::Key => Arc::new(texts(each(chosen, count).map(|index| records.keys.get(index)))),
                Part::Value => Arc::new(texts(each(chosen, count).map(|index| records.values.get(index)))),
                Part::Headers => Arc::new(headers(records, each(chosen, count))?),
                Part::Reason => Arc::new(StringArray::from_iter_values(bad.iter().map(|row| row.reason.as_str()))),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        RecordBatch::try_new_with_options(self.schema(), arrays, &options)
            .map_err(|error| Error::Internal { reason: error.to_string() })
    }
}

fn small(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn each(chosen: Option<&[u32]>, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |row| chosen.and_then(|chosen| chosen.get(row)).map_or(row, |index| *index as usize))
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a [u8]>>) -> StringArray {
    let mut column = StringBuilder::new();
    values.for_each(|value| push(&mut column, value));
    column.finish()
}

/// Bytes as text: as they are where they are UTF-8, otherwise `\x` and hex.
fn push(column: &mut StringBuilder, value: Option<&[u8]>) {
    match value.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => column.append_null(),
        Some((_, Ok(text))) => column.append_value(text),
        Some((bytes, Err(_))) => {
            // Writing to a builder can't fail.
            let _ = column.write_str("\\x");
            for byte in bytes {
                let _ = write!(column, "{byte:02x}");
            }
            column.append_value("");
        }
    }
}

fn headers(records: &Columns, rows: impl Iterator<Item = usize>) -> Result<ListArray, Error> {
    let (mut names, mut values, mut lengths) = (StringBuilder::new(), StringBuilder::new(), Vec::new());
    for index in rows {
        let mut count = 0;
        for (name, value) in records.headers.get(index) {
            names.append_value(name);
            push(&mut values, value);
            count += 1;
        }
        lengths.push(count);
    }
    let internal = |error: arrow::error::ArrowError| Error::Internal { reason: error.to_string() };
    let pairs: Vec<ArrayRef> = vec![Arc::new(names.finish()), Arc::new(values.finish())];
    let items = StructArray::try_new(header_fields(), pairs, None).map_err(internal)?;
    ListArray::try_new(header_item(), OffsetBuffer::from_lengths(lengths), Arc::new(items), None).map_err(internal)
}
