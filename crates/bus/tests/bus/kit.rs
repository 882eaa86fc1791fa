//! A host with rules over topics in memory.

use bytes::Bytes;
use millstream_bus::{Accepted, Buses, Config, Rules};
use millstream_record::Columns;
use millstream_runtime::Runtime;
use millstream_task::memory::{MemoryDeployments, MemoryTopics};
use millstream_task::{Config as TaskConfig, DeploymentKey, DeploymentKind, Error, Host, Ports, Topics};
use millstream_telemetry::Metrics;
use millstream_types::{PartitionIndex, TopicPartition};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub struct Kit {
    pub runtime: Runtime,
    pub topics: Arc<MemoryTopics>,
    pub host: Host,
    pub buses: Buses,
}

impl Kit {
    pub async fn new() -> Self {
        let (runtime, topics) = (Runtime::real(), Arc::new(MemoryTopics::new()));
        topics.create("bus.shop", 2, &BTreeMap::new()).await.unwrap();
        let ports = Ports {
            runtime: runtime.clone(),
            topics: topics.clone(),
            store: Arc::new(MemoryDeployments::new()),
            metrics: Metrics::new(),
        };
        let host = Host::new(ports, TaskConfig { commit_interval: Duration::from_millis(5), ..TaskConfig::default() });
        host.register(Arc::new(Rules::new(runtime.clone(), topics.clone())));
        host.start();
        let buses = Self::buses(&runtime, &topics);
        Self { runtime, topics, host, buses }
    }

    pub fn buses(runtime: &Runtime, topics: &Arc<MemoryTopics>) -> Buses {
        Buses::new(runtime.clone(), topics.clone(), Config::default())
    }

    pub async fn rule(&self, spec: Value) -> Result<DeploymentKey, Error> {
        let key = DeploymentKey { kind: DeploymentKind::Rule, name: "r".into() };
        self.host.deploy(key.clone(), spec).await.map(|_| key)
    }

    pub async fn produce(&self, topic: &str, values: &[&str]) {
        let id = match self.topics.topic(topic) {
            Some(topic) => topic.id,
            None => self.topics.create(topic, 1, &BTreeMap::new()).await.unwrap().id,
        };
        let mut records = Columns::default();
        values.iter().for_each(|value| records.push(1, Some(b"k"), Some(value.as_bytes()), [("h", Some(&b"v"[..]))]));
        self.topics.append(TopicPartition::new(id, PartitionIndex(0)), &records).await.unwrap();
    }

    /// All values of a topic, partition after partition.
    pub fn values(&self, topic: &str) -> Vec<Value> {
        let partitions = self.topics.topic(topic).map_or(0, |topic| topic.partitions);
        let records: Vec<Columns> = (0..partitions).map(|partition| self.topics.records(topic, partition)).collect();
        records
            .iter()
            .flat_map(|records| records.values.iter())
            .map(|value| serde_json::from_slice(value.unwrap()).unwrap())
            .collect()
    }
}

pub fn event(id: &str, data: Value) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "/shop", "type": "order.made", "subject": format!("order-{id}"), "data": data})
}

pub async fn put(buses: &Buses, events: &[Value]) -> Result<Accepted, Error> {
    let headers = [("content-type".to_owned(), "application/cloudevents-batch+json".to_owned())];
    buses.put("shop", &headers, Bytes::from(Value::from(events).to_string())).await
}

/// Waits until it is so, with a deadline.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..4_000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not so after 20 s: {what}");
}
