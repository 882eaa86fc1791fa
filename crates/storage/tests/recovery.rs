//! What a start after a kill reads and trusts: nothing below the recovery point, where that and the index files fit the records; and what lies
//! below is not served unchecked for it.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests and what they share")]

#[path = "recovery/node.rs"]
mod node;

use bytes::Bytes;
use millstream_runtime::{Disk, OpenMode, Random, SeededRandom};
use millstream_storage::{Error, Log, Pace, Recovery};
use millstream_types::{LeaderEpoch, Offset};
use node::{CHECKPOINT, FIRST, INDEX, KEPT, Node, RECORDS, TIMES, fill};
use std::path::Path;

/// Batches below the recovery point, and after it.
const SYNCED: i64 = 2000;
const AFTER: i64 = 10;
/// What may be read below the recovery point to find it: headers, and the batches since the last index entry.
const BELOW_MAX: u64 = 2048;

#[tokio::test]
async fn nothing_below_the_recovery_point_is_read_after_a_kill() {
    let mut node = Node::new();
    let point = node.fill_and_kill(SYNCED, AFTER).await;
    node.disk.watch_reads();
    let log = node.open(Recovery::KILLED).await;
    let reads: Vec<_> = node
        .disk
        .take_reads()
        .into_iter()
        .filter(|(path, _)| path == Path::new(FIRST))
        .map(|(_, range)| range)
        .collect();
    let below: u64 = reads.iter().map(|range| range.end.min(point).saturating_sub(range.start)).sum();
    assert!(point > 100 * BELOW_MAX, "{point}");
    assert!(below < BELOW_MAX, "{below} of {point} bytes: {reads:?}");
    assert!(reads.iter().any(|range| range.start <= point && range.end == node.len(FIRST)), "what follows is checked");
    assert_eq!(log.log_end(), Offset((SYNCED + AFTER) * RECORDS));
    assert!(log.has_unchecked());
}

#[tokio::test]
async fn a_power_cut_leaves_nothing_unchecked() {
    let mut node = Node::new();
    let point = node.fill_and_kill(SYNCED, AFTER).await;
    node.disk.crash(|_| 0);
    node.disk.watch_reads();
    let log = node.open(Recovery::POWER_LOST).await;
    let reads = node.disk.take_reads().into_iter().filter(|(path, _)| path == Path::new(FIRST));
    assert!(reads.map(|(_, range)| range.end - range.start).sum::<u64>() >= point);
    assert_eq!((log.log_end(), log.has_unchecked()), (Offset(SYNCED * RECORDS), false));
}

/// What readers see is what they see when every batch was checked and both indexes were made anew.
#[tokio::test]
async fn a_log_that_was_resumed_is_one_that_was_checked_whole() {
    for seed in 0..150 {
        let random = SeededRandom::new(seed);
        let below = |bound| i64::try_from(random.below(bound)).unwrap();
        let mut node = Node::with_interval(i32::try_from(random.below(900)).unwrap());
        let mut recovery = Recovery::CLEAN;
        for _ in 0..6 {
            let log = node.open(recovery).await;
            for _ in 0..1 + below(4) {
                fill(&log, 1 + below(40), LeaderEpoch(i32::try_from(below(6)).unwrap())).await;
                match below(4) {
                    0 => drop(log.truncate_to(Offset(below(60) + log.log_end().0 - 60).max(Offset(0))).await.unwrap()),
                    1 => log.flush().await.unwrap(),
                    2 => {
                        log.flush().await.unwrap();
                        log.checkpoint().await.unwrap();
                    }
                    _ => {}
                }
            }
            node.background_ends().await;
            let resumed = node.facts(Recovery::KILLED).await;
            let checked = node.facts(Recovery::POWER_LOST).await;
            assert!(resumed == checked, "seed {seed}: {resumed:?}\n{checked:?}");
            recovery = Recovery::KILLED;
        }
    }
}

