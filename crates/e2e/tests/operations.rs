//! What operators rely on: metrics that are true when they are read, defaults that reach topics, the API's document, and a stop in order.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millstream_e2e::{Family, Node, clients_folder, eventually, kafka_tool, run_script};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn get(node: &Node, path: &str) -> String {
    let mut stream = TcpStream::connect(&node.http).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn call(node: &Node, method: &str, path: &str, body: &Value) -> (u16, String) {
    let (mut stream, body) = (TcpStream::connect(&node.http).unwrap(), body.to_string());
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Every series with its value; buckets are left out.
fn metrics(node: &Node) -> BTreeMap<String, f64> {
    let text = get(node, "/metrics");
    let series = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    series.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
}

fn python(node: &str, program: &str, args: &[&str]) -> Vec<Value> {
    let mut command = Command::new(clients_folder().join("python/bin/python"));
    command.arg(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python").join(program)).arg(node);
    let output = command.args(args).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn produce(node: &Node, topic: &str, count: usize) {
    let one = |n: usize| json!({"partition": 0, "key": null, "value": STANDARD.encode(n.to_string()), "headers": [], "timestamp": 1_700_000_000_000_u64});
    Family::FranzGo.produce(&node.kafka, topic, "none", &(0..count).map(one).collect::<Vec<_>>());
}

#[test]
fn groups_and_their_lag_are_what_they_are_when_metrics_are_read() {
    let node = Node::start(&[]);
    node.ok(&["topic", "create", "orders"]);
    produce(&node, "orders", 10);
    let member = Family::Librdkafka.group(&node.kafka, "orders", "billing");
    let state = |state: &str| format!("kafka_coordinator_group_groupmetadatamanager_numgroups{{state=\"{state}\"}}");
    let lag = "millstream_group_lag{group=\"billing\",partition=\"0\",topic=\"orders\"}";
    eventually("the group has read all", PATIENCE, || {
        let metrics = metrics(&node);
        (metrics.get(&state("Stable")) == Some(&1.0) && metrics.get(lag) == Some(&0.0)).then_some(())
    });
    member.leave();
    produce(&node, "orders", 7);
    let now = eventually("the group is empty and behind", PATIENCE, || {
        let metrics = metrics(&node);
        (metrics.get(&state("Empty")) == Some(&1.0) && metrics.get(lag) == Some(&7.0)).then_some(metrics)
    });
    assert_eq!(now[&state("Stable")], 0.0);
    node.ok(&["group", "delete", "billing"]);
    let gone = metrics(&node);
    assert_eq!((gone.get(lag), gone[&state("Empty")]), (None, 0.0), "a group that is no more has no lag");
}

#[test]
fn what_the_node_does_is_counted_under_kafkas_names_where_kafka_has_one() {
    let node = Node::start(&[]);
    node.ok(&["topic", "create", "orders", "--partitions", "3"]);
    node.ok(&["stream", "create", "CREATE STREAM copied AS SELECT _value FROM orders"]);
    produce(&node, "orders", 100);
    node.ok(&["sql", "-c", "SELECT count(*) FROM orders"]);
    let _ = node.fails(&["sql", "-c", "SELECT nothing FROM orders"]);
    node.ok(&["bus", "create", "shop"]);
    let event = node.folder().join("event.json");
    std::fs::write(&event, r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#).unwrap();
    for _ in 0..2 {
        node.ok(&["bus", "put", "shop", event.to_str().unwrap()]);
    }
    let now = eventually("the stream has read all", PATIENCE, || {
        let now = metrics(&node);
        let read = now.get("millstream_task_records_in_total{kind=\"stream\",name=\"copied\"}") == Some(&100.0);
        let lag = now.get("millstream_task_lag{kind=\"stream\",name=\"copied\",partition=\"0\",topic=\"orders\"}");
        (read && lag == Some(&0.0)).then_some(now)
    });
    for (name, value) in [
        ("kafka_server_brokertopicmetrics_messagesin_total{topic=\"orders\"}", 100.0),
        ("kafka_controller_kafkacontroller_activecontrollercount", 1.0),
        ("kafka_controller_kafkacontroller_offlinepartitionscount", 0.0),
        ("kafka_server_replicamanager_underreplicatedpartitions", 0.0),
        ("millstream_query_ms_count{outcome=\"done\"}", 1.0),
        ("millstream_query_ms_count{outcome=\"failed\"}", 1.0),
        ("millstream_query_rows_total", 1.0),
        ("millstream_bus_events_in_total{bus=\"shop\"}", 1.0),
        ("millstream_bus_events_duplicate_total{bus=\"shop\"}", 1.0),
        ("millstream_http_requests_total{route=\"/v1/sql\",status=\"200\"}", 1.0),
    ] {
        assert_eq!(now.get(name), Some(&value), "{name}");
    }
    let topics = get(&node, "/v1/topics");
    let topics: Vec<Value> = serde_json::from_str(&topics).unwrap();
    let partitions: i64 = topics.iter().map(|topic| topic["partitions"].as_i64().unwrap()).sum();
    assert_eq!(now["kafka_controller_kafkacontroller_globaltopiccount"], topics.len() as f64);
    assert_eq!(now["kafka_controller_kafkacontroller_globalpartitioncount"], partitions as f64);
    let started = now["millstream_start_time_seconds"];
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((clock - 600.0..=clock).contains(&started), "{started} is not when the node was started");
}

#[test]
fn a_default_of_topics_given_at_start_is_in_force_and_told_as_kafka_tells_it() {
    let settings = ["log.retention.ms=3600000", "message.max.bytes=2000"];
    let mut node = Node::start(&settings);
    node.ok(&["topic", "create", "inherits"]);
    node.ok(&["topic", "create", "sets", "--config", "retention.ms=5000000", "--config", "max.message.bytes=100000"]);
    for _ in 0..2 {
        for (topic, value, source) in
            [("inherits", "3600000", "STATIC_BROKER_CONFIG"), ("sets", "5000000", "DYNAMIC_TOPIC_CONFIG")]
        {
            let told = python(&node.kafka, "defaults.py", &[topic, "retention.ms"]).remove(0);
            assert_eq!(told, json!({"value": value, "source": source}), "{topic}");
        }
        assert!(node.stop());
        // Again from the log of metadata, which says nothing of it.
        node.restart();
    }
    let large = node.folder().join("large");
    std::fs::write(&large, "x".repeat(5_000) + "\n").unwrap();
    let shell = |topic: &str| {
        let mut command = Command::new(millstream_e2e::binary());
        command.args(["topic", "produce", topic]).env("MILLSTREAM_HTTP", &node.http);
        command.stdin(std::fs::File::open(&large).unwrap()).output().unwrap()
    };
    let refused = shell("inherits");
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{error}");
    assert!(error.contains("max.message.bytes") && error.contains("2000"), "{error}");
    assert!(shell("sets").status.success());
}

#[test]
fn an_option_is_in_force_when_its_change_is_answered() {
    let node = Node::start(&[]);
    for n in 0..3 {
        let topic = format!("t{n}");
        node.ok(&["topic", "create", &topic, "--partitions", "20"]);
        let change = json!({"configs": {"remote.storage.enable": "true"}});
        let (status, answer) = call(&node, "PATCH", &format!("/v1/topics/{topic}"), &change);
        assert_eq!(status, 200, "{answer}");
        let (status, answer) = call(&node, "POST", "/v1/tier/offload", &json!({"topic": topic}));
        assert_eq!(status, 200, "{answer}");
    }
}

#[test]
fn the_apis_document_keeps_openapis_rules_and_describes_what_is_served() {
    let node = Node::start(&[]);
    node.ok(&["topic", "create", "orders", "--config", "remote.storage.enable=true"]);
    node.ok(&["stream", "create", "CREATE STREAM copied AS SELECT _value FROM orders"]);
    node.ok(&["bus", "create", "shop"]);
    let asked = python(&node.http, "described.py", &[]);
    let answered = |path: &str| {
        let found = asked.iter().find(|line| line["path"] == path);
        found.unwrap_or_else(|| panic!("{path} was not asked")).clone()
    };
    for path in ["/v1/topics", "/v1/streams", "/v1/buses", "/v1/tier", "/v1/cluster", "/v1/connector-types"] {
        assert!(
            !answered(path)["answer"].as_array().unwrap().is_empty(),
            "{path} has nothing to hold to its description"
        );
    }
}

#[test]
fn a_request_that_has_begun_is_answered_before_the_node_stops_and_nothing_is_left_to_recover() {
    let mut node = Node::start(&[]);
    node.ok(&["topic", "create", "orders"]);
    let body = json!({"records": [{"value": "the last one"}]}).to_string();
    let (first, second) = body.split_at(10);
    let mut stream = TcpStream::connect(&node.http).unwrap();
    write!(
        stream,
        "POST /v1/topics/orders/records HTTP/1.1\r\nhost: node\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{first}",
        body.len()
    )
    .unwrap();
    // Until the node has taken it up: a request that it never saw is not one that has begun.
    eventually("the request is in the node's hands", PATIENCE, || {
        let waiting = format!(
            "{:?}",
            std::fs::read_to_string("/proc/net/tcp").unwrap().lines().find(|line| unread(line, &node.http))
        );
        (waiting == "None").then_some(())
    });
    assert!(Command::new("kill").args(["-TERM", &node.pid().to_string()]).status().unwrap().success());
    eventually("the node takes nothing new", PATIENCE, || TcpStream::connect(&node.http).is_err().then_some(()));
    stream.write_all(second.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"appended\":1"), "{answer}\n{}", node.log());
    assert!(node.ended_well(), "{}", node.log());
    assert!(node.data().join(".kafka_cleanshutdown").exists(), "the marker of a clean end is missing");
    node.restart();
    assert_eq!(node.ok(&["topic", "consume", "orders"]), "the last one\n");
}

/// Whether a line of the kernel's table is a connection to `address` with bytes that its owner has not read.
fn unread(line: &str, address: &str) -> bool {
    let port: u16 = address.rsplit_once(':').unwrap().1.parse().unwrap();
    let fields: Vec<&str> = line.split_whitespace().collect();
    let local = fields.get(1).is_some_and(|local| local.ends_with(&format!(":{port:04X}")));
    local && fields.get(4).is_some_and(|queues| !queues.ends_with(":00000000"))
}

/// What Kafka's own tool tells of each data folder: its error, and how many partitions are in it.
fn folders_by_kafkas_tool(node: &Node) -> BTreeMap<String, (bool, usize)> {
    let told = kafka_tool("org.apache.kafka.tools.LogDirsCommand", &["--bootstrap-server", &node.kafka, "--describe"]);
    let told: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    let folders = told["brokers"][0]["logDirs"].as_array().unwrap();
    let one = |folder: &Value| {
        let name = folder["logDir"].as_str().unwrap().to_owned();
        (name, (folder["error"].is_null(), folder["partitions"].as_array().unwrap().len()))
    };
    folders.iter().map(one).collect()
}

#[test]
fn a_data_folder_that_is_taken_away_is_missed_alone_and_comes_back_without_a_restart() {
    let disks = tempfile::tempdir().unwrap();
    let [second, third, away] = ["second", "third", "away"].map(|name| disks.path().join(name));
    let mut node = Node::start(&[&format!("log.dirs={},{}", second.display(), third.display())]);
    let topics: Vec<String> = (0..6).map(|number| format!("t{number}")).collect();
    for topic in &topics {
        node.ok(&["topic", "create", topic]);
        produce(&node, topic, 10);
    }
    let is_there = |topic: &&String| third.join(format!("{topic}-0")).is_dir();
    let (there, elsewhere): (Vec<&String>, Vec<&String>) = topics.iter().partition(is_there);
    assert!(there.len() >= 2 && elsewhere.len() >= 2, "a third of all are in each: {there:?}");
    let told = folders_by_kafkas_tool(&node);
    assert_eq!(told.len(), 3);
    assert!(told.values().all(|(is_well, partitions)| *is_well && *partitions >= 2), "{told:?}");

    std::fs::rename(&third, &away).unwrap();
    let offline = |node: &Node| node.metric("kafka_log_logmanager_offlinelogdirectorycount");
    eventually("the folder is missed", PATIENCE, || (offline(&node) == 1).then_some(()));
    for _ in 0..2 {
        for topic in &elsewhere {
            produce(&node, topic, 10);
        }
        let told = run_script("once.py", &[&node.kafka, there[0], "1"], &[]);
        assert_eq!(told, [json!({"told": "KAFKA_STORAGE_ERROR"})]);
        // And once more on a node that was started without it.
        if node.log().matches("the partitions in it").count() < 2 {
            node.kill_and_restart();
        }
    }
    let told = folders_by_kafkas_tool(&node);
    assert_eq!(told[third.to_str().unwrap()], (false, 0));
    assert_eq!(told.values().filter(|(is_well, _)| *is_well).count(), 2, "{told:?}");
    assert!(!third.exists(), "nothing is written where a disk is to be");

    std::fs::rename(&away, &third).unwrap();
    eventually("the folder is used again", PATIENCE, || (offline(&node) == 0).then_some(()));
    for topic in &there {
        produce(&node, topic, 10);
        assert_eq!(Family::FranzGo.consume(&node.kafka, topic, 20).len(), 20, "{topic}");
    }
    assert_eq!(Family::FranzGo.consume(&node.kafka, elsewhere[0], 30).len(), 30);
    assert!(node.stop());
}
