//! Continuous queries: `CREATE STREAM name AS SELECT ...` as a task that reads one topic and writes another.

pub(crate) mod compile;
mod header;
mod kind;
mod operator;
mod spec;

pub use kind::StreamKind;
pub use spec::StreamSpec;
