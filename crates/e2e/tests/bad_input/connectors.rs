//! Files with broken lines, files that are not what they say, and topics that go while something reads or writes them.

use crate::kit::{deployment, fails_with, file, post, rows, says};
use millstream_e2e::{Bystander, Node};
use std::path::Path;

fn create(node: &Node, name: &str, settings: &[&str]) {
    let mut args = vec!["connector", "create", name, "--type", "file", "--topic", name];
    args.extend(
        settings
            .iter()
            .flat_map(|setting| if setting.starts_with("--") { vec![*setting] } else { vec!["--set", *setting] }),
    );
    node.ok(&args);
}

#[test]
fn a_broken_line_is_named_and_goes_the_way_of_the_policy() {
    let node = Node::start(&[]);
    let mut bystander = Bystander::start(&node);
    let path = file(&node, "people.csv", "n,name\n1,a\n2,b,EXTRA\n3,c\n");
    let from = format!("path={path}");
    let types = "types={\"n\":\"integer\"}";
    create(&node, "strict", &[&from, types]);
    let place = format!("line 3 of {path}");
    let next = "Correct it and resume \"strict\", or set the connector's error policy to skip or dead-letter";
    fails_with(&node, "connector", "strict", &[&place, "it has 3 values, expected 2 (n, name)", next]);
    assert_eq!(node.ok(&["topic", "consume", "strict"]), "{\"n\":1,\"name\":\"a\"}\n");
    create(&node, "lenient", &[&from, types, "--errors=skip"]);
    deployment(&node, "connector", "lenient", |row| row["state"] == "finished" && row["records_failed"] == 1);
    create(&node, "careful", &[&from, types, "--errors=dead-letter"]);
    deployment(&node, "connector", "careful", |row| row["state"] == "finished" && row["records_failed"] == 1);
    for topic in ["lenient", "careful"] {
        assert_eq!(node.ok(&["topic", "consume", topic]), "{\"n\":1,\"name\":\"a\"}\n{\"n\":3,\"name\":\"c\"}\n");
    }
    let letters = rows(&node.ok(&["topic", "consume", "careful-dead-letters", "-o", "json"]));
    assert_eq!(letters[0]["value"], "2,b,EXTRA");
    says(&letters[0]["headers"].to_string(), &[&place, "it has 3 values", "connector/careful"]);
    bystander.goes_on();
    // Once it is corrected it goes on, from that line.
    std::fs::write(&path, "n,name\n1,a\n2,b\n3,c\n").unwrap();
    node.ok(&["connector", "resume", "strict"]);
    deployment(&node, "connector", "strict", |row| row["state"] == "finished");
    let read = node.ok(&["topic", "consume", "strict"]);
    let last = "{\"n\":2,\"name\":\"b\"}\n{\"n\":3,\"name\":\"c\"}\n";
    assert!(read.ends_with(last), "a file that was written anew is read anew, at least once and in order: {read}");
    bystander.unharmed(&node);
}

#[test]
fn a_file_that_is_not_what_it_says_stops_its_connector_in_words() {
    let node = Node::start(&[]);
    let bystander = Bystander::start(&node);
    let named = |name: &str| format!("path={}", node.folder().join(name).display());
    file(&node, "wrong.csv", "n,name\nx,b\n");
    file(&node, "open.csv", "n,name\n1,\"open\n");
    file(&node, "broken.jsonl", "{\"a\":1}\n{\"a\":\n{\"a\":3}\n");
    file(&node, "noise.csv.gz", [7_u8; 3_000]);
    file(&node, "noise.csv.zst", [7_u8; 3_000]);
    create(&node, "wrong", &[&named("wrong.csv"), "types={\"n\":\"integer\"}"]);
    create(&node, "open", &[&named("open.csv")]);
    create(&node, "broken", &[&named("broken.jsonl"), "format=json-lines"]);
    create(&node, "gzip", &[&named("noise.csv.gz")]);
    create(&node, "zstd", &[&named("noise.csv.zst")]);
    create(&node, "folder", &[&format!("path={}", node.folder().display())]);
    create(&node, "absent", &[&named("absent.csv")]);
    fails_with(
        &node,
        "connector",
        "wrong",
        &["line 2 of", "wrong.csv", "column \"n\" is \"x\", expected a whole number"],
    );
    fails_with(&node, "connector", "open", &["line 2 of", "open.csv", "quote"]);
    fails_with(&node, "connector", "broken", &["line 2 of", "broken.jsonl", "it is not JSON"]);
    fails_with(
        &node,
        "connector",
        "gzip",
        &["noise.csv.gz", "not compressed as Gzip", "correct the file or `compression`"],
    );
    fails_with(&node, "connector", "zstd", &["noise.csv.zst", "not compressed as Zstd"]);
    fails_with(&node, "connector", "folder", &["not a regular file"]);
    // What may still come is waited for.
    let waiting = deployment(&node, "connector", "absent", |row| row["state"] == "retrying");
    says(
        waiting["error"].as_str().unwrap(),
        &["absent.csv does not exist on this node", "put it there, and it is read"],
    );
    file(&node, "absent.csv", "n\n1\n");
    deployment(&node, "connector", "absent", |row| row["state"] == "finished");
    bystander.unharmed(&node);
}

