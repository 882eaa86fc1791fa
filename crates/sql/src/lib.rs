//! SQL: topics as tables, queries over their history, and continuous queries as tasks.
//!
//! Every topic is a table ([`Engine::query`]): with a schema registered under `<topic>-value` its fields are the columns, otherwise there is
//! `_value`; beside them are `_partition`, `_offset`, `_timestamp`, `_key` and `_headers`. A record that does not fit its schema never ends a
//! query: it is counted ([`Stats::bad_rows`]) and a row of `"topic$quarantine"`. A tombstone is a row whose fields are all null. Nothing here
//! knows where records lie: reads go through [`millstream_task::Topics`].

mod catalog;
mod counters;
mod dialect;
mod engine;
mod error;
mod guard;
mod limits;
mod output;
mod query;
mod statement;
mod stream;
mod system;
mod topic;
mod words;

pub use counters::Stats;
pub use engine::{Engine, EngineConfig};
pub use error::Error;
pub use guard::split_statements;
pub use limits::Limits;
pub use output::{Format, encode};
pub use query::QueryStream;
pub use statement::{StatementKind, drop_stream_name, is_statement_ddl, statement_kind};
pub use stream::{StreamKind, StreamSpec};
pub use system::{NoSystem, SystemTable, SystemTables, SystemType};
