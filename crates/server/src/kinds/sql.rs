//! SQL over this node: queries behind the API's port, streams as deployments, and the tables that describe the node.

mod measured;
mod segments;
mod system;

pub use system::System;

use self::measured::Meter;
use crate::adapters::schemas::QuorumSchemas;
use crate::{Error, Settings};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use millstream_admin::{Format, QueryAnswer, Schemas, SchemasError, Sql};
use millstream_metadata::schemas::Register;
use millstream_metadata::{Schema as Content, SchemaType};
use millstream_runtime::Runtime;
use millstream_sql::{
    Engine, EngineConfig, Limits, StatementKind, StreamKind, drop_stream_name, split_statements, statement_kind,
};
use millstream_task::{DeploymentKey, DeploymentKind, Error as TaskError, Host, Topics};
use millstream_telemetry::Metrics;
use millstream_types::ErrorKind;
use std::sync::Arc;

/// What SQL works with.
pub struct Parts {
    /// The log.
    pub topics: Arc<dyn Topics>,
    /// The registry.
    pub schemas: Arc<QuorumSchemas>,
    /// What the system tables tell.
    pub system: System,
    /// Where streams run.
    pub host: Host,
    /// Where queries are counted.
    pub metrics: Metrics,
}

/// Starts the engine and adds streams to the host.
pub fn start(runtime: &Runtime, settings: &Settings, parts: Parts) -> Result<Arc<dyn Sql>, Error> {
    let Parts { topics, schemas, system, host, metrics } = parts;
    let limits = Limits {
        memory_bytes_max: settings.sql_memory_bytes,
        time_max: settings.sql_time,
        queries_max: settings.sql_concurrency,
        ..Limits::default()
    };
    let config =
        EngineConfig { topics, schemas: schemas.clone(), system: Arc::new(system), runtime: runtime.clone(), limits };
    let engine = Arc::new(Engine::new(config).map_err(|error| Error::Part { what: "SQL", reason: error.to_string() })?);
    host.register(Arc::new(StreamKind::new(engine.clone())));
    Ok(Arc::new(Statements { engine, schemas, host, meter: Meter::new(runtime, &metrics) }))
}

/// Statements as they come in: rows for those that ask, deployments for those that create.
struct Statements {
    engine: Arc<Engine>,
    schemas: Arc<QuorumSchemas>,
    host: Host,
    meter: Meter,
}

fn failed(error: &millstream_sql::Error) -> TaskError {
    TaskError::new(error.kind(), error.to_string())
}

const fn format(format: Format) -> millstream_sql::Format {
    match format {
        Format::Table => millstream_sql::Format::Table,
        Format::Json => millstream_sql::Format::Json,
        Format::Csv => millstream_sql::Format::Csv,
        Format::Arrow => millstream_sql::Format::Arrow,
    }
}

impl Statements {
    /// One statement's answer: a stream of bytes.
    async fn run(
        &self,
        sql: &str,
        wanted: Format,
    ) -> Result<futures::stream::BoxStream<'static, Result<Bytes, TaskError>>, TaskError> {
        let said = |sentence: String| {
            let shown = if wanted == Format::Table { Bytes::from(sentence + "\n") } else { Bytes::new() };
            futures::stream::once(async move { Ok(shown) }).boxed()
        };
        match statement_kind(sql).map_err(|error| failed(&error))? {
            StatementKind::CreateStream => {
                let (name, generation) = self.create_stream(sql).await?;
                Ok(said(format!("stream {name} created, generation {generation}")))
            }
            StatementKind::DropStream => {
                let (name, if_exists) = drop_stream_name(sql).map_err(|error| failed(&error))?;
                let key = DeploymentKey { kind: DeploymentKind::Stream, name: name.clone() };
                match self.host.delete(&key).await {
                    Err(error) if !(if_exists && error.kind == ErrorKind::NotFound) => Err(error),
                    Ok(()) | Err(_) => Ok(said(format!("stream {name} dropped"))),
                }
            }
            StatementKind::Query => {
                let mut measured = self.meter.begin();
                let query = self.engine.query(sql).await.map_err(|error| measured.failed(&error))?;
                measured.count(query.watch_stats());
                Ok(measured.follow(millstream_sql::encode(query, format(wanted))))
            }
        }
    }
}

#[async_trait]
impl Sql for Statements {
    async fn query(&self, sql: &str, wanted: Format) -> Result<QueryAnswer, TaskError> {
        let statements = split_statements(sql).map_err(|error| failed(&error))?;
        if statements.is_empty() {
            return Err(TaskError::new(ErrorKind::Invalid, "there is no statement: write one, such as SHOW TABLES"));
        }
        if wanted == Format::Arrow && statements.len() > 1 {
            let message = format!(
                "{} statements were sent, and an Arrow stream holds the rows of one: send them one by one",
                statements.len()
            );
            return Err(TaskError::new(ErrorKind::Invalid, message));
        }
        let content_type = format(wanted).media_type();
        // Every statement is begun only when the one before has given its last row.
        let (last, first) =
            statements.split_last().map(|(last, first)| (last.to_string(), first.to_vec())).unwrap_or_default();
        let mut bodies = Vec::new();
        for statement in first {
            let rows: Vec<Bytes> = self.run(&statement, wanted).await?.try_collect().await?;
            bodies.extend(rows);
        }
        let body = futures::stream::iter(bodies.into_iter().map(Ok)).chain(self.run(&last, wanted).await?).boxed();
        Ok(QueryAnswer { content_type, body })
    }

    async fn create_stream(&self, sql: &str) -> Result<(String, u32), TaskError> {
        let spec = self.engine.create_stream_spec(sql).await.map_err(|error| failed(&error))?;
        let key = DeploymentKey { kind: DeploymentKind::Stream, name: spec.name.clone() };
        let value =
            serde_json::to_value(&spec).map_err(|error| TaskError::new(ErrorKind::Internal, error.to_string()))?;
        self.host.validate(&key, value.clone()).await?;
        let content = Content { schema_type: SchemaType::Json, text: spec.schema.clone(), references: Vec::new() };
        let register = Register { subject: spec.subject(), schema: content, checked_against: None };
        self.schemas.register(register).await.map_err(|error| match error {
            SchemasError::Metadata(error) => TaskError::new(error.kind(), error.to_string()),
            SchemasError::Other(error) => error,
        })?;
        let stored = self.host.deploy(key, value).await?;
        Ok((stored.key.name, stored.generation))
    }
}
