//! An object store that refuses: wrong keys, told to slow down, nobody there. Produce goes on, and when the store is back so does the copying.

use crate::kit::{PATIENCE, deployment, records, refused, rows, says};
use millstream_e2e::{Bystander, Family, Node, eventually};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A store that answers every request alike, until it ends.
struct Refusing {
    endpoint: String,
    ended: Arc<AtomicBool>,
}

impl Refusing {
    fn start(status: &'static str, code: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let end = ended.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                std::thread::spawn(move || refuse(&stream, status, code));
            }
        });
        Self { endpoint: format!("http://{address}"), ended }
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // So that it sees that.
        let _ = TcpStream::connect(self.endpoint.trim_start_matches("http://"));
    }
}

/// Answers one connection's requests with `status` and S3's form of an error.
fn refuse(mut stream: &TcpStream, status: &str, code: &str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut line, mut length, mut head) = (String::new(), 0, true);
        while head {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(told) = lower.strip_prefix("content-length:") {
                length = told.trim().parse().unwrap();
            }
            head = !line.trim().is_empty();
        }
        if reader.read_exact(&mut vec![0; length]).is_err() {
            return;
        }
        let body = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/xml\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// Everything about a topic in a store at `endpoint` that refuses with `words`.
fn refuses(endpoint: &str, words: &[&str]) {
    let endpoint_setting = format!("tier.store.endpoint={endpoint}");
    let settings = ["tier.url=s3://cold/x", &endpoint_setting, "tier.store.allow.http=true", "tier.interval.ms=200"];
    let keys = ["tier.store.access.key.id=me", "tier.store.secret.access.key=not-to-be-logged"];
    let node = Node::start(&[&settings[..], &keys].concat());
    let mut bystander = Bystander::start(&node);
    let config = [
        "--config",
        "remote.storage.enable=true",
        "--config",
        "local.retention.ms=1",
        "--config",
        "segment.bytes=1048576",
    ];
    node.ok(&[&["topic", "create", "history"][..], &config].concat());
    Family::FranzGo.produce(&node.kafka, "history", "none", &records(100, "cold"));
    let next = ["s3://cold", "it is tried again", "check that the object store can be reached and allows it"];
    refused(&node, &["tier", "offload", "history", "--drop-local"], 1, &[words, &next].concat());
    bystander.goes_on();
    let status = rows(&node.ok(&["tier", "status", "history", "-o", "json"]));
    says(status[0]["error"].as_str().unwrap(), &[words, &next].concat());
    assert_eq!((&status[0]["segments_cold"], &status[0]["local_start"]), (&json!(0), &json!(0)), "nothing is dropped");
    refused(&node, &["tier", "recover", "absent"], 1, &[words, &next].concat());
    let at = format!("endpoint={endpoint}");
    let sink =
        ["connector", "create", "snk", "--type", "object-store", "--topic", "history", "--set", "url=s3://lake/p"];
    let secret = ["--set", "access_key_id=me", "--set", "secret_access_key=not-to-be-logged"];
    node.ok(&[&sink[..], &["--set", "format=json-lines", "--set", &at], &secret].concat());
    let row = deployment(&node, "connector", "snk", |row| row["state"] == "retrying" && row["error"].is_string());
    says(row["error"].as_str().unwrap(), &[words, &["s3://lake", "it is tried again"]].concat());
    bystander.goes_on();
    // The topic itself serves as ever, the refused store or not.
    assert_eq!(Family::Librdkafka.consume(&node.kafka, "history", 100).len(), 100);
    assert!(!node.log().contains("not-to-be-logged"));
    bystander.unharmed(&node);
}

#[test]
fn a_store_that_knows_not_the_keys_is_told_and_harms_nobody() {
    let store = Refusing::start("403 Forbidden", "SignatureDoesNotMatch");
    refuses(&store.endpoint, &["403", "SignatureDoesNotMatch"]);
}

#[test]
fn a_store_that_asks_to_slow_down_is_told_and_harms_nobody() {
    let store = Refusing::start("503 Service Unavailable", "SlowDown");
    refuses(&store.endpoint, &["503", "SlowDown"]);
}

#[test]
fn a_store_that_is_not_there_is_told_and_harms_nobody() {
    // A port that nobody listens at, since the listener has gone.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    refuses(&format!("http://{address}"), &["Connection refused"]);
}

#[test]
fn a_folder_that_can_not_be_written_is_told_and_copying_goes_on_when_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let (store, away) = (folder.path().join("store"), folder.path().join("away"));
    let url = format!("tier.url={}", store.display());
    let node = Node::start(&[&url, "tier.interval.ms=200"]);
    let bystander = Bystander::start(&node);
    node.ok(&["topic", "create", "history", "--config", "remote.storage.enable=true"]);
    Family::FranzGo.produce(&node.kafka, "history", "none", &records(100, "cold"));
    // A file stands where the folder was.
    let _ = std::fs::rename(&store, &away);
    std::fs::write(&store, "not a folder").unwrap();
    refused(&node, &["tier", "offload", "history"], 1, &["history", "Not a directory", "it is tried again"]);
    std::fs::remove_file(&store).unwrap();
    if std::fs::rename(&away, &store).is_err() {
        std::fs::create_dir(&store).unwrap();
    }
    node.ok(&["tier", "offload", "history", "--drop-local"]);
    eventually("the segment is cold", PATIENCE, || {
        let status = rows(&node.ok(&["tier", "status", "history", "-o", "json"]));
        (status[0]["segments_cold"].as_u64() > Some(0) && status[0]["error"].is_null()).then_some(())
    });
    assert_eq!(Family::Librdkafka.consume(&node.kafka, "history", 100).len(), 100);
    bystander.unharmed(&node);
}
