//! The tables that describe the node itself: `system.topics` and its like. Their columns are defined here; their rows come through a port.

use crate::Error;
use crate::query::Context;
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use arrow::json::ReaderBuilder;
use async_trait::async_trait;
use datafusion::catalog::{MemTable, SchemaProvider, Session, TableProvider};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use millstream_schema::UTC;
use serde_json::{Map, Value};
use std::sync::Arc;

/// A table that describes the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SystemTable {
    /// Topics.
    Topics,
    /// Their partitions.
    Partitions,
    /// The partitions' segments, local and remote.
    Segments,
    /// Deployed functions.
    Functions,
    /// Connectors.
    Connectors,
    /// Consumer groups, a row for each partition they have an offset of.
    Groups,
    /// Continuous queries.
    Streams,
    /// Rules of the event bus.
    Rules,
}

/// The port to what the system tables tell.
#[async_trait]
pub trait SystemTables: Send + Sync + 'static {
    /// A table's rows, each an object whose members are named as [`SystemTable::columns`] says; one that is absent is null. Times are
    /// milliseconds since the Unix epoch.
    async fn rows(&self, table: SystemTable) -> Result<Vec<Map<String, Value>>, millstream_task::Error>;
}

/// The type of a column of a system table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemType {
    /// Text.
    Text,
    /// An integer.
    Integer,
    /// True or false.
    Flag,
    /// A moment.
    Time,
    /// Texts.
    Texts,
    /// Integers.
    Integers,
}

use SystemType::{Flag, Integer, Integers, Text, Texts, Time};

impl SystemTable {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Topics,
        Self::Partitions,
        Self::Segments,
        Self::Functions,
        Self::Connectors,
        Self::Groups,
        Self::Streams,
        Self::Rules,
    ];

    /// Its name within the schema `system`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Topics => "topics",
            Self::Partitions => "partitions",
            Self::Segments => "segments",
            Self::Functions => "functions",
            Self::Connectors => "connectors",
            Self::Groups => "groups",
            Self::Streams => "streams",
            Self::Rules => "rules",
        }
    }

    /// Its columns.
    #[must_use]
    pub const fn columns(self) -> &'static [(&'static str, SystemType)] {
        match self {
            Self::Topics => TOPICS,
            Self::Partitions => PARTITIONS,
            Self::Segments => SEGMENTS,
            Self::Functions => FUNCTIONS,
            Self::Connectors => CONNECTORS,
            Self::Groups => GROUPS,
            Self::Streams => STREAMS,
            Self::Rules => RULES,
        }
    }

    fn schema(self) -> SchemaRef {
        let field = |(name, kind): &(&str, SystemType)| Field::new(*name, kind.arrow(), true);
        Arc::new(Schema::new(self.columns().iter().map(field).collect::<Fields>()))
    }
}

const TOPICS: &[(&str, SystemType)] = &[
    ("name", Text),
    ("id", Text),
    ("partitions", Integer),
    ("internal", Flag),
    ("schema_id", Integer),
    ("records", Integer),
    ("bytes", Integer),
    ("configs", Text),
];

const PARTITIONS: &[(&str, SystemType)] = &[
    ("topic", Text),
    ("partition", Integer),
    ("leader", Integer),
    ("leader_epoch", Integer),
    ("replicas", Integers),
    ("isr", Integers),
    ("log_start", Integer),
    ("high_watermark", Integer),
    ("local_bytes", Integer),
    ("remote_bytes", Integer),
];

const SEGMENTS: &[(&str, SystemType)] = &[
    ("topic", Text),
    ("partition", Integer),
    ("base_offset", Integer),
    ("next_offset", Integer),
    ("bytes", Integer),
    ("max_timestamp", Time),
    ("state", Text),
    ("object", Text),
];

const CONNECTORS: &[(&str, SystemType)] = &[
    ("name", Text),
    ("type", Text),
    ("direction", Text),
    ("state", Text),
    ("tasks", Integer),
    ("records_in", Integer),
    ("records_out", Integer),
    ("failures", Integer),
    ("lag", Integer),
    ("last_error", Text),
];

const GROUPS: &[(&str, SystemType)] = &[
    ("name", Text),
    ("state", Text),
    ("protocol", Text),
    ("members", Integer),
    ("topic", Text),
    ("partition", Integer),
    ("committed", Integer),
    ("end_offset", Integer),
    ("lag", Integer),
];

const STREAMS: &[(&str, SystemType)] = &[
    ("name", Text),
    ("generation", Integer),
    ("state", Text),
    ("sql", Text),
    ("inputs", Texts),
    ("outputs", Texts),
    ("records_in", Integer),
    ("records_out", Integer),
    ("failures", Integer),
    ("lag", Integer),
    ("last_error", Text),
];

const RULES: &[(&str, SystemType)] = &[
    ("name", Text),
    ("bus", Text),
    ("state", Text),
    ("pattern", Text),
    ("targets", Texts),
    ("matched", Integer),
    ("failures", Integer),
    ("lag", Integer),
    ("last_error", Text),
];

const FUNCTIONS: &[(&str, SystemType)] = &[
    ("name", Text),
    ("generation", Integer),
    ("state", Text),
    ("inputs", Texts),
    ("outputs", Texts),
    ("tasks", Integer),
    ("records_in", Integer),
    ("records_out", Integer),
    ("failures", Integer),
    ("lag", Integer),
    ("last_error", Text),
];

impl SystemType {
    fn arrow(self) -> DataType {
        let list = |item: DataType| DataType::List(Arc::new(Field::new("item", item, true)));
        match self {
            Self::Text => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Flag => DataType::Boolean,
            Self::Time => DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into())),
            Self::Texts => list(DataType::Utf8),
            Self::Integers => list(DataType::Int64),
        }
    }
}

/// The schema `system` of the catalog.
#[derive(Debug)]
pub(crate) struct SystemSchema(pub(crate) Arc<Context>);

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        SystemTable::ALL.iter().map(|table| table.name().to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let found = SystemTable::ALL.into_iter().find(|table| table.name() == name);
        Ok(found.map(|table| Arc::new(Described { context: self.0.clone(), table }) as Arc<dyn TableProvider>))
    }

    fn table_exist(&self, name: &str) -> bool {
        SystemTable::ALL.iter().any(|table| table.name() == name)
    }
}

#[derive(Debug)]
struct Described {
    context: Arc<Context>,
    table: SystemTable,
}

#[async_trait]
impl TableProvider for Described {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let rows = self.context.system.rows(self.table).await.map_err(Error::from)?;
        let batch = batch(self.table, &rows)?;
        MemTable::try_new(self.schema(), vec![vec![batch]])?.scan(state, projection, filters, limit).await
    }
}

fn batch(table: SystemTable, rows: &[Map<String, Value>]) -> Result<RecordBatch, DataFusionError> {
    let mut decoder = ReaderBuilder::new(table.schema()).with_batch_size(rows.len().max(1)).build_decoder()?;
    decoder.serialize(rows)?;
    Ok(decoder.flush()?.unwrap_or_else(|| RecordBatch::new_empty(table.schema())))
}

/// A node without anything to tell: every system table is empty.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoSystem;

#[async_trait]
impl SystemTables for NoSystem {
    async fn rows(&self, _table: SystemTable) -> Result<Vec<Map<String, Value>>, millstream_task::Error> {
        Ok(Vec::new())
    }
}
