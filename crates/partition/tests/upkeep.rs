//! What is done to partitions now and then: compaction as it is known across restarts, and logs whose disk failed and that come back.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests and what they share")]
#![expect(dead_code, reason = "the node is shared with other tests")]

#[path = "partitions/node.rs"]
mod node;

use millstream_metadata::Record;
use millstream_partition::Error;
use millstream_record::{Batch, BatchBuilder, Codec, Limits};
use millstream_runtime::{Fault, SimDisk};
use millstream_types::{
    ErrorKind, LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs, TopicId, TopicPartition,
};
use node::{Node, TOPIC, add_topic, batch, content, image, pairs, read_all, sequenced, set, values};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const COMPACTED: [(&str, &str); 3] =
    [("cleanup.policy", "compact"), ("segment.bytes", "300"), ("min.cleanable.dirty.ratio", "0.01")];

fn keyed(sequence: i32, key: &str, value: &str) -> Batch {
    let mut builder = BatchBuilder::new(Codec::None).producer(ProducerId(5), ProducerEpoch(0), sequence);
    builder.push(TimestampMs(1_000), Some(key.as_bytes()), Some(value.as_bytes()), []);
    builder.build(Offset(0), LeaderEpoch(0)).unwrap()
}

async fn keys_of(node: &Node) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    for batch in read_all(&node.t0(), 0).await {
        let each = batch.each(&Limits::default(), |record| {
            found.push((record.offset.0, String::from_utf8(record.value.unwrap().to_vec()).unwrap()));
        });
        each.unwrap();
    }
    found
}

