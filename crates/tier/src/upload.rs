//! The copy of one closed segment: every batch is checked on the way, and the objects get names nobody else uses.

use crate::chunks::{Chunk, ChunkIndex};
use crate::config::{PART_BYTES, UPLOAD_ATTEMPTS};
use crate::error::Error;
use crate::layout::{Kind, segment_object};
use crate::manifest::{Object, Segment};
use crate::source::SegmentSource;
use crate::state::{Partition, backoff};
use crate::store::Upload;
use crate::tier::Shared;
use bytes::{Bytes, BytesMut};
use millstream_record::{BATCH_HEADER_BYTES, Batch, Crc32c, crc32c, split};
use millstream_runtime::{DiskFile, OpenMode};
use millstream_storage::ClosedSegment;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Where a log goes: one small object, or parts of a large one.
enum Target<'a> {
    Small(BytesMut),
    Large(Upload<'a>),
}

/// What was found on the way through a log.
struct Walked {
    chunks: Vec<Chunk>,
    crc32c: u32,
    records: u64,
}

impl Shared {
    /// Copies a segment. A failure of the store is tried again, each time under new names.
    pub(crate) async fn upload(
        &self,
        partition: &Partition,
        source: &dyn SegmentSource,
        closed: &ClosedSegment,
    ) -> Result<Segment, Error> {
        let _permit = self.uploads.acquire().await;
        let mut failures = 0;
        loop {
            match self.try_upload(partition, source, closed).await {
                Err(error @ (Error::Store { .. } | Error::Torn { .. })) => {
                    self.instruments.upload_failed(&partition.topic);
                    failures += 1;
                    if failures == UPLOAD_ATTEMPTS {
                        return Err(error);
                    }
                    let wait = backoff(failures - 1, self.config.backoff_min, self.config.backoff_max);
                    tracing::debug!(partition = partition.name, %error, "a copy to the object store failed and is tried again");
                    self.runtime.clock.sleep(self.jittered(wait)).await;
                }
                outcome => return outcome,
            }
        }
    }

    fn jittered(&self, wait: Duration) -> Duration {
        let half = u64::try_from(wait.as_millis() / 2).unwrap_or(0);
        wait / 2 + Duration::from_millis(self.runtime.random.below(half + 1))
    }

    async fn try_upload(
        &self,
        partition: &Partition,
        source: &dyn SegmentSource,
        closed: &ClosedSegment,
    ) -> Result<Segment, Error> {
        let id = Uuid::from_u128(self.runtime.random.next_u128());
        let sidecars = self.sidecars(source, closed).await?;
        let log_name = segment_object(closed.base, id, Kind::Log);
        let walked = self.upload_log(partition, &log_name, closed).await?;
        let log = Object { name: log_name, bytes: closed.size, crc32c: walked.crc32c };
        let mut objects = BTreeMap::from([(Kind::Log.text().to_owned(), log)]);
        let index = (Kind::Chunks, ChunkIndex::new(walked.chunks).encode());
        for (kind, content) in sidecars.into_iter().chain([index]) {
            let name = segment_object(closed.base, id, kind);
            let object = Object { name, bytes: content.len() as u64, crc32c: crc32c(&[&content]) };
            self.store.put(&self.object_path(partition, &object.name), content).await?;
            objects.insert(kind.text().to_owned(), object);
        }
        self.instruments.uploaded(&partition.topic, closed.size);
        Ok(Segment {
            id,
            base: closed.base,
            end: closed.next,
            max_timestamp: closed.max_timestamp,
            records: walked.records,
            leader_epoch: source.leader_epoch(),
            uploaded: self.runtime.clock.now(),
            objects,
        })
    }

    /// What Kafka keeps beside a log.
    async fn sidecars(&self, source: &dyn SegmentSource, closed: &ClosedSegment) -> Result<Vec<(Kind, Bytes)>, Error> {
        let mut epochs = source.epochs();
        epochs.truncate_end(closed.next);
        let mut sidecars = vec![(Kind::Epochs, Bytes::from(epochs.text()))];
        let files = [
            (Kind::Index, &closed.index),
            (Kind::TimeIndex, &closed.time_index),
            (Kind::TxnIndex, &closed.txn_index),
            (Kind::Snapshot, &closed.producer_snapshot),
        ];
        for (kind, path) in files {
            match self.runtime.disk.read(path).await {
                Ok(content) => sidecars.push((kind, content)),
                // An index can be made again from the log, a snapshot is not always written, and few segments end an aborted transaction.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(disk("read", path)(error)),
            }
        }
        Ok(sidecars)
    }

