//! One partition's replica on one broker, as pure state: role, leader epoch, log end, high watermark, in-sync replicas.
//!
//! ```text
//!   log start         high watermark            log end
//!      |--- committed ------|---- not yet on all -----|
//!      readable by consumers   of the in-sync replicas
//! ```
//!
//! Nothing here reads a disk, a clock or the network: the caller says what happened, and the answers are what it must do.

mod assignment;
mod error;
mod state;

pub use assignment::{Assignment, Change};
pub use error::Error;
pub use state::{Acks, Committed, Replica};
