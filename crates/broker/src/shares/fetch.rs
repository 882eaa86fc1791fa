//! One share partition read for one member, and what it acquires of that.

use crate::codes::Failure;
use crate::shares::opened::Opened;
use crate::shares::options::ShareOptions;
use crate::shares::registry::Registry;
use crate::shares::scan::Scanned;
use millstream_group::share::{Acquired, Read as Shared, Wish};
use millstream_partition::{Chunk, Error as PartitionError, Read, ReadRequest};
use millstream_protocol::ResponseError;
use millstream_types::Offset;
use std::sync::Arc;

/// How often it is read on at once where nothing of what was read could be acquired: all of it was aborted, or taken meanwhile.
const READS_MAX: usize = 16;

/// What a member takes.
#[derive(Debug, Clone)]
pub(crate) struct Taking {
    pub(crate) member: Arc<str>,
    /// Bytes to read at most.
    pub(crate) bytes_max: usize,
    /// Whether one batch is read however large it is.
    pub(crate) at_least_one: bool,
    /// Records at most. Batches are not cut for it.
    pub(crate) records_max: i64,
    /// Unless it says so (KIP-1206).
    pub(crate) keeps_limit: bool,
    /// Records that are acknowledged together best.
    pub(crate) batch_records: i64,
}

/// What a member got of a partition.
#[derive(Debug)]
pub(crate) enum Got {
    /// Nothing is to be had now.
    Nothing,
    /// Records: where they are, their bytes, and what of them is the member's.
    Records { chunks: Vec<Chunk>, len: usize, acquired: Vec<Acquired> },
    /// It can't be read.
    Failed(Failure),
}

impl Got {
    /// Bytes of records.
    pub(crate) const fn bytes(&self) -> usize {
        match self {
            Self::Records { len, .. } => *len,
            Self::Nothing | Self::Failed(_) => 0,
        }
    }

    /// How many records.
    pub(crate) fn records(&self) -> i64 {
        match self {
            Self::Records { acquired, .. } => acquired.iter().map(|one| one.last - one.first + 1).sum(),
            Self::Nothing | Self::Failed(_) => 0,
        }
    }
}

impl Registry {
    /// Takes what is to be had of a partition for a member.
    pub(crate) async fn take(&self, opened: &Opened, options: &ShareOptions, taking: &Taking) -> Got {
        let _turn = opened.turn.lock().await;
        match self.take_in_turn(opened, options, taking).await {
            Ok(got) => got,
            Err(failure) => {
                opened.log.meter().failed_fetch_requests.inc();
                Got::Failed(failure)
            }
        }
    }

    async fn take_in_turn(&self, opened: &Opened, options: &ShareOptions, taking: &Taking) -> Result<Got, Failure> {
        for _ in 0..READS_MAX {
            let Some(from) = next_offset(opened, options) else { return Ok(Got::Nothing) };
            let read = match read(opened, options, from, taking).await {
                Ok(read) => read,
                // Retention was faster: what is below the log's start is nobody's.
                Err(failure)
                    if failure.code == ResponseError::OffsetOutOfRange && from < opened.log.bounds().log_start =>
                {
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            if read.len == 0 {
                return Ok(Got::Nothing);
            }
            let failed = |error: std::io::Error| {
                Failure::new(
                    ResponseError::KafkaStorageError,
                    format!("{}-{}: {error}", opened.log.topic(), opened.key.partition),
                )
            };
            let scanned = Scanned::new(read.records).await.map_err(failed)?;
            let (ranges, aborted) = (scanned.ranges(), scanned.aborted(&read.aborted));
            let shared = Shared { from: from.0, batches: &ranges, aborted: &aborted };
            let (acquired, goes_on) = self.acquire(opened, taking, &shared);
            if let (Some(first), Some(last)) = (acquired.first(), acquired.last()) {
                let (chunks, len) = scanned.slice(first.first, last.last);
                return Ok(Got::Records { chunks, len, acquired });
            }
            if !goes_on {
                return Ok(Got::Nothing);
            }
        }
        Ok(Got::Nothing)
    }

    /// Also tells whether there is more to read now.
    fn acquire(&self, opened: &Opened, taking: &Taking, read: &Shared<'_>) -> (Vec<Acquired>, bool) {
        let wish = Wish {
            member: taking.member.clone(),
            records_max: taking.records_max,
            keeps_limit: taking.keeps_limit,
            batch_records: taking.batch_records,
        };
        let mut state = opened.state.lock();
        let acquired = state.partition.acquire(&wish, read, self.now_ms());
        let goes_on = state.partition.has_room() && state.partition.next_fetch_offset() > read.from;
        let deadline = state.partition.next_deadline();
        drop(state);
        self.locked_until(deadline);
        (acquired, goes_on)
    }

    /// Bytes that [`Self::take`] would read now.
    pub(crate) async fn readable(&self, opened: &Opened, options: &ShareOptions, taking: &Taking) -> usize {
        let Some(from) = next_offset(opened, options) else { return 0 };
        read(opened, options, from, taking).await.map_or(0, |read| read.len)
    }
}

/// Where to read on; none where nothing more may be given out now.
fn next_offset(opened: &Opened, options: &ShareOptions) -> Option<Offset> {
    let log_start = opened.log.bounds().log_start;
    let mut state = opened.state.lock();
    state.partition.limit(options.limits);
    state.partition.log_starts_at(log_start.0);
    if !state.partition.has_room() {
        return None;
    }
    Some(Offset(state.partition.next_fetch_offset()))
}

async fn read(opened: &Opened, options: &ShareOptions, from: Offset, taking: &Taking) -> Result<Read, Failure> {
    let request = ReadRequest {
        from,
        max_bytes: taking.bytes_max,
        at_least_one: taking.at_least_one,
        leader_epoch: opened.leader_epoch,
        isolation: options.isolation,
    };
    opened.log.read(request).await.map_err(|error: PartitionError| error.into())
}
