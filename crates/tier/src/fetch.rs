//! Bytes of cold segments: from the cache, or by one ranged request for a run of chunks, checked before anyone sees them.

use crate::cache::Key;
use crate::chunks::{Chunk, ChunkIndex};
use crate::error::Error;
use crate::layout::Kind;
use crate::manifest::{Object, Segment};
use crate::state::Partition;
use crate::tier::Shared;
use bytes::Bytes;
use millstream_record::{crc32c, split};
use std::ops::Range;
use std::sync::Arc;

impl Shared {
    /// A segment's chunk index.
    pub(crate) async fn index(&self, partition: &Partition, segment: &Segment) -> Result<Arc<ChunkIndex>, Error> {
        if let Some(index) = self.indexes.lock().get(&segment.id) {
            return Ok(index);
        }
        let _turn = self.turn(segment.id.as_u128(), 0).lock().await;
        if let Some(index) = self.indexes.lock().get(&segment.id) {
            return Ok(index);
        }
        let (object, content) = self.whole(partition, segment, Kind::Chunks).await?;
        let index = Arc::new(ChunkIndex::decode(&object.name, &content)?);
        self.indexes.lock().insert(segment.id, index.clone(), index.size());
        Ok(index)
    }

    /// The whole of one of a segment's smaller objects, checked.
    pub(crate) async fn whole<'a>(
        &self,
        partition: &Partition,
        segment: &'a Segment,
        kind: Kind,
    ) -> Result<(&'a Object, Bytes), Error> {
        let object = object_of(partition, segment, kind)?;
        let path = self.object_path(partition, &object.name);
        let _permit = self.permit().await;
        let content = self.store.get(&path).await?;
        if content.len() as u64 == object.bytes && crc32c(&[&content]) == object.crc32c {
            Ok((object, content))
        } else {
            Err(Error::corrupt(path, format!("its length or CRC is not the manifest's ({} bytes)", object.bytes)))
        }
    }

    /// The chunk at `place`. Where it has to be fetched, what of `run` follows it and is not cached comes with it.
    pub(crate) async fn chunk(
        &self,
        (partition, segment): (&Partition, &Segment),
        index: &ChunkIndex,
        run: Range<usize>,
    ) -> Result<Bytes, Error> {
        let place = run.start;
        let Some(wanted) = index.chunks().get(place) else {
            return Err(Error::corrupt(&partition.name, format!("a chunk index has no chunk {place}")));
        };
        if let Some(bytes) = self.cached(segment, place, wanted).await {
            return Ok(bytes);
        }
        // One at a time for chunks that come together, so that readers of the same place share one request.
        let _turn = self.turn(segment.id.as_u128(), place / CHUNKS_PER_TURN + 1).lock().await;
        if let Some(bytes) = self.cached(segment, place, wanted).await {
            return Ok(bytes);
        }
        let missing = |place: &usize| !self.cache.contains(&Key { segment: segment.id, place: *place });
        let end = (place + 1..run.end.min(index.chunks().len()))
            .take_while(missing)
            .last()
            .map_or(place + 1, |last| last + 1);
        let fetched = self.fetch((partition, segment), &index.chunks()[place..end]).await;
        let fetched = match fetched {
            // What a network or a proxy damaged may be right the second time.
            Err(Error::Corrupt { object, problem }) => {
                tracing::warn!(object, problem, "cold data arrived damaged; fetching it again");
                self.fetch((partition, segment), &index.chunks()[place..end]).await?
            }
            fetched => fetched?,
        };
        for (next, bytes) in fetched.iter().enumerate() {
            self.cache.put(Key { segment: segment.id, place: place + next }, bytes).await;
        }
        self.instruments.cache.set(i64::try_from(self.cache.used()).unwrap_or(i64::MAX));
        fetched.into_iter().next().ok_or_else(|| Error::corrupt(&partition.name, "nothing was fetched"))
    }

    async fn cached(&self, segment: &Segment, place: usize, wanted: &Chunk) -> Option<Bytes> {
        let found = self.cache.get(Key { segment: segment.id, place }, wanted).await;
        if found.is_some() {
            self.store.counters.hit();
        }
        found
    }

    /// Fetches chunks that lie one after another.
    async fn fetch(&self, (partition, segment): (&Partition, &Segment), chunks: &[Chunk]) -> Result<Vec<Bytes>, Error> {
        let object = object_of(partition, segment, Kind::Log)?;
        let path = self.object_path(partition, &object.name);
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { return Ok(Vec::new()) };
        let _permit = self.permit().await;
        let all = self.store.get_range(&path, first.position..last.end()).await?;
        self.instruments.fetched(&partition.topic, all.len());
        let mut rest = all;
        let mut cut = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let bytes = rest.split_to((chunk.len as usize).min(rest.len()));
            if let Some(problem) = chunk.problem(&bytes).or_else(|| batches_problem(&bytes)) {
                return Err(Error::corrupt(&path, problem));
            }
            cut.push(bytes);
        }
        Ok(cut)
    }
}

/// Chunks whose fetches wait for each other.
const CHUNKS_PER_TURN: usize = 4;

fn batches_problem(bytes: &Bytes) -> Option<String> {
    match split(bytes.clone()) {
        Ok(batches) => batches.iter().find_map(|batch| {
            let at = batch.base_offset();
            batch.check_crc().err().map(|error| format!("the batch at offset {at}: {error}"))
        }),
        Err(error) => Some(error.to_string()),
    }
}

fn object_of<'a>(partition: &Partition, segment: &'a Segment, kind: Kind) -> Result<&'a Object, Error> {
    let problem = || format!("its manifest names no {} of the segment at offset {}", kind.text(), segment.base);
    segment.object(kind).ok_or_else(|| Error::corrupt(&partition.name, problem()))
}
