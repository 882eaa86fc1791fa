//! Reading one partition for a query: from the log, hot or cold alike, in pieces, up to what was there when the query was planned.

use super::prune::Scope;
use super::rows::Maker;
use crate::Error;
use crate::counters::Counters;
use crate::topic::layout::Layout;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use millstream_record::{Batch, Columns, Limits, TimestampType, split};
use millstream_schema::SchemaLookup;
use millstream_task::Topics;
use millstream_types::{ErrorKind, Offset, TopicPartition};
use std::sync::Arc;

/// One partition of one table of one query.
#[derive(Clone)]
pub(crate) struct Scan {
    pub(crate) topics: Arc<dyn Topics>,
    pub(crate) schemas: Arc<dyn SchemaLookup>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) layout: Arc<Layout>,
    pub(crate) projection: Vec<usize>,
    pub(crate) schema: SchemaRef,
    pub(crate) scope: Scope,
    pub(crate) partition: TopicPartition,
    /// The first offset to read, and the one to stop before.
    pub(crate) range: (Offset, Offset),
    pub(crate) rows_max: Option<usize>,
    pub(crate) read_bytes_max: usize,
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (from, to) = self.range;
        write!(f, "{}-{} from {from} to {to}", self.layout.topic, self.partition.partition)
    }
}

impl PartitionStream for Scan {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let reservation = MemoryConsumer::new(format!("reading {}", self.layout.topic)).register(context.memory_pool());
        let reading = Reading {
            maker: Maker::new(&self.layout, &self.projection, self.schemas.clone()),
            scan: self.clone(),
            next: self.range.0,
            rows: 0,
            reservation,
        };
        let stream = futures::stream::try_unfold(reading, |mut reading| async move {
            let batch = reading.read().await?;
            Ok::<_, DataFusionError>(batch.map(|batch| (batch, reading)))
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), stream))
    }
}

struct Reading {
    scan: Scan,
    maker: Maker,
    next: Offset,
    rows: usize,
    reservation: MemoryReservation,
}

impl Reading {
    /// The next rows; none at the end.
    async fn read(&mut self) -> Result<Option<RecordBatch>, DataFusionError> {
        loop {
            let done = self.scan.rows_max.is_some_and(|most| self.rows >= most);
            if done || self.next >= self.scan.range.1 {
                return Ok(None);
            }
            let Some(records) = self.fetch().await? else { continue };
            let made = self.maker.make(&records, self.scan.partition.partition.0, &self.scan.scope)?;
            self.scan.counters.add_rows(made.batch.num_rows(), made.bad.len());
            self.rows += made.batch.num_rows();
            if made.batch.num_rows() > 0 {
                return Ok(Some(made.batch));
            }
        }
    }

    /// The next records; none when the batches that were read have nothing in scope.
    async fn fetch(&mut self) -> Result<Option<Columns>, DataFusionError> {
        let scan = &self.scan;
        let fetched = match scan.topics.read(scan.partition, self.next, scan.read_bytes_max).await {
            Ok(fetched) => fetched,
            Err(error) if error.kind == ErrorKind::Invalid => {
                // Retention may have moved the log's start past us: what is gone was never promised to a query.
                let bounds = scan.topics.bounds(scan.partition).await.map_err(Error::from)?;
                if bounds.log_start <= self.next {
                    return Err(Error::from(error).into());
                }
                self.next = bounds.log_start;
                return Ok(None);
            }
            Err(error) => return Err(Error::from(error).into()),
        };
        let bytes: usize = fetched.batches.iter().map(bytes::Bytes::len).sum();
        scan.counters.add_read(bytes);
        if bytes == 0 {
            // Nothing is left below the high watermark that the query was planned with: the log was cut.
            self.next = scan.range.1;
            return Ok(None);
        }
        self.reservation.try_resize(bytes)?;
        let mut records = Columns::default();
        let start = self.next;
        for batch in fetched
            .batches
            .into_iter()
            .map(split)
            .collect::<Result<Vec<_>, _>>()
            .map_err(corrupt)?
            .into_iter()
            .flatten()
        {
            let (from, next) = (self.next, batch.next_offset());
            if batch.base_offset() >= self.scan.range.1 {
                break;
            }
            self.next = next.max(from);
            if batch.is_control() || next <= from || !may_hold(&batch, &self.scan.scope) {
                self.scan.counters.skip_batch();
                continue;
            }
            records.append_batch(&batch, from, &Limits::default()).map_err(corrupt)?;
        }
        if self.next == start {
            let reason = format!("the log answered offset {start} with batches before it");
            return Err(Error::Internal { reason }.into());
        }
        self.reservation.try_resize(bytes.max(records.payload_bytes()))?;
        Ok((!records.is_empty()).then_some(records))
    }
}

/// Whether a batch may hold records of those times, by its header alone.
fn may_hold(batch: &Batch, scope: &Scope) -> bool {
    let newest = batch.max_timestamp().0;
    // Under LogAppendTime all records of a batch have its timestamp.
    newest >= scope.times.0 && (batch.timestamp_type() != TimestampType::LogAppendTime || newest <= scope.times.1)
}

fn corrupt(error: millstream_record::Error) -> DataFusionError {
    Error::Log { kind: error.kind(), message: error.to_string() }.into()
}
