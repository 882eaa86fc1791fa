//! The engine: plans statements and runs queries, each in a session of its own that sees the topics as they are now.

use crate::catalog::{CATALOG, Catalog, PUBLIC};
use crate::counters::Counters;
use crate::query::{Context, QueryStream};
use crate::statement::parse_query;
use crate::stream::{StreamSpec, compile};
use crate::{Error, Limits, SystemTables};
use datafusion::catalog::{CatalogProviderList, MemoryCatalogProviderList};
use datafusion::config::Dialect;
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateBuilder};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;
use futures::future::{FutureExt, select};
use millstream_runtime::Runtime;
use millstream_schema::{SchemaLookup, UTC};
use millstream_task::Topics;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What an engine is made of.
pub struct EngineConfig {
    /// The log.
    pub topics: Arc<dyn Topics>,
    /// The schema registry.
    pub schemas: Arc<dyn SchemaLookup>,
    /// What the system tables tell.
    pub system: Arc<dyn SystemTables>,
    /// Clock and compute threads.
    pub runtime: Runtime,
    /// What queries may use.
    pub limits: Limits,
}

/// Plans and runs statements.
pub struct Engine {
    config: EngineConfig,
    /// Functions, rules and options: the same for every query.
    base: SessionState,
    running: Arc<Semaphore>,
}

impl Engine {
    /// An engine.
    ///
    /// # Errors
    /// When DataFusion can't be set up, which would be a bug.
    pub fn new(config: EngineConfig) -> Result<Self, Error> {
        let base = base().map_err(|error| Error::Internal { reason: error.strip_backtrace() })?;
        let running = Arc::new(Semaphore::new(config.limits.queries_max));
        Ok(Self { config, base, running })
    }

    /// Runs one statement that gives rows: SELECT, WITH, VALUES, EXPLAIN, SHOW, DESCRIBE. It sees what is below the high watermarks now.
    ///
    /// # Errors
    /// When it can't be parsed or planned, uses what is not there, or too many queries run.
    pub async fn query(&self, sql: &str) -> Result<QueryStream, Error> {
        let limit = self.config.limits.queries_max;
        let permit = self.running.clone().try_acquire_owned().map_err(|_| Error::Busy { limit })?;
        let (clock, time_max) = (self.config.runtime.clock.clone(), self.config.limits.time_max);
        let mut deadline = async move { clock.sleep(time_max).await }.boxed();
        let context = self.context();
        let (state, sql, inner) = (self.session(&context)?, sql.to_owned(), context.clone());
        let planned = self.config.runtime.compute.run(async move { start(&state, &sql, &inner).await });
        let plan = match select(planned.boxed(), &mut deadline).await {
            futures::future::Either::Left((planned, _)) => {
                planned.map_err(|lost| Error::Lost { reason: lost.to_string() })??
            }
            futures::future::Either::Right(_) => return Err(Error::Time { limit_ms: time_max.as_millis() }),
        };
        Ok(QueryStream::new(&self.config.runtime, context, plan, deadline, permit))
    }

    /// Reads a `CREATE STREAM` statement and plans its query: what is to be deployed, with the schema to register for its topic. Nothing
    /// is stored and no topic is made.
    ///
    /// # Errors
    /// When it can't be parsed or planned, or asks for what streams can't do.
    pub async fn create_stream_spec(&self, sql: &str) -> Result<StreamSpec, Error> {
        let context = self.context();
        let (state, sql) = (self.session(&context)?, sql.to_owned());
        let planned = self.config.runtime.compute.run(async move { compile::spec(&state, &sql, &context).await });
        planned.await.map_err(|lost| Error::Lost { reason: lost.to_string() })?
    }

    /// The names of the tables that are listed: for completion in a prompt.
    #[must_use]
    pub fn table_names(&self) -> Vec<String> {
        self.context().table_names()
    }

    /// Compiles a stream's query as its tasks run it.
    pub(crate) async fn compile(&self, query: &str) -> Result<compile::Program, Error> {
        let context = self.context();
        let (state, query) = (self.session(&context)?, query.to_owned());
        let planned = self.config.runtime.compute.run(async move { compile::program(&state, &query, &context).await });
        planned.await.map_err(|lost| Error::Lost { reason: lost.to_string() })?
    }

    pub(crate) const fn runtime(&self) -> &Runtime {
        &self.config.runtime
    }

    pub(crate) fn schemas(&self) -> Arc<dyn SchemaLookup> {
        self.config.schemas.clone()
    }

    fn context(&self) -> Arc<Context> {
        Arc::new(Context {
            topics: self.config.topics.clone(),
            schemas: self.config.schemas.clone(),
            system: self.config.system.clone(),
            counters: Arc::new(Counters::default()),
            limits: self.config.limits.clone(),
        })
    }

    /// A session for one query: its own memory pool and its own catalog, which counts for it.
    fn session(&self, context: &Arc<Context>) -> Result<SessionState, Error> {
        let internal = |error: DataFusionError| Error::Internal { reason: error.strip_backtrace() };
        let memory = Arc::new(GreedyMemoryPool::new(self.config.limits.memory_bytes_max));
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let env = RuntimeEnvBuilder::new()
            .with_memory_pool(memory)
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(internal)?;
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(CATALOG.to_owned(), Arc::new(Catalog(context.clone())));
        let builder = SessionStateBuilder::new_from_existing(self.base.clone());
        Ok(builder.with_runtime_env(env).with_catalog_list(Arc::new(catalogs)).build())
    }
}

fn base() -> Result<SessionState, DataFusionError> {
    let mut session = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, PUBLIC)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true)
        .with_target_partitions(std::thread::available_parallelism().map_or(2, usize::from));
    let options = session.options_mut();
    options.sql_parser.dialect = Dialect::PostgreSQL;
    options.sql_parser.collect_spans = false;
    options.execution.time_zone = Some(UTC.to_owned());
    let mut state = SessionStateBuilder::new_with_default_features().with_config(session).build();
    datafusion_functions_json::register_all(&mut state)?;
    Ok(state)
}

async fn start(state: &SessionState, sql: &str, context: &Arc<Context>) -> Result<SendableRecordBatchStream, Error> {
    let statement = parse_query(sql)?;
    let plan = physical(state, statement).await.map_err(|error| context.explain(error))?;
    Ok(plan)
}

async fn physical(state: &SessionState, statement: Statement) -> Result<SendableRecordBatchStream, DataFusionError> {
    let logical = state.statement_to_plan(statement).await?;
    let physical = state.create_physical_plan(&logical).await?;
    execute_stream(physical, state.task_ctx())
}
