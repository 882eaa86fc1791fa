//! Functions as a face of tasks.

use crate::components::ComponentStore;
use crate::operator::FunctionOperator;
use crate::{Error, From, FunctionSpec, Logs};
use async_trait::async_trait;
use millstream_schema::{Schema, SchemaLookup, Validator, value_subject};
use millstream_task::{Deployment, DeploymentKind, Kind, Operator, Plan, Topics};
use millstream_telemetry::Metrics;
use millstream_types::TopicPartition;
use millstream_wasm::{Compiled, Engine, InstanceConfig};
use std::sync::Arc;
use std::time::Duration;

/// What functions need of the node.
#[derive(Clone)]
pub struct Ports {
    /// Compiles and runs guests.
    pub engine: Engine,
    /// Where components are.
    pub components: Arc<dyn ComponentStore>,
    /// The log.
    pub topics: Arc<dyn Topics>,
    /// Registered schemas, for those functions that ask for a check.
    pub schemas: Arc<dyn SchemaLookup>,
    /// Where functions' lines are kept.
    pub logs: Logs,
    /// Where it is counted what guests use.
    pub metrics: Metrics,
}

/// The face of tasks whose operator is a Wasm component.
pub struct Functions(Ports);

impl Functions {
    /// Functions over those ports.
    #[must_use]
    pub fn new(ports: Ports) -> Self {
        Self(ports)
    }

    /// Checks that bytes are a component that could be a function, and keeps them: compiled already when they are deployed.
    ///
    /// # Errors
    /// `Invalid` when they are not; the log's errors when they can't be kept.
    pub async fn upload(&self, component: bytes::Bytes) -> Result<millstream_wasm::ComponentHash, Error> {
        self.0.engine.compile(component.clone()).await?;
        self.0.components.put(component).await
    }

    async fn compiled(&self, spec: &FunctionSpec, function: &str) -> Result<Compiled, Error> {
        let component = self.0.components.get(spec.hash(function)?).await?;
        Ok(self.0.engine.compile(component).await?)
    }

    async fn check(&self, deployment: &Deployment) -> Result<(), Error> {
        let function = &deployment.key.name;
        let spec = FunctionSpec::of(deployment, self.0.engine.limits())?;
        for topic in &spec.inputs {
            validator(&self.0, &spec, function, topic)?;
        }
        let compiled = self.compiled(&spec, function).await?;
        // Its own view of its settings, before anything is stored.
        let log = self.0.logs.sink(function, "(deploy)", millstream_types::PartitionIndex(0));
        compiled.instance(config(&spec, function, log))?.prepare().await?;
        Ok(())
    }
}

fn config(spec: &FunctionSpec, function: &str, log: Arc<dyn millstream_wasm::LogSink>) -> InstanceConfig {
    InstanceConfig {
        function: function.to_owned(),
        settings: spec.settings.to_string(),
        outputs: spec.outputs.len(),
        limits: spec.limits(),
        log,
    }
}

/// The check of one input topic's values; none where it is not asked for.
fn validator(ports: &Ports, spec: &FunctionSpec, function: &str, topic: &str) -> Result<Option<Validator>, Error> {
    if !spec.check_input_schema {
        return Ok(None);
    }
    let (function, topic) = (function.to_owned(), topic.to_owned());
    let subject = value_subject(&topic);
    let Some(registered) = ports.schemas.latest(&subject) else {
        return Err(Error::NoSchema { function, topic, subject });
    };
    let bad = |error: millstream_schema::Error| Error::BadSchema { function, topic, reason: error.to_string() };
    let made = Schema::of(&registered, ports.schemas.as_ref()).and_then(|schema| Validator::new(&schema));
    made.map(Some).map_err(bad)
}

/// Makes the worker of one partition.
fn operator(
    ports: &Ports,
    spec: &FunctionSpec,
    function: &str,
    compiled: &Compiled,
    partition: TopicPartition,
) -> Result<FunctionOperator, Error> {
    let named = ports.topics.topics().into_iter().find(|topic| topic.id == partition.topic).map(|topic| topic.name);
    // A topic that was deleted meanwhile: its task says so when it reads.
    let topic = named.unwrap_or_else(|| partition.topic.to_string());
    let validator = validator(ports, spec, function, &topic)?;
    let log = ports.logs.sink(function, &topic, partition.partition);
    Ok(FunctionOperator::new(function, compiled.instance(config(spec, function, log))?, validator, &ports.metrics))
}

#[async_trait]
impl Kind for Functions {
    fn kind(&self) -> DeploymentKind {
        DeploymentKind::Function
    }

    async fn validate(&self, deployment: &Deployment) -> Result<(), millstream_task::Error> {
        Ok(self.check(deployment).await?)
    }

    async fn plan(&self, deployment: &Deployment) -> Result<Plan, millstream_task::Error> {
        let function = deployment.key.name.clone();
        let spec = FunctionSpec::of(deployment, self.0.engine.limits())?;
        let compiled = self.compiled(&spec, &function).await?;
        let (ports, of_task) = (self.0.clone(), spec.clone());
        let make = move |partition| {
            let made = operator(&ports, &of_task, &function, &compiled, partition)?;
            Ok(Box::new(made) as Box<dyn Operator>)
        };
        Ok(Plan {
            inputs: spec.inputs,
            outputs: spec.outputs,
            policy: spec.on_error.into(),
            dead_letter_topic: spec.dead_letter_topic,
            guarantee: spec.processing_guarantee.into(),
            commit_interval: spec.commit_interval_ms.map(Duration::from_millis),
            from_earliest: spec.from == From::Earliest,
            batch_bytes_max: usize::try_from(spec.limits.batch_bytes).unwrap_or(1 << 20),
            operator: Box::new(make),
        })
    }
}
