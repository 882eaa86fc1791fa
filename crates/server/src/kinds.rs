//! What runs on tasks: the four kinds of deployments and what each needs, put together.

pub mod buses;
pub mod connectors;
#[cfg(feature = "functions")]
pub mod functions;
#[cfg(feature = "sql")]
pub mod sql;
pub mod tier;
