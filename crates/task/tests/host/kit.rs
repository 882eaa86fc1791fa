//! A host over topics in memory, a kind whose spec says how it behaves, and waiting with a deadline.

use async_trait::async_trait;
use millstream_record::Columns;
use millstream_runtime::{Runtime, SimDisk};
use millstream_task::memory::{MemoryDeployments, MemoryTopics};
use millstream_task::{
    Config, Deployment, DeploymentKey, DeploymentKind, DeploymentStatus, Error, ErrorPolicy, Failure, Guarantee, Host,
    Kind, Operator, OperatorError, Outcome, Output, Plan, Ports, State, Topics,
};
use millstream_telemetry::Metrics;
use millstream_types::{ErrorKind, Offset, PartitionIndex, TopicPartition};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A node's worth of ports that outlive a host.
pub struct Node {
    pub topics: Arc<MemoryTopics>,
    pub store: Arc<MemoryDeployments>,
    pub kind: Arc<Letters>,
    pub runtime: Runtime,
}

impl Node {
    pub fn new() -> Self {
        let runtime = Runtime::simulated(7, Arc::new(SimDisk::new()));
        Self {
            topics: Arc::new(MemoryTopics::new()),
            store: Arc::new(MemoryDeployments::new()),
            kind: Arc::default(),
            runtime,
        }
    }

    /// A host that runs.
    pub fn start(&self) -> Host {
        let ports = Ports {
            runtime: self.runtime.clone(),
            topics: self.topics.clone(),
            store: self.store.clone(),
            metrics: Metrics::new(),
        };
        let host = Host::new(ports, Config::default());
        host.register(self.kind.clone());
        host.start();
        host
    }

    pub async fn topic(&self, name: &str, partitions: i32) {
        self.topics.create(name, partitions, &BTreeMap::new()).await.unwrap();
    }

    pub async fn produce(&self, topic: &str, partition: i32, values: &[&str]) {
        let id = self.topics.topic(topic).unwrap().id;
        let mut records = Columns::default();
        values.iter().for_each(|value| records.push(1, None, Some(value.as_bytes()), []));
        self.topics.append(TopicPartition::new(id, PartitionIndex(partition)), &records).await.unwrap();
    }

    pub fn values(&self, topic: &str, partition: i32) -> Vec<String> {
        texts(&self.topics.records(topic, partition))
    }

    pub fn committed(&self, partition: i32) -> Option<Offset> {
        self.topics.committed_offset("millstream-function-f", "in", partition)
    }
}

pub fn texts(records: &Columns) -> Vec<String> {
    records.values.iter().map(|value| String::from_utf8(value.unwrap().to_vec()).unwrap()).collect()
}

pub fn key() -> DeploymentKey {
    DeploymentKey { kind: DeploymentKind::Function, name: "f".into() }
}

/// Waits in virtual time until it is so.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..200_000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("not so after 200 s: {what}");
}

/// Waits until the deployment is in a state, and returns its status.
pub async fn state(host: &Host, key: &DeploymentKey, state: State) -> DeploymentStatus {
    let now = || host.status_one(key).unwrap();
    for _ in 0..200_000 {
        if now().state == state {
            return now();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("not {state:?} after 200 s: {:?}", now());
}

/// Functions over letters, at least once. Spec: `{"to": topic, "policy": .., "suffix": .., "latest": true, "exactly": milliseconds
/// between commits, exactly once}`. Values say what happens to them:
/// "bad.." fails, "poison.." fails its whole batch, "drop.." is left out, "panic" panics.
#[derive(Default)]
pub struct Letters {
    /// So many plans fail first, as what may work later.
    pub plans_to_fail: AtomicU32,
    /// So many batches fail first, as what may work later.
    pub batches_to_fail: Arc<AtomicU32>,
    /// The calls of all operators.
    pub calls: Arc<AtomicU32>,
}

fn take_one(count: &AtomicU32) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1)).is_ok()
}

