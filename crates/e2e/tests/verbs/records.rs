//! Topics, groups, schemas, SQL and cold storage.

use crate::command_line::CommandLine;
use crate::shell::{PATIENCE, Shell};
use crate::with_node;
use millstream_e2e::{Family, binary, clients_folder, eventually};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

pub fn topics(shell: &Shell<'_>) {
    let made = shell.ok(&["topic", "create", "orders", "--partitions", "2", "--config", "retention.ms=100000000000"]);
    assert_eq!(made, "orders: created with 2 partitions\n");
    shell.typed(&["topic", "produce", "orders", "--key-separator", ":", "--partition", "1"], "a:1\nb:2\nc:3\n");
    let consumed = shell.rows(&["topic", "consume", "orders", "--partition", "1", "--from", "1", "--limit", "1"]);
    assert_eq!((&consumed[0]["key"], &consumed[0]["value"]), (&json!("b"), &json!("2")));
    assert!(shell.ok(&["topic", "consume", "orders", "--partition", "0"]).is_empty());
    // It waits for the fourth record, which is not there yet.
    std::thread::scope(|scope| {
        let follower =
            scope.spawn(|| shell.ok(&["topic", "consume", "orders", "--partition", "1", "--follow", "-n", "4"]));
        shell.typed(&["topic", "produce", "orders", "--partition", "1"], "4\n");
        assert_eq!(follower.join().unwrap(), "1\n2\n3\n4\n");
    });
    let csv = shell.ok(&["topic", "consume", "orders", "-n", "1", "-o", "csv"]);
    assert!(csv.starts_with("1,0,") && csv.ends_with(",a,1\n"), "{csv}");
    shell.ok(&[
        "topic",
        "alter",
        "orders",
        "--partitions",
        "3",
        "--config",
        "segment.bytes=2000000",
        "--unset",
        "retention.ms",
    ]);
    let described = shell.ok(&["topic", "describe", "orders"]);
    assert!(
        described.contains("segment.bytes = 2000000") && !described.contains("retention.ms = 100000000000"),
        "{described}"
    );
    assert!(described.contains("3 partitions"), "{described}");
    let names =
        |rows: Vec<Value>| -> Vec<String> { rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect() };
    assert!(names(shell.rows(&["topic", "list"])).iter().all(|name| !name.starts_with("__")));
    shell.ok(&["topic", "create", "passing"]);
    assert_eq!(shell.ok(&["topic", "delete", "passing"]), "passing: deleted\n");
    assert!(!names(shell.rows(&["topic", "list"])).contains(&"passing".to_owned()));
}

pub fn groups(shell: &Shell<'_>) {
    let kafka = shell.rows(&["cluster", "status"])[0]["address"].as_str().unwrap().to_owned();
    let member = Family::FranzGo.group(&kafka, "orders", "workers");
    eventually("the member has read four records", PATIENCE, || (member.records().len() >= 4).then_some(()));
    let listed = shell.rows(&["group", "list"]);
    assert!(listed.iter().any(|one| one["group"] == "workers" && one["members"] == 1), "{listed:?}");
    let refused = shell.fails(&["group", "delete", "workers"]);
    assert!(refused.contains("workers"), "{refused}");
    member.leave();
    let lag = |expected: u64| {
        let group = shell.rows(&["group", "describe", "workers"]).remove(0);
        let offsets = group["offsets"].as_array().unwrap();
        let lags: u64 =
            offsets.iter().filter(|one| one["partition"] == 1).map(|one| one["lag"].as_u64().unwrap()).sum();
        assert_eq!(lags, expected, "{group}");
    };
    lag(0);
    assert!(shell.ok(&["group", "describe", "workers"]).starts_with("workers  "));
    shell.ok(&["group", "reset", "workers", "--topic", "orders", "--to", "earliest"]);
    lag(4);
    assert!(shell.rows(&["topic", "list", "--internal"]).iter().any(|one| one["name"] == "__consumer_offsets"));
    assert_eq!(shell.ok(&["group", "delete", "workers"]), "workers: deleted\n");
    assert!(shell.rows(&["group", "list"]).iter().all(|one| one["group"] != "workers"));
}

