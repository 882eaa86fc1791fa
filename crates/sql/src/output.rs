//! Rows as bytes, in pieces as they come: a table for people, JSON lines and CSV for programs, Arrow's IPC stream for both.

use crate::{Error, QueryStream};
use arrow::array::RecordBatch;
use arrow::csv::WriterBuilder;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::writer::StreamWriter;
use arrow::util::pretty::pretty_format_batches_with_schema;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use millstream_schema::Encoder;
use std::str::FromStr;
use std::sync::Arc;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A drawn table; long results are drawn in several.
    Table,
    /// One JSON object a line.
    Json,
    /// Comma-separated values with a header line.
    Csv,
    /// Arrow's IPC stream.
    Arrow,
}

impl Format {
    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Table => "text/plain; charset=utf-8",
            Self::Json => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        match word {
            "table" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            "arrow" => Ok(Self::Arrow),
            _ => Err(Error::Invalid {
                reason: format!("{word:?} is not a format for rows; use table, json, csv or arrow"),
            }),
        }
    }
}

/// Rows that one drawn table has at most: its columns are as wide as its widest row.
const TABLE_ROWS_MAX: usize = 1000;

/// The rows of a query as bytes. The pieces put together are the whole output; what has been written of a query that fails stands.
pub fn encode(query: QueryStream, format: Format) -> impl Stream<Item = Result<Bytes, Error>> + Send {
    let schema = query.schema();
    let state = State { query: Box::pin(query), writer: Writer::new(format, schema), done: false };
    stream::unfold(state, |mut state| async move {
        loop {
            if state.done {
                return None;
            }
            let bytes = match state.query.next().await {
                Some(Ok(batch)) => state.writer.write(&batch),
                Some(Err(error)) => Err(error),
                None => {
                    state.done = true;
                    state.writer.finish()
                }
            };
            state.done |= bytes.is_err();
            match bytes {
                Ok(bytes) if bytes.is_empty() => {}
                other => return Some((other, state)),
            }
        }
    })
}

struct State {
    query: std::pin::Pin<Box<QueryStream>>,
    writer: Writer,
    done: bool,
}

enum Writer {
    Table { schema: SchemaRef, held: Vec<RecordBatch>, rows: usize, drawn: bool },
    Json(Encoder),
    Csv { header: Option<SchemaRef> },
    Arrow(Option<Box<StreamWriter<Vec<u8>>>>, SchemaRef),
}

impl Writer {
    fn new(format: Format, schema: SchemaRef) -> Self {
        match format {
            Format::Table => Self::Table { schema, held: Vec::new(), rows: 0, drawn: false },
            Format::Json => Self::Json(Encoder::new()),
            Format::Csv => Self::Csv { header: Some(schema) },
            Format::Arrow => Self::Arrow(None, schema),
        }
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<Bytes, Error> {
        match self {
            Self::Table { .. } => {
                let mut out = Vec::new();
                let mut from = 0;
                while from < batch.num_rows() {
                    let count = (batch.num_rows() - from).min(TABLE_ROWS_MAX - self.table_rows());
                    if let Self::Table { held, rows, .. } = self {
                        held.push(batch.slice(from, count));
                        *rows += count;
                    }
                    from += count;
                    if self.table_rows() >= TABLE_ROWS_MAX {
                        self.draw(&mut out)?;
                    }
                }
                Ok(out.into())
            }
            Self::Json(encoder) => {
                let mut out = Vec::new();
                encoder.lines(batch, &mut out).map_err(|error| unwritable(&error))?;
                Ok(out.into())
            }
            Self::Csv { header } => {
                let mut out = Vec::new();
                let with_header = header.take().is_some();
                csv(batch, with_header, &mut out)?;
                Ok(out.into())
            }
            Self::Arrow(writer, schema) => {
                let mut open = open(writer.take(), schema)?;
                open.write(batch).map_err(|error| unwritable(&error))?;
                let out = std::mem::take(open.get_mut());
                *writer = Some(open);
                Ok(out.into())
            }
        }
    }

    /// What follows the last row.
    fn finish(&mut self) -> Result<Bytes, Error> {
        match self {
            Self::Table { drawn, rows, .. } if *rows > 0 || !*drawn => {
                let mut out = Vec::new();
                self.draw(&mut out)?;
                Ok(out.into())
            }
            Self::Csv { header } => {
                let mut out = Vec::new();
                if let Some(schema) = header.take() {
                    csv(&RecordBatch::new_empty(schema), true, &mut out)?;
                }
                Ok(out.into())
            }
            Self::Arrow(writer, schema) => {
                let mut open = open(writer.take(), schema)?;
                open.finish().map_err(|error| unwritable(&error))?;
                Ok(std::mem::take(open.get_mut()).into())
            }
            Self::Table { .. } | Self::Json(_) => Ok(Bytes::new()),
        }
    }

    const fn table_rows(&self) -> usize {
        match self {
            Self::Table { rows, .. } => *rows,
            _ => 0,
        }
    }

    fn draw(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        let Self::Table { schema, held, rows, drawn } = self else { return Ok(()) };
        let table = pretty_format_batches_with_schema(schema.clone(), held).map_err(|error| unwritable(&error))?;
        out.extend_from_slice(table.to_string().as_bytes());
        out.push(b'\n');
        held.clear();
        (*rows, *drawn) = (0, true);
        Ok(())
    }
}

fn open(writer: Option<Box<StreamWriter<Vec<u8>>>>, schema: &SchemaRef) -> Result<Box<StreamWriter<Vec<u8>>>, Error> {
    match writer {
        Some(open) => Ok(open),
        None => StreamWriter::try_new(Vec::new(), schema).map(Box::new).map_err(|error| unwritable(&error)),
    }
}

/// CSV has no form for values within values: such columns are written as JSON text.
fn csv(batch: &RecordBatch, with_header: bool, out: &mut Vec<u8>) -> Result<(), Error> {
    let flat = flatten(batch)?;
    WriterBuilder::new().with_header(with_header).build(out).write(&flat).map_err(|error| unwritable(&error))
}

fn flatten(batch: &RecordBatch) -> Result<RecordBatch, Error> {
    if !batch.schema().fields().iter().any(|field| field.data_type().is_nested()) {
        return Ok(batch.clone());
    }
    let schema = batch.schema();
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if !field.data_type().is_nested() {
            fields.push(field.clone());
            columns.push(column.clone());
            continue;
        }
        let texts = Encoder::new().texts(field, column.as_ref()).map_err(|error| unwritable(&error))?;
        fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
        columns.push(Arc::new(texts));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|error| unwritable(&error))
}

fn unwritable(error: &dyn std::fmt::Display) -> Error {
    Error::Invalid {
        reason: format!(
            "the rows can't be written in this format: {error}; cast the column to TEXT or choose another format"
        ),
    }
}
