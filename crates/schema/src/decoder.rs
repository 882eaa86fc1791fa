//! Record values to Arrow columns: only those that are asked for, and a row that does not fit is set aside with its reason.

use crate::avro;
use crate::column::Column;
use crate::json::decode::{Plan as JsonPlan, Value as JsonValue};
use crate::json::scan::Cursor;
use crate::misfit::{Fit, Misfit};
use crate::schema::{Body, Schema};
use crate::{Error, SchemaLookup, SchemaType, TableSchema, wire};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{FieldRef, Schema as ArrowSchema, SchemaRef};
use millstream_record::BinaryColumn;
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of values in one batch: Arrow's offsets are 31 bits, and JSON text may grow a little when it is rewritten.
pub const BATCH_BYTES_MAX: usize = 1 << 29;
/// Writers' schemas that one decoder keeps plans for.
const WRITERS_MAX: usize = 1024;

/// A row that does not fit its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Its index among the values that were given.
    pub index: u32,
    /// Why, for a person.
    pub reason: String,
}

/// Many values as columns.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The rows that fit, in order.
    pub batch: RecordBatch,
    /// For each row of the batch the index of its value; none when every value is a row.
    pub rows: Option<Vec<u32>>,
    /// The values that are no rows, in order.
    pub bad: Vec<BadRow>,
}

/// Decodes values of one schema into some of its columns.
///
/// Which rows fit does not depend on which columns are asked for: fields that are not wanted are checked and not built. A null value
/// (a tombstone) is a row whose columns are all null.
pub struct Decoder {
    table: Arc<TableSchema>,
    projection: Vec<usize>,
    arrow: SchemaRef,
    columns: Vec<Column>,
    reader: Reader,
}

enum Reader {
    JsonRecord(JsonPlan),
    JsonValue(JsonValue),
    Avro(Writers),
}

/// How to read what was written with each schema.
struct Writers {
    lookup: Arc<dyn SchemaLookup>,
    /// The plan for values without a prefix, and for those of the table's own schema.
    own: Arc<avro::Plan>,
    /// By id; none where the id is unknown or names no Avro schema.
    known: HashMap<i32, Option<Arc<avro::Plan>>>,
}

impl Decoder {
    /// A decoder of `table`'s values into the columns `projection` (indexes into its fields, in the order wanted).
    #[must_use]
    pub fn new(table: Arc<TableSchema>, projection: &[usize], lookup: Arc<dyn SchemaLookup>) -> Self {
        let projection: Vec<usize> = projection.iter().copied().filter(|index| *index < table.fields().len()).collect();
        let wanted: Vec<FieldRef> = projection.iter().map(|index| table.fields()[*index].arrow()).collect();
        let columns = table.fields().iter().enumerate();
        let columns = columns.map(|(index, field)| Column::new(&field.shape, projection.contains(&index))).collect();
        let reader = match &table.schema.body {
            Body::Json(_) if table.is_record() => Reader::JsonRecord(JsonPlan::new(table.fields())),
            Body::Json(_) => Reader::JsonValue(JsonValue::new(&table.fields()[0].shape)),
            Body::Avro(own) => Reader::Avro(Writers {
                lookup,
                own: Arc::new(avro::Plan::new(
                    Arc::new(own.nodes.clone()),
                    &own.nodes,
                    table.fields(),
                    table.is_record(),
                )),
                known: HashMap::new(),
            }),
        };
        Self { projection, arrow: Arc::new(ArrowSchema::new(wanted)), columns, reader, table }
    }