#[async_trait]
impl Kind for Letters {
    fn kind(&self) -> DeploymentKind {
        DeploymentKind::Function
    }

    async fn validate(&self, deployment: &Deployment) -> Result<(), Error> {
        let known = deployment.spec.is_object();
        known.then_some(()).ok_or_else(|| Error::new(ErrorKind::Invalid, "expected an object"))
    }

    async fn plan(&self, deployment: &Deployment) -> Result<Plan, Error> {
        if take_one(&self.plans_to_fail) {
            return Err(Error::new(ErrorKind::Unavailable, "not yet"));
        }
        let spec = deployment.spec.clone();
        let text = |name: &str| spec.get(name).and_then(Value::as_str).map(str::to_owned);
        let policy: ErrorPolicy =
            spec.get("policy").map_or(ErrorPolicy::Fail, |policy| serde_json::from_value(policy.clone()).unwrap());
        let suffix = text("suffix").unwrap_or_default();
        let (gather, failing, calls) = (spec.get("gather").is_some(), self.batches_to_fail.clone(), self.calls.clone());
        let exactly = spec.get("exactly").and_then(Value::as_u64);
        Ok(Plan {
            inputs: vec!["in".into()],
            outputs: text("to").into_iter().collect(),
            policy,
            dead_letter_topic: (policy == ErrorPolicy::DeadLetter).then(|| "dead".to_owned()),
            guarantee: if exactly.is_some() { Guarantee::ExactlyOnce } else { Guarantee::AtLeastOnce },
            commit_interval: exactly.map(Duration::from_millis),
            from_earliest: spec.get("latest").is_none(),
            batch_bytes_max: 1 << 20,
            operator: Box::new(move |_| {
                let (suffix, failing, calls) = (suffix.clone(), failing.clone(), calls.clone());
                Ok(if gather { Box::new(Gather::default()) } else { Box::new(Letter { suffix, failing, calls }) })
            }),
        })
    }
}

struct Letter {
    suffix: String,
    failing: Arc<AtomicU32>,
    calls: Arc<AtomicU32>,
}

#[async_trait]
impl Operator for Letter {
    async fn process(&mut self, input: &Columns) -> Result<Outcome, OperatorError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if take_one(&self.failing) {
            return Err(OperatorError::new(ErrorKind::Unavailable, "the operator's friend is away"));
        }
        let values = texts(input);
        if values.iter().any(|value| value.starts_with("poison")) {
            return Err(OperatorError::new(ErrorKind::Guest, "trapped"));
        }
        let mut outcome = Outcome { outputs: vec![Output::default()], failures: vec![] };
        for (at, value) in values.iter().enumerate() {
            let place = u32::try_from(at).unwrap();
            match value {
                value if value.starts_with("bad") => {
                    outcome.failures.push(Failure { input: place, message: format!("{value} is bad") })
                }
                value if value.starts_with("drop") => {}
                value if value == "panic" => panic!("on purpose"),
                value => {
                    let made = format!("{value}{}", self.suffix);
                    outcome.outputs[0].records.push(
                        -1,
                        input.keys.get(at),
                        Some(made.as_bytes()),
                        input.headers.get(at),
                    );
                    outcome.outputs[0].inputs.push(place);
                }
            }
        }
        Ok(outcome)
    }
}

/// A sink that settles records in threes.
#[derive(Default)]
struct Gather {
    held: Vec<i64>,
}

#[async_trait]
impl Operator for Gather {
    async fn process(&mut self, input: &Columns) -> Result<Outcome, OperatorError> {
        self.held.extend(&input.offsets);
        self.held.drain(..self.held.len() / 3 * 3);
        Ok(Outcome::default())
    }

    fn settled(&self, processed: Offset) -> Offset {
        self.held.first().map_or(processed, |first| Offset(*first))
    }
}

pub fn spec(more: Value) -> Value {
    let mut spec = json!({"to": "out"});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}
