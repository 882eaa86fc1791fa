//! Several data folders, as clients are told of them.

use crate::node::{Node, batch, produce, topic_name};
use kafka_protocol::messages::DescribeLogDirsRequest;
use kafka_protocol::messages::alter_replica_log_dirs_request::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
};
use millstream_protocol::ResponseError as E;
use millstream_runtime::{Fault, SimDisk};
use std::path::Path;
use std::sync::Arc;

/// Each folder with its error, its topics, and whether its size is known.
async fn folders(node: &Node) -> Vec<(String, i16, Vec<String>, bool)> {
    let told = node.ask(4, &DescribeLogDirsRequest::default().with_topics(None)).await;
    let one = |folder: kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult| {
        let topics = folder.topics.iter().map(|topic| topic.name.to_string()).collect();
        (folder.log_dir.to_string(), folder.error_code, topics, folder.total_bytes > 0 && folder.usable_bytes >= 0)
    };
    told.results.into_iter().map(one).collect()
}

async fn send_to(node: &Node, topic: &str, folder: &str) -> i16 {
    let topic = AlterReplicaLogDirTopic::default().with_name(topic_name(topic)).with_partitions(vec![0]);
    let dir = AlterReplicaLogDir::default().with_path(folder.to_owned().into()).with_topics(vec![topic]);
    let told = node.ask(2, &AlterReplicaLogDirsRequest::default().with_dirs(vec![dir])).await;
    told.results[0].partitions[0].error_code
}

async fn refusal(node: &Node, topic: &str) -> i16 {
    let answer = node.ask(9, &produce(topic, 0, Some(batch(&["a"])), -1)).await;
    answer.responses[0].partition_responses[0].error_code
}

#[tokio::test(start_paused = true)]
async fn each_folder_is_told_with_its_error_and_what_is_in_it() {
    let disk = Arc::new(SimDisk::new());
    let node = Node::in_folders(disk.clone(), &["disk2"]).await;
    node.topic("a", 1, &[]).await;
    node.topic("b", 1, &[]).await;
    let told = |folder: &str, topic: &str| (folder.to_owned(), 0, vec![topic.to_owned()], true);
    assert_eq!(folders(&node).await, [told("data", "a"), told("disk2", "b")]);
    assert_eq!(send_to(&node, "b", "disk2").await, 0, "it is there");
    assert_eq!(send_to(&node, "a", "disk2").await, E::InvalidRequest.code());
    assert_eq!(send_to(&node, "a", "/nowhere").await, E::LogDirNotFound.code());
    assert_eq!(send_to(&node, "nothing", "disk2").await, E::UnknownTopicOrPartition.code());

    disk.set_fault_in(Path::new("disk2"), Some(Fault::Missing));
    node.partitions.revive_now().await;
    let storage = E::KafkaStorageError.code();
    assert_eq!(folders(&node).await, [told("data", "a"), ("disk2".to_owned(), storage, Vec::new(), false)]);
    assert_eq!(send_to(&node, "b", "disk2").await, storage);
    assert_eq!((refusal(&node, "a").await, refusal(&node, "b").await), (0, storage));
    disk.set_fault_in(Path::new("disk2"), None);
    assert_eq!(node.partitions.revive_now().await, 1);
    assert_eq!(folders(&node).await, [told("data", "a"), told("disk2", "b")]);
    assert_eq!(refusal(&node, "b").await, 0);
}
