//! Dead letters on their way: put together into batches that their topic takes, and written.
//!
//! A letter that the topic does not take goes without what it copies: it still says where its record lies. One that the topic takes in no form
//! is the operator's mistake, and told by topic, partition and offset; the record is given up without it. Tried again for ever, it would hold
//! up all that the group is done with.

use crate::codes::Failure;
use crate::shares::opened::{Opened, Outcome};
use millstream_group::share::{Buried, Cause};
use millstream_partition::{AppendOptions, Origin, PartitionHandle};
use millstream_record::{BATCH_HEADER_BYTES, Codec, Columns, check, encode};
use millstream_types::ErrorKind;

/// Bytes of letters in one batch, unless one letter alone is larger, or the topic takes less.
const BATCH_BYTES: usize = 256 << 10;
/// Bytes that a record, and a header, has at most beside what is in it.
const RECORD_BYTES_MAX: usize = 40;
const HEADER_BYTES_MAX: usize = 10;
/// Headers that say where a record lies and why it is given up.
const ORIGIN: usize = 6;

/// See the module.
pub(super) struct Letters<'a> {
    opened: &'a Opened,
    target: &'a PartitionHandle,
    now_ms: i64,
    /// What is not written yet.
    waiting: Columns,
    bytes: usize,
    bytes_max: usize,
}

impl<'a> Letters<'a> {
    pub(super) fn new(opened: &'a Opened, target: &'a PartitionHandle, now_ms: i64) -> Self {
        let bytes_max = target.door_rules().batch_bytes_max.min(BATCH_BYTES);
        Self { opened, target, now_ms, waiting: Columns::default(), bytes: BATCH_HEADER_BYTES, bytes_max }
    }

    /// Adds the letter of the record at `offset`, with a copy of it where one is given. Writes those before it where they fill a batch.
    pub(super) async fn add(&mut self, offset: i64, copy: Option<(&Columns, usize)>, buried: &Buried) -> Outcome {
        let partition = self.opened.key.partition.to_string();
        let (place, count) = (offset.to_string(), buried.count.to_string());
        // The names and words of Kafka 4.4.
        let origin: [(&str, &str); ORIGIN] = [
            ("__dlq.errors.topic", self.opened.log.topic()),
            ("__dlq.errors.partition", &partition),
            ("__dlq.errors.offset", &place),
            ("__dlq.errors.group", &self.opened.key.group),
            ("__dlq.errors.delivery.count", &count),
            ("__dlq.errors.message", reason(buried.cause)),
        ];
        let origin = origin.into_iter().map(|(name, value)| (name, Some(value.as_bytes())));
        let mut letter = Columns::default();
        match copy {
            Some((records, at)) => {
                let headers = records.headers.get(at).chain(origin);
                letter.push(self.now_ms, records.keys.get(at), records.values.get(at), headers);
            }
            None => letter.push(self.now_ms, None, None, origin),
        }
        let bytes = letter.payload_bytes() + RECORD_BYTES_MAX + letter.headers.get(0).count() * HEADER_BYTES_MAX;
        if self.bytes + bytes > self.bytes_max {
            self.flush().await?;
        }
        self.bytes += bytes;
        self.waiting.push(self.now_ms, letter.keys.get(0), letter.values.get(0), letter.headers.get(0));
        Ok(())
    }

    /// Writes what is not written yet.
    pub(super) async fn flush(&mut self) -> Outcome {
        self.bytes = BATCH_HEADER_BYTES;
        let letters = std::mem::take(&mut self.waiting);
        if letters.is_empty() || self.write(&letters).await?.is_ok() {
            return Ok(());
        }
        // Each for itself: it is one of them that is not taken, or a few.
        for at in 0..letters.len() {
            self.write_alone(&letters, at).await?;
        }
        Ok(())
    }

    async fn write_alone(&self, letters: &Columns, at: usize) -> Outcome {
        let headers: Vec<_> = letters.headers.get(at).collect();
        let mut letter = Columns::default();
        letter.push(self.now_ms, letters.keys.get(at), letters.values.get(at), headers.iter().copied());
        let Err(refused) = self.write(&letter).await? else { return Ok(()) };
        let origin = &headers[headers.len() - ORIGIN..];
        let mut bare = Columns::default();
        bare.push(self.now_ms, None, None, origin.iter().copied());
        let outcome = self.write(&bare).await?;
        let (group, topic, partition) = (&self.opened.key.group, self.opened.log.topic(), self.opened.key.partition);
        let offset = String::from_utf8_lossy(origin[2].1.unwrap_or_default());
        let letters = self.target.topic();
        match outcome {
            Ok(()) => {
                tracing::warn!(%group, topic, partition, %offset, letters, refused, "a dead letter says where its record lies and does not have it: its topic does not take it");
            }
            Err(refused) => {
                tracing::error!(%group, topic, partition, %offset, letters, refused, "a record was given up without a dead letter: its topic does not take it");
            }
        }
        Ok(())
    }

    /// Writes letters; or says why the topic does not take them, and will not however often it is asked.
    async fn write(&self, letters: &Columns) -> Result<Result<(), String>, Failure> {
        let checked = encode(letters, Codec::None).and_then(|one| check(one.into_bytes(), &self.target.door_rules()));
        let batches = match checked {
            Ok(batches) => batches,
            Err(refused) => return Ok(Err(refused.to_string())),
        };
        match self.target.append(batches, AppendOptions::new(Origin::Internal)).await {
            Ok(_) => Ok(Ok(())),
            Err(error) if error.kind() == ErrorKind::Invalid => Ok(Err(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }
}

/// Why a record was given up, in Kafka's words.
const fn reason(cause: Cause) -> &'static str {
    match cause {
        Cause::Rejected => "Offset rejected by client.",
        Cause::DeliveredTooOften => "Offset delivery count exceeded the threshold.",
    }
}
