//! What a node tells about itself: metrics of one catalogue, and structured logs.
//!
//! It knows no other part of Millstream: a part takes its counters by a definition of [`catalogue`] and keeps them.

pub mod catalogue;
mod definition;
mod error;
pub mod loggers;
pub mod logs;
mod metrics;
mod process;

pub use definition::{CounterDef, Definition, GaugeDef, HistogramDef, MetricKind, Unit, ValueDef};
pub use error::Error;
pub use metrics::{Counter, Gauge, Histogram, Metrics, Value};
