//! The tables of the schema `system`: what the API's ports tell, as rows.

use crate::adapters::cluster::QuorumCluster;
use crate::adapters::groups::CoordinatorGroups;
use crate::adapters::schemas::QuorumSchemas;
use crate::adapters::topics::LogTopics;
use crate::kinds::sql::segments;
use crate::kinds::tier::Cold;
use async_trait::async_trait;
use millstream_admin::{Cluster, Groups};
use millstream_schema::{SchemaLookup, value_subject};
use millstream_sql::{SystemTable, SystemTables};
use millstream_task::{DeploymentKind, DeploymentStatus, Error, Host};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What the node knows of itself.
pub struct System {
    /// Topics and partitions.
    pub cluster: Arc<QuorumCluster>,
    /// Groups.
    pub groups: Arc<CoordinatorGroups>,
    /// Deployments.
    pub host: Host,
    /// Segments on the local disk.
    pub log: LogTopics,
    /// Segments in the object store.
    pub cold: Cold,
}

type Row = Map<String, Value>;

fn row(value: Value) -> Row {
    match value {
        Value::Object(row) => row,
        _ => Row::new(),
    }
}

#[async_trait]
impl SystemTables for System {
    async fn rows(&self, table: SystemTable) -> Result<Vec<Row>, Error> {
        match table {
            SystemTable::Topics => Ok(self.topics()),
            SystemTable::Partitions => self.partitions().await,
            SystemTable::Segments => self.segments().await,
            SystemTable::Groups => self.groups().await,
            SystemTable::Functions => Ok(self.deployments(DeploymentKind::Function)),
            SystemTable::Connectors => Ok(self.deployments(DeploymentKind::Connector)),
            SystemTable::Streams => Ok(self.deployments(DeploymentKind::Stream)),
            SystemTable::Rules => Ok(self.deployments(DeploymentKind::Rule)),
        }
    }
}

impl System {
    fn topics(&self) -> Vec<Row> {
        let schemas = QuorumSchemas(self.log.quorum.clone());
        let image = self.log.quorum.image();
        let one = |topic: millstream_admin::TopicRow| {
            let configs = image.topic_named(&topic.name).map(|known| json!(known.overrides).to_string());
            row(json!({
                "name": topic.name, "id": topic.id, "partitions": topic.partitions, "internal": topic.internal,
                "schema_id": schemas.latest(&value_subject(&topic.name)).map(|schema| schema.id),
                "records": topic.records, "bytes": topic.bytes, "configs": configs,
            }))
        };
        self.cluster.topics().into_iter().map(one).collect()
    }

    async fn partitions(&self) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        for topic in self.cluster.topics() {
            let image = self.log.quorum.image();
            let Some(known) = image.topic_named(&topic.name) else { continue };
            for (detail, state) in
                self.cluster.topic(&topic.name).await?.partition_details.into_iter().zip(&known.partitions)
            {
                let ids =
                    |brokers: &[millstream_types::BrokerId]| brokers.iter().map(|broker| broker.0).collect::<Vec<_>>();
                rows.push(row(json!({
                    "topic": topic.name, "partition": detail.partition, "leader": detail.leader, "leader_epoch": detail.leader_epoch,
                    "replicas": ids(&state.replicas), "isr": ids(&state.isr),
                    "log_start": detail.log_start, "high_watermark": detail.high_watermark, "local_bytes": detail.bytes,
                })));
            }
        }
        Ok(rows)
    }

    async fn segments(&self) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        for handle in self.log.partitions.all() {
            let local = handle.log().local_segments().await;
            let local = local.map_err(|error| Error::new(error.kind(), error.to_string()))?;
            let manifest = self.cold.manifest(handle.id());
            let cold = manifest.as_ref().map_or(&[][..], |manifest| &manifest.segments);
            rows.extend(segments::merge(&local, cold).into_iter().map(|segment| {
                row(json!({
                    "topic": handle.topic(), "partition": handle.id().partition.0, "base_offset": segment.base.0,
                    "next_offset": segment.next.0, "bytes": segment.bytes, "state": segment.state.text(),
                    "max_timestamp": segment.max_timestamp.map(|time| time.0),
                    "object": segment.cold.and_then(|cold| self.cold.log_object(handle.id(), cold)),
                }))
            }));
        }
        Ok(rows)
    }

    async fn groups(&self) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        for group in self.groups.list().await? {
            for offset in self.groups.describe(&group.group).await?.offsets {
                rows.push(row(json!({
                    "name": group.group, "state": group.state, "protocol": group.protocol_type, "members": group.members,
                    "topic": offset.topic, "partition": offset.partition, "committed": offset.offset,
                    "end_offset": offset.high_watermark, "lag": offset.lag,
                })));
            }
        }
        Ok(rows)
    }

    fn deployments(&self, kind: DeploymentKind) -> Vec<Row> {
        let statuses = self.host.status().into_iter().filter(|status| status.key.kind == kind);
        statuses.map(|status| self.deployment(&status)).collect()
    }

    /// One row with the columns of all four tables; each table takes its own.
    fn deployment(&self, status: &DeploymentStatus) -> Row {
        let spec = self.host.deployment(&status.key).map_or(Value::Null, |stored| stored.spec);
        let error = status.error.as_ref().or_else(|| status.tasks.iter().find_map(|task| task.error.as_ref()));
        let target = spec.get("target").map(Value::to_string);
        row(json!({
            "name": status.key.name, "generation": status.generation, "state": status.state, "inputs": status.inputs,
            "outputs": status.outputs, "tasks": status.tasks.len(), "records_in": status.counts.records_in,
            "records_out": status.counts.records_out, "matched": status.counts.records_out, "failures": status.counts.records_failed,
            "lag": status.lag.as_ref().map(|lag| lag.amount), "last_error": error.map(|error| &error.message),
            "type": spec.get("type"), "sql": spec.get("sql"), "bus": spec.pointer("/input/bus"),
            "pattern": spec.get("pattern").map(Value::to_string), "targets": target.into_iter().collect::<Vec<_>>(),
        }))
    }
}
