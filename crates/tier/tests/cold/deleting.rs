//! What goes, here and there, and what stays.

use crate::harness::{Harness, TOPIC, id, read_all};
use millstream_tier::{Error, SegmentSource, TopicDescription};
use millstream_types::{LeaderEpoch, Offset, TopicConfig, TopicPartition};
use std::sync::Arc;

#[tokio::test]
async fn local_copies_go_after_local_retention_and_reads_go_on() {
    let harness = Harness::new(&[("local.retention.ms", "1000")]).await;
    harness.segments(3, 10).await;
    let local = harness.local().await;
    let tended = harness.tier.tend(&harness.source).await.unwrap();
    assert_eq!((tended.offloaded.segments, tended.dropped_local, tended.deleted_remote), (3, 3, 0));
    let log = &harness.source.log;
    assert_eq!((log.log_start(), log.local_start(), log.size()), (Offset(0), Offset(90), 0));
    assert_eq!(read_all(&harness.tier, Offset(0), 1 << 20).await, local);
}

#[tokio::test]
async fn dropping_now_drops_only_what_is_cold() {
    let harness = Harness::new(&[]).await;
    harness.segments(2, 10).await;
    harness.tier.offload(&harness.source).await.unwrap();
    harness.segments(1, 10).await;
    let dropped = harness.tier.drop_local(&harness.source).await.unwrap();
    assert_eq!(harness.source.log.local_start(), Offset(60));
    assert_eq!(dropped, harness.tier.status_of(id()).unwrap().bytes);
}

#[tokio::test]
async fn retention_deletes_over_the_whole_and_moves_the_start() {
    let harness = Harness::new(&[("retention.bytes", "6000"), ("local.retention.bytes", "0")]).await;
    harness.segments(4, 10).await;
    let tended = harness.tier.tend(&harness.source).await.unwrap();
    let one = harness.tier.status_of(id()).unwrap().bytes / 2;
    assert_eq!((tended.deleted_remote, tended.dropped_local), (2, 2), "{one} bytes a segment");
    assert_eq!((harness.source.log.log_start(), harness.tier.log_start(id())), (Offset(60), Some(Offset(60))));
    assert_eq!(harness.objects(".log").await.len(), 2);
    // A node that has an older manifest in memory, and whose objects have gone, looks again.
    assert_eq!(harness.tier.read(id(), Offset(0), 1).await.map(crate::harness::first_offset).unwrap(), Some(60));
}

#[tokio::test]
async fn a_reader_with_an_old_manifest_looks_again_when_its_objects_have_gone() {
    let harness = Harness::new(&[("retention.ms", "1000")]).await;
    harness.segments(2, 10).await;
    harness.tier.offload(&harness.source).await.unwrap();
    let reader = harness.new_tier("other");
    reader.load(TOPIC, id()).await.unwrap();
    harness.tier.tend(&harness.source).await.unwrap();
    assert!(harness.objects("/segments/").await.is_empty());
    assert_eq!(reader.read(id(), Offset(0), 1).await.unwrap(), None);
}

#[tokio::test]
async fn records_deleted_by_request_are_gone_from_the_store_too() {
    let harness = Harness::new(&[]).await;
    harness.segments(3, 10).await;
    harness.tier.offload(&harness.source).await.unwrap();
    harness.source.log.delete_before(Offset(45)).await.unwrap();
    let tended = harness.tier.tend(&harness.source).await.unwrap();
    assert_eq!((tended.deleted_remote, harness.tier.log_start(id())), (1, Some(Offset(45))));
    let records = harness.tier.read(id(), Offset(0), 1).await.unwrap();
    assert_eq!(crate::harness::first_offset(records), Some(45));
    let restored = harness.new_tier("other").recover(TOPIC).await.unwrap();
    assert_eq!(restored.partitions[0].log_start, Offset(45));
}

#[tokio::test]
async fn everything_of_a_deleted_topic_goes_and_nothing_else() {
    let harness = Harness::new(&[]).await;
    harness.segments(2, 10).await;
    harness.tier.offload(&harness.source).await.unwrap();
    let mut other = harness.source.clone();
    other.topic = TopicDescription { name: "orders.v2".to_owned(), ..other.topic };
    harness.new_tier("other").offload(&other).await.unwrap();
    let before = harness.objects("").await.len();
    let deleted = harness.tier.delete_topic(TOPIC, id().topic).await.unwrap();
    assert_eq!(deleted * 2, before);
    assert!(harness.objects("one/orders/").await.is_empty());
    assert_eq!(harness.tier.status_of(id()), None);
    assert!(matches!(harness.tier.recover(TOPIC).await, Err(Error::UnknownTopic { .. })));
}

/// A node that the quorum has put out of its office and that does not know it yet.
struct Deposed(millstream_tier::LogSource);

#[async_trait::async_trait]
impl SegmentSource for Deposed {
    fn topic(&self) -> TopicDescription {
        self.0.topic()
    }
    fn partition(&self) -> TopicPartition {
        self.0.partition()
    }
    fn leader_epoch(&self) -> LeaderEpoch {
        self.0.leader_epoch()
    }
    async fn still_leads(&self) -> bool {
        false
    }
    fn config(&self) -> Arc<TopicConfig> {
        self.0.config()
    }
    fn stable_end(&self) -> Offset {
        self.0.stable_end()
    }
    fn log_start(&self) -> Offset {
        self.0.log_start()
    }
    fn log_end(&self) -> Offset {
        self.0.log_end()
    }
    fn local_bytes(&self) -> u64 {
        self.0.local_bytes()
    }
    fn epochs(&self) -> millstream_storage::Epochs {
        self.0.epochs()
    }
    async fn closed_segments(&self) -> Result<Vec<millstream_storage::ClosedSegment>, Error> {
        self.0.closed_segments().await
    }
    fn set_tiered_to(&self, offset: Offset) {
        self.0.set_tiered_to(offset);
    }
    async fn delete_local_before(&self, offset: Offset) -> Result<usize, Error> {
        self.0.delete_local_before(offset).await
    }
    async fn start_at(&self, start: Offset) -> Result<(), Error> {
        self.0.start_at(start).await
    }
}

#[tokio::test]
async fn nothing_is_deleted_before_the_leadership_is_confirmed() {
    let harness = Harness::new(&[("retention.ms", "1000"), ("local.retention.ms", "0")]).await;
    harness.segments(2, 10).await;
    let deposed = Deposed(harness.source.clone());
    let tended = harness.tier.tend(&deposed).await.unwrap();
    assert_eq!((tended.dropped_local, tended.deleted_remote), (0, 0));
    assert_eq!(harness.tier.drop_local(&deposed).await.unwrap(), 0);
    assert_eq!(harness.tier.sweep(&deposed, std::time::Duration::ZERO).await.unwrap(), 0);
    assert_eq!((harness.source.log.local_start(), harness.objects(".log").await.len()), (Offset(0), 2));
}
