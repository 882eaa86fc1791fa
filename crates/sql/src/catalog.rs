//! The catalog of one query: every topic is a table of the schema `public`, its bad rows are `"topic$quarantine"`, and the schema `system`
//! describes the node.

use crate::query::Context;
use crate::system::SystemSchema;
use crate::topic::layout::{Layout, QUARANTINE, Rows};
use crate::topic::table::TopicTable;
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::DataFusionError;
use std::sync::Arc;

/// The name of the catalog.
pub(crate) const CATALOG: &str = "millstream";
/// The schema of topics.
pub(crate) const PUBLIC: &str = "public";
const SYSTEM: &str = "system";
/// What the names of internal topics begin with: they can be queried, and are not listed.
const INTERNAL: &str = "__";

#[derive(Debug)]
pub(crate) struct Catalog(pub(crate) Arc<Context>);

impl CatalogProvider for Catalog {
    fn schema_names(&self) -> Vec<String> {
        vec![PUBLIC.to_owned(), SYSTEM.to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match name {
            PUBLIC => Some(Arc::new(Public(self.0.clone()))),
            SYSTEM => Some(Arc::new(SystemSchema(self.0.clone()))),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Public(Arc<Context>);

impl Public {
    fn split(name: &str) -> (&str, Rows) {
        name.strip_suffix(QUARANTINE).map_or((name, Rows::Good), |topic| (topic, Rows::Bad))
    }
}

#[async_trait]
impl SchemaProvider for Public {
    fn table_names(&self) -> Vec<String> {
        self.0.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let (topic, rows) = Self::split(name);
        let Some(view) = self.0.topics.topic(topic) else { return Ok(None) };
        let layout = Arc::new(Layout::of(topic, rows, self.0.schemas.as_ref())?);
        Ok(Some(Arc::new(TopicTable { context: self.0.clone(), topic: view, layout })))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.topics.topic(Self::split(name).0).is_some()
    }
}

impl Context {
    /// The topics that are listed as tables.
    pub(crate) fn table_names(&self) -> Vec<String> {
        self.topics.topics().into_iter().map(|topic| topic.name).filter(|name| !name.starts_with(INTERNAL)).collect()
    }
}
