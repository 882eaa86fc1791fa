//! What queries take and give: their time by outcome, the rows they return, and the records they leave out.

use super::failed;
use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use millstream_runtime::{Clock, Runtime};
use millstream_sql::{Error, Stats};
use millstream_task::Error as TaskError;
use millstream_telemetry::{Counter, Metrics, catalogue};
use std::sync::Arc;
use std::time::Duration;

/// Where queries are counted.
#[derive(Clone)]
pub struct Meter {
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    rows: Counter,
    quarantined: Counter,
}

impl Meter {
    /// The meter of this node's queries.
    pub fn new(runtime: &Runtime, metrics: &Metrics) -> Self {
        Self {
            clock: runtime.clock.clone(),
            metrics: metrics.clone(),
            rows: metrics.counter(&catalogue::QUERY_ROWS, &[]),
            quarantined: metrics.counter(&catalogue::ROWS_QUARANTINED, &[]),
        }
    }

    /// A query begins.
    pub fn begin(&self) -> Measured {
        Measured { meter: self.clone(), begun: self.clock.elapsed(), outcome: "abandoned", stats: None }
    }
}

/// One query; it is counted when this is dropped.
pub struct Measured {
    meter: Meter,
    begun: Duration,
    outcome: &'static str,
    stats: Option<Box<dyn Fn() -> Stats + Send>>,
}

impl Measured {
    /// The query failed; its error in the API's words.
    pub fn failed(&mut self, error: &Error) -> TaskError {
        self.outcome = "failed";
        failed(error)
    }

    /// Its last row was given, unless it failed before.
    fn ended(&mut self) {
        if self.outcome != "failed" {
            self.outcome = "done";
        }
    }

    /// Where its rows are counted.
    pub fn count(&mut self, stats: impl Fn() -> Stats + Send + 'static) {
        self.stats = Some(Box::new(stats));
    }

    /// The rows of the query, which ends with them.
    pub fn follow(
        self,
        rows: impl Stream<Item = Result<Bytes, Error>> + Send + 'static,
    ) -> BoxStream<'static, Result<Bytes, TaskError>> {
        let state = (rows.boxed(), self);
        let step = |(mut rows, mut measured): (BoxStream<'static, Result<Bytes, Error>>, Self)| async move {
            match rows.next().await {
                Some(Ok(piece)) => Some((Ok(piece), (rows, measured))),
                Some(Err(error)) => Some((Err(measured.failed(&error)), (rows, measured))),
                None => {
                    measured.ended();
                    None
                }
            }
        };
        stream::unfold(state, step).boxed()
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let took = self.meter.clock.elapsed().saturating_sub(self.begun);
        self.meter.metrics.histogram(&catalogue::QUERY_TIME, &[self.outcome]).observe(took);
        if let Some(stats) = &self.stats {
            let stats = stats();
            self.meter.rows.add(stats.rows_returned);
            self.meter.quarantined.add(stats.bad_rows);
        }
    }
}
