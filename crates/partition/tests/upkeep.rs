//! What is done to partitions now and then: compaction, as it is known across restarts.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests and what they share")]
#![expect(dead_code, reason = "the node is shared with other tests")]

#[path = "partitions/node.rs"]
mod node;

use millstream_record::{Batch, BatchBuilder, Codec, Limits};
use millstream_runtime::SimDisk;
use millstream_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs, TopicId, TopicPartition};
use node::{Node, TOPIC, add_topic, content, image, read_all, set};
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
