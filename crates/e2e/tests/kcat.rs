//! kcat against a node: it produces, consumes, asks for offsets by time, takes part in a group and prints metadata. Its librdkafka is an old
//! one (2.0), beside the new one of the other tests.

#![allow(clippy::unwrap_used, reason = "a test")]

use millstream_e2e::{Node, clients_folder, run_program};
use std::process::Command;

/// What kcat prints for these words; `{}` stands between columns.
fn kcat(node: &Node, words: &str, input: &str) -> String {
    let own = clients_folder().join("kcat/usr");
    let is_own = own.exists();
    let mut command = Command::new(if is_own { own.join("bin/kcat") } else { "kcat".into() });
    if is_own {
        command.env("LD_LIBRARY_PATH", own.join("lib/x86_64-linux-gnu"));
    }
    run_program(command.args(["-q", "-b", &node.kafka]).args(words.split(' ')), input)
}

#[test]
fn kcat_does_what_it_does_with_kafka() {
    let node = Node::start(&["group.initial.rebalance.delay.ms=0"]);
    node.ok(&["topic", "create", "t", "--partitions", "2"]);
    for (partition, codec) in ["lz4", "zstd"].into_iter().enumerate() {
        let words = format!("-P -t t -p {partition} -K: -H origin=kcat -z {codec} -X acks=all");
        kcat(&node, &words, "a:1\nb:2\nc:3\n");
    }
    let read = kcat(&node, "-C -t t -p 1 -o beginning -e -f %p|%o|%k|%s|%h\\n", "");
    assert_eq!(read, "1|0|a|1|origin=kcat\n1|1|b|2|origin=kcat\n1|2|c|3|origin=kcat\n");
    assert_eq!(kcat(&node, "-C -t t -p 0 -o -1 -e -f %s\\n", ""), "3\n", "the last one");
    assert_eq!(kcat(&node, "-Q -t t:0:1", ""), "t [0] offset 0\n", "the first of that time or later");
    let metadata: serde_json::Value = serde_json::from_str(&kcat(&node, "-L -t t -J", "")).unwrap();
    assert_eq!(metadata["topics"][0]["partitions"].as_array().unwrap().len(), 2, "{metadata}");
    let mut grouped: Vec<String> = kcat(&node, "-G readers -X auto.offset.reset=earliest -c 6 -f %p%s\\n t", "")
        .lines()
        .map(str::to_owned)
        .collect();
    grouped.sort();
    assert_eq!(grouped, ["01", "02", "03", "11", "12", "13"]);
    assert!(node.ok(&["group", "list"]).contains("readers"));
}
