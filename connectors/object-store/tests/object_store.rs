//! The object-store sink into a folder, through the task host: every record in exactly one object, also over crashes; what rolls an object;
//! Parquet columns; records that do not fit; a store that is away.

#![cfg(test)]

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int64Type, SchemaRef};
use millstream_connect::Connectors;
use millstream_connector_object_store::ObjectStoreSink;
use millstream_record::Columns;
use millstream_runtime::Runtime;
use millstream_schema::{MemorySchemas, SchemaType};
use millstream_task::memory::{MemoryDeployments, MemoryTopics, Operation};
use millstream_task::{Config, DeploymentKey, DeploymentKind, Host, Ports, State, Topics};
use millstream_telemetry::Metrics;
use millstream_types::{ErrorKind, PartitionIndex, TopicPartition};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const NEW_YEAR: i64 = 1_357_034_400_000;
const DAY: i64 = 86_400_000;

struct Node {
    topics: Arc<MemoryTopics>,
    store: Arc<MemoryDeployments>,
    schemas: Arc<MemorySchemas>,
    folder: TempDir,
}

impl Node {
    async fn new() -> Self {
        let topics = Arc::new(MemoryTopics::new());
        topics.create("t", 1, &BTreeMap::new()).await.unwrap();
        Self {
            topics,
            store: Arc::new(MemoryDeployments::new()),
            schemas: Arc::new(MemorySchemas::new()),
            folder: TempDir::new().unwrap(),
        }
    }

    fn start(&self) -> Host {
        let runtime = Runtime::real();
        let sink = ObjectStoreSink::new(self.schemas.clone());
        let kinds = Connectors::new(runtime.clone(), self.topics.clone(), Arc::new(|_| None)).with_sink(sink);
        let ports = Ports { runtime, topics: self.topics.clone(), store: self.store.clone(), metrics: Metrics::new() };
        let host = Host::new(ports, Config { retry_max: Duration::from_millis(100), ..Config::default() });
        host.register(Arc::new(kinds));
        host.start();
        host
    }

    async fn produce(&self, records: &[(i64, &[u8])]) {
        let id = self.topics.topic("t").unwrap().id;
        let mut columns = Columns::default();
        records.iter().for_each(|(time, value)| columns.push(*time, Some(b"k"), Some(value), []));
        self.topics.append(TopicPartition::new(id, PartitionIndex(0)), &columns).await.unwrap();
    }

    /// Numbers from `from` to `to`, ten to a batch.
    async fn numbers(&self, from: usize, to: usize) {
        let values: Vec<String> = (from..to).map(|n| format!("{{\"n\":{n}}}")).collect();
        for batch in values.chunks(10) {
            let records: Vec<(i64, &[u8])> = batch.iter().map(|value| (NEW_YEAR, value.as_bytes())).collect();
            self.produce(&records).await;
        }
    }

    fn committed(&self) -> i64 {
        self.topics.committed_offset("millstream-connector-o", "t", 0).map_or(0, |offset| offset.0)
    }

    /// Every object under the folder, by path.
    fn objects(&self) -> Vec<String> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { walk(&path, found) } else { found.push(path) }
            }
        }
        let mut found = Vec::new();
        walk(self.folder.path(), &mut found);
        // A file that is being written has a name of its own until it is whole.
        found.retain(|path| !path.to_str().unwrap().contains('#'));
        found.sort();
        found.iter().map(|path| path.strip_prefix(self.folder.path()).unwrap().to_str().unwrap().to_owned()).collect()
    }

    fn read(&self, object: &str) -> RecordBatch {
        let file = File::open(self.folder.path().join(object)).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        let schema: SchemaRef = batches[0].schema();
        concat_batches(&schema, &batches).unwrap()
    }

    /// The offsets in all objects, in the objects' order.
    fn offsets(&self) -> Vec<i64> {
        let offsets = |object: &String| self.read(object)["_offset"].as_primitive::<Int64Type>().values().to_vec();
        self.objects().iter().flat_map(offsets).collect()
    }

    fn spec(&self, settings: Value, errors: &str) -> Value {
        let mut all = json!({"url": format!("file://{}", self.folder.path().display()), "roll_ms": 100});
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        json!({"type": "object-store", "topics": ["t"], "errors": errors, "settings": all})
    }
}

fn key() -> DeploymentKey {
    DeploymentKey { kind: DeploymentKind::Connector, name: "o".into() }
}

async fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..6_000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not so after 30 s: {what}");
}

async fn state(host: &Host, wanted: State) -> String {
    until(&format!("{wanted:?}"), || host.status_one(&key()).unwrap().state == wanted).await;
    host.status_one(&key()).unwrap().error.map(|error| error.message).unwrap_or_default()
}

