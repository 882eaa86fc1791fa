//! The connector types of a node, and the face of the task runtime that turns stored specs into their work.

mod typed;

use crate::problem;
use crate::secret::{self, Environment};
use crate::{ConnectorType, Direction, Error, Problem, Sink, SinkContext, Source, SourceContext, Spec};
use async_trait::async_trait;
use millstream_runtime::Runtime;
use millstream_task::{Deployment, DeploymentKind, Guarantee, Kind, Plan, SourcePlan, Topics, Work};
use millstream_types::{ErrorKind, TopicPartition};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use typed::{Erased, SinkType, SourceType, Worker};

/// Bytes of log that a sink is given at once.
const SINK_BATCH_BYTES_MAX: usize = 1 << 20;

/// The connector types of a node.
pub struct Connectors {
    runtime: Runtime,
    topics: Arc<dyn Topics>,
    environment: Environment,
    types: BTreeMap<&'static str, Arc<dyn Erased>>,
    spec_schema: Value,
}

impl Connectors {
    /// No types yet. `environment` is where secrets in settings are looked up.
    #[must_use]
    pub fn new(runtime: Runtime, topics: Arc<dyn Topics>, environment: Environment) -> Self {
        let spec_schema = schemars::schema_for!(Spec).to_value();
        Self { runtime, topics, environment, types: BTreeMap::new(), spec_schema }
    }

    /// Adds a source type.
    #[must_use]
    pub fn with_source<S: Source>(mut self, source: S) -> Self {
        self.types.insert(source.about().name, Arc::new(SourceType::new(source)));
        self
    }

    /// Adds a sink type.
    #[must_use]
    pub fn with_sink<S: Sink>(mut self, sink: S) -> Self {
        self.types.insert(sink.about().name, Arc::new(SinkType::new(sink)));
        self
    }

    /// Every type, by name.
    #[must_use]
    pub fn types(&self) -> Vec<ConnectorType> {
        self.types.values().map(|known| known.describe()).collect()
    }

    /// The JSON Schema of a connector's spec but for its type's settings.
    #[must_use]
    pub const fn spec_schema(&self) -> &Value {
        &self.spec_schema
    }

    /// Checks a spec: everything that can be known without touching the outside.
    ///
    /// # Errors
    /// Every field that is wrong, at once.
    pub fn check(&self, spec: &Value) -> Result<Spec, Error> {
        let parse = |value: &Value| serde_json::from_value::<Spec>(value.clone()).err().map(|error| error.to_string());
        let problems = problem::check("", &self.spec_schema, spec, parse);
        let known = spec.get("type").and_then(Value::as_str);
        if let Some(name) = known.filter(|name| !self.types.contains_key(name)) {
            return Err(self.unknown(name));
        }
        let kind = known.and_then(|name| self.types.get(name));
        let settings = spec.get("settings").cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        let inner = kind.filter(|_| settings.is_object()).map(|kind| kind.problems(&settings)).unwrap_or_default();
        let all: Vec<Problem> = problems.into_iter().chain(inner).collect();
        if !all.is_empty() {
            return Err(Error::Spec(all));
        }
        let parsed: Spec = serde_json::from_value(spec.clone()).map_err(|error| Error::Spec(vec![unparsed(&error)]))?;
        let kind = self.kind_of(&parsed)?;
        let (about, direction) = (kind.about(), kind.describe().direction);
        if about.one_topic && parsed.topics.len() != 1 {
            return Err(Error::OneTopic { name: about.name.to_owned(), direction, count: parsed.topics.len() });
        }
        kind.check(&settings)?;
        Ok(parsed)
    }

    fn kind_of(&self, spec: &Spec) -> Result<&Arc<dyn Erased>, Error> {
        self.types.get(spec.kind.as_str()).ok_or_else(|| self.unknown(&spec.kind))
    }

