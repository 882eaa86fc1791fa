//! Transactions in a partition: who may begin one, how far readers of committed records see, and what a crash leaves.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests and what they share")]
#![expect(dead_code, reason = "the node is shared with other tests")]

#[path = "partitions/node.rs"]
mod node;

use millstream_partition::{AppendOptions, Error, Isolation, Origin, ReadRequest, TimeQuery};
use millstream_record::{Batch, BatchBuilder, Codec};
use millstream_runtime::SimDisk;
use millstream_txn::{Error as TxnError, Guard, Marker, Outcome, Unverified, Version};
use millstream_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};
use node::{Node, batch, image};
use std::sync::Arc;
use std::time::Duration;

fn part(producer: i64, epoch: i16, sequence: i32, value: &str) -> Batch {
    let mut builder =
        BatchBuilder::new(Codec::None).producer(ProducerId(producer), ProducerEpoch(epoch), sequence).transactional();
    builder.push(TimestampMs(1_000), None, Some(value.as_bytes()), []);
    builder.build(Offset(0), LeaderEpoch(0)).unwrap()
}

fn unverified(producer: i64, epoch: i16, first_sequence: i32) -> Unverified {
    let (producer, epoch) = (ProducerId(producer), ProducerEpoch(epoch));
    Unverified { producer, epoch, first_sequence, bumps: true }
}

fn marker(producer: i64, epoch: i16, outcome: Outcome) -> Marker {
    let (producer, epoch) = (ProducerId(producer), ProducerEpoch(epoch));
    Marker { producer, epoch, coordinator_epoch: 0, outcome }
}

impl Node {
    async fn append_with(&self, batch: Batch, guard: Option<Guard>) -> Result<i64, Error> {
        let options = AppendOptions { guard, ..AppendOptions::new(Origin::Client) };
        Ok(self.t0().append(vec![batch], options).await?.base_offset.0)
    }

    /// A record of a transaction whose coordinator said yes.
    async fn write(&self, producer: i64, epoch: i16, sequence: i32) -> i64 {
        let guard = self.t0().verify(&unverified(producer, epoch, sequence));
        self.append_with(part(producer, epoch, sequence, &format!("{producer}/{epoch}")), guard).await.unwrap()
    }

    async fn end(&self, producer: i64, epoch: i16, outcome: Outcome) -> i64 {
        let ended = self.t0().end_transaction(&marker(producer, epoch, outcome), Version::Bumping).await;
        ended.unwrap().base_offset.0
    }

    fn stable(&self) -> i64 {
        self.t0().bounds().last_stable.0
    }

    /// The values that a reader of committed records takes, reading batch by batch.
    async fn committed(&self) -> Vec<String> {
        let (handle, mut from, mut found) = (self.t0(), Offset(0), Vec::new());
        loop {
            let (batches, _) = handle.read_committed(from, 1).await.unwrap();
            let Some(last) = batches.last() else { return found };
            from = last.next_offset();
            for batch in batches.iter().filter(|batch| !batch.is_control()) {
                batch.check_crc().unwrap();
                let columns = batch.records(&millstream_record::Limits::default()).unwrap();
                let values = (0..columns.len()).map(|at| columns.values.get(at).unwrap().to_vec());
                found.extend(values.map(|value| String::from_utf8(value).unwrap()));
            }
        }
    }

    async fn aborted(&self, from: i64) -> Vec<(i64, i64)> {
        let request = ReadRequest::new(Offset(from), 1 << 20);
        let read = self.t0().read(request).await.unwrap();
        read.aborted.iter().map(|txn| (txn.producer.0, txn.first_offset.0)).collect()
    }
}

#[tokio::test]
async fn only_who_was_verified_begins_a_transaction() {
    let node = Node::start(&Arc::new(SimDisk::new()), image(&[])).await;
    let refused = node.append_with(part(1, 0, 0, "x"), None).await.unwrap_err();
    assert!(matches!(refused, Error::Producer { source: TxnError::NotInTransaction { .. }, .. }), "{refused}");
    let guard = node.t0().verify(&unverified(1, 0, 0));
    node.end(1, 1, Outcome::Abort).await;
    let late = node.append_with(part(1, 0, 0, "x"), guard).await;
    assert!(late.is_err(), "the transaction ended before the batch came");
    let guard = node.t0().verify(&unverified(1, 1, 0));
    node.append_with(part(1, 1, 0, "x"), guard).await.unwrap();
    assert_eq!(node.t0().verify(&unverified(1, 1, 1)), None, "it is open");
    node.append_with(part(1, 1, 1, "y"), None).await.unwrap();
}

