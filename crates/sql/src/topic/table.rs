//! A topic as DataFusion's table: what is pushed down to it, and the plan that reads it.

use super::layout::Layout;
use super::prune::{Scope, narrows};
use super::scan::Scan;
use crate::Error;
use crate::query::Context;
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use millstream_task::TopicView;
use millstream_types::{Offset, TimestampMs, TopicPartition};
use std::sync::Arc;

/// A topic in a query. The high watermarks that it is read up to are those of its first plan.
#[derive(Debug)]
pub(crate) struct TopicTable {
    pub(crate) context: Arc<Context>,
    pub(crate) topic: TopicView,
    pub(crate) layout: Arc<Layout>,
}

#[async_trait]
impl TableProvider for TopicTable {
    fn schema(&self) -> SchemaRef {
        self.layout.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>, DataFusionError> {
        let answer = |filter: &&Expr| match narrows(filter) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(answer).collect())
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let projection = projection.cloned().unwrap_or_else(|| (0..self.layout.parts.len()).collect());
        let fields: Vec<_> = projection.iter().map(|index| self.layout.schema.fields()[*index].clone()).collect();
        let schema = Arc::new(Schema::new(fields));
        let scope = Scope::of(filters);
        let mut partitions: Vec<Arc<dyn PartitionStream>> = Vec::new();
        for partition in self.topic.topic_partitions().filter(|one| scope.has_partition(one.partition.0)) {
            let Some(range) = self.range(partition, &scope).await? else { continue };
            partitions.push(Arc::new(Scan {
                topics: self.context.topics.clone(),
                schemas: self.context.schemas.clone(),
                counters: self.context.counters.clone(),
                layout: self.layout.clone(),
                projection: projection.clone(),
                schema: schema.clone(),
                scope: scope.clone(),
                partition,
                range,
                // A limit is only given where no condition stands between.
                rows_max: limit.filter(|_| filters.is_empty()),
                read_bytes_max: self.context.limits.read_bytes_max,
            }));
        }
        if partitions.is_empty() {
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        Ok(Arc::new(StreamingTableExec::try_new(schema, partitions, None, [], false, limit)?))
    }
}

impl TopicTable {
    /// The offsets of a partition to read: from the first, up to before the second; none when there is nothing to read.
    async fn range(&self, partition: TopicPartition, scope: &Scope) -> Result<Option<(Offset, Offset)>, Error> {
        let bounds = self.context.topics.bounds(partition).await?;
        let mut from = bounds.log_start.max(Offset(scope.offsets.0));
        let to = bounds.high_watermark.min(Offset(scope.offsets.1.saturating_add(1)));
        if from < to && scope.times.0 > i64::MIN {
            // Every record before that offset is older. There is no such bound above: timestamps need not grow.
            match self.context.topics.offset_for_time(partition, TimestampMs(scope.times.0)).await? {
                Some(first) => from = from.max(first),
                None => return Ok(None),
            }
        }
        Ok((from < to).then_some((from, to)))
    }
}
