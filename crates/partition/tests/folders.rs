//! Several data folders: where partitions go, and what becomes of them when one of the folders fails, is taken away, or comes back.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests and what they share")]
#![expect(dead_code, reason = "the node is shared with other tests")]

#[path = "partitions/node.rs"]
mod node;
#[path = "folders/simulation.rs"]
mod simulation;

use bytes::Bytes;
use millstream_metadata::{Image, Record};
use millstream_partition::{AppendOptions, Appended, Error, FolderStatus, Layout, Origin, PartitionHandle};
use millstream_runtime::{Disk, Fault, OpenMode, Runtime, SimDisk};
use millstream_types::{
    BrokerId, ClusterId, DirectoryId, ErrorKind, FolderIdentity, Offset, PartitionIndex, TopicId, TopicPartition,
};
use node::{Node, add_topic, batch, image, values};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

const FOLDERS: [&str; 3] = ["data", "disk2", "disk3"];

fn layout(folders: &[&str]) -> Layout {
    let identity = FolderIdentity {
        cluster_id: ClusterId(Uuid::from_u128(0xc)),
        node_id: BrokerId(1),
        directory: DirectoryId(Uuid::from_u128(0xd)),
    };
    Layout { first: folders[0].into(), others: folders[1..].iter().map(Into::into).collect(), identity }
}

fn topic(number: u128) -> TopicId {
    TopicId(Uuid::from_u128(0x8000 + number))
}

/// An image of the topics t0, t1, ...
fn topics(count: u128) -> Image {
    let mut image = image(&[]);
    image.replay(&Record::RemoveTopic { topic: node::TOPIC }).unwrap();
    (0..count).for_each(|number| add_topic(&mut image, topic(number), &format!("t{number}"), &[]));
    image
}

async fn start(disk: &Arc<SimDisk>, folders: &[&str], image: Image) -> Node {
    try_start(disk, folders, image).await.unwrap()
}

async fn try_start(disk: &Arc<SimDisk>, folders: &[&str], image: Image) -> Result<Node, Error> {
    // Another one each time: folders that are made later get other ids.
    let seed = disk.files().len() as u64;
    Node::laid_out(("boot", Runtime::simulated(seed, disk.clone())), &layout(folders), image, None).await
}

impl Node {
    fn of(&self, number: u128) -> Result<PartitionHandle, Error> {
        self.partitions.get(TopicPartition::new(topic(number), PartitionIndex(0)))
    }

    async fn write(&self, number: u128, value: &str) -> Result<Appended, Error> {
        self.of(number)?.append(vec![batch(&[value])], AppendOptions::new(Origin::Client)).await
    }

    async fn read(&self, number: u128) -> Vec<String> {
        values(&self.of(number).unwrap(), 0).await.into_iter().map(|(_, value)| value).collect()
    }

    fn folder_of(&self, number: u128) -> String {
        self.of(number).unwrap().data_folder().display().to_string()
    }

    /// The folders that can't be used.
    fn failed(&self) -> Vec<String> {
        let failed = self.partitions.folders().into_iter().filter(|folder| folder.failure.is_some());
        failed.map(|FolderStatus { path, .. }| path.display().to_string()).collect()
    }

    /// The topics by the folder that they are in.
    fn by_folder(&self, count: u128) -> BTreeMap<String, Vec<u128>> {
        let mut found: BTreeMap<String, Vec<u128>> = BTreeMap::new();
        (0..count).for_each(|number| found.entry(self.folder_of(number)).or_default().push(number));
        found
    }
}

