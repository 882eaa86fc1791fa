//! What goes up comes back the same, and a read moves little.

use crate::harness::{Harness, first_offset, id, open, read_all};
use millstream_runtime::Runtime;
use millstream_storage::{AbortedTxn, Recovery};
use millstream_tier::{Found, LogSource};
use millstream_types::{ErrorKind, LeaderEpoch, Offset, ProducerId, TimestampMs};

#[tokio::test]
async fn bytes_read_back_are_the_bytes_that_were_written() {
    for in_folder in [false, true] {
        let harness = if in_folder { Harness::in_folder(&[]).await } else { Harness::new(&[]).await };
        harness.segments(3, 20).await;
        let local = harness.local().await;
        let done = harness.tier.offload(&harness.source).await.unwrap();
        assert_eq!((done.segments, done.bytes, done.end), (3, local.len() as u64, Some(Offset(180))));
        for max_bytes in [1, 700, 5_000, 1 << 20] {
            assert_eq!(read_all(&harness.tier, Offset(0), max_bytes).await, local, "max_bytes {max_bytes}");
        }
        assert!(harness.tier.stats().cache_hits > 0);
        // Another node, which has only the store.
        let other = harness.new_tier("other");
        other.register(crate::harness::TOPIC, id());
        assert_eq!(read_all(&other, Offset(0), 3_000).await, local);
    }
}

#[tokio::test]
async fn a_read_begins_with_the_batch_that_has_the_offset() {
    let harness = Harness::new(&[]).await;
    harness.segments(2, 20).await;
    harness.tier.offload(&harness.source).await.unwrap();
    for offset in 0..120 {
        let records = harness.tier.read(id(), Offset(offset), 1).await.unwrap();
        assert_eq!(first_offset(records), Some(offset / 3 * 3), "offset {offset}");
    }
    assert_eq!(harness.tier.read(id(), Offset(120), 1).await.unwrap(), None);
    assert_eq!((harness.tier.log_start(id()), harness.tier.log_end(id())), (Some(Offset(0)), Some(Offset(120))));
}

#[tokio::test]
async fn the_active_segment_and_what_is_cold_already_stay() {
    let harness = Harness::new(&[]).await;
    harness.segments(2, 5).await;
    harness.append(5, 0).await;
    assert_eq!(harness.tier.offload(&harness.source).await.unwrap().segments, 2);
    let puts = harness.tier.stats().puts;
    assert_eq!(harness.tier.offload(&harness.source).await.unwrap().segments, 0);
    assert_eq!(harness.tier.stats().puts, puts);
    harness.source.log.roll().await.unwrap();
    assert_eq!(harness.tier.offload(&harness.source).await.unwrap().segments, 1);
}

#[tokio::test]
async fn one_record_moves_one_chunk_and_a_reader_that_reads_on_gets_more_at_once() {
    let harness = Harness::new(&[]).await;
    harness.segments(1, 400).await;
    harness.tier.offload(&harness.source).await.unwrap();
    let reader = harness.new_tier("other");
    reader.load(crate::harness::TOPIC, id()).await.unwrap();
    let before = reader.stats();
    reader.read(id(), Offset(600), 1).await.unwrap().unwrap();
    let after = reader.stats();
    assert_eq!(after.gets - before.gets, 2, "the chunk index and one chunk");
    let index_bytes = 16 + 32 * (harness.source.log.size() / 1_700 + 1);
    assert!(after.bytes_got - before.bytes_got < 2_000 + index_bytes, "{after:?}");
    let all = read_all(&reader, Offset(600), 2_000).await;
    let requests = (reader.stats().gets - after.gets) as usize;
    assert!(requests <= all.len() / 6_000 + 2, "{requests} requests for {} bytes", all.len());
}

#[tokio::test]
async fn large_logs_go_up_in_parts() {
    let harness = Harness::in_folder(&[("segment.bytes", "100000000"), ("max.message.bytes", "10000000")]).await;
    let mut batches = Vec::new();
    for _ in 0..6 {
        let mut builder = millstream_record::BatchBuilder::new(millstream_record::Codec::None);
        builder.push(TimestampMs(1), None, Some(&vec![7; 3 << 20]), []);
        batches.push(builder.build(Offset(0), LeaderEpoch(0)).unwrap());
    }
    harness.source.log.append(&batches, LeaderEpoch(0)).await.unwrap();
    harness.source.log.roll().await.unwrap();
    let local = harness.local().await;
    harness.tier.offload(&harness.source).await.unwrap();
    assert_eq!(read_all(&harness.tier, Offset(0), 1).await, local);
}

#[tokio::test]
async fn a_time_is_found_in_whatever_segment_it_is() {
    let harness = Harness::new(&[]).await;
    harness.append(20, 0).await;
    harness.source.log.roll().await.unwrap();
    harness.append(20, 4).await;
    harness.source.log.roll().await.unwrap();
    harness.tier.offload(&harness.source).await.unwrap();
    let found = async |ms: i64| harness.tier.offset_for_time(id(), TimestampMs(ms)).await.unwrap();
    let at = |offset: i64, epoch: i32| {
        let (offset, timestamp, leader_epoch) = (Offset(offset), TimestampMs(offset * 1_000), LeaderEpoch(epoch));
        Some(Found { offset, timestamp, leader_epoch })
    };
    assert_eq!(found(-1).await, at(0, 0));
    assert_eq!(found(31_000).await, at(31, 0));
    assert_eq!(found(31_001).await, at(32, 0));
    assert_eq!(found(100_500).await, at(101, 4));
    assert_eq!(found(119_001).await, None);
}

