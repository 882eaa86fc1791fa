//! A running query: its rows as a stream, bounded in time and memory, computed on the compute threads and nowhere else.

use crate::counters::{Counters, Stats};
use crate::limits::BATCHES_AHEAD;
use crate::words::{Surroundings, rewrite};
use crate::{Error, Limits, SystemTables};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use futures::future::{BoxFuture, FutureExt};
use futures::{Stream, StreamExt};
use millstream_runtime::Runtime;
use millstream_schema::SchemaLookup;
use millstream_task::Topics;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// What one query has to hand.
pub(crate) struct Context {
    pub(crate) topics: Arc<dyn Topics>,
    pub(crate) schemas: Arc<dyn SchemaLookup>,
    pub(crate) system: Arc<dyn SystemTables>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) limits: Limits,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Context")
    }
}

impl Context {
    /// An error of DataFusion in our words.
    pub(crate) fn explain(&self, error: DataFusionError) -> Error {
        rewrite(error, &Surroundings { tables: &|| self.table_names(), memory_bytes_max: self.limits.memory_bytes_max })
    }
}

/// The rows of a query. Dropping it ends the query.
pub struct QueryStream {
    schema: SchemaRef,
    context: Arc<Context>,
    batches: mpsc::Receiver<Result<RecordBatch, Error>>,
    /// Moves batches from the plan to us; none when it has ended.
    pump: Option<BoxFuture<'static, Result<(), Error>>>,
    deadline: BoxFuture<'static, ()>,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl QueryStream {
    pub(crate) fn new(
        runtime: &Runtime,
        context: Arc<Context>,
        plan: SendableRecordBatchStream,
        deadline: BoxFuture<'static, ()>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
        let (compute, words) = (runtime.compute.clone(), context.clone());
        let schema = plan.schema();
        let pump = async move {
            let moved = compute.run(pump(plan, sender, words)).await;
            moved.map_err(|lost| Error::Lost { reason: lost.to_string() })
        };
        Self { schema, context, batches, pump: Some(pump.boxed()), deadline, ended: false, _permit: permit }
    }

    /// The columns of its rows.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// What it has done so far; final once the stream has ended.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.context.counters.stats()
    }

    /// The same for whoever only counts, and outlives the stream.
    pub fn watch_stats(&self) -> impl Fn() -> Stats + Send + 'static {
        let context = self.context.clone();
        move || context.counters.stats()
    }

    /// All rows at once: for results that are known to be small.
    ///
    /// # Errors
    /// As the stream gives them.
    pub async fn collect_all(&mut self) -> Result<Vec<RecordBatch>, Error> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }

    fn end<T>(&mut self, last: T) -> Poll<T> {
        self.ended = true;
        self.pump = None;
        self.batches.close();
        Poll::Ready(last)
    }
}

async fn pump(
    mut plan: SendableRecordBatchStream,
    sender: mpsc::Sender<Result<RecordBatch, Error>>,
    context: Arc<Context>,
) {
    while let Some(batch) = plan.next().await {
        let failed = batch.is_err();
        let batch = batch.map_err(|error| context.explain(error));
        if sender.send(batch).await.is_err() || failed {
            return;
        }
    }
}

impl Stream for QueryStream {
    type Item = Result<RecordBatch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if self.deadline.poll_unpin(task).is_ready() {
            let limit_ms = self.context.limits.time_max.as_millis();
            return self.end(Some(Err(Error::Time { limit_ms })));
        }
        if let Some(pump) = &mut self.pump
            && let Poll::Ready(done) = pump.poll_unpin(task)
        {
            self.pump = None;
            if let Err(error) = done {
                return self.end(Some(Err(error)));
            }
        }
        match self.batches.poll_recv(task) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) if self.pump.is_some() => Poll::Pending,
            Poll::Ready(None) => self.end(None),
            Poll::Ready(Some(Err(error))) => self.end(Some(Err(error))),
            Poll::Ready(Some(Ok(batch))) => {
                self.context.counters.add_returned(batch.num_rows());
                Poll::Ready(Some(Ok(batch)))
            }
        }
    }
}