async fn put(disk: &SimDisk, path: &Path, content: Bytes) {
    disk.open(path, OpenMode::Append).await.unwrap().append(&[content]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn new_partitions_go_where_the_fewest_are_and_are_found_there_again() {
    let disk = Arc::new(SimDisk::new());
    let node = start(&disk, &FOLDERS, topics(6)).await;
    let placed = node.by_folder(6);
    assert_eq!(placed.values().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2], "{placed:?}");
    for number in 0..6 {
        node.write(number, "a").await.unwrap();
    }
    node.stop().await;
    for folder in FOLDERS {
        assert!(disk.exists(&Path::new(folder).join(".kafka_cleanshutdown")).await.unwrap(), "{folder}");
        assert!(disk.exists(&Path::new(folder).join("replication-offset-checkpoint")).await.unwrap(), "{folder}");
    }
    let mut ids = Vec::new();
    for folder in &FOLDERS[1..] {
        let meta = disk.read(&Path::new(folder).join("meta.properties")).await.unwrap();
        let found = FolderIdentity::parse(&meta).unwrap();
        assert_eq!((found.cluster_id, found.node_id), (ClusterId(Uuid::from_u128(0xc)), BrokerId(1)));
        ids.push(found.directory);
    }
    assert_ne!(ids[0], ids[1]);
    let node = start(&disk, &FOLDERS, topics(7)).await;
    for (folder, numbers) in &placed {
        for number in numbers {
            assert_eq!((&node.folder_of(*number), node.read(*number).await), (folder, vec!["a".to_owned()]));
        }
    }
    assert_eq!(node.folder_of(6), "data", "the first of those with the fewest");
    node.kill().await;
}

#[tokio::test(start_paused = true)]
async fn one_folder_needs_no_record_of_others() {
    let disk = Arc::new(SimDisk::new());
    let node = start(&disk, &FOLDERS[..1], topics(2)).await;
    node.write(0, "a").await.unwrap();
    node.stop().await;
    let names: Vec<String> =
        disk.read_dir(Path::new("data")).await.unwrap().into_iter().map(|(name, _)| name).collect();
    assert!(!names.iter().any(|name| name == "millstream.folders"), "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_fails_takes_its_own_partitions_offline_and_comes_back() {
    let disk = Arc::new(SimDisk::new());
    let node = start(&disk, &FOLDERS, topics(6)).await;
    for number in 0..6 {
        node.write(number, "a").await.unwrap();
    }
    disk.set_fault_in(Path::new("disk2"), Some(Fault::WriteError));
    node.partitions.flush_now().await;
    assert_eq!(node.partitions.revive_now().await, 0);
    assert_eq!(node.failed(), ["disk2"]);
    for (folder, numbers) in node.by_folder(6) {
        for number in numbers {
            let written = node.write(number, "b").await;
            assert_eq!(written.is_err(), folder == "disk2", "{number} in {folder}: {written:?}");
            if let Err(error) = written {
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                assert!(error.to_string().contains("the data folder disk2 is offline"), "{error}");
                assert_eq!(node.read(number).await, ["a"], "what can be read is");
            }
        }
    }
    node.decide(&new_topic(6)).await;
    assert_ne!(node.folder_of(6), "disk2", "nothing is begun where nothing can be written");
    node.write(6, "a").await.unwrap();
    disk.set_fault_in(Path::new("disk2"), None);
    assert_eq!(node.partitions.revive_now().await, 2);
    assert_eq!(node.failed(), [""; 0]);
    for (folder, numbers) in node.by_folder(6) {
        for number in numbers {
            node.write(number, "c").await.unwrap();
            let expected: &[&str] = if folder == "disk2" { &["a", "c"] } else { &["a", "b", "c"] };
            assert_eq!(node.read(number).await, expected);
        }
    }
    node.stop().await;
}

/// The records that make a topic.
fn new_topic(number: u128) -> Vec<Record> {
    use millstream_metadata::{PartitionRecord, TopicRecord};
    let partition = PartitionRecord {
        topic: topic(number),
        partition: PartitionIndex(0),
        leader: node::ME,
        leader_epoch: millstream_types::LeaderEpoch(0),
        partition_epoch: 0,
        replicas: vec![node::ME],
        isr: vec![node::ME],
    };
    vec![Record::Topic(TopicRecord { id: topic(number), name: format!("t{number}") }), Record::Partition(partition)]
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_taken_away_is_missed_and_not_written_into_the_void() {
    let disk = Arc::new(SimDisk::new());
    let node = start(&disk, &FOLDERS, topics(3)).await;
    for number in 0..3 {
        node.write(number, "a").await.unwrap();
    }
    node.partitions.flush_now().await;
    let gone = node.by_folder(3)["disk3"][0];
    disk.set_fault_in(Path::new("disk3"), Some(Fault::Missing));
    node.runtime.clock.sleep(std::time::Duration::from_secs(4)).await;
    assert_eq!(node.failed(), ["disk3"], "it is missed though nobody wrote");
    assert!(node.write(gone, "lost").await.is_err());
    node.kill().await;

    let node = start(&disk, &FOLDERS, topics(4)).await;
    let error = node.of(gone).err().unwrap();
    assert!(matches!(&error, Error::FolderOffline { path, .. } if path == Path::new("disk3")), "{error}");
    assert!(error.to_string().contains("without a restart"), "{error}");
    assert_ne!(node.folder_of(3), "disk3");
    node.write(3, "b").await.unwrap();
    node.runtime.clock.sleep(std::time::Duration::from_secs(4)).await;
    assert!(node.of(gone).is_err(), "it is not begun anew elsewhere");
    disk.set_fault_in(Path::new("disk3"), None);
    node.runtime.clock.sleep(std::time::Duration::from_secs(4)).await;
    assert_eq!((node.folder_of(gone).as_str(), node.read(gone).await), ("disk3", vec!["a".to_owned()]));
    node.write(gone, "b").await.unwrap();
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_a_node_is_started_without_is_named_until_it_is_there_again() {
    let disk = Arc::new(SimDisk::new());
    let node = start(&disk, &FOLDERS, topics(3)).await;
    for number in 0..3 {
        node.write(number, "a").await.unwrap();
    }
    let left_out = node.by_folder(3)["disk2"][0];
    node.stop().await;
    let node = start(&disk, &["data", "disk3", "disk4"], topics(3)).await;
    let error = node.of(left_out).err().unwrap();
    assert!(matches!(&error, Error::FolderGone { path, .. } if path == Path::new("disk2")), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("log.dirs") && error.to_string().contains("data/millstream.folders"), "{error}");
    node.decide(&new_topic(3)).await;
    assert_eq!(node.folder_of(3), "disk4", "a folder that was added takes part");
    node.stop().await;
    let node = start(&disk, &["data", "disk2", "disk3", "disk4"], topics(4)).await;
    assert_eq!(node.read(left_out).await, ["a"]);
    node.stop().await;
    // Its disk is mounted elsewhere now: the folder is known by its id.
    disk.rename(Path::new("disk2"), Path::new("moved")).await.unwrap();
    let node = start(&disk, &["data", "disk3", "disk4", "moved"], topics(4)).await;
    assert_eq!((node.folder_of(left_out).as_str(), node.read(left_out).await), ("moved", vec!["a".to_owned()]));
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_folder_where_one_was_is_no_new_folder_while_its_topics_are_there() {
    let disk = Arc::new(SimDisk::new());
    let node = start(&disk, &FOLDERS[..2], topics(2)).await;
    let lost = node.by_folder(2)["disk2"][0];
    node.stop().await;
    disk.rename(Path::new("disk2"), Path::new("elsewhere")).await.unwrap();
    disk.create_dir_all(Path::new("disk2")).await.unwrap();
    let node = start(&disk, &FOLDERS[..2], topics(2)).await;
    let error = node.of(lost).err().unwrap().to_string();
    assert!(error.contains("mount its disk"), "{error}");
    node.decide(&[Record::RemoveTopic { topic: topic(lost) }]).await;
    node.partitions.revive_now().await;
    assert_eq!(node.failed(), [""; 0], "nobody misses what was in it");
    node.decide(&new_topic(5)).await;
    assert_eq!(node.folder_of(5), "disk2");
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_partition_in_two_folders_is_served_from_neither_and_both_are_named() {
    let disk = Arc::new(SimDisk::new());
    let node = start(&disk, &FOLDERS, topics(3)).await;
    let twice = node.by_folder(3)["disk2"][0];
    node.write(twice, "a").await.unwrap();
    node.stop().await;
    let name = format!("t{twice}-0");
    disk.create_dir_all(&Path::new("disk3").join(&name)).await.unwrap();
    let claim = disk.read(&Path::new("disk2").join(&name).join("partition.metadata")).await.unwrap();
    put(&disk, &Path::new("disk3").join(&name).join("partition.metadata"), claim).await;
    let node = start(&disk, &FOLDERS, topics(3)).await;
    let error = node.of(twice).err().unwrap();
    assert!(matches!(error, Error::TwoFolders { .. }) && error.kind() == ErrorKind::Corrupt);
    let said = error.to_string();
    assert!(said.contains("disk2") && said.contains("disk3") && said.contains(&name), "{said}");
    assert_eq!((0..3).filter(|number| node.of(*number).is_ok()).count(), 2, "others are served");
    node.stop().await;
    // One was moved away, as the message says.
    disk.remove_dir_all(&Path::new("disk3").join(&name)).await.unwrap();
    let node = start(&disk, &FOLDERS, topics(3)).await;
    assert_eq!(node.read(twice).await, ["a"]);
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_made_again_while_a_folder_was_away_is_told_from_the_old_one() {
    let disk = Arc::new(SimDisk::new());
    let node = start(&disk, &FOLDERS[..2], topics(2)).await;
    let old = node.by_folder(2)["disk2"][0];
    node.write(old, "old").await.unwrap();
    disk.set_fault_in(Path::new("disk2"), Some(Fault::Missing));
    node.partitions.revive_now().await;
    node.decide(&[Record::RemoveTopic { topic: topic(old) }]).await;
    let mut again = new_topic(9);
    let Record::Topic(record) = &mut again[0] else { panic!("a topic comes first") };
    record.name = format!("t{old}");
    node.decide(&again).await;
    node.write(9, "new").await.unwrap();
    disk.set_fault_in(Path::new("disk2"), None);
    node.partitions.revive_now().await;
    assert_eq!((node.failed().len(), node.read(9).await), (0, vec!["new".to_owned()]));
    let names: Vec<String> =
        disk.read_dir(Path::new("disk2")).await.unwrap().into_iter().map(|(name, _)| name).collect();
    assert!(names.iter().any(|name| name.starts_with(&format!("t{old}-0.")) && name.ends_with("-stray")), "{names:?}");
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_the_settings_is_no_reason_to_go_on_with_less() {
    let disk = Arc::new(SimDisk::new());
    start(&disk, &FOLDERS, topics(1)).await.stop().await;
    let meta = disk.read(Path::new("disk2/meta.properties")).await.unwrap();
    let text = String::from_utf8(meta.to_vec()).unwrap();
    let put_instead = |text: String| {
        let disk = disk.clone();
        async move { disk.write_atomic(Path::new("disk2/meta.properties"), text.into()).await.unwrap() }
    };
    put_instead(text.replace("node.id=1", "node.id=2")).await;
    let error = try_start(&disk, &FOLDERS, topics(1)).await.err().unwrap();
    assert_eq!(error.to_string(), "disk2 belongs to node 2, not 1; name the right data folder, or an empty one");
    let third = disk.read(Path::new("disk3/meta.properties")).await.unwrap();
    put_instead(String::from_utf8(third.to_vec()).unwrap()).await;
    let error = try_start(&disk, &FOLDERS, topics(1)).await.err().unwrap();
    assert!(matches!(error, Error::SameFolder { .. }), "{error}");
    put_instead("version=9\n".to_owned()).await;
    let node = start(&disk, &FOLDERS, topics(1)).await;
    assert_eq!(node.failed(), ["disk2"], "what is damaged is offline, and others go on");
    put_instead(text).await;
    node.partitions.revive_now().await;
    assert_eq!(node.failed(), [""; 0]);
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_folder_without_room_is_passed_over_for_new_partitions() {
    let disk = Arc::new(SimDisk::new());
    let node = start(&disk, &FOLDERS[..2], topics(1)).await;
    disk.set_fault_in(Path::new("disk2"), Some(Fault::Full));
    node.decide(&new_topic(1)).await;
    assert_eq!(node.folder_of(1), "data", "its turn was disk2's");
    node.write(1, "a").await.unwrap();
    assert!(!disk.exists(Path::new("disk2/t1-0")).await.unwrap(), "nothing of it is left there");
    node.partitions.revive_now().await;
    assert_eq!(node.failed(), [""; 0], "what is in a full folder can be read");
    disk.set_fault_in(Path::new("disk2"), None);
    node.partitions.revive_now().await;
    node.decide(&new_topic(2)).await;
    assert_eq!(node.folder_of(2), "disk2");
    assert_eq!(node.of(2).unwrap().bounds().log_end, Offset(0));
    node.stop().await;
}
