//! The metrics that clients push (KIP-714): who is asked for which, what came, and what of it is told on.
//!
//! Everything is bounded: clients that are known, metrics of each, bytes of a push.

pub(crate) mod instances;
pub(crate) mod subscription;

/// Bytes of a push, as it is sent.
pub(crate) const PUSH_BYTES_MAX: usize = 1 << 20;
/// Bytes of a push, unpacked.
pub(crate) const UNPACKED_BYTES_MAX: usize = 4 << 20;
/// Clients that are known at once. Above it those make room that were silent longest.
pub(crate) const INSTANCES_MAX: usize = 1_000;
/// Metrics of one client that are told on; further ones are counted and left out.
pub(crate) const SERIES_PER_INSTANCE_MAX: usize = 500;
