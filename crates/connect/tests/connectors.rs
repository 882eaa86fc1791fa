//! The registry: what a wrong spec is told, how a right one becomes work, and both directions through the task host.

#![cfg(test)]

use async_trait::async_trait;
use millstream_connect::{
    About, Connectors, Error, Operator, OperatorError, Outcome, Sink, SinkContext, Source, SourceBatch, SourceContext,
    SourceOutput, SourceWorker,
};
use millstream_record::Columns;
use millstream_runtime::{Runtime, SimDisk};
use millstream_task::memory::{MemoryDeployments, MemoryTopics};
use millstream_task::{Config, DeploymentKey, DeploymentKind, Host, Ports, State};
use millstream_telemetry::Metrics;
use millstream_types::ErrorKind;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Settings of both test types.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// How many.
    #[schemars(range(min = 1, max = 100))]
    count: u64,
    /// What it says.
    #[serde(default)]
    text: String,
    /// How it says it.
    #[serde(default)]
    #[expect(dead_code, reason = "it is only parsed")]
    mood: Mood,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Mood {
    /// So that all hear it.
    #[default]
    Loud,
    /// So that some do.
    Quiet,
}

struct Echo;

struct EchoWorker(Arc<Settings>);

impl Source for Echo {
    type Settings = Settings;

    fn about(&self) -> About {
        About { name: "echo", version: "1.0.0", summary: "Says its text.", one_topic: true }
    }

    fn worker(&self, settings: &Arc<Settings>, _: SourceContext) -> Result<Box<dyn SourceWorker>, Error> {
        Ok(Box::new(EchoWorker(settings.clone())))
    }
}

#[async_trait]
impl SourceWorker for EchoWorker {
    async fn poll(&mut self) -> Result<SourceBatch, OperatorError> {
        let mut output = SourceOutput::default();
        (0..self.0.count).for_each(|_| output.records.push(-1, None, Some(self.0.text.as_bytes()), []));
        Ok(SourceBatch {
            outputs: vec![output],
            position: Some(json!(self.0.count)),
            finished: true,
            ..SourceBatch::default()
        })
    }
}

#[derive(Default, Clone)]
struct Ear(Arc<Mutex<Vec<String>>>);

struct EarWorker(Ear, String);

impl Sink for Ear {
    type Settings = Settings;

    fn about(&self) -> About {
        About { name: "ear", version: "1.0.0", summary: "Hears values.", one_topic: false }
    }

    fn worker(&self, _: &Arc<Settings>, context: SinkContext) -> Result<Box<dyn Operator>, Error> {
        Ok(Box::new(EarWorker(self.clone(), format!("{}-{}", context.topic, context.partition))))
    }
}

#[async_trait]
impl Operator for EarWorker {
    async fn process(&mut self, input: &Columns) -> Result<Outcome, OperatorError> {
        let heard = input
            .values
            .iter()
            .map(|value| format!("{}: {}", self.1, String::from_utf8_lossy(value.unwrap_or_default())));
        self.0.0.lock().extend(heard);
        Ok(Outcome::default())
    }
}

fn connectors(ear: &Ear) -> Connectors {
    let runtime = Runtime::simulated(1, Arc::new(SimDisk::new()));
    let environment = |name: &str| (name == "MILLSTREAM_SECRET_WORD").then(|| "hush".to_owned());
    Connectors::new(runtime, Arc::new(MemoryTopics::new()), Arc::new(environment))
        .with_source(Echo)
        .with_sink(ear.clone())
}

fn complaint(spec: Value) -> String {
    connectors(&Ear::default()).check(&spec).unwrap_err().to_string()
}

#[tokio::test]
async fn every_wrong_field_is_named_with_its_value_and_what_was_expected() {
    let cases = [
        (
            json!({"type": "echo", "topics": ["t"], "settings": {"count": "many"}}),
            "settings.count is \"many\": expected a value of type integer",
        ),
        (
            json!({"type": "echo", "topics": ["t"], "settings": {"count": 0}}),
            "settings.count is 0: expected at least 1",
        ),
        (json!({"type": "echo", "topics": ["t"], "settings": {}}), "settings.count: expected a value; it is required"),
        (
            json!({"type": "echo", "topics": ["t"], "settings": {"count": 1, "cuont": 2}}),
            "settings.cuont is 2: expected no such field; there are count, mood, text",
        ),
        (
            json!({"type": "echo", "topics": ["t"], "settings": {"count": 1, "mood": "sad"}}),
            "settings.mood is \"sad\": expected one of [loud,quiet]",
        ),
        (
            json!({"type": "echo", "topics": ["t", "u"], "settings": {"count": 1}}),
            "connector type \"echo\" (a source) takes exactly one topic, not 2: name one in `topics`",
        ),
        (
            json!({"type": "ehco", "topics": ["t"]}),
            "there is no connector type \"ehco\"; there are ear, echo: `millstream connector types` describes them",
        ),
        (json!({"topics": ["t"]}), "type: expected a value; it is required"),
        (
            json!({"type": "echo", "topics": "t", "errors": "explode", "settings": {"count": true}}),
            "errors is \"explode\": expected one of [fail,skip,dead-letter]; topics is \"t\": expected a value of type array; settings.count is true: expected a value of type integer",
        ),
    ];
    for (spec, expected) in cases {
        assert_eq!(complaint(spec.clone()), expected, "{spec}");
    }
}

#[tokio::test]
async fn types_are_listed_with_the_schema_and_docs_of_their_settings() {
    let types = connectors(&Ear::default()).types();
    assert_eq!(types.iter().map(|known| known.name.as_str()).collect::<Vec<_>>(), ["ear", "echo"]);
    assert_eq!(types[1].settings.pointer("/properties/count/description"), Some(&json!("How many.")));
    assert_eq!(types[1].settings.pointer("/additionalProperties"), Some(&json!(false)));
}

#[tokio::test(start_paused = true)]
async fn a_source_and_a_sink_run_in_the_task_host() {
    let runtime = Runtime::simulated(1, Arc::new(SimDisk::new()));
    let (topics, ear) = (Arc::new(MemoryTopics::new()), Ear::default());
    let environment = |name: &str| (name == "MILLSTREAM_SECRET_WORD").then(|| "hush".to_owned());
    let kinds = Connectors::new(runtime.clone(), topics.clone(), Arc::new(environment))
        .with_source(Echo)
        .with_sink(ear.clone());
    let ports = Ports { runtime, topics, store: Arc::new(MemoryDeployments::new()), metrics: Metrics::new() };
    let host = Host::new(ports, Config::default());
    host.register(Arc::new(kinds));
    host.start();
    let key = |name: &str| DeploymentKey { kind: DeploymentKind::Connector, name: name.into() };
    let settings = json!({"count": 2, "text": "say ${env:MILLSTREAM_SECRET_WORD}"});
    host.deploy(key("in"), json!({"type": "echo", "topics": ["t"], "settings": settings})).await.unwrap();
    host.deploy(key("out"), json!({"type": "ear", "topics": ["t"], "settings": {"count": 1}})).await.unwrap();
    for _ in 0..60_000 {
        if ear.0.lock().len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(*ear.0.lock(), ["t-0: say hush", "t-0: say hush"]);
    assert_eq!(host.status_one(&key("in")).unwrap().state, State::Finished);
    assert!(!serde_json::to_string(&host.deployments()).unwrap().contains("hush"), "a secret is not stored");
    let error = host.deploy(key("bad"), json!({"type": "echo", "topics": []})).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(host.stop().await);
}
