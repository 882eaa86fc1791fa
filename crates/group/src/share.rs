//! Share groups (KIP-932) as decisions: which records of a partition a group's members have, until when, how often they were delivered, and
//! what of that is stored. Offsets, the time and what was read go in; what is acquired and what is to be written come out.
//!
//! ```text
//!              acquired (delivery count + 1)              accepted
//!   Available ------------------------------> Acquired ---------------> Acknowledged
//!       ^                                        |  rejected, a gap
//!       |   released, lock ended, member gone    +--------------------> Archived
//!       +----------------------------------------+                         ^
//!                                                |  delivered too often    |
//!                                                +-------------------------+
//! ```
//!
//! Whatever leaves `Acquired` is stored before it counts: until then nobody else gets the record, and a write that failed gives it back to
//! its member. What is acquired is not stored: after a crash it is available again.

mod acknowledgement;
mod acquire;
mod assignor;
mod batch;
mod coordinate;
mod partition;
mod run;
mod settle;
mod stored;
mod together;

pub use acknowledgement::{Acknowledgement, Kind};
pub use acquire::{Acquired, Read, Wish};
pub use assignor::{Sharing, assign};
pub use batch::{Delivery, StateBatch};
pub use coordinate::{StateConfig, StateEffects, StateReply, StateShard};
pub use partition::{Limits, SharePartition};
pub use settle::{Buried, Cause, StateWrite};
pub use stored::{
    NoShareKey, ShareKey, ShareState, ShareStates, StateChange, StateUpdate, Summary, UNKNOWN, WriteState,
};
