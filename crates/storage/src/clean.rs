//! Compaction: the latest record of each key stays, and a tombstone for a while. What stays is decided by the pure parts; the shell reads
//! segments, writes their successors beside them, and has the log swap them in ([`crate::Log::clean`]).
//!
//! ```text
//!   clean part, keys once         dirty part             never touched: from the last stable offset or the active segment on
//! |---------------------------|----------------------|-------------------------
//! log start             first dirty                until
//!   1. keys of the dirty part -> their last offsets, as many as fit in memory
//!   2. segment by segment from the log's start: what has a later offset for its key goes
//! ```

mod dirty;
mod groups;
mod keys;
mod round;
mod shell;
mod transactions;

pub use dirty::Dirty;
pub(crate) use dirty::{LogFacts, SegmentFacts, assess};
pub(crate) use groups::{Sizes, group};
pub(crate) use keys::KeyMap;
pub use round::LastRecord;
pub(crate) use round::Round;
pub use shell::{Cleaned, CleaningBudget};
pub(crate) use shell::{Cleaner, Step, Stopped};
pub(crate) use transactions::Transactions;
