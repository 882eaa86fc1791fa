//! The shapes of Kafka's messages, and the walk that bounds a frame by them before anything is decoded.
//!
//! The table is data (`shape/kafka.shapes`), made from Kafka's own schemas by `cargo xtask shapes`. After a walk, every length and count in
//! the frame is backed by bytes that are there, so a decoder can reserve what they say.

mod table;
mod walk;

pub use walk::Fault;

use crate::Malformed;
use table::TABLE;

/// Elements of arrays that one frame may have in all. A full fetch of a million partitions has as many; in memory they take up to ~100 bytes each.
pub const ELEMENTS_MAX: usize = 1 << 20;
/// Tagged fields we do not know that one frame may have in all: each costs a decoder a few hundred bytes.
pub const UNKNOWN_TAGS_MAX: usize = 1_024;

/// Checks every length, count and marker of a request's body against the bytes there are. Bytes after the body are left alone, as in Kafka.
///
/// # Errors
/// [`Malformed::Field`] names the first field that is wrong.
pub fn check_request(api_key: i16, version: i16, body: &[u8]) -> Result<(), Malformed> {
    let unknown = || Malformed::Field {
        message: "request",
        version,
        path: format!("ApiKey {api_key}"),
        fault: Fault::UnknownMessage,
    };
    let message = TABLE.request(api_key).ok_or_else(unknown)?;
    walk::message(message, version, body).map(|_| ())
}

/// Checks a blob in Kafka's consumer protocol (`ConsumerProtocolSubscription`, `ConsumerProtocolAssignment`), after its version.
///
/// # Errors
/// [`Malformed::Field`] names the first field that is wrong.
pub fn check_blob(name: &str, version: i16, body: &[u8]) -> Result<(), Malformed> {
    let unknown = || Malformed::Field { message: "blob", version, path: name.to_owned(), fault: Fault::UnknownMessage };
    walk::message(TABLE.blob(name).ok_or_else(unknown)?, version, body).map(|_| ())
}

/// Bytes that a header's tagged fields take; a header has none that we know.
pub(crate) fn header_tags_len(version: i16, rest: &[u8]) -> Result<usize, Malformed> {
    walk::unknown_tags("RequestHeader", version, rest)
}
