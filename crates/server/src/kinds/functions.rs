//! Functions over this node: components in their internal topic, compiled code in the data folder, deployments on the task host.

use crate::adapters::schemas::QuorumSchemas;
use crate::{Error, Settings};
use async_trait::async_trait;
use bytes::Bytes;
use millstream_admin::Components;
use millstream_function::{Functions, LogLine, Logs, Ports, TopicComponents};
use millstream_runtime::Runtime;
use millstream_task::{Deployment, DeploymentKind, Error as TaskError, Host, Kind, Plan, Topics};
use millstream_telemetry::Metrics;
use millstream_wasm::{Engine, EngineLimits};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;

/// The folder of compiled code, within the data folder.
const CACHE_FOLDER: &str = "components";

/// Starts the engine and adds functions to the host.
pub fn start(
    runtime: &Runtime,
    settings: &Settings,
    (topics, schemas, metrics): (Arc<dyn Topics>, Arc<QuorumSchemas>, Metrics),
    (host, mut deployments): (&Host, watch::Receiver<Vec<Deployment>>),
) -> Result<Arc<dyn Components>, Error> {
    let limits = EngineLimits { component_bytes_max: settings.component_bytes_max, ..EngineLimits::default() };
    let engine = Engine::new(runtime, limits, Some(settings.data_dir.join(CACHE_FOLDER)));
    let engine = engine.map_err(|error| Error::Part { what: "functions", reason: error.to_string() })?;
    let logs = Logs::new(runtime.clock.clone());
    let components = Arc::new(TopicComponents::new(topics.clone()));
    let functions =
        Arc::new(Functions::new(Ports { engine, components, topics, schemas, logs: logs.clone(), metrics }));
    host.register(Arc::new(Face(functions.clone())));
    let kept = logs.clone();
    runtime.tasks.spawn_until_stopped("logs of deleted functions are dropped", async move {
        while deployments.changed().await.is_ok() {
            let now = deployments.borrow_and_update();
            let is_function = |one: &&Deployment| one.key.kind == DeploymentKind::Function;
            let names: BTreeSet<&str> = now.iter().filter(is_function).map(|one| one.key.name.as_str()).collect();
            kept.retain(|function| names.contains(function));
        }
    });
    Ok(Arc::new(Uploads { functions, logs }))
}

/// One kind shared by the host and the uploads.
struct Face(Arc<Functions>);

#[async_trait]
impl Kind for Face {
    fn kind(&self) -> DeploymentKind {
        self.0.kind()
    }

    async fn validate(&self, deployment: &Deployment) -> Result<(), TaskError> {
        self.0.validate(deployment).await
    }

    async fn plan(&self, deployment: &Deployment) -> Result<Plan, TaskError> {
        self.0.plan(deployment).await
    }
}

struct Uploads {
    functions: Arc<Functions>,
    logs: Logs,
}

#[async_trait]
impl Components for Uploads {
    async fn put(&self, component: Bytes) -> Result<String, TaskError> {
        let hash =
            self.functions.upload(component).await.map_err(|error| TaskError::new(error.kind(), error.to_string()))?;
        Ok(hash.to_string())
    }

    fn logs(&self, function: &str) -> Vec<Value> {
        let row = |line: LogLine| {
            json!({
                "time": chrono::DateTime::from_timestamp_millis(line.at.0).map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)),
                "level": line.level, "topic": line.topic, "partition": line.partition, "message": line.message,
            })
        };
        self.logs.lines(function).into_iter().map(row).collect()
    }
}