fn append(node: &Node, topic: &str, value: &str) {
    let body = serde_json::json!({"records": [{"value": value}]}).to_string();
    let (status, answer) =
        post(node, &format!("/v1/topics/{topic}/records"), &[("content-type", "application/json")], body);
    assert_eq!(status, 200, "{answer}");
}

/// One deployment of every face, all reading `input`.
const FACES: [(&str, &str); 4] = [("function", "fn"), ("stream", "strm"), ("rule", "rul"), ("connector", "snk")];

fn deploy_all(node: &Node) {
    let component = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions/hostile/hostile.wasm");
    let component = component.to_str().unwrap();
    node.ok(&["function", "deploy", "fn", component, "--input", "input", "--to", "fn-out"]);
    node.ok(&["stream", "create", "CREATE STREAM strm AS SELECT _value FROM input"]);
    node.ok(&["rule", "create", "rul", "--topic", "input", "--pattern", r#"{"a":[1]}"#, "--to-topic", "rul-out"]);
    let sink = format!("url=file://{}", node.folder().join("sink").display());
    let settings = ["--set", &sink, "--set", "format=json-lines", "--set", "roll_ms=200"];
    node.ok(&[&["connector", "create", "snk", "--type", "object-store", "--topic", "input"][..], &settings].concat());
}

#[test]
fn a_topic_deleted_under_its_readers_stops_each_with_that_cause() {
    let node = Node::start(&[]);
    let mut bystander = Bystander::start(&node);
    node.ok(&["topic", "create", "input"]);
    deploy_all(&node);
    append(&node, "input", r#"{"a":1}"#);
    for (command, name) in FACES {
        deployment(&node, command, name, |row| row["lag"] == 0 && row["records_in"] == 1);
    }
    node.ok(&["topic", "delete", "input"]);
    for (command, name) in FACES {
        fails_with(
            &node,
            command,
            name,
            &["the input topic \"input\" was deleted", "create it, then reset and resume"],
        );
        bystander.goes_on();
    }
    // A topic of the same name is another one: none of its records is taken for what was read already.
    node.ok(&["topic", "create", "input"]);
    append(&node, "input", r#"{"a":1}"#);
    for (command, name) in FACES {
        node.ok(&[command, "reset", name, "--to", "earliest"]);
        node.ok(&[command, "resume", name]);
        deployment(&node, command, name, |row| row["state"] == "running" && row["lag"] == 0);
    }
    for output in ["fn-out", "strm", "rul-out"] {
        assert_eq!(node.ok(&["topic", "consume", output]).lines().count(), 2, "{output}");
    }
    bystander.unharmed(&node);
}

#[test]
fn a_topic_deleted_under_its_writers_is_told_or_made_again() {
    let node = Node::start(&[]);
    let mut bystander = Bystander::start(&node);
    node.ok(&["topic", "create", "input"]);
    deploy_all(&node);
    append(&node, "input", r#"{"a":1}"#);
    let writers = [("function", "fn", "fn-out"), ("stream", "strm", "strm"), ("rule", "rul", "rul-out")];
    for (command, name, output) in writers {
        deployment(&node, command, name, |row| row["lag"] == 0 && row["records_in"] == 1);
        node.ok(&["topic", "delete", output]);
    }
    append(&node, "input", r#"{"a":1}"#);
    for (command, name, output) in writers {
        let row = deployment(&node, command, name, |row| row["lag"] == 0 || row["error"].is_string());
        // Either it is made again and has the record, or the error names it.
        match row["error"].as_str() {
            Some(error) => says(error, &[output]),
            None => assert_eq!(node.ok(&["topic", "consume", output]).lines().count(), 1, "{output}"),
        }
        bystander.goes_on();
    }
    bystander.unharmed(&node);
}
