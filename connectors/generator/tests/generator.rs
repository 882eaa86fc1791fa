//! The generator through the task host, in virtual time: rate, end, determinism, resume.

#![cfg(test)]

use millstream_connect::Connectors;
use millstream_connector_generator::GeneratorSource;
use millstream_runtime::{Runtime, SimDisk};
use millstream_task::memory::{MemoryDeployments, MemoryTopics};
use millstream_task::{Config, DeploymentKey, DeploymentKind, Host, Ports, State};
use millstream_telemetry::Metrics;
use millstream_types::ErrorKind;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

struct Node {
    topics: Arc<MemoryTopics>,
    store: Arc<MemoryDeployments>,
}

impl Node {
    fn new() -> Self {
        Self { topics: Arc::new(MemoryTopics::new()), store: Arc::new(MemoryDeployments::new()) }
    }

    fn start(&self) -> Host {
        let runtime = Runtime::simulated(3, Arc::new(SimDisk::new()));
        let kinds =
            Connectors::new(runtime.clone(), self.topics.clone(), Arc::new(|_| None)).with_source(GeneratorSource);
        let ports = Ports { runtime, topics: self.topics.clone(), store: self.store.clone(), metrics: Metrics::new() };
        let host = Host::new(ports, Config::default());
        host.register(Arc::new(kinds));
        host.start();
        host
    }

    fn values(&self) -> Vec<String> {
        let records = self.topics.records("t", 0);
        records.values.iter().map(|value| String::from_utf8(value.unwrap().to_vec()).unwrap()).collect()
    }
}

fn key() -> DeploymentKey {
    DeploymentKey { kind: DeploymentKind::Connector, name: "g".into() }
}

fn spec(settings: Value) -> Value {
    let mut all = json!({
        "fields": {"id": {"type": "sequence"}, "n": {"type": "integer", "min": 0, "max": 1_000_000}, "u": {"type": "uuid"}},
        "seed": 5, "key": "id", "start_ms": 0,
    });
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    json!({"type": "generator", "topics": ["t"], "settings": all})
}

async fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..200_000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("not so after 200 s: {what}");
}

async fn finished(host: &Host) {
    until("it is finished", || host.status_one(&key()).unwrap().state == State::Finished).await;
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept() {
    let node = Node::new();
    let host = node.start();
    let started = Instant::now();
    host.deploy(key(), spec(json!({"rate": 200.0, "count": 1000}))).await.unwrap();
    finished(&host).await;
    let took = started.elapsed().as_secs_f64();
    assert!((4.9..5.2).contains(&took), "1,000 events at 200/s took {took} s");
    assert_eq!(node.values().len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn two_runs_are_alike_and_a_restart_goes_on_with_the_next_event() {
    let whole = Node::new();
    let host = whole.start();
    host.deploy(key(), spec(json!({"count": 5000, "batch_max": 64}))).await.unwrap();
    finished(&host).await;
    assert_eq!(whole.values().len(), 5000);
    let node = Node::new();
    let mut host = node.start();
    host.deploy(key(), spec(json!({"count": 5000, "batch_max": 64, "rate": 1000.0}))).await.unwrap();
    for stop in [100, 2000, 3000] {
        until("some are made", || node.values().len() > stop).await;
        assert!(host.stop().await);
        host = node.start();
    }
    finished(&host).await;
    assert_eq!(node.values(), whole.values());
    assert_eq!(node.topics.records("t", 0).keys.get(17), Some(&b"17"[..]));
}

#[tokio::test(start_paused = true)]
async fn settings_that_can_not_work_are_refused_with_their_names() {
    let node = Node::new();
    let host = node.start();
    let cases = [
        (json!({"key": "x"}), "settings.key is \"x\": expected one of the fields: id, n, u"),
        (
            json!({"fields": {"id": {"type": "integer", "min": 2, "max": 1}}}),
            "settings.fields.id.min is 2: expected no more than max",
        ),
        (json!({"rate": "fast"}), "settings.rate is \"fast\": expected a value of type"),
        (json!({"rate": 0}), "settings.rate is 0: expected at least 0.001"),
        (json!({"fields": {"id": {"type": "dice"}}}), "settings: expected settings that fit (unknown variant `dice`"),
    ];
    for (settings, expected) in cases {
        let error = host.deploy(key(), spec(settings)).await.unwrap_err();
        assert!(error.kind == ErrorKind::Invalid && error.message.starts_with(expected), "{}", error.message);
    }
}
