//! Record batches in Kafka's format v2: checked at the door, built, compressed, and as columns.
//!
//! A batch is opaque bytes everywhere but here. The fields of what Kafka's own topics store are read and written here too.
//! Nothing here does I/O or knows of topics.

mod batch;
mod builder;
mod check;
mod codec;
mod columns;
mod decode;
mod error;
mod layout;
mod outcome;
mod retain;
mod stored;
mod varint;
mod walk;

pub use batch::{Batch, TimestampType, split};
pub use builder::{BatchBuilder, encode};
pub use check::{DoorRules, check};
pub use codec::{Codec, Compression, Limits};
pub use columns::{BinaryColumn, Columns, HeaderColumn};
pub use error::{Error, Reason};
pub use layout::{BATCH_HEADER_BYTES, CRC_COVERS_FROM, Crc32c, LENGTH_PREFIX_BYTES, crc32c};
pub use outcome::{Failure, Outcome, Output};
pub use retain::{Kept, Retain, Retained};
pub use stored::{Malformed, StoredReader, StoredRecord, StoredWriter};
pub use walk::{Headers, RecordRef};
