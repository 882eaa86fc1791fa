//! What the parsers of bytes from outside and from the disk promise, for any bytes: one entry for each of them, and the seeds it starts from.
//!
//! `cargo xtask fuzz` runs them under libFuzzer (`libfuzzer/`), the tests of this crate for a moment. An entry panics where a promise is
//! broken, and only there.

pub mod batches;
pub mod carried;
pub mod checkpoints;
pub mod codecs;
pub mod folder;
mod input;
pub mod logins;
pub mod requests;
pub mod stored;

/// One entry.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its program in `libfuzzer/`.
    pub name: &'static str,
    /// Tries these bytes.
    pub run: fn(&[u8]),
    /// Good inputs, and some that were bad once.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What is in the paths of the files that it is about: how much of them is reached is told.
    pub covers: &'static [&'static str],
}

/// An entry by the names of its module.
macro_rules! target {
    ($name:ident, $covers:expr) => {
        Target { name: stringify!($name), run: $name::run, seeds: $name::seeds, covers: &$covers }
    };
}

/// All of them.
pub const TARGETS: &[Target] = &[
    target!(requests, ["/protocol/src/", "/kafka-protocol-"]),
    target!(carried, ["/group/src/subscription.rs", "/protocol/src/telemetry.rs"]),
    target!(batches, ["/record/src/"]),
    target!(codecs, ["/record/src/codec", "/lz4_flex-", "/snap-", "/miniz_oxide-", "/flate2-"]),
    target!(folder, ["/storage/src/", "/record/src/"]),
    target!(
        checkpoints,
        [
            "/partition/src/checkpoint.rs",
            "/partition/src/kept.rs",
            "/storage/src/producer_snapshot.rs",
            "/storage/src/names.rs",
            "/types/src/folder_identity.rs"
        ]
    ),
    target!(
        stored,
        [
            "/group/src/layout",
            "/txn/src/layout.rs",
            "/txn/src/marker.rs",
            "/metadata/src/record.rs",
            "/record/src/stored.rs"
        ]
    ),
    target!(logins, ["/sasl/src/"]),
];
