//! Share groups as this broker serves their data (KIP-932): sessions of members, the partitions that they share, and what becomes of records.
//!
//! ```text
//!   ShareFetch -> session -> opened partition -> read from its log, acquire -> records, still in their files, and what of them was acquired
//!   ShareAcknowledge --------^ decide, then: dead letters -> state (__share_group_state) -> the answer
//! ```
//!
//! What is decided is decided by `millstream_group::share`. A share partition is opened on its first use, from what is stored of it, and
//! belongs to one leadership of its log. All that is to be stored of it goes through one queue, so that it is stored in the order in which
//! it was decided; what waits there together is one write.

mod answer;
mod bury;
mod fetch;
mod letters;
mod locks;
mod opened;
mod options;
mod registry;
mod scan;
mod session;
mod writes;

pub(crate) use answer::{ShareAssembly, endpoint, leader};
pub(crate) use fetch::{Got, Taking};
pub(crate) use locks::watch_locks;
pub(crate) use opened::Opened;
pub(crate) use options::ShareOptions;
pub(crate) use registry::{Around, Registry};
pub(crate) use session::{
    Context as SessionContext, FINAL_EPOCH, Member, Partition, Refused, Request as SessionRequest,
    Sessions as ShareSessions,
};
