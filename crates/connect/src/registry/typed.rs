//! Connector types without their settings' types, so that the registry can hold them all.

use crate::problem;
use crate::{About, ConnectorType, Direction, Error, Problem, Sink, SinkContext, Source, SourceContext};
use millstream_task::{Operator, SourceWorker};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

pub(super) type MakeSource = Box<dyn Fn(SourceContext) -> Result<Box<dyn SourceWorker>, Error> + Send + Sync>;
pub(super) type MakeSink = Box<dyn Fn(SinkContext) -> Result<Box<dyn Operator>, Error> + Send + Sync>;

/// What a type makes of its settings.
pub(super) enum Worker {
    Source { tasks: Vec<String>, make: MakeSource },
    Sink(MakeSink),
}

/// A connector type whose settings are JSON.
pub(super) trait Erased: Send + Sync {
    fn about(&self) -> About;
    fn describe(&self) -> ConnectorType;
    fn problems(&self, settings: &Value) -> Vec<Problem>;
    fn check(&self, settings: &Value) -> Result<(), Error>;
    fn open(&self, settings: &Value) -> Result<Worker, Error>;
}

pub(super) struct SourceType<S> {
    source: Arc<S>,
    schema: Value,
}

pub(super) struct SinkType<S> {
    sink: Arc<S>,
    schema: Value,
}

impl<S: Source> SourceType<S> {
    pub fn new(source: S) -> Self {
        Self { source: Arc::new(source), schema: schema::<S::Settings>() }
    }
}

impl<S: Sink> SinkType<S> {
    pub fn new(sink: S) -> Self {
        Self { sink: Arc::new(sink), schema: schema::<S::Settings>() }
    }
}

impl<S: Source> Erased for SourceType<S> {
    fn about(&self) -> About {
        self.source.about()
    }

    fn describe(&self) -> ConnectorType {
        describe(self.about(), Direction::Source, &self.schema)
    }

    fn problems(&self, settings: &Value) -> Vec<Problem> {
        problem::check("settings", &self.schema, settings, message::<S::Settings>)
    }

    fn check(&self, settings: &Value) -> Result<(), Error> {
        self.source.check(&parse(settings)?)
    }

    fn open(&self, settings: &Value) -> Result<Worker, Error> {
        let settings: Arc<S::Settings> = Arc::new(parse(settings)?);
        let source = self.source.clone();
        let tasks = source.tasks(&settings);
        Ok(Worker::Source { tasks, make: Box::new(move |context| source.worker(&settings, context)) })
    }
}

impl<S: Sink> Erased for SinkType<S> {
    fn about(&self) -> About {
        self.sink.about()
    }

    fn describe(&self) -> ConnectorType {
        describe(self.about(), Direction::Sink, &self.schema)
    }

    fn problems(&self, settings: &Value) -> Vec<Problem> {
        problem::check("settings", &self.schema, settings, message::<S::Settings>)
    }

    fn check(&self, settings: &Value) -> Result<(), Error> {
        self.sink.check(&parse(settings)?)
    }

    fn open(&self, settings: &Value) -> Result<Worker, Error> {
        let settings: Arc<S::Settings> = Arc::new(parse(settings)?);
        let sink = self.sink.clone();
        Ok(Worker::Sink(Box::new(move |context| sink.worker(&settings, context))))
    }
}

fn schema<T: JsonSchema>() -> Value {
    schemars::SchemaGenerator::default().into_root_schema_for::<T>().to_value()
}

fn describe(about: About, direction: Direction, schema: &Value) -> ConnectorType {
    ConnectorType {
        name: about.name.to_owned(),
        version: about.version.to_owned(),
        direction,
        summary: about.summary.to_owned(),
        settings: schema.clone(),
    }
}

fn parse<T: DeserializeOwned>(settings: &Value) -> Result<T, Error> {
    serde_json::from_value(settings.clone()).map_err(|error| {
        Error::Spec(vec![Problem {
            field: "settings".to_owned(),
            value: None,
            expected: format!("settings that fit ({error})"),
        }])
    })
}

fn message<T: DeserializeOwned>(settings: &Value) -> Option<String> {
    serde_json::from_value::<T>(settings.clone()).err().map(|error| error.to_string())
}
