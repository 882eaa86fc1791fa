//! The file source on real files, through the task host: formats, compression, resume, broken lines, following.

#![cfg(test)]

use flate2::Compression as Level;
use flate2::write::GzEncoder;
use millstream_connect::Connectors;
use millstream_connector_file::FileSource;
use millstream_record::Columns;
use millstream_runtime::Runtime;
use millstream_task::memory::{MemoryDeployments, MemoryTopics};
use millstream_task::{Config, DeploymentKey, DeploymentKind, DeploymentStatus, Host, Ports, State};
use millstream_telemetry::Metrics;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

struct Node {
    topics: Arc<MemoryTopics>,
    store: Arc<MemoryDeployments>,
    folder: TempDir,
}

impl Node {
    fn new() -> Self {
        Self {
            topics: Arc::new(MemoryTopics::new()),
            store: Arc::new(MemoryDeployments::new()),
            folder: TempDir::new().unwrap(),
        }
    }

    fn start(&self) -> Host {
        let runtime = Runtime::real();
        let kinds = Connectors::new(runtime.clone(), self.topics.clone(), Arc::new(|_| None)).with_source(FileSource);
        let ports = Ports { runtime, topics: self.topics.clone(), store: self.store.clone(), metrics: Metrics::new() };
        let host = Host::new(ports, Config::default());
        host.register(Arc::new(kinds));
        host.start();
        host
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn values(&self) -> Vec<String> {
        let records = self.topics.records("t", 0);
        records.values.iter().map(|value| String::from_utf8(value.unwrap().to_vec()).unwrap()).collect()
    }
}

fn key() -> DeploymentKey {
    DeploymentKey { kind: DeploymentKind::Connector, name: "c".into() }
}

fn spec(path: &Path, settings: Value, more: Value) -> Value {
    let mut spec = json!({"type": "file", "topics": ["t"], "settings": {"path": path}});
    spec["settings"].as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

async fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..6_000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not so after 30 s: {what}");
}

async fn state(host: &Host, wanted: State) -> DeploymentStatus {
    until(&format!("{wanted:?}"), || host.status_one(&key()).unwrap().state == wanted).await;
    host.status_one(&key()).unwrap()
}

/// Reads a file to its end with the source and returns what came.
async fn read(name: &str, content: &[u8], settings: Value) -> (Node, DeploymentStatus) {
    let node = Node::new();
    let path = node.write(name, content);
    let host = node.start();
    host.deploy(key(), spec(&path, settings, json!({}))).await.unwrap();
    let status = state(&host, State::Finished).await;
    assert!(host.stop().await);
    (node, status)
}

const FLIGHTS: &str = "carrier,flight,delay,note,at\nUA,1545,2,,2013-01-01T10:00:00Z\nAA,007,NA,\"late, \"\"very\"\"\nindeed\",2013-01-02T00:00:00Z\n";

#[tokio::test]
async fn csv_rows_become_json_objects_with_key_and_timestamp() {
    let settings = json!({"null_values": ["", "NA"], "key": "carrier", "timestamp": {"column": "at"}, "types": {"flight": "string"}});
    let (node, status) = read("f.csv", FLIGHTS.as_bytes(), settings).await;
    let expected = [
        r#"{"carrier":"UA","flight":"1545","delay":2,"note":null,"at":"2013-01-01T10:00:00Z"}"#,
        r#"{"carrier":"AA","flight":"007","delay":null,"note":"late, \"very\"\nindeed","at":"2013-01-02T00:00:00Z"}"#,
    ];
    assert_eq!(node.values(), expected);
    let records = node.topics.records("t", 0);
    assert_eq!((records.keys.get(1), records.timestamps[0]), (Some(&b"AA"[..]), 1_357_034_400_000));
    let position = status.tasks[0].position.clone().unwrap();
    assert_eq!((&position["offset"], &position["line"]), (&json!(FLIGHTS.len()), &json!(5)));
    assert_eq!(status.lag.unwrap().amount, 0);
}

#[tokio::test]
async fn compressed_files_give_the_same_records_as_plain_ones() {
    let mut gzip = GzEncoder::new(Vec::new(), Level::fast());
    let (first, second) = FLIGHTS.split_at(40);
    gzip.write_all(first.as_bytes()).unwrap();
    let mut members = gzip.finish().unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Level::fast());
    gzip.write_all(second.as_bytes()).unwrap();
    members.extend(gzip.finish().unwrap());
    let mut frames = zstd::encode_all(first.as_bytes(), 1).unwrap();
    frames.extend(zstd::encode_all(second.as_bytes(), 1).unwrap());
    let plain = read("f.csv", FLIGHTS.as_bytes(), json!({})).await.0.values();
    assert_eq!(plain.len(), 2);
    assert_eq!(read("f.csv.gz", &members, json!({})).await.0.values(), plain);
    assert_eq!(read("f.csv.zst", &frames, json!({})).await.0.values(), plain);
    assert_eq!(read("f", &frames, json!({"compression": "zstd"})).await.0.values(), plain);
}

