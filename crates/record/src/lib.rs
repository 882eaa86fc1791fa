//! Record batches in Kafka's format v2: checked at the door, built, compressed, and as columns.

mod columns;

pub use columns::{BinaryColumn, Columns, HeaderColumn};
