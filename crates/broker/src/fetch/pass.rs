//! One pass over the partitions of a fetch: reads each within the bytes that remain, and says whether that is worth answering.

use crate::codes::Failure;
use crate::fetch::session::{Key, Wanted};
use millstream_partition::{Bounds, EpochEnd, Isolation, PartitionHandle, Read, ReadRequest};
use millstream_protocol::ResponseError;
use millstream_types::{LeaderEpoch, Offset};

/// One partition of a fetch, looked up once.
pub(crate) struct Target {
    pub(crate) key: Key,
    pub(crate) wanted: Wanted,
    pub(crate) handle: Result<PartitionHandle, Failure>,
}

/// What a pass found in one partition.
#[derive(Debug)]
pub(crate) enum Found {
    /// Records, or none at the end.
    Read(Read),
    /// The log was truncated under the reader: it must go back to where both agree (KIP-595).
    Diverges(EpochEnd, Bounds),
    /// It can't be read.
    Failed(Failure),
}

impl Found {
    /// Bytes of records.
    pub(crate) const fn bytes(&self) -> usize {
        match self {
            Self::Read(read) => read.len,
            Self::Diverges(..) | Self::Failed(_) => 0,
        }
    }
}

/// How much a pass may read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) max_bytes: usize,
    pub(crate) isolation: Isolation,
}

/// Reads the partitions in order. The first that has records gives one batch at least, however large: a reader always gets on (KIP-74).
pub(crate) async fn run(targets: &[Target], budget: Budget) -> Vec<Found> {
    let mut left = budget.max_bytes;
    let mut at_least_one = true;
    let mut found = Vec::with_capacity(targets.len());
    for target in targets {
        let max_bytes = left.min(usize::try_from(target.wanted.max_bytes).unwrap_or(0));
        let read = read(target, max_bytes, at_least_one, budget.isolation).await;
        at_least_one &= read.bytes() == 0;
        left = left.saturating_sub(read.bytes());
        found.push(read);
    }
    found
}

async fn read(target: &Target, max_bytes: usize, at_least_one: bool, isolation: Isolation) -> Found {
    let handle = match &target.handle {
        Ok(handle) => handle,
        Err(failure) => return Found::Failed(failure.clone()),
    };
    let Wanted { offset, leader_epoch, last_fetched_epoch, .. } = target.wanted;
    if last_fetched_epoch != LeaderEpoch::NONE {
        match diverges(handle, leader_epoch, last_fetched_epoch, offset) {
            Ok(None) => {}
            Ok(Some(end)) => return Found::Diverges(end, handle.bounds()),
            Err(failure) => return Found::Failed(failure),
        }
    }
    let request = ReadRequest { from: offset, max_bytes, at_least_one, leader_epoch, isolation };
    match handle.read(request).await {
        // Kafka has no code of its own for it, and looks at it only where there is something to read.
        Ok(read) if target.wanted.max_bytes < 0 && offset < read.bounds.end(isolation) => {
            handle.meter().failed_fetch_requests.inc();
            let message = format!("{} bytes at most were asked for; expected 0 or more", target.wanted.max_bytes);
            Found::Failed(Failure::new(ResponseError::UnknownServerError, message))
        }
        Ok(read) => Found::Read(read),
        Err(error) => {
            handle.meter().failed_fetch_requests.inc();
            Found::Failed(error.into())
        }
    }
}

fn diverges(
    handle: &PartitionHandle,
    current: LeaderEpoch,
    last_fetched: LeaderEpoch,
    offset: Offset,
) -> Result<Option<EpochEnd>, Failure> {
    let end = handle.epoch_end(current, last_fetched)?;
    if end.end_offset == Offset::NONE {
        let message = format!("nothing is known of epoch {last_fetched}, which the fetch at {offset} names");
        return Err(Failure::new(ResponseError::OffsetOutOfRange, message));
    }
    Ok((end.epoch < last_fetched || end.end_offset < offset).then_some(end))
}

/// Whether to answer now and not to wait for more.
pub(crate) fn is_enough(found: &[Found], min_bytes: usize) -> bool {
    let special = found.iter().any(|found| !matches!(found, Found::Read(_)));
    special || found.iter().map(Found::bytes).sum::<usize>() >= min_bytes
}
