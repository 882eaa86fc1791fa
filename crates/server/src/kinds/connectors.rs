//! The connector types of this binary.

use millstream_admin::ConnectorTypes;
use millstream_connect::{Connectors, Environment};
use millstream_runtime::Runtime;
use millstream_schema::SchemaLookup;
use millstream_task::Topics;
use serde_json::{Value, json};
use std::sync::Arc;

/// Every connector type. `environment` is where secrets in settings are looked up.
pub fn registry(
    runtime: Runtime,
    topics: Arc<dyn Topics>,
    schemas: Arc<dyn SchemaLookup>,
    environment: Environment,
) -> Connectors {
    Connectors::new(runtime, topics, environment)
        .with_source(millstream_connector_file::FileSource)
        .with_source(millstream_connector_generator::GeneratorSource)
        .with_source(millstream_connector_http::HttpSource)
        .with_sink(millstream_connector_http::HttpSink)
        .with_sink(millstream_connector_object_store::ObjectStoreSink::new(schemas))
}

/// The types as the API lists them.
pub struct Types(pub Arc<Connectors>);

impl ConnectorTypes for Types {
    fn list(&self) -> Value {
        let row = |kind: millstream_connect::ConnectorType| json!({"name": kind.name, "direction": kind.direction, "version": kind.version, "description": kind.summary});
        self.0.types().into_iter().map(row).collect()
    }

    fn settings_schema(&self, name: &str) -> Option<Value> {
        self.0.types().into_iter().find(|kind| kind.name == name).map(|kind| kind.settings)
    }
}
