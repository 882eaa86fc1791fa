//! Partitions over a disk: appends, reads, idempotence, restarts, full disks, deletion, waiting.

#![cfg(test)]

#[path = "partitions/node.rs"]
mod node;
#[path = "partitions/together.rs"]
mod together;

use async_trait::async_trait;
use bytes::Bytes;
use millstream_metadata::Record;
use millstream_partition::{
    AppendOptions, ColdError, ColdReader, Error, Isolation, OffsetAt, Origin, ReadRequest, TimeQuery,
};
use millstream_replica::Error as Refused;
use millstream_runtime::{Fault, Runtime, SimDisk};
use millstream_types::{ErrorKind, LeaderEpoch, Offset, TimestampMs, TopicId, TopicPartition};
use node::{Node, T0, TOPIC, add_topic, at, batch, file, image, led_in, pairs, read_all, sequenced, set, values};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

fn disk() -> Arc<SimDisk> {
    Arc::new(SimDisk::new())
}

#[tokio::test(start_paused = true)]
async fn what_is_appended_is_read_back_with_its_offsets() {
    let node = Node::start(&disk(), image(&[])).await;
    let first = node.append(batch(&["a", "b"])).await.unwrap();
    let second = node.append(batch(&["c"])).await.unwrap();
    assert_eq!((first.base_offset, first.next_offset), (Offset(0), Offset(2)));
    assert_eq!((second.base_offset, second.append_time, second.duplicate), (Offset(2), None, false));
    assert_eq!(values(&node.t0(), 0).await, pairs(&["a", "b", "c"]));
    let bounds = node.t0().bounds();
    assert_eq!((bounds.log_start, bounds.high_watermark, bounds.log_end), (Offset(0), Offset(3), Offset(3)));
    assert!(bounds.is_leader);
}

