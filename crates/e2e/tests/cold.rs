//! Cold storage in a real S3 server (moto): a client reads the same bytes after the local copies have gone, and from a fresh data folder
//! that is given only the bucket.

#![allow(clippy::unwrap_used, reason = "a test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millstream_e2e::{Family, Node, Record, clients_folder, eventually};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

struct Moto {
    process: Child,
    endpoint: String,
}

impl Moto {
    /// Starts the server with one empty bucket, `cold`.
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(clients_folder().join("python/bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let endpoint = format!("http://127.0.0.1:{port}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        eventually("moto makes a bucket", Duration::from_secs(30), || {
            let made = runtime.block_on(async { reqwest::Client::new().put(format!("{endpoint}/cold")).send().await });
            made.ok().filter(|answer| answer.status().is_success())
        });
        Self { process, endpoint }
    }

    fn settings(&self) -> Vec<String> {
        vec![
            "tier.url=s3://cold/millstream".to_owned(),
            format!("tier.store.endpoint={}", self.endpoint),
            "tier.store.allow.http=true".to_owned(),
            "tier.store.access.key.id=test".to_owned(),
            "tier.store.secret.access.key=not-to-be-logged".to_owned(),
        ]
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn records() -> Vec<Record> {
    let value = |n: usize| json!(STANDARD.encode(format!("{n} {}", "cold ".repeat(n % 200))));
    let one = |n: usize| json!({"partition": n % 2, "key": null, "value": value(n), "headers": [], "timestamp": 1_700_000_000_000_u64 + n as u64});
    (0..10_000).map(one).collect()
}

fn tier(node: &Node) -> Vec<Value> {
    node.ok(&["tier", "status", "-o", "json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_is_cold_is_read_as_before_and_recovered_from_the_bucket_alone() {
    let moto = Moto::start();
    let settings = moto.settings();
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let node = Node::start(&settings);
    let config = ["retention.ms=-1", "remote.storage.enable=true", "segment.bytes=1048588"];
    let config: Vec<&str> = config.iter().flat_map(|setting| ["--config", setting]).collect();
    node.ok(&[&["topic", "create", "history", "--partitions", "2"], config.as_slice()].concat());
    let written = records();
    Family::FranzGo.produce(&node.kafka, "history", "none", &written);
    let before = Family::Librdkafka.consume(&node.kafka, "history", written.len());

    node.ok(&["tier", "offload", "history", "--drop-local"]);
    let status = tier(&node);
    assert!(status.iter().all(|row| row["local_start"] == row["high_watermark"]), "{status:?}");
    assert!(status.iter().all(|row| row["segments_cold"].as_u64() > Some(1) && row["bytes_hot"] == 0), "{status:?}");
    assert_eq!(Family::Librdkafka.consume(&node.kafka, "history", written.len()), before);
    let count = node.ok(&["sql", "-o", "json", "-c", "SELECT count(*) AS n FROM history"]);
    assert_eq!(serde_json::from_str::<Value>(&count).unwrap()["n"], written.len());
    assert!(!node.log().contains("not-to-be-logged"));
    drop(node);

    let fresh = Node::start(&settings);
    assert_eq!(fresh.ok(&["tier", "recover", "history"]), "history: recovered 2 partitions\n");
    assert_eq!(Family::Librdkafka.consume(&fresh.kafka, "history", written.len()), before);
    // It goes on as an ordinary topic, and can be offloaded again.
    Family::FranzGo.produce(&fresh.kafka, "history", "none", &written[..10]);
    fresh.ok(&["tier", "offload", "history", "--drop-local"]);
    let all = Family::Librdkafka.consume(&fresh.kafka, "history", written.len() + 10);
    assert_eq!(all.len(), written.len() + 10);
}