#[tokio::test]
async fn readers_of_committed_records_stop_before_what_is_open_and_skip_what_was_aborted() {
    let node = Node::start(&Arc::new(SimDisk::new()), image(&[])).await;
    node.append(batch(&["plain"])).await.unwrap();
    node.write(1, 0, 0).await;
    node.write(2, 0, 0).await;
    assert_eq!((node.stable(), node.t0().bounds().high_watermark.0), (1, 3));
    assert_eq!(node.committed().await, ["plain"]);
    node.end(1, 1, Outcome::Abort).await;
    assert_eq!(node.stable(), 2, "the other is still open");
    node.write(1, 1, 0).await;
    node.end(2, 1, Outcome::Commit).await;
    assert_eq!(node.stable(), 4);
    node.end(1, 2, Outcome::Commit).await;
    assert_eq!(node.stable(), 7);
    assert_eq!(node.committed().await, ["plain", "2/0", "1/1"]);
    assert_eq!(node.aborted(0).await, [(1, 1)]);
    assert_eq!(node.aborted(4).await, []);
    let uncommitted = ReadRequest { isolation: Isolation::ReadUncommitted, ..ReadRequest::new(Offset(0), 1 << 20) };
    assert!(node.t0().read(uncommitted).await.unwrap().aborted.is_empty());
    let latest = TimeQuery::Latest(Isolation::ReadCommitted);
    assert_eq!(node.t0().offset_for_time(latest, LeaderEpoch::NONE).await.unwrap().unwrap().offset, Offset(7));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_committed_records_wakes_when_the_transaction_ends() {
    let node = Node::start(&Arc::new(SimDisk::new()), image(&[])).await;
    let handle = node.t0();
    node.write(1, 0, 0).await;
    let early = tokio::time::timeout(Duration::from_secs(5), handle.readable(Offset(0))).await;
    assert!(early.is_err(), "it is written, and not committed");
    let (woken, _) = tokio::join!(handle.readable(Offset(0)), node.end(1, 1, Outcome::Commit));
    woken.unwrap();
}

#[tokio::test]
async fn open_and_aborted_transactions_survive_kill_and_restart() {
    let disk = Arc::new(SimDisk::new());
    let mut node = Node::start(&disk, image(&[("segment.bytes", "1048576")])).await;
    let mut expected = Vec::new();
    for round in 0..6i16 {
        node.write(1, round, 0).await;
        node.write(2, round, 0).await;
        node.end(1, round + 1, Outcome::Abort).await;
        node.end(2, round + 1, Outcome::Commit).await;
        expected.push(format!("2/{round}"));
        node.write(3, round, 0).await;
        match round % 3 {
            0 => node.t0().roll().await.unwrap(),
            1 => {
                node.kill().await;
                node = Node::start(&disk, image(&[("segment.bytes", "1048576")])).await;
            }
            _ => {
                node.stop().await;
                node = Node::start(&disk, image(&[("segment.bytes", "1048576")])).await;
            }
        }
        let open = i64::from(round) * 6 + 4;
        assert_eq!(node.stable(), open, "the transaction that is open is still open");
        let late = node.append_with(part(1, round, 1, "late"), None).await;
        assert!(late.is_err(), "and those that ended are still over");
        assert_eq!(node.committed().await, expected);
        assert_eq!(node.aborted(0).await.first(), Some(&(1, 0)));
        node.end(3, round + 1, Outcome::Commit).await;
        expected.push(format!("3/{round}"));
    }
    assert_eq!(node.committed().await, expected);
}

#[tokio::test]
async fn what_a_power_cut_leaves_of_aborts_is_what_it_leaves_of_the_log() {
    for seed in 0..40u64 {
        let disk = Arc::new(SimDisk::new());
        let node = Node::start(&disk, image(&[])).await;
        let mut drawn = seed;
        let mut draw = |bound: u64| {
            drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (drawn >> 33) % bound.max(1)
        };
        for round in 0..12i16 {
            node.write(1, round, 0).await;
            let outcome = if draw(2) == 0 { Outcome::Abort } else { Outcome::Commit };
            node.end(1, round + 1, outcome).await;
            match draw(4) {
                0 => node.t0().roll().await.unwrap(),
                1 => node.partitions.flush_now().await,
                _ => {}
            }
        }
        let before = node.committed().await;
        let cut = Arc::new(disk.after_power_cut(&mut draw));
        node.kill().await;
        let node = Node::after_power_cut(&cut, image(&[])).await;
        let after = node.committed().await;
        assert_eq!(after, before[..after.len()], "seed {seed}: nothing aborted is seen, nothing committed is skipped");
    }
}

#[tokio::test]
async fn a_marker_of_an_old_coordinator_is_refused() {
    let node = Node::start(&Arc::new(SimDisk::new()), image(&[])).await;
    node.write(1, 0, 0).await;
    let newer = Marker { coordinator_epoch: 3, ..marker(1, 1, Outcome::Commit) };
    node.t0().end_transaction(&newer, Version::Bumping).await.unwrap();
    let zombie = node.t0().end_transaction(&marker(1, 2, Outcome::Abort), Version::Bumping).await.unwrap_err();
    assert!(matches!(zombie, Error::Producer { source: TxnError::CoordinatorFenced { .. }, .. }), "{zombie}");
    let producer = &node.t0().active_producers()[0];
    assert_eq!((producer.epoch, producer.coordinator_epoch), (ProducerEpoch(1), 3));
    assert_eq!(producer.current_txn_first_offset, Offset::NONE);
}