fn name(first: i64, last: i64) -> String {
    format!("t/dt=2013-01-01/0-{first:020}-{last:020}.parquet")
}

#[tokio::test]
async fn objects_hold_exactly_the_offsets_they_name() {
    let node = Node::new().await;
    node.numbers(0, 250).await;
    let host = node.start();
    host.deploy(key(), node.spec(json!({"roll_records": 100}), "fail")).await.unwrap();
    until("all is committed", || node.committed() == 250).await;
    assert_eq!(node.objects(), [name(0, 99), name(100, 199), name(200, 249)]);
    assert_eq!(node.offsets(), (0..250).collect::<Vec<_>>());
    let batch = node.read(&name(200, 249));
    let names: Vec<_> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["_partition", "_offset", "_timestamp", "_key", "_value"]);
    assert_eq!(
        (batch["_value"].as_string::<i32>().value(0), batch["_key"].as_string::<i32>().value(0)),
        ("{\"n\":200}", "k")
    );
    assert!(host.stop().await);
}

#[tokio::test]
async fn bytes_time_and_path_end_an_object() {
    let node = Node::new().await;
    let host = node.start();
    host.deploy(key(), node.spec(json!({"roll_bytes": 30, "roll_ms": 86_400_000}), "fail")).await.unwrap();
    node.produce(&[(NEW_YEAR, b"0123456789"), (NEW_YEAR, b"0123456789"), (NEW_YEAR, b"0123456789"), (NEW_YEAR, b"x")])
        .await;
    until("the bytes are reached", || node.objects().len() == 1).await;
    assert_eq!((node.objects(), node.committed() <= 3), (vec![name(0, 2)], true));
    node.produce(&[(NEW_YEAR + DAY, b"y")]).await;
    until("the day is over", || node.objects().len() == 2).await;
    assert_eq!(node.objects()[1], name(3, 3));
    until("what is written is committed", || node.committed() == 4).await;
    host.deploy(key(), node.spec(json!({"roll_ms": 100}), "fail")).await.unwrap();
    until("the time is over", || node.objects().len() == 3).await;
    assert_eq!(node.objects()[2], "t/dt=2013-01-02/0-00000000000000000004-00000000000000000004.parquet");
    assert!(host.stop().await);
}

