//! HTTP on one port: our own API under `/v1`, the schema registry's paths, metrics and health.
//!
//! It translates between HTTP and the ports in [`ports`], which the composition root implements; it decides nothing itself.

mod answer;
mod buses;
mod cluster;
mod connectors;
mod deployments;
mod from;
mod functions;
mod groups;
mod health;
mod ports;
mod records;
mod registry;
mod rules;
mod sql;
mod tier;
mod topics;

pub use from::From;
pub use ports::{
    AlterTopic, BrokerRow, Buses, Cluster, Components, ConnectorTypes, Format, GroupDetail, GroupMember, GroupOffset,
    GroupRow, Groups, NewTopic, Node, PartitionDetail, QueryAnswer, Schemas, SchemasError, Sql, TierRow, Tiering,
    TopicDetail, TopicRow,
};

use axum::Router;
use std::sync::Arc;

/// Bytes of the largest JSON body. Components, events and records have limits of their own.
const JSON_BYTES_MAX: usize = 8 << 20;

/// Every route, over `node`.
pub fn router(node: Arc<Node>) -> Router {
    Router::new()
        .merge(health::routes())
        .merge(topics::routes())
        .merge(records::routes())
        .merge(groups::routes())
        .merge(deployments::routes())
        .merge(functions::routes())
        .merge(connectors::routes())
        .merge(sql::routes())
        .merge(buses::routes())
        .merge(rules::routes())
        .merge(tier::routes())
        .merge(cluster::routes())
        .merge(registry::routes())
        .layer(axum::extract::DefaultBodyLimit::max(JSON_BYTES_MAX))
        .fallback(answer::no_such_path)
        .with_state(node)
}
