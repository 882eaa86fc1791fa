//! The tasks of the simulated node: a function that marks what it reads, and a connector that reads numbered lines.

use crate::adapters::deployments::QuorumDeployments;
use crate::adapters::topics::LogTopics;
use crate::node::Node;
use async_trait::async_trait;
use millstream_record::Columns;
use millstream_runtime::Clock;
use millstream_task::{
    Config, Deployment, DeploymentKey, DeploymentKind, Error, ErrorPolicy, Guarantee, Host, Kind, Operator,
    OperatorError, Outcome, Output, Plan, Ports, SourceBatch, SourceOutput, SourcePlan, SourceWorker, Work,
};
use millstream_telemetry::Metrics;
use millstream_types::ErrorKind;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// What the function reads, what it writes, and what the connector writes.
pub const INPUT: &str = "simulated";
pub const MADE: &str = "made";
pub const LINES: &str = "lines";

const BETWEEN_LINES: Duration = Duration::from_millis(40);
const LINES_AT_ONCE: u64 = 3;

fn key(kind: DeploymentKind) -> DeploymentKey {
    DeploymentKey { kind, name: "one".into() }
}

/// Runs the tasks on `node`; deploys them where they are not.
pub async fn start(node: &Node) -> Host {
    let topics = LogTopics {
        quorum: node.quorum.clone(),
        partitions: node.partitions.clone(),
        coordinator: node.coordinator.clone(),
        runtime: node.runtime.clone(),
    };
    let store = Arc::new(QuorumDeployments::follow(node.quorum.clone(), &node.runtime.tasks));
    let runtime = node.runtime.clone();
    let host =
        Host::new(Ports { runtime, topics: Arc::new(topics), store, metrics: Metrics::new() }, Config::default());
    host.register(Arc::new(Marks));
    host.register(Arc::new(Numbered(node.runtime.clock.clone())));
    host.start();
    for kind in [DeploymentKind::Function, DeploymentKind::Connector] {
        if host.deployment(&key(kind)).is_none() {
            host.deploy(key(kind), json!({})).await.unwrap();
        }
    }
    host
}

struct Marks;

#[async_trait]
impl Kind for Marks {
    fn kind(&self) -> DeploymentKind {
        DeploymentKind::Function
    }

    async fn validate(&self, _: &Deployment) -> Result<(), Error> {
        Ok(())
    }

    async fn plan(&self, _: &Deployment) -> Result<Plan, Error> {
        Ok(Plan {
            inputs: vec![INPUT.into()],
            outputs: vec![MADE.into()],
            policy: ErrorPolicy::Fail,
            dead_letter_topic: None,
            guarantee: Guarantee::ExactlyOnce,
            // Short beside a life, so that crashes come into commits.
            commit_interval: Some(Duration::from_millis(40)),
            from_earliest: true,
            batch_bytes_max: 2_000,
            operator: Box::new(|_| Ok(Box::new(Marks))),
        })
    }
}

#[async_trait]
impl Operator for Marks {
    async fn process(&mut self, input: &Columns) -> Result<Outcome, OperatorError> {
        let mut output = Output::default();
        for (at, value) in (0_u32..).zip(input.values.iter()) {
            let marked = [b"marked ", value.unwrap_or_default()].concat();
            output.records.push(-1, None, Some(&marked), []);
            output.inputs.push(at);
        }
        Ok(Outcome { outputs: vec![output], failures: Vec::new() })
    }
}

struct Numbered(Arc<dyn Clock>);

#[async_trait]
impl Kind for Numbered {
    fn kind(&self) -> DeploymentKind {
        DeploymentKind::Connector
    }

    async fn validate(&self, _: &Deployment) -> Result<(), Error> {
        Ok(())
    }

    async fn plan(&self, _: &Deployment) -> Result<Plan, Error> {
        Err(Error::new(ErrorKind::Internal, "a source has no operator"))
    }

    async fn work(&self, _: &Deployment) -> Result<Work, Error> {
        let clock = self.0.clone();
        Ok(Work::Source(SourcePlan {
            outputs: vec![LINES.into()],
            partitions: 1,
            policy: ErrorPolicy::Fail,
            dead_letter_topic: None,
            tasks: vec!["0".into()],
            worker: Box::new(move |_, position| {
                let next = position.as_ref().and_then(Value::as_u64).unwrap_or(0);
                Ok(Box::new(Reader { next, clock: clock.clone() }))
            }),
        }))
    }
}

struct Reader {
    next: u64,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl SourceWorker for Reader {
    async fn poll(&mut self) -> Result<SourceBatch, OperatorError> {
        self.clock.sleep(BETWEEN_LINES).await;
        let mut records = Columns::default();
        for line in self.next..self.next + LINES_AT_ONCE {
            records.push(-1, None, Some(line.to_string().as_bytes()), []);
        }
        self.next += LINES_AT_ONCE;
        let outputs = vec![SourceOutput { topic: 0, records }];
        Ok(SourceBatch { outputs, position: Some(json!(self.next)), ..SourceBatch::default() })
    }
}
