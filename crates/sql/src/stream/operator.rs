//! A stream's worker: rows of the input's records, through the compiled steps, to records of the output with the input's key, timestamp
//! and headers. A tombstone that passes the filter stays a tombstone.

use super::compile::{Program, Step};
use crate::topic::prune::Scope;
use crate::topic::rows::Maker;
use arrow::array::{AsArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{filter, filter_record_batch};
use async_trait::async_trait;
use datafusion::error::DataFusionError;
use millstream_record::{BinaryColumn, Columns};
use millstream_runtime::Compute;
use millstream_schema::{Encoder, SchemaLookup};
use millstream_task::{Failure, Operator, OperatorError, Outcome, Output};
use millstream_types::{ErrorKind, PartitionIndex};
use std::sync::Arc;

/// The worker of one partition.
pub(crate) struct StreamOperator {
    pub(crate) program: Arc<Program>,
    pub(crate) partition: PartitionIndex,
    pub(crate) schemas: Arc<dyn SchemaLookup>,
    pub(crate) compute: Compute,
    /// Makes rows; none while a batch is on a compute thread, and after one was lost there.
    pub(crate) maker: Option<Maker>,
}

#[async_trait]
impl Operator for StreamOperator {
    async fn process(&mut self, input: &Columns) -> Result<Outcome, OperatorError> {
        let program = self.program.clone();
        let maker = self.maker.take();
        let mut maker = maker.unwrap_or_else(|| Maker::new(&program.layout, &program.projection, self.schemas.clone()));
        let (input, partition) = (input.clone(), self.partition.0);
        let worked = self.compute.run(async move {
            let outcome = program.run(&mut maker, &input, partition);
            (maker, outcome)
        });
        let (maker, outcome) =
            worked.await.map_err(|lost| OperatorError::new(ErrorKind::Unavailable, lost.to_string()))?;
        self.maker = Some(maker);
        outcome
    }
}

impl Program {
    /// What comes of one batch.
    pub(crate) fn run(&self, maker: &mut Maker, input: &Columns, partition: i32) -> Result<Outcome, OperatorError> {
        let made = maker
            .make(input, partition, &Scope::ALL)
            .map_err(|error| OperatorError::new(error.kind(), error.to_string()))?;
        let all = || (0..u32::try_from(input.len()).unwrap_or(u32::MAX)).collect();
        let sources = UInt32Array::from(made.records.unwrap_or_else(all));
        // An expression that fails does so for one record: the host looks for it.
        let blame = |error: DataFusionError| OperatorError::new(ErrorKind::Guest, error.strip_backtrace());
        let (batch, sources) = self.steps(made.batch, sources).map_err(blame)?;
        let mut values = BinaryColumn::with_capacity(batch.num_rows(), input.values.data().len());
        Encoder::new()
            .encode(&batch, &mut values)
            .map_err(|error| OperatorError::new(error.kind(), error.to_string()))?;
        let mut records = Columns::default();
        for (row, source) in sources.values().iter().enumerate() {
            let index = *source as usize;
            let value = input.values.get(index).and_then(|_| values.get(row));
            records.push(input.timestamps[index], input.keys.get(index), value, input.headers.get(index));
        }
        let quarantine = self.layout.rows == crate::topic::layout::Rows::Bad;
        let failures = made.bad.into_iter().filter(|_| !quarantine);
        Ok(Outcome {
            outputs: vec![Output { topic: 0, records, inputs: sources.values().to_vec() }],
            failures: failures.map(|bad| Failure { input: bad.index, message: bad.reason }).collect(),
        })
    }

    fn steps(
        &self,
        mut batch: RecordBatch,
        mut sources: UInt32Array,
    ) -> Result<(RecordBatch, UInt32Array), DataFusionError> {
        for step in &self.steps {
            let rows = batch.num_rows();
            match step {
                Step::Filter(predicate) => {
                    let mask = predicate.evaluate(&batch)?.into_array(rows)?;
                    let mask = mask
                        .as_boolean_opt()
                        .ok_or_else(|| DataFusionError::Internal("a condition gave no booleans".to_owned()))?;
                    let kept = filter(&sources, mask)?;
                    batch = filter_record_batch(&batch, mask)?;
                    sources = kept.as_primitive::<arrow::datatypes::UInt32Type>().clone();
                }
                Step::Project(expressions, schema) => {
                    let columns = expressions
                        .iter()
                        .map(|one| one.evaluate(&batch)?.into_array(rows))
                        .collect::<Result<_, _>>()?;
                    let options = RecordBatchOptions::new().with_row_count(Some(rows));
                    batch = RecordBatch::try_new_with_options(schema.clone(), columns, &options)?;
                }
            }
        }
        Ok((batch, sources))
    }
}