    fn unknown(&self, name: &str) -> Error {
        let known: Vec<&str> = self.types.keys().copied().collect();
        Error::UnknownType { name: name.to_owned(), known: known.join(", ") }
    }

    fn prepare(&self, deployment: &Deployment) -> Result<(Spec, Worker), Error> {
        let spec = self.check(&deployment.spec)?;
        let settings = secret::resolve(&Value::Object(spec.settings.clone()), &self.environment)?;
        let worker = self.kind_of(&spec)?.open(&settings)?;
        Ok((spec, worker))
    }
}

fn unparsed(error: &serde_json::Error) -> Problem {
    Problem { field: "spec".to_owned(), value: None, expected: error.to_string() }
}

#[async_trait]
impl Kind for Connectors {
    fn kind(&self) -> DeploymentKind {
        DeploymentKind::Connector
    }

    async fn validate(&self, deployment: &Deployment) -> Result<(), millstream_task::Error> {
        self.check(&deployment.spec)?;
        Ok(())
    }

    async fn plan(&self, deployment: &Deployment) -> Result<Plan, millstream_task::Error> {
        match self.work(deployment).await? {
            Work::Operator(plan) => Ok(plan),
            Work::Source(_) => {
                let message = format!("connector {:?} is a source: it has no input in the log", deployment.key.name);
                Err(millstream_task::Error::new(ErrorKind::Invalid, message))
            }
        }
    }

    async fn work(&self, deployment: &Deployment) -> Result<Work, millstream_task::Error> {
        let (spec, worker) = self.prepare(deployment)?;
        let connector = deployment.key.name.clone();
        Ok(match worker {
            Worker::Source { tasks, make } => Work::Source(self.source_plan(connector, spec, tasks, make)),
            Worker::Sink(make) => Work::Operator(self.sink_plan(connector, &spec, make)),
        })
    }
}

impl Connectors {
    fn source_plan(&self, connector: String, spec: Spec, tasks: Vec<String>, make: typed::MakeSource) -> SourcePlan {
        let runtime = self.runtime.clone();
        let dead_letter_topic = spec.dead_letters(&connector);
        let (topics, policy) = (spec.topics, spec.errors);
        SourcePlan {
            outputs: topics.clone(),
            partitions: spec.partitions,
            policy,
            dead_letter_topic,
            tasks,
            worker: Box::new(move |task, position| {
                let context = SourceContext {
                    runtime: runtime.clone(),
                    connector: connector.clone(),
                    topics: topics.clone(),
                    task: task.to_owned(),
                    position,
                    policy,
                };
                Ok(make(context)?)
            }),
        }
    }

    fn sink_plan(&self, connector: String, spec: &Spec, make: typed::MakeSink) -> Plan {
        let (runtime, topics, policy) = (self.runtime.clone(), self.topics.clone(), spec.errors);
        Plan {
            inputs: spec.topics.clone(),
            outputs: Vec::new(),
            policy,
            dead_letter_topic: spec.dead_letters(&connector),
            // What a sink gave away can't be taken back.
            guarantee: Guarantee::AtLeastOnce,
            commit_interval: None,
            from_earliest: spec.from == crate::From::Earliest,
            batch_bytes_max: SINK_BATCH_BYTES_MAX,
            operator: Box::new(move |partition: TopicPartition| {
                let topic = topics.topics().into_iter().find(|topic| topic.id == partition.topic).ok_or_else(|| {
                    let message = format!("the topic of partition {partition} does not exist any more");
                    millstream_task::Error::new(ErrorKind::NotFound, message)
                })?;
                let context = SinkContext {
                    runtime: runtime.clone(),
                    connector: connector.clone(),
                    topic: topic.name,
                    partition: partition.partition.0,
                    policy,
                };
                Ok(make(context)?)
            }),
        }
    }

    /// Which way a type goes; nothing where there is no such type.
    #[must_use]
    pub fn direction(&self, name: &str) -> Option<Direction> {
        self.types.get(name).map(|known| known.describe().direction)
    }
}
