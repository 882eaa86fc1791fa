//! Looking for damage in closed segments: what is found, what is served after it, and what is not.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests and what they share")]

use millstream_record::{Batch, BatchBuilder, Codec, split};
use millstream_runtime::{Runtime, SimDisk};
use millstream_storage::{ClosedSegment, Error, Log, LogId, Pace, Recovery, Scrubbed};
use millstream_types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicConfig, TopicId, TopicPartition};
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes of a batch from its start to the leader epoch, and to its length.
const EPOCH_AT: usize = 12;
const LENGTH_AT: usize = 8;

fn batch() -> Batch {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.push(TimestampMs(1), None, Some(&[7; 100]), []);
    builder.build(Offset(0), LeaderEpoch(0)).unwrap()
}

struct World {
    disk: Arc<SimDisk>,
    runtime: Runtime,
    log: Log,
    closed: Vec<ClosedSegment>,
}

impl World {
    /// Forty batches of one record, in segments of about six.
    async fn new() -> Self {
        let disk = Arc::new(SimDisk::new());
        let runtime = Runtime::simulated(1, disk.clone());
        let topic: TopicId = "KIi5gVZMTOuxI9qTbIoNWA".parse().unwrap();
        let partition = TopicPartition::new(topic, PartitionIndex(0));
        let id = LogId { dir: PathBuf::from("data"), topic: "t".into(), partition };
        let config = TopicConfig { segment_bytes: 1000, index_interval_bytes: 200, ..TopicConfig::default() };
        let log = Log::open(runtime.clone(), id, Arc::new(config), Recovery::CLEAN).await.unwrap();
        for number in 0..40 {
            log.append(&[batch()], LeaderEpoch(number / 10)).await.unwrap();
        }
        let closed = log.closed_segments().await.unwrap();
        assert!(closed.len() > 3);
        Self { disk, runtime, log, closed }
    }

    async fn scrub(&self) -> Scrubbed {
        let pace = Pace::new(&self.runtime, self.runtime.tasks.shutdown(), f64::MAX);
        self.log.scrub(&pace).await.unwrap().unwrap()
    }

    /// Flips a bit of the third batch of a closed segment. Returns the batch's offset.
    fn flip(&self, segment: usize, byte: usize, bit: u8) -> Offset {
        let segment = &self.closed[segment];
        assert!(self.disk.flip(&segment.log, 2 * batch().size() + byte, bit));
        segment.base + 2
    }

    /// The offsets that readers get, going on behind what they are refused.
    async fn served(&self) -> Vec<i64> {
        let (mut at, end, mut served) = (Offset(0), self.log.log_end(), Vec::new());
        while at < end {
            match self.log.read(at, end, 1 << 20, true).await {
                Ok(slice) => {
                    let batches = split(slice.records.unwrap().read().await.unwrap()).unwrap();
                    served.extend(batches.iter().map(|batch| batch.base_offset().0));
                    at = slice.next_offset;
                }
                Err(Error::Corrupt { .. }) => at = at + 1,
                Err(error) => panic!("{error}"),
            }
        }
        served
    }
}

#[tokio::test]
async fn a_sound_log_has_no_damage_and_all_of_it_was_read() {
    let world = World::new().await;
    let bytes = world.closed.iter().map(|segment| segment.size).sum();
    assert_eq!(world.scrub().await, Scrubbed { bytes, damages: Vec::new() });
    assert_eq!(world.served().await, (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_flipped_bit_is_named_by_file_and_offset_and_only_its_batch_is_not_served() {
    let world = World::new().await;
    let at = world.flip(1, 80, 1);
    assert_eq!(world.served().await.len(), 40, "nobody knows yet");
    let scrubbed = world.scrub().await;
    let [damage] = scrubbed.damages.as_slice() else { panic!("{scrubbed:?}") };
    assert_eq!(damage.path, world.closed[1].log);
    assert_eq!(damage.offsets, at..at + 1);
    assert!(damage.problem.contains("CRC"), "{}", damage.problem);
    let refused = world.log.read(at, Offset(40), 1 << 20, true).await.unwrap_err().to_string();
    let (name, position) = (damage.path.display().to_string(), damage.bytes.start.to_string());
    assert!(refused.contains(&name) && refused.contains(&position) && refused.contains("CRC"), "{refused}");
    assert_eq!(world.served().await, (0..40).filter(|offset| *offset != at.0).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_the_crc_leaves_out_is_checked_as_well() {
    let world = World::new().await;
    // Segment 2 has batches of an epoch after 0.
    let at = world.flip(2, EPOCH_AT + 3, 0x03);
    let base = world.closed[0].base + 2;
    assert!(world.disk.flip(&world.closed[0].log, 2 * batch().size() + 6, 0x01), "its base offset is 256 higher");
    let scrubbed = world.scrub().await;
    let found: Vec<Offset> = scrubbed.damages.iter().map(|damage| damage.offsets.start).collect();
    assert!(found.contains(&base), "{scrubbed:?}");
    assert!(scrubbed.damages.iter().any(|damage| damage.problem.contains("leader epoch")), "{at}: {scrubbed:?}");
}

#[tokio::test]
async fn a_segment_is_not_served_from_a_header_on_that_can_not_be_read() {
    let world = World::new().await;
    let at = world.flip(1, LENGTH_AT, 0x40);
    let scrubbed = world.scrub().await;
    let next = world.closed[1].next;
    assert_eq!(scrubbed.damages.last().unwrap().offsets.end, next, "{scrubbed:?}");
    let lost = at.0..next.0;
    assert_eq!(world.served().await, (0..40).filter(|offset| !lost.contains(offset)).collect::<Vec<_>>());
}

#[tokio::test]
async fn it_ends_where_it_is_told_to_stop() {
    let world = World::new().await;
    let pace = Pace::new(&world.runtime, world.runtime.tasks.shutdown(), 1.0);
    world.runtime.tasks.stop();
    assert_eq!(world.log.scrub(&pace).await.unwrap(), None);
}
