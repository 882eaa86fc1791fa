//! The command line against a running node: what it prints, and what it says when something is wrong.

#![allow(clippy::unwrap_used, reason = "a test")]

use millstream_e2e::{Node, binary, eventually};
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

fn produce(node: &Node, args: &[&str], lines: &str) {
    let mut process = Command::new(binary())
        .args(["topic", "produce"])
        .args(args)
        .env("MILLSTREAM_HTTP", &node.http)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(process.wait().unwrap().success());
}

fn json(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn records_go_in_and_come_out() {
    let node = Node::start(&[]);
    assert_eq!(node.ok(&["topic", "create", "orders", "--partitions", "2"]), "orders: created with 2 partitions\n");
    produce(&node, &["orders", "--key-separator", ":"], "a:1\nb:2\nc:3\n");
    let mut values: Vec<String> = node.ok(&["topic", "consume", "orders"]).lines().map(str::to_owned).collect();
    values.sort();
    assert_eq!(values, ["1", "2", "3"]);
    let one = json(&node.ok(&["topic", "consume", "orders", "-n", "1", "-o", "json"]));
    assert_eq!(one.len(), 1);
    let listed = json(&node.ok(&["topic", "list", "-o", "json"]));
    assert_eq!((&listed[0]["name"], &listed[0]["records"]), (&Value::from("orders"), &Value::from(3)));
    node.ok(&["topic", "alter", "orders", "--config", "retention.ms=1000000", "--partitions", "3"]);
    assert!(node.ok(&["topic", "describe", "orders"]).contains("retention.ms = 1000000"));
    node.ok(&["topic", "delete", "orders"]);
    assert!(node.fails(&["topic", "describe", "orders"]).contains("there is no topic \"orders\""));
}

#[test]
fn everything_is_there_after_a_stop_and_after_a_kill() {
    let mut node = Node::start(&[]);
    node.ok(&["topic", "create", "kept"]);
    produce(&node, &["kept"], "before the stop\n");
    assert!(node.stop());
    node.restart();
    produce(&node, &["kept"], "before the kill\n");
    node.kill_and_restart();
    assert_eq!(node.ok(&["topic", "consume", "kept"]), "before the stop\nbefore the kill\n");
}

#[test]
fn sql_asks_a_raw_topic_and_one_with_a_schema() {
    let node = Node::start(&[]);
    node.ok(&["topic", "create", "people"]);
    produce(&node, &["people"], "{\"name\":\"Ada\",\"age\":36}\n{\"name\":\"Bob\",\"age\":\"old\"}\n");
    let schema = node.folder().join("people.json");
    std::fs::write(&schema, r#"{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}}}"#)
        .unwrap();
    node.ok(&["schema", "register", "people-value", schema.to_str().unwrap()]);
    let rows = json(&node.ok(&["sql", "-o", "json", "-c", "SELECT name, age FROM people"]));
    assert_eq!(rows, json(r#"{"name":"Ada","age":36}"#));
    let bad = json(&node.ok(&["sql", "-o", "json", "-c", "SELECT _offset, _reason FROM \"people$quarantine\""]));
    assert_eq!(bad[0]["_offset"], 1);
    let error = node.fails(&["sql", "-c", "SELECT nmae FROM people"]);
    assert!(error.contains("nmae") && error.contains("name"), "{error}");
    let deep = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    let error = node.fails(&["sql", "-c", &deep]);
    assert!(error.contains("deep") || error.contains("nest"), "{error}");
    assert_eq!(json(&node.ok(&["sql", "-o", "json", "-c", "SELECT count(*) AS n FROM people"]))[0]["n"], 1);
}

#[test]
fn a_stream_follows_its_topic() {
    let node = Node::start(&[]);
    node.ok(&["topic", "create", "events"]);
    let schema = node.folder().join("events.json");
    std::fs::write(&schema, r#"{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}"#).unwrap();
    node.ok(&["schema", "register", "events-value", schema.to_str().unwrap()]);
    node.ok(&["stream", "create", "CREATE STREAM large AS SELECT n, n * 2 AS twice FROM events WHERE n > 1"]);
    produce(&node, &["events"], "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    eventually("the stream has written two records", Duration::from_secs(30), || {
        (node.ok(&["topic", "consume", "large"]).lines().count() == 2).then_some(())
    });
    let rows = json(&node.ok(&["sql", "-o", "json", "-c", "SELECT n, twice FROM large ORDER BY n"]));
    assert_eq!(rows, json("{\"n\":2,\"twice\":4}\n{\"n\":3,\"twice\":6}"));
}

#[test]
fn what_is_wrong_is_said_in_words() {
    let node = Node::start(&[]);
    node.ok(&["topic", "create", "taken"]);
    assert!(node.fails(&["topic", "create", "taken"]).contains("exists already"));
    assert!(node.fails(&["topic", "create", "bad name"]).contains("bad name"));
    assert!(node.fails(&["topic", "create", "t", "--config", "retention.ms=soon"]).contains("expected an integer"));
    assert!(node.fails(&["topic", "consume", "absent"]).contains("there is no topic \"absent\""));
    assert!(node.fails(&["topic", "consume", "taken", "--from", "yesterday"]).contains("expected earliest, latest"));
    let error = node.fails(&["connector", "create", "c", "--type", "nothing", "--topic", "t"]);
    assert!(error.contains("nothing"), "{error}");
    let error = node.fails(&["connector", "create", "c", "--type", "file", "--topic", "t", "--set", "pth=x"]);
    assert!(error.contains("pth") && error.contains("path"), "{error}");
    let component = node.folder().join("not.wasm");
    std::fs::write(&component, "not a component").unwrap();
    let error =
        node.fails(&["function", "deploy", "f", component.to_str().unwrap(), "--input", "taken", "--to", "out"]);
    assert!(error.contains("component"), "{error}");
    // After all that a client is served as before.
    produce(&node, &["taken"], "fine\n");
    assert_eq!(node.ok(&["topic", "consume", "taken"]), "fine\n");
}

#[test]
fn a_port_or_a_data_folder_in_use_is_named() {
    let node = Node::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let second = |args: &[&str]| Command::new(binary()).arg("serve").args(args).output().unwrap();
    let taken =
        second(&["--data-dir", folder.path().to_str().unwrap(), "--kafka", &node.kafka, "--http", "127.0.0.1:0"]);
    let error = String::from_utf8_lossy(&taken.stderr).into_owned();
    assert!(!taken.status.success() && error.contains(&node.kafka), "{error}");
    let data = node.data();
    let same = second(&["--data-dir", data.to_str().unwrap(), "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    let error = String::from_utf8_lossy(&same.stderr).into_owned();
    assert!(!same.status.success() && error.contains("in use by another process"), "{error}");
    let open = second(&["--kafka", "0.0.0.0:0", "--http", "127.0.0.1:0"]);
    assert_eq!(open.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&open.stderr).contains("allow.unauthenticated.remote"));
}

#[test]
fn without_a_node_it_says_how_to_start_one() {
    let output = Command::new(binary()).args(["topic", "list", "--http", "127.0.0.1:1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("start one with `millstream serve`"));
}

#[test]
fn health_metrics_and_completions_are_there() {
    let node = Node::start(&[]);
    let get = |path: &str| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            reqwest::get(format!("http://{}{path}", node.http)).await.unwrap().text().await.unwrap()
        })
    };
    assert_eq!(get("/healthz"), "ok\n");
    assert_eq!(get("/readyz"), "ready\n");
    assert!(get("/metrics").contains("kafka_server_replicamanager_partitioncount"));
    assert!(get("/nothing").contains("there is nothing at /nothing"));
    assert!(node.ok(&["completions", "bash"]).contains("millstream"));
    assert!(node.ok(&["config", "--name", "retention", "topic"]).contains("retention.ms"));
    assert!(node.ok(&["version"]).starts_with("millstream "));
    assert!(node.ok(&["cluster", "status"]).contains(&node.kafka));
}
