//! What a statement may use.

use std::time::Duration;

/// Limits of the engine and of each query.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of memory that one query may use for joins, sorts, groups and what it has read. A query that needs more ends; nothing is
    /// spilled to disk.
    pub memory_bytes_max: usize,
    /// How long one query may run.
    pub time_max: Duration,
    /// Queries at once.
    pub queries_max: usize,
    /// Bytes of log that one read asks for; each partition of a query holds one read at a time.
    pub read_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes_max: 1 << 30, time_max: Duration::from_secs(300), queries_max: 16, read_bytes_max: 1 << 20 }
    }
}

/// Bytes of one statement.
pub(crate) const STATEMENT_BYTES_MAX: usize = 1 << 20;
/// How deep a statement may nest: parentheses, brackets and CASE.
pub(crate) const NESTING_MAX: usize = 64;
/// How deep queries may nest in queries: a planner's work doubles, and more, with each level.
pub(crate) const SUBQUERIES_DEEP_MAX: usize = 8;
/// Operators in one statement: a chain of them is as deep a tree as it is long.
pub(crate) const OPERATORS_MAX: usize = 1000;
/// The parser's own limit, above [`NESTING_MAX`], since each level may take it a few steps.
pub(crate) const PARSER_DEPTH_MAX: usize = 300;
/// Batches between a plan and its reader.
pub(crate) const BATCHES_AHEAD: usize = 2;