#[tokio::test]
async fn json_lines_pass_unchanged_with_key_and_timestamp() {
    let lines = "\u{feff}{\"id\": 7, \"at\": 5, \"x\": [1 ]}\r\n\n{\"id\":\"b\",\"at\":6}";
    let settings =
        json!({"format": "json-lines", "key": "id", "timestamp": {"column": "at", "format": "milliseconds"}});
    let (node, _) = read("f.jsonl", lines.as_bytes(), settings).await;
    assert_eq!(node.values(), ["{\"id\": 7, \"at\": 5, \"x\": [1 ]}", "{\"id\":\"b\",\"at\":6}"]);
    let records = node.topics.records("t", 0);
    assert_eq!(
        (records.keys.get(0), records.keys.get(1), &records.timestamps[..]),
        (Some(&b"7"[..]), Some(&b"b"[..]), &[5, 6][..])
    );
}

#[tokio::test]
async fn lines_of_any_bytes_pass_as_they_are() {
    let (node, _) = read("f.txt", b"a\n\n\xff\"\nlast", json!({"format": "lines"})).await;
    let records = node.topics.records("t", 0);
    let values: Vec<_> = records.values.iter().flatten().collect();
    assert_eq!(values, [&b"a"[..], b"", b"\xff\"", b"last"]);
}