pub fn schemas(shell: &Shell<'_>) {
    let first = shell.file("first.avsc", r#"{"type":"record","name":"P","fields":[{"name":"name","type":"string"}]}"#);
    let wider = shell.file("wider.avsc",
        r#"{"type":"record","name":"P","fields":[{"name":"name","type":"string"},{"name":"age","type":"int","default":0}]}"#);
    let other = shell.file("other.avsc", r#"{"type":"record","name":"P","fields":[{"name":"name","type":"int"}]}"#);
    assert!(shell.ok(&["schema", "register", "p-value", &first, "--type", "avro"]).contains("under id "));
    assert!(shell.ok(&["schema", "check", "p-value", &wider, "--type", "avro"]).contains("compatible"));
    let refused = shell.fails(&["schema", "check", "p-value", &other, "--type", "avro"]);
    assert!(refused.contains("not compatible") && refused.contains("name"), "{refused}");
    assert!(shell.fails(&["schema", "register", "p-value", &other, "--type", "avro"]).contains("not compatible"));
    shell.ok(&["schema", "register", "p-value", &wider, "-t", "avro"]);
    let listed = shell.rows(&["schema", "list"]);
    assert!(listed.iter().any(|one| one["subject"] == "p-value" && one["version"] == 2), "{listed:?}");
    assert!(!shell.ok(&["schema", "show", "p-value", "--version", "1"]).contains("age"));
    assert!(shell.ok(&["schema", "show", "p-value"]).contains("age"));
    shell.ok(&["schema", "delete", "p-value", "--version", "1"]);
    assert!(shell.fails(&["schema", "show", "p-value", "--version", "1"]).contains("p-value"));
    shell.ok(&["schema", "delete", "p-value"]);
    shell.ok(&["schema", "delete", "p-value", "--permanent"]);
    assert!(shell.rows(&["schema", "list"]).iter().all(|one| one["subject"] != "p-value"));
}

pub fn sql(shell: &Shell<'_>) {
    shell.ok(&["topic", "create", "people", "--partitions", "1"]);
    shell.typed(&["topic", "produce", "people"], "{\"name\":\"Ada\"}\n{\"name\":\"Bob\"}\n");
    let query = "SELECT _value->>'name' AS name FROM people ORDER BY _offset";
    let expected = [json!({"name": "Ada"}), json!({"name": "Bob"})];
    assert_eq!(shell.rows(&["sql", "--command", query]), expected);
    let file = shell.file("query.sql", query);
    assert_eq!(shell.rows(&["sql", "--file", &file]), expected);
    assert_eq!(shell.typed(&["sql", "-o", "csv"], query), "name\nAda\nBob\n");
    prompt(shell);
}

/// The prompt, in a terminal: a statement over two lines, one that is wrong, one after it, and the history of it all.
fn prompt(shell: &Shell<'_>) {
    let home = shell.path("home");
    std::fs::create_dir(&home).unwrap();
    let mut terminal = Command::new(clients_folder().join("python/bin/python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python/terminal.py"))
        .args(["sql> ", "  -> "])
        .arg("--")
        .arg(binary())
        .arg("sql")
        .envs([("MILLSTREAM_HTTP", shell.http()), ("HOME", &home), ("TERM", "xterm")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let typed = "SELECT _value->>'name' AS name\nFROM people WHERE _offset = 1;\nSELECT nothing FROM people;\nSELECT 40 + 2 AS sum;\n\\q\n";
    terminal.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = terminal.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("| Bob") && shown.contains("| 42"), "{shown}");
    assert!(shown.contains("error:") && shown.contains("nothing"), "{shown}");
    let history = std::fs::read_to_string(Path::new(&home).join(".millstream_history")).unwrap();
    assert!(history.contains("WHERE _offset = 1;") && history.contains("40 + 2"), "{history}");
}

/// A topic that one node made cold is made again by another that has only the store.
pub fn cold(line: &CommandLine, folder: &Path) {
    let store = format!("tier.url={}", folder.join("bucket").display());
    with_node(line, folder, &[&store], |shell| {
        shell.ok(&["topic", "create", "kept", "--config", "remote.storage.enable=true"]);
        shell.typed(&["topic", "produce", "kept"], "one\ntwo\n");
        assert!(shell.ok(&["tier", "offload", "kept", "--drop-local"]).contains("segments copied"));
        let status = shell.rows(&["tier", "status", "kept"]);
        assert!(status[0]["bytes_cold"].as_u64().is_some_and(|bytes| bytes > 0), "{status:?}");
        assert_eq!(shell.lines_of("kept", 2), ["one", "two"]);
    });
    let fresh = folder.join("fresh");
    std::fs::create_dir(&fresh).unwrap();
    with_node(line, &fresh, &[&store], |shell| {
        assert!(shell.rows(&["topic", "list"]).is_empty());
        assert_eq!(shell.ok(&["tier", "recover", "kept"]), "kept: recovered 1 partitions\n");
        assert_eq!(shell.lines_of("kept", 2), ["one", "two"]);
    });
}