#[tokio::test]
async fn after_a_crash_between_object_and_commit_no_record_is_in_two_objects() {
    let node = Node::new().await;
    let mut written = 0;
    for round in 0..6 {
        node.numbers(written, written + 35).await;
        written += 35;
        let host = node.start();
        if round == 0 {
            host.deploy(key(), node.spec(json!({"roll_records": 20}), "fail")).await.unwrap();
            until("its start is committed", || {
                node.topics.committed_offset("millstream-connector-o", "t", 0).is_some()
            })
            .await;
        }
        node.topics.fail_next(Operation::Commit, 1_000, ErrorKind::Unavailable);
        let expected = written as i64;
        until("all is in objects", || node.offsets().len() as i64 == expected).await;
        assert!(host.stop().await);
        assert!(node.committed() < expected, "the commits failed");
        node.topics.clear_faults();
    }
    let host = node.start();
    until("all is committed", || node.committed() == written as i64).await;
    assert_eq!(node.offsets(), (0..written as i64).collect::<Vec<_>>());
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_registered_schema_gives_the_columns_and_what_does_not_fit_is_a_dead_letter() {
    let node = Node::new().await;
    let schema =
        r#"{"type": "object", "properties": {"n": {"type": "integer"}, "s": {"type": "string"}}, "required": ["n"]}"#;
    node.schemas.register("t-value", SchemaType::Json, schema, &[]).unwrap();
    node.produce(&[
        (NEW_YEAR, b"{\"n\": 1, \"s\": \"a\"}"),
        (NEW_YEAR, b"{\"n\": \"two\"}"),
        (NEW_YEAR, b"oops"),
        (NEW_YEAR, b"{\"n\": 4}"),
    ])
    .await;
    let host = node.start();
    host.deploy(key(), node.spec(json!({}), "dead-letter")).await.unwrap();
    until("all is committed", || node.committed() == 4).await;
    let batch = node.read(&name(0, 3));
    assert_eq!(batch["_offset"].as_primitive::<Int64Type>().values(), &[0, 3]);
    assert_eq!(batch["n"].as_primitive::<Int64Type>().values(), &[1, 4]);
    assert!(batch["s"].is_null(1));
    let letters = node.topics.records("o-dead-letters", 0);
    assert_eq!(letters.values.iter().flatten().collect::<Vec<_>>(), [&b"{\"n\": \"two\"}"[..], b"oops"]);
    assert!(host.stop().await);
}

#[tokio::test]
async fn dead_letters_are_not_lost_with_a_crash_after_their_object() {
    let node = Node::new().await;
    node.produce(&[(NEW_YEAR, b"\xff"), (NEW_YEAR, b"a")]).await;
    // The object is written while the batch is processed, and its dead letters after that: they fail, and the node goes down.
    node.topics.fail_next(Operation::Append, 1_000, ErrorKind::Unavailable);
    let host = node.start();
    host.deploy(key(), node.spec(json!({"roll_records": 2}), "dead-letter")).await.unwrap();
    until("the object is there", || node.objects() == [name(0, 1)]).await;
    state(&host, State::Retrying).await;
    assert!(host.stop().await);
    assert_eq!((node.committed(), node.topics.records("o-dead-letters", 0).len()), (0, 0));
    node.topics.clear_faults();
    let host = node.start();
    until("all is committed", || node.committed() == 2).await;
    assert_eq!(node.topics.records("o-dead-letters", 0).values.get(0), Some(&b"\xff"[..]));
    assert_eq!(node.offsets(), [1]);
    assert!(host.stop().await);
}

#[tokio::test]
async fn under_fail_a_record_that_does_not_fit_stops_the_sink_before_it() {
    let node = Node::new().await;
    node.produce(&[(NEW_YEAR, b"a"), (NEW_YEAR, b"\xff"), (NEW_YEAR, b"b")]).await;
    let host = node.start();
    host.deploy(key(), node.spec(json!({}), "fail")).await.unwrap();
    let message = state(&host, State::Failed).await;
    assert!(message.contains("offset 1 of t-0 can't be processed: its value is not UTF-8"), "{message}");
    assert_eq!((node.objects(), node.committed()), (vec![], 0));
    host.deploy(key(), node.spec(json!({"text": false}), "fail")).await.unwrap();
    until("all is committed", || node.committed() == 3).await;
    let batch = node.read(&name(0, 2));
    assert_eq!(batch["_value"].as_binary::<i32>().value(1), b"\xff");
    assert!(host.stop().await);
}

#[tokio::test]
async fn json_lines_hold_one_value_a_line() {
    let node = Node::new().await;
    node.produce(&[(NEW_YEAR, b"{\"a\":\n1}"), (NEW_YEAR, b"oops"), (NEW_YEAR, b"2")]).await;
    let host = node.start();
    host.deploy(key(), node.spec(json!({"format": "json-lines", "path": "all/{topic}/p{partition}"}), "skip"))
        .await
        .unwrap();
    until("all is committed", || node.committed() == 3).await;
    let objects = node.objects();
    assert_eq!(objects, ["all/t/p0/0-00000000000000000000-00000000000000000002.jsonl"]);
    assert_eq!(std::fs::read_to_string(node.folder.path().join(&objects[0])).unwrap(), "{\"a\": 1}\n2\n");
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_store_that_is_away_is_tried_again_and_loses_nothing() {
    let node = Node::new().await;
    let blocked = node.folder.path().join("blocked");
    std::fs::write(&blocked, b"a file where a folder should be").unwrap();
    node.numbers(0, 50).await;
    let host = node.start();
    let url = json!({"url": format!("file://{}", blocked.display()), "roll_records": 20});
    host.deploy(key(), node.spec(url, "fail")).await.unwrap();
    let message = state(&host, State::Retrying).await;
    assert!(message.contains("could not use the folder"), "{message}");
    std::fs::remove_file(&blocked).unwrap();
    until("all is committed", || node.committed() == 50).await;
    assert_eq!(node.offsets(), (0..50).collect::<Vec<_>>());
    assert!(host.stop().await);
}

#[tokio::test]
async fn settings_that_can_not_work_are_refused_with_their_names() {
    let node = Node::new().await;
    let host = node.start();
    let cases = [
        (json!({"url": "gs://b"}), "settings.url is \"gs://b\": expected a URL that begins with s3:// or file://"),
        (json!({"path": "{nope}"}), "settings.path is \"{nope}\": expected one of {topic}"),
        (json!({"endpoint": "http://x"}), "settings.endpoint is \"...\": expected nothing where the url is a folder"),
        (
            json!({"url": "s3://b", "access_key_id": "a"}),
            "settings.secret_access_key is \"...\": expected both keys or none",
        ),
    ];
    for (settings, expected) in cases {
        let message = host.deploy(key(), node.spec(settings, "fail")).await.unwrap_err().message;
        assert!(message.starts_with(expected), "{message}");
    }
}
