//! What writes in transactions: the port by which outputs and input offsets become one.

use crate::{CommittedOffset, Error};
use async_trait::async_trait;
use millstream_record::Columns;
use millstream_types::{Offset, TopicPartition};

/// A transactional producer that has its id to itself: whoever had the id before is fenced, and so is this one once somebody else takes it.
///
/// After an error of kind `Invalid` of [`Producer::append`] nothing was written and the transaction goes on. After any other error it is
/// unknown what was: a new producer of the same id finds that out, and undoes it.
#[async_trait]
pub trait Producer: Send + Sync + 'static {
    /// Appends records to one partition as part of the open transaction, which begins with the first, and returns the first one's offset.
    ///
    /// # Errors
    /// `Invalid` for records that the log does not take, `NotFound` for a partition that is no more, `Fenced` when the id is another's.
    async fn append(&self, partition: TopicPartition, records: &Columns) -> Result<Offset, Error>;

    /// Commits what was appended and a group's offsets together, or neither; readers of committed records see both when it returns. Not while
    /// an append is under way.
    ///
    /// # Errors
    /// As [`Producer::append`].
    async fn commit(&self, group: &str, offsets: &[CommittedOffset]) -> Result<(), Error>;
}
