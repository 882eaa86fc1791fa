//! The same requests, made from a seed, to Apache Kafka and to this node over raw sockets: what of their answers differs and is not explained
//! by `docs/kafka-compatibility.md` fails (`clients/python/differential`).
//!
//! `MILLSTREAM_DIFFERENTIAL` says how many requests each version of each API gets, `MILLSTREAM_DIFFERENTIAL_SEED` the seed.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use millstream_e2e::{Kafka, Node, clients_folder, run_script};
use serde_json::Value;
use std::path::Path;

const REQUESTS: &str = "2";
const SEED: &str = "1";
/// Versions that both serve, at least: fewer would mean that an API has gone from one of them.
const VERSIONS_MIN: u64 = 200;

/// Who may log in by PLAIN (`clients/python/differential/sasl.py`).
const USERS: &[(&str, &str)] = &[("ann", "ann's secret"), ("bob", "bob's secret")];

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

#[test]
fn answers_differ_from_apache_kafkas_only_where_the_document_says_so() {
    let (seed, requests) =
        (setting("MILLSTREAM_DIFFERENTIAL_SEED", SEED), setting("MILLSTREAM_DIFFERENTIAL", REQUESTS));
    let kafka = Kafka::start_with_door(USERS);
    let users = tempfile::NamedTempFile::new().unwrap();
    let lines: String = USERS.iter().map(|(name, password)| format!("{name}:{password}\n")).collect();
    std::fs::write(users.path(), lines).unwrap();
    // As that broker is set.
    let node = Node::start(&[
        "listeners=PLAINTEXT://127.0.0.1:0,DOOR://127.0.0.1:0",
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,DOOR:SASL_PLAINTEXT",
        "listener.name.door.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "listener.name.door.connections.max.reauth.ms=3600000",
        &format!("sasl.users.file={}", users.path().display()),
        "node.id=1",
        "share.coordinator.state.topic.num.partitions=1",
        "offsets.topic.num.partitions=1",
        "transaction.state.log.num.partitions=1",
        "auto.create.topics.enable=false",
        "log.cleaner.backoff.ms=100",
    ]);
    let document =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().join("docs/kafka-compatibility.md");
    let libs = clients_folder().join("java/libs");
    let (libs, document) = (libs.to_str().unwrap(), document.to_str().unwrap());
    let ours = node.listeners.join(",");
    let theirs = format!("{},{}", kafka.bootstrap, kafka.door.as_deref().unwrap());
    let args = [ours.as_str(), &theirs, libs, &seed, &requests, document];
    let printed = run_script("differential/main.py", &args, &[]);
    let (differences, totals): (Vec<&Value>, Vec<&Value>) =
        printed.iter().partition(|line| line.get("difference").is_some());
    let totals = totals.last().expect("it ends with what it asked");
    eprintln!("seed {seed}: {totals}");
    assert!(totals["versions"].as_u64().unwrap() >= VERSIONS_MIN, "{totals}");
    let told = differences.iter().take(20).map(|line| line.to_string()).collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} differences that no row of the document explains:\n{told}", differences.len());
}
