//! The object-store connector: a sink that writes each partition's records as Parquet or JSON-lines objects, to S3 or to a folder.
//!
//! An object is named by the offsets it holds and made only if it is not there, and an offset is committed only when its object is. After a
//! crash the task is given the same records again: what has an object is recognized by its name and passed over, so that no record
//! is in two objects.
//!
//! ```text
//! {path}/{partition}-{first offset}-{last offset}.parquet        offsets of 20 digits, both ends included
//! ```

mod destination;
mod encoding;
mod name;
mod object;
mod settings;
mod sink;
mod template;

pub use settings::{Format, Settings};
pub use sink::ObjectStoreSink;