/// Twelve records of three keys; how many fit into a segment does not matter.
async fn fill(node: &Node) {
    for number in 0..12 {
        node.append(keyed(number, &format!("key {}", number % 3), &format!("value {number}"))).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_latest_record_of_each_key_is_kept_and_known_to_be_across_restarts() {
    let disk = Arc::new(SimDisk::new());
    let node = Node::start(&disk, image(&COMPACTED)).await;
    fill(&node).await;
    assert_eq!(keys_of(&node).await.len(), 12);
    node.partitions.clean_now().await;
    let left = keys_of(&node).await;
    let last: Vec<(i64, String)> = (9..12).map(|number| (number, format!("value {number}"))).collect();
    assert!(left.len() < 8 && left.ends_with(&last), "{left:?}");
    let stored = content(&node.runtime, "data/cleaner-offset-checkpoint").await;
    let stored = String::from_utf8(stored.to_vec()).unwrap();
    let cleaned_to = node.t0().log().cleaned_to().unwrap();
    assert!(cleaned_to > Offset(0));
    assert_eq!(stored, format!("0\n1\nt 0 {cleaned_to}\n"));
    node.kill().await;

    let node = Node::start(&disk, image(&COMPACTED)).await;
    assert_eq!(node.t0().log().cleaned_to(), Some(cleaned_to));
    assert_eq!(keys_of(&node).await, left);
    assert_eq!(
        node.append(keyed(12, "key 0", "more")).await.unwrap().base_offset,
        Offset(12),
        "its sequences are known"
    );
    assert!(node.append(keyed(11, "key 2", "value 11")).await.unwrap().duplicate);
    node.stop().await;
    let node = Node::start(&disk, image(&COMPACTED)).await;
    assert_eq!(keys_of(&node).await.len(), left.len() + 1);
}

#[tokio::test(start_paused = true)]
async fn compaction_comes_by_itself_and_leaves_other_topics_alone() {
    let node = Node::start(&Arc::new(SimDisk::new()), image(&COMPACTED)).await;
    fill(&node).await;
    node.runtime.clock.sleep(Duration::from_secs(16)).await;
    assert!(keys_of(&node).await.len() < 8);
    let plain = Node::start(&Arc::new(SimDisk::new()), image(&COMPACTED[1..])).await;
    fill(&plain).await;
    plain.runtime.clock.sleep(Duration::from_secs(60)).await;
    assert_eq!(keys_of(&plain).await.len(), 12);
    plain.decide(&[set(TOPIC, "cleanup.policy", "compact,delete")]).await;
    plain.runtime.clock.sleep(Duration::from_secs(16)).await;
    assert!(keys_of(&plain).await.len() < 8, "it begins when the topic asks for it");
}

#[tokio::test(start_paused = true)]
async fn a_damaged_log_is_not_compacted_and_others_are() {
    let disk = Arc::new(SimDisk::new());
    let mut image = image(&COMPACTED);
    let other = TopicId(Uuid::from_u128(0x7002));
    add_topic(&mut image, other, "other", &COMPACTED);
    let node = Node::start(&disk, image).await;
    fill(&node).await;
    let handle = node.partitions.get(TopicPartition::new(other, millstream_types::PartitionIndex(0))).unwrap();
    let options = || millstream_partition::AppendOptions::new(millstream_partition::Origin::Client);
    for number in 0..12 {
        handle.append(vec![keyed(number, "one", "value")], options()).await.unwrap();
    }
    assert!(disk.flip(std::path::Path::new("data/t-0/00000000000000000000.log"), 70, 1));
    let logs = || {
        let mut files = disk.files();
        files.retain(|(path, _)| path.starts_with("data/t-0") && path.to_str().unwrap().contains(".log"));
        files
    };
    let before = logs();
    node.partitions.clean_now().await;
    assert_eq!(logs(), before, "nothing of it is touched, and nothing is left over");
    assert!(node.t0().log().cleaned_to().is_none() && handle.log().cleaned_to().is_some());
    assert!(node.append(keyed(12, "key 0", "goes on")).await.is_ok());
}

/// A sync that fails: nobody knows then what the disk holds.
async fn fail_a_sync(node: &Node, disk: &SimDisk, fault: Fault) {
    disk.set_fault(Some(fault));
    node.partitions.flush_now().await;
    assert!(node.t0().log().failure().is_some(), "{fault:?}");
}

#[tokio::test(start_paused = true)]
async fn a_log_whose_disk_failed_comes_back_by_itself() {
    for fault in [Fault::WriteError, Fault::Full] {
        let disk = Arc::new(SimDisk::new());
        let node = Node::start(&disk, image(&[])).await;
        for number in 0..3 {
            node.append(sequenced(7, 0, number, &["a"])).await.unwrap();
        }
        let before = node.t0();
        fail_a_sync(&node, &disk, fault).await;
        let error = node.append(sequenced(7, 0, 3, &["b"])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("opened again by itself"), "{error}");
        node.runtime.clock.sleep(Duration::from_secs(30)).await;
        assert!(before.is_same(&node.t0()), "not while the disk takes nothing");
        assert_eq!(values(&node.t0(), 0).await.len(), 3, "it is read all the while");
        disk.set_fault(None);
        node.runtime.clock.sleep(Duration::from_secs(4)).await;
        assert!(node.t0().log().failure().is_none() && !before.is_same(&node.t0()), "{fault:?}");
        assert_eq!(node.t0().log().unflushed_records(), 0, "what was not synced was written once more");
        let again = node.append(sequenced(7, 0, 3, &["b"])).await.unwrap();
        assert_eq!(again.next_offset, Offset(4), "a producer goes on with its next sequence");
        assert!(node.append(sequenced(7, 0, 3, &["b"])).await.unwrap().duplicate);
        assert_eq!(values(&node.t0(), 0).await, pairs(&["a", "a", "a", "b"]));
        let refused = before.delete_records(Offset(1)).await.unwrap_err();
        assert!(matches!(refused, Error::Closed { .. }), "who has the old one is sent to look again: {refused}");
        node.stop().await;
        let node = Node::start(&disk, image(&[])).await;
        assert_eq!(values(&node.t0(), 0).await, pairs(&["a", "a", "a", "b"]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_sync_takes_one_log_offline_and_no_other() {
    let disk = Arc::new(SimDisk::new());
    let mut image = image(&[]);
    let other = TopicId(Uuid::from_u128(0x7002));
    add_topic(&mut image, other, "other", &[]);
    let node = Node::start(&disk, image).await;
    node.append(batch(&["a"])).await.unwrap();
    fail_a_sync(&node, &disk, Fault::WriteError).await;
    disk.set_fault(None);
    let handle = node.partitions.get(TopicPartition::new(other, millstream_types::PartitionIndex(0))).unwrap();
    let options = millstream_partition::AppendOptions::new(millstream_partition::Origin::Client);
    handle.append(vec![batch(&["c"])], options).await.unwrap();
    assert_eq!(node.partitions.revive_now().await, 1);
    assert!(handle.is_same(&node.partitions.get(handle.id()).unwrap()), "the other log was not touched");
    assert_eq!(node.append(batch(&["d"])).await.unwrap().base_offset, Offset(1));
    node.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_deleted_while_its_log_is_offline_stays_deleted() {
    let disk = Arc::new(SimDisk::new());
    let node = Node::start(&disk, image(&[])).await;
    node.append(batch(&["a"])).await.unwrap();
    fail_a_sync(&node, &disk, Fault::WriteError).await;
    node.decide(&[Record::RemoveTopic { topic: TOPIC }]).await;
    disk.set_fault(None);
    assert_eq!(node.partitions.revive_now().await, 0);
    assert!(node.partitions.get(node::T0).is_err());
}

#[tokio::test(start_paused = true)]
async fn records_are_synced_when_flush_ms_has_passed() {
    let node = Node::start(&Arc::new(SimDisk::new()), image(&[("flush.ms", "100")])).await;
    node.runtime.clock.sleep(Duration::from_secs(1)).await;
    node.append(batch(&["a"])).await.unwrap();
    assert_eq!(node.t0().log().unflushed_records(), 1);
    node.runtime.clock.sleep(Duration::from_millis(250)).await;
    assert_eq!(node.t0().log().unflushed_records(), 0);
}

fn stored_in(node: &Node) -> Option<Codec> {
    node.t0().door_rules().stored.map(|stored| stored.codec)
}

#[tokio::test(start_paused = true)]
async fn the_door_asks_what_the_topic_asks() {
    let node = Node::start(&Arc::new(SimDisk::new()), image(&[("compression.type", "uncompressed")])).await;
    assert_eq!(stored_in(&node), Some(Codec::None));
    assert!(!node.t0().door_rules().walk_compressed);
    for (name, codec) in [("producer", None), ("zstd", Some(Codec::Zstd)), ("gzip", Some(Codec::Gzip))] {
        node.decide(&[set(TOPIC, "compression.type", name)]).await;
        assert_eq!(stored_in(&node), codec, "{name}");
    }
    node.decide(&[set(TOPIC, "message.timestamp.before.max.ms", "1000")]).await;
    let rules = node.t0().door_rules();
    let now = node.runtime.clock.now().0;
    assert!(rules.walk_compressed, "a record's own time is in its compressed batch");
    assert_eq!(rules.timestamps, Some(now - 1000..=now + 3_600_000));
}