#[tokio::test(start_paused = true)]
async fn a_read_ends_at_the_high_watermark_and_refuses_what_is_not_there() {
    let node = Node::start(&disk(), image(&[])).await;
    node.append(batch(&["a"])).await.unwrap();
    let end = node.t0().read(ReadRequest::new(Offset(1), 100)).await.unwrap();
    assert_eq!((end.len, end.records.len()), (0, 0));
    for outside in [-1, 2] {
        let error = node.t0().read(ReadRequest::new(Offset(outside), 100)).await.unwrap_err();
        assert!(matches!(error, Error::Replica { source: Refused::OffsetOutOfRange { .. }, .. }), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_bound_a_read_but_for_its_first_batch() {
    let node = Node::start(&disk(), image(&[])).await;
    for value in ["a", "b", "c"] {
        node.append(batch(&[value])).await.unwrap();
    }
    let size = batch(&["a"]).size();
    let read = |max_bytes, at_least_one| {
        let handle = node.t0();
        async move {
            handle.read(ReadRequest { max_bytes, at_least_one, ..ReadRequest::new(Offset(0), 0) }).await.unwrap().len
        }
    };
    assert_eq!(read(2 * size, false).await, 2 * size);
    assert_eq!(read(size - 1, true).await, size);
    assert_eq!(read(size - 1, false).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_retried_batch_is_answered_as_the_first_time_and_not_written_again() {
    let node = Node::start(&disk(), image(&[])).await;
    let first = node.append(sequenced(9, 0, 0, &["a", "b"])).await.unwrap();
    node.append(sequenced(9, 0, 2, &["c"])).await.unwrap();
    let again = node.append(sequenced(9, 0, 0, &["a", "b"])).await.unwrap();
    assert_eq!((again.base_offset, again.duplicate), (first.base_offset, true));
    assert_eq!(values(&node.t0(), 0).await, pairs(&["a", "b", "c"]));
}

#[tokio::test(start_paused = true)]
async fn a_gap_in_a_producers_sequence_is_refused() {
    let node = Node::start(&disk(), image(&[])).await;
    node.append(sequenced(9, 0, 0, &["a"])).await.unwrap();
    let error = node.append(sequenced(9, 0, 2, &["c"])).await.unwrap_err();
    assert!(
        matches!(error, Error::Producer { source: millstream_txn::Error::OutOfOrderSequence { .. }, .. }),
        "{error}"
    );
    node.append(sequenced(9, 1, 0, &["b"])).await.unwrap();
    let fenced = node.append(sequenced(9, 0, 1, &["x"])).await.unwrap_err();
    assert_eq!(fenced.kind(), ErrorKind::Fenced);
    assert_eq!(values(&node.t0(), 0).await, pairs(&["a", "b"]));
}

#[tokio::test(start_paused = true)]
async fn several_batches_of_one_producer_in_one_append_follow_each_other() {
    let node = Node::start(&disk(), image(&[])).await;
    let options = AppendOptions::new(Origin::Internal);
    let both = vec![sequenced(9, 0, 0, &["a"]), sequenced(9, 0, 1, &["b"])];
    assert_eq!(node.t0().append(both.clone(), options).await.unwrap().next_offset, Offset(2));
    assert!(node.t0().append(both, options).await.unwrap().duplicate);
    let gap = vec![sequenced(9, 0, 2, &["c"]), sequenced(9, 0, 4, &["e"])];
    assert!(node.t0().append(gap, options).await.is_err());
    assert_eq!(values(&node.t0(), 0).await, pairs(&["a", "b"]), "all of an append or nothing of it");
}

#[tokio::test(start_paused = true)]
async fn after_an_orderly_end_nothing_is_checked_and_producers_are_remembered() {
    let disk = disk();
    let node = Node::start(&disk, image(&[])).await;
    node.append(sequenced(9, 0, 0, &["a"])).await.unwrap();
    node.stop().await;
    assert!(file(&disk, "data/.kafka_cleanshutdown").is_some());
    let node = Node::start(&disk, image(&[])).await;
    assert!(file(&disk, "data/.kafka_cleanshutdown").is_none());
    assert_eq!(node.t0().log().opening().segments_checked, 0);
    assert!(node.append(sequenced(9, 0, 0, &["a"])).await.unwrap().duplicate);
    node.append(sequenced(9, 0, 1, &["b"])).await.unwrap();
    assert_eq!(values(&node.t0(), 0).await, pairs(&["a", "b"]));
}

#[tokio::test(start_paused = true)]
async fn after_a_kill_everything_is_there_and_producers_are_remembered() {
    let disk = disk();
    let node = Node::start(&disk, image(&[("segment.bytes", "300")])).await;
    for sequence in 0..20 {
        node.append(sequenced(9, 0, sequence, &["a"])).await.unwrap();
    }
    assert!(node.t0().log().segment_count() > 3);
    node.kill().await;
    let node = Node::start(&disk, image(&[("segment.bytes", "300")])).await;
    assert_eq!(values(&node.t0(), 0).await.len(), 20);
    assert!(node.append(sequenced(9, 0, 19, &["a"])).await.unwrap().duplicate);
    assert_eq!(node.append(sequenced(9, 0, 20, &["b"])).await.unwrap().base_offset, Offset(20));
}

#[tokio::test(start_paused = true)]
async fn after_a_power_cut_what_was_flushed_is_there_once() {
    let overrides = [("flush.messages", "1")];
    for seed in 0..20_u64 {
        let disk = disk();
        let node = Node::start(&disk, image(&overrides)).await;
        for sequence in 0..5 {
            node.append(sequenced(9, 0, sequence, &["a"])).await.unwrap();
        }
        let mut draw = seed;
        disk.crash(|bound| {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (draw >> 33) % (bound + 1)
        });
        node.kill().await;
        let node =
            Node::over(Runtime::simulated(8, disk.clone()), std::path::Path::new("data"), image(&overrides), None)
                .await;
        assert!(node.append(sequenced(9, 0, 4, &["a"])).await.unwrap().duplicate, "seed {seed}");
        node.append(sequenced(9, 0, 5, &["b"])).await.unwrap();
        assert_eq!(values(&node.t0(), 0).await, pairs(&["a", "a", "a", "a", "a", "b"]), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_fails_the_append_and_no_more() {
    let disk = disk();
    let node = Node::start(&disk, image(&[])).await;
    node.append(sequenced(9, 0, 0, &["a"])).await.unwrap();
    disk.set_fault(Some(Fault::Full));
    let error = node.append(sequenced(9, 0, 1, &["b"])).await.unwrap_err();
    assert!(matches!(error, Error::Storage { .. }), "{error}");
    assert_eq!(values(&node.t0(), 0).await, pairs(&["a"]));
    disk.set_fault(None);
    node.append(sequenced(9, 0, 1, &["b"])).await.unwrap();
    assert_eq!(values(&node.t0(), 0).await, pairs(&["a", "b"]));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_fits_no_segment_does_not_fail_those_beside_it() {
    let node = Node::start(&disk(), image(&[("segment.bytes", "200")])).await;
    let large = "x".repeat(500);
    let (handle, options) = (node.t0(), AppendOptions::new(Origin::Internal));
    let (one, two, three) = tokio::join!(
        handle.append(vec![batch(&["a"])], options),
        handle.append(vec![batch(&[&large])], options),
        handle.append(vec![batch(&["b"])], options),
    );
    assert!(one.is_ok() && three.is_ok());
    assert_eq!(two.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(values(&node.t0(), 0).await, pairs(&["a", "b"]));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_wakes_when_there_is_something_to_read() {
    let node = Node::start(&disk(), image(&[])).await;
    let handle = node.t0();
    let (waited, appended) = tokio::join!(handle.readable(Offset(0)), node.append(batch(&["a"])));
    waited.unwrap();
    appended.unwrap();
    tokio::time::timeout(Duration::from_secs(1), handle.readable(Offset(1))).await.expect_err("nothing is there yet");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_topic_sends_everyone_away_and_leaves_no_folder() {
    let disk = disk();
    let node = Node::start(&disk, image(&[])).await;
    let handle = node.t0();
    node.append(batch(&["a"])).await.unwrap();
    let waiting = handle.readable(Offset(1));
    let (waited, ()) = tokio::join!(waiting, node.decide(&[Record::RemoveTopic { topic: TOPIC }]));
    assert!(matches!(waited, Err(Error::Closed { .. })));
    let error = handle.append(vec![batch(&["b"])], AppendOptions::new(Origin::Client)).await.unwrap_err();
    assert!(matches!(error, Error::Closed { .. }), "{error}");
    assert!(matches!(node.partitions.get(T0), Err(Error::NotHere { .. })));
    node.stop().await;
    assert_eq!(disk.files().iter().filter(|(path, _)| path.starts_with("data/t-0")).count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_topic_made_again_while_away_does_not_get_the_old_records() {
    let disk = disk();
    let node = Node::start(&disk, image(&[])).await;
    node.append(batch(&["old"])).await.unwrap();
    node.stop().await;
    let other = TopicId(Uuid::from_u128(0x7002));
    let mut again = image(&[]);
    again.replay(&Record::RemoveTopic { topic: TOPIC }).unwrap();
    add_topic(&mut again, other, "t", &[]);
    let node = Node::start(&disk, again).await;
    let handle = node.partitions.get(TopicPartition::new(other, T0.partition)).unwrap();
    assert_eq!(handle.bounds().log_end, Offset(0));
    let is_kept = |path: &std::path::Path| path.to_string_lossy().ends_with("-stray/00000000000000000000.log");
    assert!(
        disk.files().iter().any(|(path, len)| is_kept(path) && *len > 0),
        "the old folder is set aside, not deleted"
    );
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_made_is_opened_and_its_options_are_followed() {
    let node = Node::start(&disk(), image(&[])).await;
    let id = TopicId(Uuid::from_u128(0x7003));
    let mut next = image(&[]);
    add_topic(&mut next, id, "u", &[]);
    let partition = TopicPartition::new(id, T0.partition);
    assert!(matches!(node.partitions.get(partition), Err(Error::NotHere { .. })));
    let limit = Duration::from_secs(5);
    let (ready, _) =
        tokio::join!(node.partitions.ready(partition, limit), async { node.image.send_replace(Arc::new(next)) });
    let handle = ready.unwrap();
    assert_eq!(handle.door_rules().batch_bytes_max, 1_048_588);
    node.decide(&[set(id, "max.message.bytes", "500")]).await;
    assert_eq!(handle.door_rules().batch_bytes_max, 500);
}

#[tokio::test(start_paused = true)]
async fn epochs_are_checked_and_begin_where_the_log_ends() {
    let node = Node::start(&disk(), image(&[])).await;
    node.append(batch(&["a", "b"])).await.unwrap();
    node.decide(&[led_in(3)]).await;
    node.append(batch(&["c"])).await.unwrap();
    let handle = node.t0();
    let epochs: Vec<i32> = read_all(&handle, 0).await.iter().map(|batch| batch.partition_leader_epoch().0).collect();
    assert_eq!(epochs, [0, 3]);
    let end = |epoch| handle.epoch_end(LeaderEpoch(3), LeaderEpoch(epoch)).map(|end| (end.epoch.0, end.end_offset.0));
    assert_eq!(end(0).unwrap(), (0, 2));
    assert_eq!(end(2).unwrap(), (0, 2));
    assert_eq!(end(3).unwrap(), (3, 3));
    assert_eq!(end(4).unwrap(), (-1, -1));
    let ask = |epoch| handle.read(ReadRequest { leader_epoch: LeaderEpoch(epoch), ..ReadRequest::new(Offset(0), 100) });
    assert!(matches!(ask(0).await, Err(Error::Replica { source: Refused::FencedEpoch { .. }, .. })));
    assert!(matches!(ask(4).await, Err(Error::Replica { source: Refused::UnknownEpoch { .. }, .. })));
    assert!(ask(3).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn deleted_records_are_gone_for_readers() {
    let disk = disk();
    let node = Node::start(&disk, image(&[])).await;
    for value in ["a", "b", "c"] {
        node.append(batch(&[value])).await.unwrap();
    }
    assert_eq!(node.t0().delete_records(Offset(2)).await.unwrap(), Offset(2));
    assert_eq!(node.t0().bounds().log_start, Offset(2));
    assert!(node.t0().read(ReadRequest::new(Offset(1), 100)).await.is_err());
    assert!(node.t0().delete_records(Offset(4)).await.is_err(), "beyond the high watermark");
    assert_eq!(node.t0().delete_records(Offset::NONE).await.unwrap(), Offset(3));
    node.stop().await;
    let node = Node::start(&disk, image(&[])).await;
    assert_eq!(node.t0().bounds().log_start, Offset(3));
    assert_eq!(node.append(batch(&["d"])).await.unwrap().base_offset, Offset(3));
}

#[tokio::test(start_paused = true)]
async fn old_segments_go_when_their_time_has_come() {
    let overrides = [("segment.bytes", "150"), ("retention.ms", "60000")];
    let node = Node::start(&disk(), image(&overrides)).await;
    let now = node.runtime.clock.now().0;
    for index in 0..6 {
        node.append(at(now + index, &["x"])).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let later = node.runtime.clock.now().0;
    node.append(at(later, &["y"])).await.unwrap();
    node.partitions.retain_now().await;
    assert_eq!(values(&node.t0(), node.t0().bounds().log_start.0).await, [(6, "y".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn offsets_are_found_by_time() {
    let node = Node::start(&disk(), image(&[])).await;
    for time in [100, 300, 200] {
        node.append(at(time, &["x"])).await.unwrap();
    }
    let handle = node.t0();
    let find = |query| {
        let handle = handle.clone();
        async move {
            handle.offset_for_time(query, LeaderEpoch::NONE).await.unwrap().map(|at| (at.offset.0, at.timestamp.0))
        }
    };
    assert_eq!(find(TimeQuery::At(TimestampMs(101))).await, Some((1, 300)));
    assert_eq!(find(TimeQuery::At(TimestampMs(301))).await, None);
    assert_eq!(find(TimeQuery::MaxTimestamp).await, Some((1, 300)));
    assert_eq!(find(TimeQuery::Earliest).await, Some((0, -1)));
    assert_eq!(find(TimeQuery::EarliestLocal).await, Some((0, -1)));
    assert_eq!(find(TimeQuery::Latest(Isolation::ReadCommitted)).await, Some((3, -1)));
    assert_eq!(find(TimeQuery::LatestTiered).await, None);
}

#[tokio::test(start_paused = true)]
async fn the_brokers_time_is_stamped_and_told() {
    let node = Node::start(&disk(), image(&[("message.timestamp.type", "LogAppendTime")])).await;
    let now = node.runtime.clock.now();
    let appended = node.append(at(5, &["x"])).await.unwrap();
    assert_eq!(appended.append_time, Some(now));
    let stored = &read_all(&node.t0(), 0).await[0];
    assert_eq!(stored.max_timestamp(), now);
    stored.check_crc().unwrap();
}

#[tokio::test(start_paused = true)]
async fn checkpoints_are_kafkas() {
    let node = Node::start(&disk(), image(&[])).await;
    node.append(batch(&["a", "b"])).await.unwrap();
    node.t0().delete_records(Offset(1)).await.unwrap();
    let runtime = node.runtime.clone();
    node.stop().await;
    for (name, offset) in [("replication", 2), ("recovery-point", 2), ("log-start", 1)] {
        let content = node::content(&runtime, &format!("data/{name}-offset-checkpoint")).await;
        assert_eq!(content, format!("0\n1\nt 0 {offset}\n"), "{name}");
    }
}

struct Shelf(Vec<Bytes>);

#[async_trait]
impl ColdReader for Shelf {
    async fn read(&self, _: TopicPartition, from: Offset, _: usize) -> Result<Option<Bytes>, ColdError> {
        let Some(bytes) = self.0.get(usize::try_from(from.0).unwrap()) else { return Ok(None) };
        if bytes.is_empty() {
            return Err(ColdError { kind: ErrorKind::Unavailable, message: "the store is away".to_owned() });
        }
        Ok(Some(bytes.clone()))
    }

    fn log_start(&self, _: TopicPartition) -> Option<Offset> {
        Some(Offset(0))
    }

    async fn offset_for_time(&self, _: TopicPartition, _: TimestampMs) -> Result<Option<OffsetAt>, ColdError> {
        Ok(Some(OffsetAt { offset: Offset(0), timestamp: TimestampMs(1_000), leader_epoch: LeaderEpoch(0) }))
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_local_is_read_from_the_cold_reader() {
    let overrides = [("segment.bytes", "100"), ("remote.storage.enable", "true")];
    let disk = disk();
    let shelf = Shelf(vec![batch(&["a"]).placed(Offset(0), LeaderEpoch(0), None).concat().into(), Bytes::new()]);
    let runtime = Runtime::simulated(7, disk);
    let node = Node::over(runtime, std::path::Path::new("data"), image(&overrides), Some(Arc::new(shelf))).await;
    for value in ["a", "b", "c"] {
        node.append(batch(&[value])).await.unwrap();
    }
    node.t0().set_tiered_to(Offset(2));
    assert_eq!(node.t0().delete_local_before(Offset(2)).await.unwrap(), 2);
    let bounds = node.t0().bounds();
    assert_eq!((bounds.log_start, bounds.local_start), (Offset(0), Offset(2)));
    let (cold, _) = node.t0().read_bytes(ReadRequest::new(Offset(0), 1_000)).await.unwrap();
    assert_eq!(millstream_record::split(cold).unwrap()[0].base_offset(), Offset(0));
    let away = node.t0().read(ReadRequest::new(Offset(1), 1_000)).await.unwrap_err();
    assert_eq!(away.kind(), ErrorKind::Unavailable);
    assert_eq!(values(&node.t0(), 2).await, [(2, "c".to_owned())]);
    let found = node.t0().offset_for_time(TimeQuery::At(TimestampMs(0)), LeaderEpoch::NONE).await.unwrap();
    assert_eq!(found.map(|at| at.offset), Some(Offset(0)));
    let tiered = node.t0().offset_for_time(TimeQuery::LatestTiered, LeaderEpoch::NONE).await.unwrap();
    assert_eq!(tiered.map(|at| at.offset), Some(Offset(1)));
}

#[tokio::test(start_paused = true)]
async fn what_is_damaged_here_is_read_from_the_cold_reader_where_that_has_it() {
    let overrides = [("segment.bytes", "100"), ("remote.storage.enable", "true")];
    let disk = disk();
    let shelf = Shelf(vec![batch(&["a"]).placed(Offset(0), LeaderEpoch(0), None).concat().into(), Bytes::new()]);
    let runtime = Runtime::simulated(7, disk.clone());
    let node = Node::over(runtime, std::path::Path::new("data"), image(&overrides), Some(Arc::new(shelf))).await;
    for value in ["a", "b", "c"] {
        node.append(batch(&[value])).await.unwrap();
    }
    assert_eq!(node.partitions.scrub_now().await, 0);
    for segment in 0..2 {
        let file = format!("data/t-0/{segment:020}.log");
        assert!(disk.flip(std::path::Path::new(&file), 65, 1), "{file}");
    }
    assert_eq!(node.partitions.scrub_now().await, 2);
    let refused = node.t0().read(ReadRequest::new(Offset(0), 1_000)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    node.t0().set_tiered_to(Offset(1));
    let (cold, _) = node.t0().read_bytes(ReadRequest::new(Offset(0), 1_000)).await.unwrap();
    assert_eq!(millstream_record::split(cold).unwrap()[0].base_offset(), Offset(0));
    let refused = node.t0().read(ReadRequest::new(Offset(1), 1_000)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "the store has no such record: {refused}");
    assert_eq!(values(&node.t0(), 2).await, [(2, "c".to_owned())]);
}

/// Thirty-two tasks append on real threads and a real disk, to segments so small that every few appends begin one; some are dropped on
/// the way. Each producer's records are in the log once and in its order, and offsets have no gap.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_appenders_keep_order_though_some_go_away() {
    const PRODUCERS: i64 = 32;
    const BATCHES: i32 = 40;
    let folder = tempfile::tempdir().unwrap();
    let node = Node::over(Runtime::real(), folder.path(), image(&[("segment.bytes", "2000")]), None).await;
    let handle = node.t0();
    let producing = (0..PRODUCERS).map(|producer| {
        let handle = handle.clone();
        async move {
            for sequence in 0..BATCHES {
                // A retry until it is answered, as a client does; a dropped first try may or may not have been written.
                if (producer + i64::from(sequence)) % 5 == 0 {
                    let dropped = handle
                        .append(vec![sequenced(producer, 0, sequence, &["x"])], AppendOptions::new(Origin::Client));
                    let mut dropped = Box::pin(dropped);
                    let _ = futures::poll!(&mut dropped);
                }
                handle
                    .append(vec![sequenced(producer, 0, sequence, &["x"])], AppendOptions::new(Origin::Client))
                    .await
                    .unwrap();
            }
        }
    });
    #[expect(clippy::disallowed_methods, reason = "the test wants its producers on threads of their own")]
    let tasks: Vec<_> = producing.map(tokio::spawn).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let batches = read_all(&handle, 0).await;
    assert_eq!(batches.len(), usize::try_from(PRODUCERS).unwrap() * usize::try_from(BATCHES).unwrap());
    let mut next = vec![0; usize::try_from(PRODUCERS).unwrap()];
    for (offset, batch) in (0..).zip(&batches) {
        assert_eq!(batch.base_offset(), Offset(offset));
        let expected = &mut next[usize::try_from(batch.producer_id().0).unwrap()];
        assert_eq!(batch.base_sequence(), *expected);
        *expected += 1;
    }
    node.stop().await;
}