#[tokio::test]
async fn a_file_without_a_header_takes_its_columns_from_the_settings() {
    let (node, _) =
        read("f.csv", b"1|x\n2|y\n", json!({"header": false, "columns": ["n", "s"], "delimiter": "|", "infer": false}))
            .await;
    assert_eq!(node.values(), [r#"{"n":"1","s":"x"}"#, r#"{"n":"2","s":"y"}"#]);
}

fn header(records: &Columns, at: usize, name: &str) -> String {
    let found = records.headers.get(at).find(|(header, _)| *header == name).unwrap();
    String::from_utf8(found.1.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn broken_rows_become_dead_letters_that_name_their_line() {
    let long = "x".repeat(3000);
    let content = format!("a,b\n1,2\n3\n4,oops\n{long},5\n6,7\n\"8,9\n10,11\n");
    let node = Node::new();
    let path = node.write("f.csv", content.as_bytes());
    let host = node.start();
    let settings = json!({"types": {"b": "integer"}, "row_bytes_max": 2000});
    host.deploy(key(), spec(&path, settings, json!({"errors": "dead-letter"}))).await.unwrap();
    let status = state(&host, State::Finished).await;
    assert_eq!(node.values(), [r#"{"a":1,"b":2}"#, r#"{"a":6,"b":7}"#, r#"{"a":10,"b":11}"#]);
    let letters = node.topics.records("c-dead-letters", 0);
    let places: Vec<_> = (0..letters.len()).map(|at| header(&letters, at, "millstream.source.place")).collect();
    let place = |line: u32| format!("line {line} of {}", path.display());
    assert_eq!(places, [place(3), place(4), place(5), place(7)]);
    assert_eq!(header(&letters, 0, "millstream.error"), "it has 1 values, expected 2 (a, b)");
    assert_eq!(header(&letters, 1, "millstream.error"), "column \"b\" is \"oops\", expected a whole number of 64 bits");
    assert_eq!(
        header(&letters, 2, "millstream.error"),
        "it has more than 2000 bytes (row_bytes_max); is a quote not closed?"
    );
    assert_eq!(header(&letters, 3, "millstream.error"), "a quote is opened in it and never closed");
    assert_eq!(letters.values.get(0), Some(&b"3"[..]));
    assert_eq!(status.counts.records_failed, 4);
}

#[tokio::test]
async fn under_fail_reading_stops_before_the_broken_line_and_goes_on_there_when_it_is_corrected() {
    let node = Node::new();
    let path = node.write("f.jsonl", b"{\"a\":1}\n{oops\n{\"a\":3}\n");
    let host = node.start();
    host.deploy(key(), spec(&path, json!({"format": "json-lines"}), json!({}))).await.unwrap();
    let error = state(&host, State::Failed).await.error.unwrap();
    assert!(error.message.contains(&format!("line 2 of {}: it is not JSON", path.display())), "{}", error.message);
    assert_eq!(node.values(), ["{\"a\":1}"]);
    // The same length, so that the file's first bytes tell a corrected file from the one that was read.
    std::fs::write(&path, b"{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n").unwrap();
    host.resume(&key()).await.unwrap();
    state(&host, State::Finished).await;
    assert_eq!(node.values(), ["{\"a\":1}", "{\"a\":1}", "{\"a\":2}", "{\"a\":3}"], "an edited file is another file");
    assert!(host.stop().await);
}

/// Rows of about 20 bytes, numbered from 0; some have a line break in quotes.
fn numbered(rows: usize) -> String {
    let mut content = "n,text\n".to_owned();
    for n in 0..rows {
        let text = if n % 10 == 3 { format!("\"row\n{n}\"") } else { format!("the row number {n}") };
        writeln!(content, "{n},{text}").unwrap();
    }
    content
}

fn numbers(values: &[String]) -> Vec<u64> {
    values.iter().map(|value| serde_json::from_str::<Value>(value).unwrap()["n"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_file_loses_and_repeats_no_row() {
    let content = numbered(200_000);
    for (name, bytes) in
        [("f.csv", content.clone().into_bytes()), ("f.csv.zst", zstd::encode_all(content.as_bytes(), 1).unwrap())]
    {
        let node = Node::new();
        let path = node.write(name, &bytes);
        let mut host = node.start();
        host.deploy(key(), spec(&path, json!({}), json!({}))).await.unwrap();
        for stop in [1_000, 60_000, 120_000] {
            until("some rows are there", || node.topics.records("t", 0).len() > stop).await;
            assert!(host.stop().await);
            host = node.start();
        }
        let status = state(&host, State::Finished).await;
        assert_eq!(numbers(&node.values()), (0..200_000).collect::<Vec<_>>(), "{name}");
        assert_eq!(status.tasks[0].position.as_ref().unwrap()["offset"], json!(content.len()));
        assert!(host.stop().await);
    }
}

#[tokio::test]
async fn a_growing_file_is_followed_line_by_whole_line_over_rotation_and_truncation() {
    let node = Node::new();
    let path = node.write("f.log", b"a\nb");
    let host = node.start();
    let settings = json!({"format": "lines", "follow": true, "poll_interval_ms": 10});
    host.deploy(key(), spec(&path, settings, json!({}))).await.unwrap();
    until("the whole line is there", || node.values() == ["a"]).await;
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"b\nc\nend").unwrap();
    until("the growth is there", || node.values() == ["a", "bb", "c"]).await;
    std::fs::rename(&path, node.folder.path().join("f.log.1")).unwrap();
    file.write_all(b"ing").unwrap();
    node.write("f.log", b"d\n");
    until("the old file's end and the new file are there", || node.values() == ["a", "bb", "c", "ending", "d"]).await;
    assert!(host.stop().await);
    node.write("f.log", b"d\ne\n");
    let host = node.start();
    until("what came meanwhile is there", || node.values().len() == 6).await;
    OpenOptions::new().write(true).truncate(true).open(&path).unwrap().write_all(b"f\n").unwrap();
    until("the truncated file is read anew", || node.values() == ["a", "bb", "c", "ending", "d", "e", "f"]).await;
    assert_eq!(host.status_one(&key()).unwrap().state, State::Running);
    assert!(host.stop().await);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_waited_for_and_a_folder_is_refused() {
    let node = Node::new();
    let host = node.start();
    let path = node.folder.path().join("f.csv");
    host.deploy(key(), spec(&path, json!({}), json!({}))).await.unwrap();
    assert!(state(&host, State::Retrying).await.error.unwrap().message.contains("does not exist on this node"));
    node.write("f.csv", b"a\n1\n");
    state(&host, State::Finished).await;
    assert_eq!(node.values(), [r#"{"a":1}"#]);
    host.deploy(key(), spec(node.folder.path(), json!({}), json!({}))).await.unwrap();
    assert!(state(&host, State::Failed).await.error.unwrap().message.contains("it is not a regular file"));
    assert!(host.stop().await);
}

#[tokio::test]
async fn settings_that_can_not_work_are_refused_with_their_names() {
    let node = Node::new();
    let host = node.start();
    let cases = [
        (json!({"path": "f.csv"}), "settings.path is \"f.csv\": expected an absolute path"),
        (
            json!({"path": "/f.gz", "follow": true}),
            "settings.follow is true: expected false where the file is compressed",
        ),
        (json!({"path": "/f", "header": false}), "settings.columns is []: expected column names"),
        (json!({"path": "/f", "delimiter": "ab"}), "settings.delimiter is \"ab\""),
        (json!({"path": "/f", "format": "xml"}), "settings.format is \"xml\""),
    ];
    for (settings, expected) in cases {
        let spec = json!({"type": "file", "topics": ["t"], "settings": settings});
        let message = host.deploy(key(), spec).await.unwrap_err().message;
        assert!(message.starts_with(expected), "{message}");
    }
    let path = node.write("f.csv", b"a\n1\n");
    host.deploy(key(), spec(&path, json!({"key": "b"}), json!({}))).await.unwrap();
    let message = state(&host, State::Failed).await.error.unwrap().message;
    assert!(message.contains("settings.key names the column \"b\", but"), "{message}");
}

#[tokio::test]
async fn a_file_that_is_not_what_its_compression_says_is_told_so() {
    let node = Node::new();
    let path = node.write("f.csv.gz", b"not gzip at all");
    let host = node.start();
    host.deploy(key(), spec(&path, json!({}), json!({}))).await.unwrap();
    let message = state(&host, State::Failed).await.error.unwrap().message;
    assert!(message.contains("is broken or not compressed as Gzip"), "{message}");
}