    /// The columns it makes.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.arrow.clone()
    }

    /// Decodes every value.
    ///
    /// # Errors
    /// Only when Arrow refuses the columns, which would be a bug. A value that does not fit is a bad row.
    pub fn decode(&mut self, values: &BinaryColumn) -> Result<Decoded, Error> {
        self.decode_where(values, |_| true)
    }

    /// Decodes the values whose index `wanted` accepts; the others are neither rows nor bad rows.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_where(&mut self, values: &BinaryColumn, wanted: impl Fn(usize) -> bool) -> Result<Decoded, Error> {
        let mut bad = Vec::new();
        let mut rows = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate().filter(|(index, _)| wanted(*index)) {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            match self.row(value, rows.len()) {
                Ok(()) => rows.push(index),
                Err(misfit) => {
                    self.columns.iter_mut().for_each(|column| column.truncate(rows.len()));
                    bad.push(BadRow { index, reason: misfit.words() });
                }
            }
        }
        let batch = self.finish(rows.len())?;
        let all = rows.len() == values.len();
        Ok(Decoded { batch, rows: (!all).then_some(rows), bad })
    }

    fn row(&mut self, value: Option<&[u8]>, row: usize) -> Fit {
        let Some(value) = value else {
            self.columns.iter_mut().for_each(Column::push_null);
            return Ok(());
        };
        match &mut self.reader {
            Reader::JsonRecord(plan) => json_row(value, |cursor| plan.read(cursor, &mut self.columns, row, 0)),
            Reader::JsonValue(one) => json_row(value, |cursor| {
                let Some(column) = self.columns.first_mut() else { return Ok(()) };
                if cursor.peek() == b'n' {
                    column.push_null();
                    return cursor.word(b"null");
                }
                one.read(cursor, column, 0)
            }),
            Reader::Avro(writers) => {
                let (plan, payload) = writers.plan(value, &self.table);
                plan.read(payload, &mut self.columns)
            }
        }
    }

    fn finish(&mut self, rows: usize) -> Result<RecordBatch, Error> {
        // Columns that are not wanted only count; they start again too.
        let mut arrays: HashMap<usize, _> = HashMap::new();
        for (index, column) in self.columns.iter_mut().enumerate() {
            if column.keep() {
                arrays.insert(index, column.finish(&self.table.fields()[index].shape)?);
            } else {
                column.truncate(0);
            }
        }
        let arrays = self.projection.iter().filter_map(|index| arrays.get(index).cloned()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(self.arrow.clone(), arrays, &options)?)
    }
}

fn json_row(value: &[u8], read: impl FnOnce(&mut Cursor<'_>) -> Fit) -> Fit {
    let text = wire::split(value).payload;
    // Once for the whole value: every string within it is then UTF-8 too.
    if std::str::from_utf8(text).is_err() {
        return Err(Misfit::new("not JSON: it is not UTF-8".to_owned()));
    }
    let mut cursor = Cursor::new(text);
    read(&mut cursor)?;
    cursor.end()
}

impl Writers {
    /// How to read `value`, and what of it is the value proper. A first byte of zero may be Avro too: only a known id makes a prefix.
    fn plan<'a>(&mut self, value: &'a [u8], table: &TableSchema) -> (Arc<avro::Plan>, &'a [u8]) {
        let framed = wire::split(value);
        let Some(id) = framed.id else { return (self.own.clone(), value) };
        if id == table.id() {
            return (self.own.clone(), framed.payload);
        }
        if self.known.len() >= WRITERS_MAX {
            self.known.clear();
        }
        let known = self.known.entry(id).or_insert_with(|| written_by(id, table, self.lookup.as_ref()));
        match known {
            Some(plan) => (plan.clone(), framed.payload),
            None => (self.own.clone(), value),
        }
    }
}

fn written_by(id: i32, table: &TableSchema, lookup: &dyn SchemaLookup) -> Option<Arc<avro::Plan>> {
    let registered = lookup.by_id(id).filter(|registered| registered.schema_type == SchemaType::Avro)?;
    let (Body::Avro(writer), Body::Avro(reader)) = (Schema::of(&registered, lookup).ok()?.body, &table.schema.body)
    else {
        return None;
    };
    Some(Arc::new(avro::Plan::new(Arc::new(writer.nodes), &reader.nodes, table.fields(), table.is_record())))
}