    async fn upload_log(&self, partition: &Partition, name: &str, closed: &ClosedSegment) -> Result<Walked, Error> {
        let object = self.object_path(partition, name);
        let size = usize::try_from(closed.size).unwrap_or(usize::MAX);
        let mut target = if size <= PART_BYTES {
            Target::Small(BytesMut::with_capacity(size))
        } else {
            Target::Large(self.store.begin(&object).await?)
        };
        match (self.walk(closed, &mut target).await, target) {
            (Ok(walked), Target::Small(content)) => {
                self.store.put(&object, content.freeze()).await?;
                Ok(walked)
            }
            (Ok(walked), Target::Large(upload)) => {
                upload.finish().await?;
                Ok(walked)
            }
            (Err(error), Target::Small(_)) => Err(error),
            (Err(error), Target::Large(upload)) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    /// Goes through a log chunk by chunk, checks every batch, and passes the bytes on.
    async fn walk(&self, closed: &ClosedSegment, target: &mut Target<'_>) -> Result<Walked, Error> {
        let path = &closed.log;
        let file = self.runtime.disk.open(path, OpenMode::Read).await.map_err(disk("open", path))?;
        let mut walked = Walked { chunks: Vec::new(), crc32c: 0, records: 0 };
        let (mut crc, mut position) = (Crc32c::new(), 0);
        while position < closed.size {
            let corrupt = |problem: String| Error::corrupt(path.display(), format!("at byte {position}: {problem}"));
            let (batches, bytes) = self.next_chunk(&file, path, (position, closed.size)).await?;
            for batch in &batches {
                batch.check_crc().map_err(|error| corrupt(error.to_string()))?;
                walked.records += u64::try_from(batch.record_count()).unwrap_or(0);
            }
            let is_within =
                batches.iter().all(|batch| batch.base_offset() >= closed.base && batch.next_offset() <= closed.next);
            let chunk = Chunk::of(&batches, &bytes, position).filter(|_| is_within);
            walked.chunks.push(chunk.ok_or_else(|| corrupt("its batches are not of this segment".to_owned()))?);
            crc.update(&bytes);
            position += bytes.len() as u64;
            match target {
                Target::Small(content) => content.extend_from_slice(&bytes),
                Target::Large(upload) => upload.write(bytes).await?,
            }
        }
        walked.crc32c = crc.finish();
        Ok(walked)
    }

    /// The whole batches that a chunk holds, from `position` on; one at least.
    async fn next_chunk(
        &self,
        file: &Arc<dyn DiskFile>,
        path: &Path,
        (position, end): (u64, u64),
    ) -> Result<(Vec<Batch>, Bytes), Error> {
        let corrupt = |problem: String| Error::corrupt(path.display(), format!("at byte {position}: {problem}"));
        let left = usize::try_from(end - position).unwrap_or(usize::MAX);
        let mut wanted = self.config.chunk_bytes.max(BATCH_HEADER_BYTES).min(left);
        loop {
            let bytes = file.read_at(position, wanted).await.map_err(disk("read", path))?;
            let batches = split(bytes.clone()).map_err(|error| corrupt(error.to_string()))?;
            let len: usize = batches.iter().map(Batch::size).sum();
            if len > 0 {
                return Ok((batches, bytes.slice(..len)));
            }
            let size = Batch::header(&bytes).map_err(|error| corrupt(error.to_string()))?.size();
            if size > left || size <= wanted {
                return Err(corrupt(format!("a batch of {size} bytes does not fit in the {left} bytes that are left")));
            }
            wanted = size;
        }
    }
}

fn disk<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> Error + 'a {
    move |source| Error::Disk { action, path: path.to_owned(), source }
}
