//! Functions as a node runs them: the task host over a log in memory, real guests, real engine.

#![cfg(test)]

use bytes::Bytes;
use millstream_function::{ComponentStore, Functions, Logs, Ports, TopicComponents};
use millstream_record::Columns;
use millstream_runtime::Runtime;
use millstream_schema::{MemorySchemas, SchemaType};
use millstream_task::memory::{MemoryDeployments, MemoryTopics};
use millstream_task::{Config, DeploymentKey, DeploymentKind, Host, State, Topics};
use millstream_telemetry::{Metrics, catalogue};
use millstream_types::{ErrorKind, PartitionIndex, TopicPartition};
use millstream_wasm::{ComponentHash, Engine, EngineLimits};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

fn component(path: &str) -> Bytes {
    Bytes::from(std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../functions").join(path)).unwrap())
}

struct Node {
    topics: Arc<MemoryTopics>,
    functions: Arc<Functions>,
    schemas: Arc<MemorySchemas>,
    logs: Logs,
    metrics: Metrics,
    host: Host,
}

impl Node {
    fn start() -> Self {
        let runtime = Runtime::real();
        let topics = Arc::new(MemoryTopics::new());
        let schemas = Arc::new(MemorySchemas::new());
        let logs = Logs::new(runtime.clock.clone());
        let metrics = Metrics::new();
        let ports = Ports {
            engine: Engine::new(&runtime, EngineLimits { instances_max: 16, ..EngineLimits::default() }, None).unwrap(),
            components: Arc::new(TopicComponents::new(topics.clone())),
            topics: topics.clone(),
            schemas: schemas.clone(),
            logs: logs.clone(),
            metrics: metrics.clone(),
        };
        let functions = Arc::new(Functions::new(ports));
        let tasks = millstream_task::Ports {
            runtime,
            topics: topics.clone(),
            store: Arc::new(MemoryDeployments::new()),
            metrics: metrics.clone(),
        };
        let host = Host::new(tasks, Config::default());
        host.register(functions.clone());
        host.start();
        Self { topics, functions, schemas, logs, metrics, host }
    }

    async fn topic(&self, name: &str, partitions: i32) {
        self.topics.create(name, partitions, &BTreeMap::new()).await.unwrap();
    }

    async fn produce(&self, topic: &str, partition: i32, values: &[&str]) {
        let mut records = Columns::default();
        values.iter().for_each(|value| records.push(1, Some(b"k"), Some(value.as_bytes()), []));
        let id = self.topics.topic(topic).unwrap().id;
        self.topics.append(TopicPartition::new(id, PartitionIndex(partition)), &records).await.unwrap();
    }

    fn values(&self, topic: &str) -> Vec<String> {
        let partitions = self.topics.topic(topic).map_or(0, |topic| topic.partitions);
        let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
        (0..partitions)
            .flat_map(|partition| self.topics.records(topic, partition).values.iter().map(text).collect::<Vec<_>>())
            .collect()
    }

    async fn upload(&self, path: &str) -> String {
        self.functions.upload(component(path)).await.unwrap().to_string()
    }

    /// Waits until that generation of "f" runs: until then the one before may still take records.
    async fn runs(&self, generation: u32) {
        let runs = || {
            let status = self.host.status_one(&key("f"));
            status.is_some_and(|status| {
                status.generation == generation && status.state == State::Running && !status.tasks.is_empty()
            })
        };
        until("the generation runs", runs).await;
    }

    async fn refusal(&self, spec: Value) -> (ErrorKind, String) {
        let error = self.host.deploy(key("f"), spec).await.unwrap_err();
        assert!(self.host.deployment(&key("f")).is_none());
        (error.kind, error.message)
    }
}

fn key(name: &str) -> DeploymentKey {
    DeploymentKey { kind: DeploymentKind::Function, name: name.into() }
}

async fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(tokio::time::Instant::now() < deadline, "not so after 60 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn event(id: u32, amount: &str) -> String {
    format!(r#"{{"id":{id},"user":"u1","kind":"view","amount":{amount}}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_transforms_every_partition_of_its_input() {
    let node = Node::start();
    node.topic("events", 3).await;
    let spec =
        json!({"component": node.upload("filter/filter.wasm").await, "inputs": ["events"], "outputs": ["large"]});
    node.host.deploy(key("filter"), spec).await.unwrap();
    for partition in 0..3 {
        node.produce("events", partition, &[&event(1, "499.99"), &event(2, "500.00"), &event(3, "700.5")]).await;
    }
    until("six records are out", || node.values("large").len() == 6).await;
    assert!(node.values("large").iter().all(|value| value.contains("\"fee\":")));
    until("its memory is shown", || node.metrics.gauge(&catalogue::GUEST_MEMORY, &["filter"]).value() > 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_generation_goes_on_where_the_last_one_stopped() {
    let node = Node::start();
    node.topic("events", 1).await;
    let hostile = node.upload("hostile/hostile.wasm").await;
    let filter = node.upload("filter/filter.wasm").await;
    let spec = |component: &str| json!({"component": component, "inputs": ["events"], "outputs": ["out"]});
    node.host.deploy(key("f"), spec(&hostile)).await.unwrap();
    node.produce("events", 0, &["first"]).await;
    until("the first generation keeps it", || node.values("out") == ["first"]).await;
    until("its progress is committed", || {
        node.topics.committed_offset("millstream-function-f", "events", 0).is_some_and(|offset| offset.0 == 1)
    })
    .await;
    node.host.deploy(key("f"), spec(&filter)).await.unwrap();
    node.runs(2).await;
    node.produce("events", 0, &[&event(2, "600")]).await;
    until("the second one answers", || node.values("out").len() == 2).await;
    assert!(node.values("out")[1].contains("\"fee\""));
    node.host.rollback(&key("f"), None).await.unwrap();
    node.runs(3).await;
    node.produce("events", 0, &["third"]).await;
    until("the first one is back", || node.values("out").last().is_some_and(|last| last == "third")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_records_go_to_the_dead_letter_topic_with_their_reason() {
    let node = Node::start();
    node.topic("events", 1).await;
    let spec = json!({
        "component": node.upload("filter/filter.wasm").await, "inputs": ["events"], "outputs": ["large"],
        "on_error": "dead-letter", "dead_letter_topic": "events-dead",
    });
    node.host.deploy(key("f"), spec).await.unwrap();
    node.produce("events", 0, &[&event(1, "501"), "no json", &event(3, "502")]).await;
    until("both good ones are out", || node.values("large").len() == 2).await;
    until("the bad one is a dead letter", || node.values("events-dead") == ["no json"]).await;
    let letters = node.topics.records("events-dead", 0);
    assert!(
        letters
            .headers
            .get(0)
            .any(|(_, value)| String::from_utf8_lossy(value.unwrap_or_default()).contains("not JSON"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_record_that_traps_is_found_and_the_others_go_through() {
    let node = Node::start();
    node.topic("events", 1).await;
    let spec = json!({
        "component": node.upload("hostile/hostile.wasm").await, "inputs": ["events"], "outputs": ["out"],
        "settings": {"deed": "trap-on-seven"}, "on_error": "skip",
    });
    node.host.deploy(key("f"), spec).await.unwrap();
    node.produce("events", 0, &["five", "six", "seven", "eight"]).await;
    until("all but one are kept", || node.values("out") == ["five", "six", "eight"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_do_not_fit_their_schema_never_reach_the_guest() {
    let node = Node::start();
    node.topic("events", 1).await;
    let schema = r#"{"type":"object","properties":{"id":{"type":"integer"},"amount":{"type":"number"}},"required":["id","amount"]}"#;
    node.schemas.register("events-value", SchemaType::Json, schema, &[]).unwrap();
    let spec = json!({
        "component": node.upload("hostile/hostile.wasm").await, "inputs": ["events"], "outputs": ["out"],
        "on_error": "dead-letter", "dead_letter_topic": "dead", "check_input_schema": true,
    });
    node.host.deploy(key("f"), spec).await.unwrap();
    node.produce("events", 0, &[&event(1, "1"), r#"{"id":"x","amount":1}"#, &event(3, "3")]).await;
    until("the fitting ones are kept", || node.values("out") == [event(1, "1"), event(3, "3")]).await;
    until("the misfit is a dead letter", || node.values("dead") == [r#"{"id":"x","amount":1}"#]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_function_logs_can_be_read() {
    let node = Node::start();
    node.topic("events", 1).await;
    let spec = json!({"component": node.upload("hostile/hostile-wasi.wasm").await, "inputs": ["events"], "outputs": ["out"], "settings": {"deed": "print"}});
    node.host.deploy(key("f"), spec).await.unwrap();
    node.produce("events", 0, &["one"]).await;
    until("it runs", || node.values("out") == ["one"]).await;
    let lines = node.logs.lines("f");
    let said: Vec<_> = lines.iter().map(|line| (line.topic.as_str(), line.message.as_str())).collect();
    assert_eq!(said, [("events", "printed 1"), ("events", "complained")]);
    assert!(node.logs.lines("nobody").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_deploy_is_refused_in_words_and_not_stored() {
    let node = Node::start();
    let filter = node.upload("filter/filter.wasm").await;
    let flights = node.upload("flights-enrich/flights-enrich.wasm").await;
    let absent = ComponentHash::of(b"nothing").to_string();
    for (spec, kind, words) in [
        (
            json!({"component": filter, "inputs": ["a"], "outputs": ["a"]}),
            ErrorKind::Invalid,
            "both its input and its output",
        ),
        (
            json!({"component": filter, "inputs": ["a"], "outputs": ["b"], "on_error": "dead-letter", "dead_letter_topic": "a"}),
            ErrorKind::Invalid,
            "dead-letter topic",
        ),
        (
            json!({"component": filter, "inputs": ["a"], "outputs": ["b"], "on_error": "dead-letter"}),
            ErrorKind::Invalid,
            "dead_letter_topic is missing",
        ),
        (
            json!({"component": filter, "inputs": ["a"], "outputs": ["b"], "colour": "red"}),
            ErrorKind::Invalid,
            "unknown field `colour`",
        ),
        (
            json!({"component": filter, "inputs": [], "outputs": ["b"]}),
            ErrorKind::Invalid,
            "inputs is 0 topics; expected 1 to 64",
        ),
        (
            json!({"component": filter, "inputs": ["no such/name"], "outputs": ["b"]}),
            ErrorKind::Invalid,
            "\"no such/name\"",
        ),
        (json!({"component": "abc", "inputs": ["a"], "outputs": ["b"]}), ErrorKind::Invalid, "64 hexadecimal digits"),
        (json!({"component": absent, "inputs": ["a"], "outputs": ["b"]}), ErrorKind::NotFound, "upload it first"),
        (
            json!({"component": filter, "inputs": ["a"], "outputs": ["b"], "limits": {"memory_bytes": 1u64 << 40}}),
            ErrorKind::Invalid,
            "limits.memory_bytes",
        ),
        (
            json!({"component": flights, "inputs": ["a"], "outputs": ["b"], "settings": {"colour": 1}}),
            ErrorKind::Invalid,
            "unknown field `colour`",
        ),
        (
            json!({"component": filter, "inputs": ["a"], "outputs": ["b"], "check_input_schema": true}),
            ErrorKind::NotFound,
            "a-value",
        ),
    ] {
        let (found, message) = node.refusal(spec.clone()).await;
        assert!(found == kind && message.contains(words), "{spec}: {found:?} {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_component_is_not_kept() {
    let node = Node::start();
    let error = node.functions.upload(Bytes::from_static(b"hello")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(node.topics.topic(millstream_function::COMPONENTS_TOPIC).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_function_stops_alone() {
    let node = Node::start();
    node.topic("events", 1).await;
    let hostile = node.upload("hostile/hostile.wasm").await;
    let filter = node.upload("filter/filter.wasm").await;
    let spin = json!({"component": hostile, "inputs": ["events"], "outputs": ["spun"], "settings": {"deed": "loop"}, "limits": {"cpu_ms": 100}});
    node.host.deploy(key("spin"), spin).await.unwrap();
    node.host
        .deploy(key("filter"), json!({"component": filter, "inputs": ["events"], "outputs": ["large"]}))
        .await
        .unwrap();
    node.produce("events", 0, &[&event(1, "900")]).await;
    until("the healthy one answers", || node.values("large").len() == 1).await;
    until("the hostile one stops", || {
        node.host.status_one(&key("spin")).is_some_and(|status| status.state == State::Failed)
    })
    .await;
    let error = node.host.status_one(&key("spin")).unwrap().error.unwrap();
    assert!(error.message.contains("spin") && error.message.contains("CPU time"), "{}", error.message);
    node.produce("events", 0, &[&event(2, "901")]).await;
    until("the healthy one goes on", || node.values("large").len() == 2).await;
}

#[tokio::test]
async fn components_are_chunked_verified_and_found_by_another_reader() {
    let topics = Arc::new(MemoryTopics::new());
    topics.set_append_bytes_max(1 << 20);
    let store = TopicComponents::new(topics.clone());
    let large = Bytes::from((0..3_000_000u32).map(|at| at.to_le_bytes()[1] ^ at.to_le_bytes()[0]).collect::<Vec<u8>>());
    let hash = store.put(large.clone()).await.unwrap();
    let written = topics.records(millstream_function::COMPONENTS_TOPIC, 0).len();
    assert_eq!(written, 6);
    assert_eq!(store.put(large.clone()).await.unwrap(), hash);
    assert_eq!(topics.records(millstream_function::COMPONENTS_TOPIC, 0).len(), written, "it is there already");
    assert_eq!(TopicComponents::new(topics.clone()).get(hash).await.unwrap(), large);
    let error = store.get(ComponentHash::of(b"other")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_upload_that_was_cut_off_is_absent_and_a_lie_is_corrupt() {
    let topics = Arc::new(MemoryTopics::new());
    let store = TopicComponents::new(topics.clone());
    store.put(Bytes::from_static(b"first")).await.unwrap();
    let partition = topics.topic(millstream_function::COMPONENTS_TOPIC).unwrap().topic_partitions().next().unwrap();
    let (torn, lie) = (ComponentHash::of(b"torn"), ComponentHash::of(b"truth"));
    let mut records = Columns::default();
    records.push(0, Some(format!("{torn}/0/2").as_bytes()), Some(b"to"), []);
    records.push(0, Some(format!("{lie}/0/1").as_bytes()), Some(b"a lie"), []);
    records.push(0, Some(b"not a key"), Some(b"?"), []);
    topics.append(partition, &records).await.unwrap();
    assert_eq!(store.get(torn).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.get(lie).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(store.put(Bytes::from_static(b"torn")).await.unwrap(), torn);
    assert_eq!(store.get(torn).await.unwrap(), Bytes::from_static(b"torn"));
}
