//! An engine over topics in memory whose reads are counted.

use arrow::array::RecordBatch;
use async_trait::async_trait;
use millstream_record::Columns;
use millstream_runtime::Runtime;
use millstream_schema::{Encoder, MemorySchemas, SchemaType, value_subject};
use millstream_sql::{Engine, EngineConfig, Error, Limits, NoSystem, Stats, SystemTables};
use millstream_task::memory::MemoryTopics;
use millstream_task::{Bounds, CommittedOffset, Error as TaskError, Fetched, Producer, TopicView, Topics};
use millstream_types::{Offset, TimestampMs, TopicPartition};
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Topics that remember which offsets were read of which partition.
pub struct Counted {
    pub inner: MemoryTopics,
    pub reads: Mutex<Vec<(i32, i64)>>,
}

#[async_trait]
impl Topics for Counted {
    fn topic(&self, name: &str) -> Option<TopicView> {
        self.inner.topic(name)
    }

    fn topics(&self) -> Vec<TopicView> {
        self.inner.topics()
    }

    async fn create(
        &self,
        name: &str,
        partitions: i32,
        configs: &BTreeMap<String, String>,
    ) -> Result<TopicView, TaskError> {
        self.inner.create(name, partitions, configs).await
    }

    async fn bounds(&self, partition: TopicPartition) -> Result<Bounds, TaskError> {
        self.inner.bounds(partition).await
    }

    async fn read(&self, partition: TopicPartition, from: Offset, max_bytes: usize) -> Result<Fetched, TaskError> {
        self.reads.lock().push((partition.partition.0, from.0));
        self.inner.read(partition, from, max_bytes).await
    }

    async fn readable(&self, partition: TopicPartition, from: Offset) -> Result<(), TaskError> {
        self.inner.readable(partition, from).await
    }

    async fn append(&self, partition: TopicPartition, records: &Columns) -> Result<Offset, TaskError> {
        self.inner.append(partition, records).await
    }

    async fn producer(&self, id: &str, timeout: Duration) -> Result<Arc<dyn Producer>, TaskError> {
        self.inner.producer(id, timeout).await
    }

    async fn abort(&self, id: &str) -> Result<(), TaskError> {
        self.inner.abort(id).await
    }

    async fn offset_for_time(&self, partition: TopicPartition, time: TimestampMs) -> Result<Option<Offset>, TaskError> {
        self.inner.offset_for_time(partition, time).await
    }

    async fn commit(&self, group: &str, offsets: &[CommittedOffset]) -> Result<(), TaskError> {
        self.inner.commit(group, offsets).await
    }

    async fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<Option<Offset>>, TaskError> {
        self.inner.committed(group, partitions).await
    }

    async fn delete_group(&self, group: &str) -> Result<(), TaskError> {
        self.inner.delete_group(group).await
    }
}

pub struct Fixture {
    pub topics: Arc<Counted>,
    pub schemas: Arc<MemorySchemas>,
    pub engine: Arc<Engine>,
}

impl Fixture {
    pub fn new() -> Self {
        Self::with(Limits::default(), Arc::new(NoSystem))
    }

    pub fn limited(limits: Limits) -> Self {
        Self::with(limits, Arc::new(NoSystem))
    }

    pub fn with(limits: Limits, system: Arc<dyn SystemTables>) -> Self {
        let topics = Arc::new(Counted { inner: MemoryTopics::new(), reads: Mutex::default() });
        let schemas = Arc::new(MemorySchemas::new());
        let config =
            EngineConfig { topics: topics.clone(), schemas: schemas.clone(), system, runtime: Runtime::real(), limits };
        Self { topics, schemas, engine: Arc::new(Engine::new(config).expect("an engine")) }
    }

    /// Makes a topic; with a schema where one is given.
    pub async fn topic(&self, name: &str, partitions: i32, schema: Option<&str>) {
        self.topics.create(name, partitions, &BTreeMap::new()).await.expect("a topic");
        if let Some(text) = schema {
            self.schemas.register(&value_subject(name), SchemaType::Json, text, &[]).expect("a schema");
        }
    }

    /// Appends one batch of records (time, key, value).
    pub async fn append(&self, name: &str, partition: i32, records: &[(i64, Option<&str>, Option<&[u8]>)]) {
        let mut columns = Columns::default();
        for (time, key, value) in records {
            columns.push(*time, key.map(str::as_bytes), *value, [("h", Some(&b"v"[..]))]);
        }
        let view = self.topics.topic(name).expect("the topic");
        let one = view.topic_partitions().nth(usize::try_from(partition).expect("small")).expect("the partition");
        self.topics.append(one, &columns).await.expect("appended");
    }

    /// A query's rows as JSON objects.
    pub async fn rows(&self, sql: &str) -> Vec<Value> {
        self.run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")).0
    }

    pub async fn fails(&self, sql: &str) -> Error {
        match self.run(sql).await {
            Ok((rows, _)) => panic!("{sql} gave {rows:?}"),
            Err(error) => error,
        }
    }

    pub async fn run(&self, sql: &str) -> Result<(Vec<Value>, Stats), Error> {
        let mut query = self.engine.query(sql).await?;
        let batches = query.collect_all().await?;
        Ok((batches.iter().flat_map(json).collect(), query.stats()))
    }
}

pub fn json(batch: &RecordBatch) -> Vec<Value> {
    let mut lines = Vec::new();
    Encoder::new().lines(batch, &mut lines).expect("json");
    String::from_utf8(lines).expect("text").lines().map(|line| serde_json::from_str(line).expect("json")).collect()
}

pub const FLIGHTS: &str = r#"{"type":"object","required":["carrier","flight"],"properties":{"carrier":{"type":"string"},"flight":{"type":"integer"},
    "depDelay":{"type":["number","null"]},"at":{"type":"string","format":"date-time"}}}"#;
pub const AIRLINES: &str = r#"{"type":"object","properties":{"carrier":{"type":"string"},"name":{"type":"string"}}}"#;

/// Flights in two partitions, two batches each, a bad row among them, and airlines.
pub async fn flights() -> Fixture {
    let fixture = Fixture::new();
    fill(&fixture).await;
    fixture
}

pub async fn fill(fixture: &Fixture) {
    fixture.topic("flights", 2, Some(FLIGHTS)).await;
    fixture.topic("airlines", 1, Some(AIRLINES)).await;
    let one = |text: &'static str| Some(text.as_bytes());
    fixture
        .append(
            "flights",
            0,
            &[
                (1000, Some("UA"), one(r#"{"carrier":"UA","flight":1,"depDelay":2.5,"at":"2013-01-01T05:00:00Z"}"#)),
                (2000, Some("UA"), one(r#"{"carrier":"UA","flight":2,"depDelay":null}"#)),
            ],
        )
        .await;
    fixture
        .append(
            "flights",
            0,
            &[
                (3000, None, one(r#"{"carrier":"AA","flight":"three"}"#)),
                (4000, Some("AA"), one(r#"{"carrier":"AA","flight":4,"depDelay":90}"#)),
            ],
        )
        .await;
    fixture.append("flights", 1, &[(1500, Some("B6"), one(r#"{"carrier":"B6","flight":5,"depDelay":-3}"#))]).await;
    fixture.append("flights", 1, &[(9000, Some("B6"), one(r#"{"carrier":"B6","flight":6,"depDelay":40.25}"#))]).await;
    fixture
        .append(
            "airlines",
            0,
            &[
                (1, None, one(r#"{"carrier":"UA","name":"United"}"#)),
                (1, None, one(r#"{"carrier":"AA","name":"American"}"#)),
            ],
        )
        .await;
}
