//! HTTP on one port: our own API under `/v1`, the schema registry's paths, metrics and health.
//!
//! It translates between HTTP and the ports in [`ports`], which the composition root implements; it decides nothing itself.

mod about;
mod answer;
mod api;
mod buses;
mod cluster;
mod connectors;
mod deployments;
mod from;
mod functions;
mod groups;
mod health;
mod meter;
mod openapi;
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
    GroupRow, Groups, Measures, NewTopic, Node, PartitionDetail, QueryAnswer, Schemas, SchemasError, Sql, TierRow,
    Tiering, TopicDetail, TopicRow,
};

use axum::Router;
use std::sync::Arc;

/// Bytes of the largest JSON body. Components, events and records have limits of their own.
const JSON_BYTES_MAX: usize = 8 << 20;

/// Every route with its description.
fn api() -> api::Api {
    api::Api::default()
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
}

/// Every route, over `node`.
pub fn router(node: Arc<Node>) -> Router {
    api()
        .into_router()
        .layer(axum::extract::DefaultBodyLimit::max(JSON_BYTES_MAX))
        .layer(axum::middleware::from_fn_with_state(node.clone(), meter::measure))
        .fallback(answer::no_such_path)
        .with_state(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_route_with_a_line_and_an_example_of_what_it_takes_and_gives() {
        let api = api();
        let document = openapi::document(api.operations());
        let described: usize = document["paths"]
            .as_object()
            .map_or(0, |paths| paths.values().filter_map(|path| path.as_object()).map(serde_json::Map::len).sum());
        assert_eq!(described, api.operations().len(), "two routes have one method and path");
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let told = |pointer: &str| operation.pointer(pointer).is_some_and(|value| !value.is_null());
                assert!(told("/summary") && told("/responses/default"), "{method} {path}: {operation}");
                let examples = document_examples(operation);
                assert!(examples.iter().all(|one| !one.is_null()), "{method} {path} has a body without an example");
                let of_path = path.matches('{').count();
                let parameters = operation["parameters"].as_array().map_or(0, Vec::len);
                assert!(parameters >= of_path, "{method} {path} does not describe its parameters");
            }
        }
    }

    fn document_examples(operation: &serde_json::Value) -> Vec<serde_json::Value> {
        let answers = operation["responses"].as_object().into_iter().flat_map(|answers| answers.values());
        let bodies = answers.chain(operation.get("requestBody"));
        let contents = bodies.filter_map(|body| body["content"].as_object()).flat_map(|content| content.values());
        contents.map(|content| content["example"].clone()).collect()
    }

    /// What makes the document true in the other direction: `Api` is the only way to a route.
    #[test]
    fn no_route_is_added_beside_the_descriptions() {
        let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let files = std::fs::read_dir(&sources).unwrap().chain(std::fs::read_dir(sources.join("registry")).unwrap());
        for path in files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file() && !path.ends_with("api.rs"))
        {
            let text = std::fs::read_to_string(&path).unwrap();
            let adds = text.lines().find(|line| line.contains(".route(") && !line.contains("line.contains"));
            assert_eq!(adds, None, "{}", path.display());
        }
    }
}