#[tokio::test]
async fn a_recovery_point_where_no_batch_ends_is_not_trusted() {
    for (synced, beyond) in [(SYNCED, false), (SYNCED, true), (8, false), (8, true)] {
        // In the middle of a batch; past the log's end.
        let point = if beyond { (synced + AFTER) * RECORDS + 1000 } else { synced * RECORDS - 1 };
        let mut node = Node::new();
        node.fill_and_kill(synced, AFTER).await;
        node.replace(CHECKPOINT, format!("0\nlog-start-offset 0\nrecovery-point-offset {point}\n").into()).await;
        let log = node.open(Recovery::KILLED).await;
        assert!(!log.has_unchecked(), "{point}");
        assert_eq!(log.log_end(), Offset((synced + AFTER) * RECORDS));
        assert!(log.recovery_point() <= log.log_end());
        assert_eq!(node::served(&log).await.len() as i64, synced + AFTER);
        node.background_ends().await;
        assert!(node.disk.flip(Path::new(FIRST), 500, 1));
        let refused = node.try_open(Recovery::KILLED).await.map(|log| log.log_end());
        // The one above was taken back to the log's end, where it is true again.
        assert!(beyond || matches!(refused, Err(Error::Corrupt { .. })), "{point}: {refused:?}");
    }
}

#[tokio::test]
async fn an_index_that_does_not_fit_is_made_anew() {
    for (path, damage) in [INDEX, TIMES].into_iter().flat_map(|path| (0..5).map(move |damage| (path, damage))) {
        let mut node = Node::new();
        node.fill_and_kill(SYNCED, AFTER).await;
        let content = node.disk.read(Path::new(path)).await.unwrap();
        let end = content.len();
        match damage {
            0 => node.disk.remove_file(Path::new(path)).await.unwrap(),
            1 => node.replace(path, content.slice(..end - 3)).await,
            2 => node.replace(path, Bytes::from(vec![0; end])).await,
            3 => node.replace(path, [&content[..], &[0xff; 5]].concat().into()).await,
            _ => assert!(node.disk.flip(Path::new(path), end - 6, 1)),
        }
        let resumed = node.facts(Recovery::KILLED).await;
        assert!(resumed == node.facts(Recovery::POWER_LOST).await, "{path} {damage}");
    }
}

#[tokio::test]
async fn without_epochs_of_what_is_below_all_is_checked() {
    let mut node = Node::new();
    node.fill_and_kill(SYNCED, AFTER).await;
    node.disk.remove_file(Path::new("data/t-0/leader-epoch-checkpoint")).await.unwrap();
    let log = node.open(Recovery::KILLED).await;
    assert!(!log.has_unchecked());
    assert_eq!(log.epochs().at(Offset(0)), Some(LeaderEpoch(0)));
}

#[tokio::test]
async fn damage_below_the_recovery_point_is_not_served() {
    for byte in [8, 30, 70, 120] {
        for scrubs in [false, true] {
            let mut node = Node::new();
            node.fill_and_kill(SYNCED, AFTER).await;
            let (batch, size) = (700, node.batch_size());
            assert!(node.disk.flip(Path::new(FIRST), batch * size + byte, 4));
            let log = node.open(Recovery::KILLED).await;
            if scrubs {
                let pace = Pace::new(&node.runtime, node.runtime.tasks.shutdown(), f64::MAX);
                let scrubbed = log.scrub_unchecked(&pace).await.unwrap().unwrap();
                assert_eq!(scrubbed.damages[0].bytes.start, (batch * size) as u64, "byte {byte}");
                assert!(!log.has_unchecked());
            }
            let served = node::served(&log).await;
            let expected: Vec<i64> = (0..(SYNCED + AFTER)).map(|number| number * RECORDS).collect();
            let before = &expected[..batch];
            assert_eq!(&served[..batch], before, "byte {byte}");
            assert!(!served.contains(&expected[batch]), "byte {byte}");
            assert!(served.ends_with(&expected[expected.len() - usize::try_from(AFTER).unwrap()..]), "byte {byte}");
            if byte > 16 {
                assert_eq!(served.len(), expected.len() - 1, "what lies around it is served");
            }
        }
    }
}