#[tokio::test]
async fn a_topic_comes_back_from_the_bucket_alone() {
    let harness = Harness::new(&[]).await;
    harness.segments(2, 10).await;
    harness.append(10, 5).await;
    harness.source.log.write_producer_snapshot(Offset(90), "producers".into()).await.unwrap();
    harness.source.log.roll().await.unwrap();
    let local = harness.local().await;
    harness.tier.offload(&harness.source).await.unwrap();

    let dir = tempfile::tempdir().unwrap();
    let tier = harness.new_tier("other");
    let topic = tier.recover(crate::harness::TOPIC).await.unwrap();
    assert_eq!((topic.id, &topic.configs, topic.partitions.len()), (id().topic, &harness.options, 1));
    let partition = &topic.partitions[0];
    assert_eq!((partition.log_start, partition.end), (Offset(0), Offset(90)));
    assert_eq!(partition.producer_snapshot.as_deref(), Some(&b"producers"[..]));

    assert_eq!(partition.leader_epoch, LeaderEpoch(6));
    let runtime = Runtime::real();
    let log = open(&runtime, dir.path(), &topic.configs, Recovery::CLEAN).await;
    log.restore(partition.log_start, partition.end, &partition.epochs).await.unwrap();
    assert_eq!((log.log_start(), log.local_start(), log.log_end()), (Offset(0), Offset(90), Offset(90)));
    assert_eq!(log.epochs().at(Offset(70)), Some(LeaderEpoch(5)));
    assert_eq!(read_all(&tier, Offset(0), 4_000).await, local);

    // It goes on where it ended, through a restart too.
    log.close(None).await.unwrap();
    let log = open(&runtime, dir.path(), &topic.configs, Recovery::CLEAN).await;
    assert_eq!((log.log_start(), log.log_end()), (Offset(0), Offset(90)));
    let again = Harness { source: LogSource { log, ..harness.source.clone() }, tier, ..Harness::new(&[]).await };
    again.append(5, 6).await;
    again.source.log.roll().await.unwrap();
    let done = again.tier.offload(&again.source).await.unwrap();
    assert_eq!((done.segments, done.end), (1, Some(Offset(105))));
    assert_eq!(again.tier.manifest(id()).unwrap().epoch_at(Offset(0)), Some(LeaderEpoch(0)));
}

#[tokio::test]
async fn what_was_aborted_is_known_again_from_the_bucket_alone() {
    let harness = Harness::new(&[]).await;
    let aborted = |first: i64, last: i64| {
        let (first_offset, last_offset, last_stable) = (Offset(first), Offset(last), Offset(last + 1));
        AbortedTxn { producer: ProducerId(4), first_offset, last_offset, last_stable }
    };
    // A transaction over two segments, one within the third; the last segment has none.
    let noted = [vec![], vec![aborted(20, 45)], vec![aborted(66, 70), aborted(75, 80)], vec![]];
    for noted in &noted {
        harness.append(10, 0).await;
        harness.source.log.add_aborted(noted).await.unwrap();
        harness.source.log.roll().await.unwrap();
    }
    harness.tier.offload(&harness.source).await.unwrap();
    assert_eq!(harness.objects("txnindex").await.len(), 2, "only beside segments that end one");
    let all = noted.concat();
    assert_eq!(harness.source.log.aborted(Offset(0), Offset(120)).await.unwrap(), all);

    let dir = tempfile::tempdir().unwrap();
    let topic = harness.new_tier("other").recover(crate::harness::TOPIC).await.unwrap();
    let partition = &topic.partitions[0];
    assert_eq!(partition.aborted.iter().map(|(base, _)| *base).collect::<Vec<_>>(), [Offset(30), Offset(60)]);
    let runtime = Runtime::real();
    let log = open(&runtime, dir.path(), &topic.configs, Recovery::CLEAN).await;
    log.restore(partition.log_start, partition.end, &partition.epochs).await.unwrap();
    for (base, content) in &partition.aborted {
        log.restore_aborted(*base, content.clone()).await.unwrap();
    }
    assert_eq!(log.aborted(Offset(0), Offset(120)).await.unwrap(), all);
    assert_eq!(log.aborted(Offset(10), Offset(40)).await.unwrap(), all[..1]);
    log.close(None).await.unwrap();
    let log = open(&runtime, dir.path(), &topic.configs, Recovery::CLEAN).await;
    assert_eq!(log.aborted(Offset(0), Offset(120)).await.unwrap(), all, "after a restart");
    let torn = partition.aborted[1].1.slice(..50);
    assert_eq!(log.restore_aborted(Offset(60), torn).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_topic_that_was_never_copied_is_not_found() {
    let harness = Harness::new(&[]).await;
    let error = harness.tier.recover("nothing").await.unwrap_err();
    assert_eq!(error.kind(), millstream_types::ErrorKind::NotFound);
    assert!(error.to_string().starts_with("the test's store has no manifest of topic \"nothing\""), "{error}");
}
