//! The file connector: a source that reads CSV, JSON lines or plain lines from a file, plain or compressed, and can follow it as it grows.
//!
//! ```text
//! file -> (gzip | zstd) -> blocks -> whole records (a quoted line break does not end one) -> one JSON object a row -> the log
//! ```
//!
//! The position is a place in the uncompressed bytes, and the file's first bytes, by which a replaced or truncated file is found out.

mod cell;
mod follow;
mod position;
mod reading;
mod rows;
mod settings;
mod source;
mod splitter;
mod stream;
mod timestamp;

pub use settings::{ColumnType, Compression, Format, Settings, TimestampColumn, TimestampFormat};
pub use source::FileSource;
