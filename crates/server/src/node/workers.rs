//! What works over the log: the task host with its kinds, and the API in front of all.

use super::core::Core;
use crate::adapters::cluster::QuorumCluster;
use crate::adapters::deployments::QuorumDeployments;
use crate::adapters::groups::CoordinatorGroups;
use crate::adapters::measures::NodeMeasures;
use crate::adapters::schemas::QuorumSchemas;
use crate::kinds;
use crate::{Error, Settings};
use millstream_admin::Node as Api;
use millstream_connect::Environment;
use millstream_runtime::Runtime;
use millstream_task::{Config as TaskConfig, DeploymentStore, Host, Ports, Topics};
use millstream_telemetry::Metrics;
use std::sync::Arc;

/// Starts the tasks that are deployed, and makes the API.
pub async fn start(
    runtime: &Runtime,
    metrics: &Metrics,
    settings: &Settings,
    (core, environment): (&Core, Environment),
) -> Result<(Host, Arc<Api>), Error> {
    let log = core.topics(runtime);
    let topics: Arc<dyn Topics> = Arc::new(log.clone());
    let store: Arc<dyn DeploymentStore> = Arc::new(QuorumDeployments::follow(core.quorum.clone(), &runtime.tasks));
    let schemas = Arc::new(QuorumSchemas(core.quorum.clone()));
    let config = TaskConfig { commit_interval: settings.task_commit_interval, ..TaskConfig::default() };
    let ports =
        Ports { runtime: runtime.clone(), topics: topics.clone(), store: store.clone(), metrics: metrics.clone() };
    let host = Host::new(ports, config);
    let connectors =
        Arc::new(kinds::connectors::registry(runtime.clone(), topics.clone(), schemas.clone(), environment));
    host.register(connectors.clone());
    let buses = kinds::buses::start(runtime, metrics, topics.clone(), &host);
    let cluster =
        Arc::new(QuorumCluster { log: log.clone(), default_partitions: settings.broker_number("num.partitions")? });
    let groups = Arc::new(CoordinatorGroups(log.clone()));
    let measures = Arc::new(NodeMeasures::new(log.clone(), metrics.clone()));
    #[cfg(feature = "functions")]
    let components = {
        let parts = (topics.clone(), schemas.clone(), metrics.clone());
        Some(kinds::functions::start(runtime, settings, parts, (&host, store.watch()))?)
    };
    #[cfg(not(feature = "functions"))]
    let components = None;
    #[cfg(feature = "sql")]
    let sql = {
        let (cluster, groups, cold) = (cluster.clone(), groups.clone(), core.cold.clone());
        let system = kinds::sql::System { cluster, groups, host: host.clone(), log: log.clone(), cold };
        let (topics, schemas, metrics) = (topics.clone(), schemas.clone(), metrics.clone());
        let parts = kinds::sql::Parts { topics, schemas, system, host: host.clone(), metrics };
        Some(kinds::sql::start(runtime, settings, parts)?)
    };
    #[cfg(not(feature = "sql"))]
    let sql = None;
    host.start();
    let api = Api {
        runtime: runtime.clone(),
        metrics: metrics.clone(),
        measures,
        cluster,
        topics,
        groups,
        lookup: schemas.clone(),
        schemas,
        host: host.clone(),
        connector_types: Arc::new(kinds::connectors::Types(connectors)),
        buses,
        tier: core.cold.clone().into_port(log),
        components,
        sql,
        component_bytes_max: settings.component_bytes_max,
    };
    Ok((host, Arc::new(api)))
}