#[tokio::test]
async fn what_was_kept_of_the_producers_is_of_the_log_as_it_is() {
    let mut node = Node::new();
    let log = node.open(Recovery::CLEAN).await;
    fill(&log, 5, LeaderEpoch(0)).await;
    log.keep_producers(Offset(99), Bytes::from_static(b"of another log")).await.unwrap();
    assert!(node.file(KEPT).is_none(), "nothing is kept of what there is not");
    log.keep_producers(log.log_end(), Bytes::from_static(b"five")).await.unwrap();
    fill(&log, 5, LeaderEpoch(0)).await;
    node.background_ends().await;
    let log = node.open(Recovery::KILLED).await;
    assert_eq!(log.kept_producers(), Some((Offset(5 * RECORDS), Bytes::from_static(b"five"))));
    assert_eq!(log.kept_producers(), None, "it is given out once");
    log.truncate_to(Offset(3 * RECORDS)).await.unwrap();
    fill(&log, 9, LeaderEpoch(1)).await;
    node.background_ends().await;
    assert_eq!(node.open(Recovery::KILLED).await.kept_producers(), None, "it was of records that are gone");
}

#[tokio::test]
async fn what_was_kept_of_records_that_a_power_cut_took_is_gone_for_good() {
    let node = Node::new();
    let log = node.open(Recovery::CLEAN).await;
    fill(&log, 5, LeaderEpoch(0)).await;
    log.flush().await.unwrap();
    log.checkpoint().await.unwrap();
    fill(&log, 5, LeaderEpoch(0)).await;
    log.keep_producers(log.log_end(), Bytes::from_static(b"ten")).await.unwrap();
    node.disk.crash(|_| 0);
    let log = node.open(Recovery::POWER_LOST).await;
    assert_eq!((log.log_end(), log.kept_producers()), (Offset(5 * RECORDS), None));
    fill(&log, 9, LeaderEpoch(1)).await;
    log.flush().await.unwrap();
    node.disk.crash(|_| 0);
    let log = node.open(Recovery::POWER_LOST).await;
    assert_eq!((log.log_end(), log.kept_producers()), (Offset(14 * RECORDS), None));
}

#[tokio::test]
async fn what_was_kept_with_many_logs_is_there_after_a_power_cut() {
    let node = Node::new();
    let log = node.open(Recovery::CLEAN).await;
    fill(&log, 5, LeaderEpoch(0)).await;
    let logs = [log];
    Log::flush_all(&logs).await.into_iter().for_each(|outcome| outcome.unwrap());
    let kept = (Offset(5 * RECORDS), Bytes::from_static(b"five"));
    Log::checkpoint_all(&logs, vec![Some(kept.clone())]).await.into_iter().for_each(|outcome| outcome.unwrap());
    node.disk.crash(|_| 0);
    assert_eq!(node.open(Recovery::POWER_LOST).await.kept_producers(), Some(kept));
    let file = node.disk.open(Path::new(KEPT), OpenMode::Append).await.unwrap();
    file.append(&[Bytes::from_static(b"x")]).await.unwrap();
    assert_eq!(node.open(Recovery::KILLED).await.kept_producers(), None, "it is damaged");
}

/// Thousands of partitions fit under the limit of open files that a process is given by default.
#[tokio::test]
async fn a_log_takes_one_open_file() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let links =
            std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
        let mut files: Vec<_> = links.filter(|path| path.starts_with(folder.path())).collect();
        files.sort();
        files
    };
    let runtime = millstream_runtime::Runtime::real();
    for recovery in [Recovery::CLEAN, Recovery::KILLED] {
        let log = Log::open(runtime.clone(), node::id(folder.path()), Default::default(), recovery).await.unwrap();
        fill(&log, 300, LeaderEpoch(0)).await;
        log.flush().await.unwrap();
        log.checkpoint().await.unwrap();
        assert_eq!(open(), [folder.path().join("t-0/00000000000000000000.log")]);
    }
    assert_eq!(open(), [] as [std::path::PathBuf; 0], "dropped, it takes none");
}
