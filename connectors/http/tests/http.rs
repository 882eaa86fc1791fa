//! The http connectors over real sockets: what is posted is in the log when it is answered; what is sent arrives, in order, or is judged.

#![cfg(test)]

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use millstream_connect::Connectors;
use millstream_connector_http::{HttpSink, HttpSource};
use millstream_record::Columns;
use millstream_runtime::Runtime;
use millstream_task::memory::{MemoryDeployments, MemoryTopics, Operation};
use millstream_task::{Config, DeploymentKey, DeploymentKind, Host, Ports, State, Topics};
use millstream_telemetry::Metrics;
use millstream_types::{ErrorKind, PartitionIndex, TopicPartition};
use parking_lot::Mutex;
use reqwest::Client;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct Node {
    topics: Arc<MemoryTopics>,
    runtime: Runtime,
    host: Host,
}

impl Node {
    fn new() -> Self {
        let (topics, runtime) = (Arc::new(MemoryTopics::new()), Runtime::real());
        let environment = |name: &str| (name == "MILLSTREAM_SECRET_TOKEN").then(|| "t0ken".to_owned());
        let kinds = Connectors::new(runtime.clone(), topics.clone(), Arc::new(environment))
            .with_source(HttpSource)
            .with_sink(HttpSink);
        let ports = Ports {
            runtime: runtime.clone(),
            topics: topics.clone(),
            store: Arc::new(MemoryDeployments::new()),
            metrics: Metrics::new(),
        };
        let host = Host::new(ports, Config { retry_max: Duration::from_millis(50), ..Config::default() });
        host.register(Arc::new(kinds));
        host.start();
        Self { topics, runtime, host }
    }

    /// Deploys a source and waits until it listens.
    async fn listen(&self, settings: Value) -> SocketAddr {
        let address = free_port().await;
        let mut all = json!({ "listen": address });
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        self.host.deploy(key(), json!({"type": "http-source", "topics": ["t", "u"], "settings": all})).await.unwrap();
        for _ in 0..2_000 {
            if TcpStream::connect(address).await.is_ok() {
                return address;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{:?}", self.host.status());
    }

    fn values(&self, topic: &str) -> Vec<String> {
        texts(&self.topics.records(topic, 0))
    }
}

fn texts(records: &Columns) -> Vec<String> {
    records.values.iter().map(|value| String::from_utf8(value.unwrap().to_vec()).unwrap()).collect()
}

fn key() -> DeploymentKey {
    DeploymentKey { kind: DeploymentKind::Connector, name: "h".into() }
}

async fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
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

async fn send(address: SocketAddr, topic: &str, content_type: &str, body: &str) -> (u16, Value) {
    let request = Client::new().post(format!("http://{address}/{topic}")).header("content-type", content_type);
    let response = request.body(body.to_owned()).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn what_is_answered_is_in_the_log() {
    let node = Node::new();
    let address = node.listen(json!({"key": "id"})).await;
    assert_eq!(send(address, "t", "application/json", "{\"id\": \"a\"}").await, (200, json!({"appended": 1})));
    assert_eq!(node.values("t"), ["{\"id\": \"a\"}"]);
    assert_eq!(node.topics.records("t", 0).keys.get(0), Some(&b"a"[..]));
    assert_eq!(send(address, "u", "application/json", "[1, 2]").await, (200, json!({"appended": 2})));
    assert_eq!(send(address, "u", "application/x-ndjson", "3\n4\n").await, (200, json!({"appended": 2})));
    assert_eq!(send(address, "u", "text/plain", "five").await, (200, json!({"appended": 1})));
    assert_eq!(node.values("u"), ["1", "2", "3", "4", "five"]);
    assert!(node.host.stop().await);
    assert!(TcpStream::connect(address).await.is_err(), "the port is let go of");
}

#[tokio::test]
async fn many_requests_at_once_are_each_answered_for_their_own_events() {
    let node = Node::new();
    let address = node.listen(json!({})).await;
    let client = Client::new();
    let requests = (0..50).map(|n| {
        let request = client
            .post(format!("http://{address}/t"))
            .header("content-type", "application/json")
            .body(format!("[{n}, {n}]"));
        async move { request.send().await.unwrap().json::<Value>().await.unwrap() }
    });
    let answers = futures::future::join_all(requests).await;
    assert!(answers.iter().all(|answer| *answer == json!({"appended": 2})), "{answers:?}");
    let mut values = node.values("t");
    values.sort();
    values.dedup();
    assert_eq!((node.values("t").len(), values.len()), (100, 50));
}

#[tokio::test]
async fn requests_that_can_not_be_taken_are_told_why() {
    let node = Node::new();
    let address = node.listen(json!({"body_bytes_max": 100, "bearer_token": "${env:MILLSTREAM_SECRET_TOKEN}"})).await;
    assert_eq!(send(address, "t", "application/json", "{}").await.0, 401);
    let client = Client::new();
    let post = |topic: &str, body: String| {
        let request = client
            .post(format!("http://{address}/{topic}"))
            .bearer_auth("t0ken")
            .header("content-type", "application/json");
        async move {
            let response = request.body(body).send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        }
    };
    assert_eq!(post("t", "{}".to_owned()).await.0, 200);
    let (status, message) = post("x", "{}".to_owned()).await;
    assert!(status == 404 && message.contains("there are t, u"), "{message}");
    let (status, message) = post("t", "{oops".to_owned()).await;
    assert!(status == 400 && message.contains("the body is not JSON"), "{message}");
    let (status, message) = post("t", format!("\"{}\"", "x".repeat(200))).await;
    assert!(status == 413 && message.contains("larger than 100 bytes"), "{message}");
    assert_eq!(node.values("t").len(), 1);
}

#[tokio::test]
async fn a_body_without_a_length_is_cut_off_at_the_limit() {
    let node = Node::new();
    let address = node.listen(json!({"body_bytes_max": 1000})).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST /t HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    let chunk = format!("320\r\n{}\r\n", "x".repeat(800));
    // The server may close before it has read all.
    let _ = stream.write_all(format!("{chunk}{chunk}0\r\n\r\n").as_bytes()).await;
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn more_requests_than_the_limit_are_told_to_slow_down() {
    let node = Node::new();
    let address = node.listen(json!({"requests_max": 1, "timeout_ms": 60_000})).await;
    // A request whose body does not end keeps its place.
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"POST /t HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n1").await.unwrap();
    let mut busy = 0;
    for _ in 0..2_000 {
        busy = send(address, "t", "text/plain", "x").await.0;
        if busy == 429 {
            break;
        }
    }
    assert_eq!(busy, 429);
    slow.write_all(b"2345").await.unwrap();
    let mut answer = vec![0; 12];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200");
    assert_eq!(send(address, "t", "text/plain", "x").await.0, 200);
}

#[tokio::test]
async fn events_that_the_log_can_not_take_now_are_answered_later_or_not_acknowledged() {
    let node = Node::new();
    let address = node.listen(json!({"timeout_ms": 300})).await;
    node.topics.fail_next(Operation::Append, 2, ErrorKind::Unavailable);
    assert_eq!(send(address, "t", "text/plain", "late").await.0, 200);
    node.topics.fail_next(Operation::Append, 1_000, ErrorKind::Unavailable);
    let (status, answer) = send(address, "t", "text/plain", "lost").await;
    assert!(status == 504 && answer["error"].as_str().unwrap().contains("may still come"), "{answer}");
    node.topics.clear_faults();
    node.topics.set_append_bytes_max(50);
    let (status, answer) = send(address, "u", "application/json", &format!("[1, \"{}\"]", "x".repeat(60))).await;
    assert_eq!((status, &answer["appended"]), (422, &json!(1)));
    assert!(answer["refused"][0].as_str().unwrap().starts_with("event 1: "), "{answer}");
    assert_eq!(node.host.status_one(&key()).unwrap().state, State::Running);
}

#[tokio::test]
async fn a_port_that_is_taken_is_tried_again() {
    let node = Node::new();
    let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = holder.local_addr().unwrap();
    let spec = json!({"type": "http-source", "topics": ["t"], "settings": {"listen": address}});
    node.host.deploy(key(), spec).await.unwrap();
    until("it says so", || node.host.status_one(&key()).unwrap().state == State::Retrying).await;
    let message = node.host.status_one(&key()).unwrap().error.unwrap().message;
    assert!(message.starts_with(&format!("could not listen on {address}")), "{message}");
    drop(holder);
    until("it runs", || node.host.status_one(&key()).unwrap().state == State::Running).await;
}

/// A receiver that answers as it is told and keeps what it took.
#[derive(Clone, Default)]
struct Receiver {
    /// The statuses of the next requests; then 200.
    next: Arc<Mutex<VecDeque<u16>>>,
    /// A body with this text gets 422.
    unwanted: Arc<Mutex<Option<String>>>,
    taken: Arc<Mutex<Vec<(String, String)>>>,
    requests: Arc<Mutex<u32>>,
}

impl Receiver {
    async fn start(&self, runtime: &Runtime) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", post(receive)).with_state(self.clone());
        runtime.tasks.spawn("receiver", async move { axum::serve(listener, router).await.unwrap() });
        format!("http://{address}/")
    }

    fn bodies(&self) -> Vec<String> {
        self.taken.lock().iter().map(|(_, body)| body.clone()).collect()
    }
}

async fn receive(Shared(receiver): Shared<Receiver>, headers: HeaderMap, body: Bytes) -> (StatusCode, &'static str) {
    *receiver.requests.lock() += 1;
    let body = String::from_utf8(body.to_vec()).unwrap();
    if let Some(status) = receiver.next.lock().pop_front() {
        return (StatusCode::from_u16(status).unwrap(), "told to");
    }
    if receiver.unwanted.lock().as_ref().is_some_and(|unwanted| body.contains(unwanted)) {
        return (StatusCode::UNPROCESSABLE_ENTITY, "I don't want it");
    }
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    receiver.taken.lock().push((key, body));
    (StatusCode::OK, "")
}

async fn produce(topics: &MemoryTopics, values: &[&str]) {
    let topic = match topics.topic("t") {
        Some(topic) => topic,
        None => topics.create("t", 1, &BTreeMap::new()).await.unwrap(),
    };
    let mut records = Columns::default();
    values.iter().for_each(|value| records.push(1, Some(b"k"), Some(value.as_bytes()), []));
    topics.append(TopicPartition::new(topic.id, PartitionIndex(0)), &records).await.unwrap();
}

fn committed(node: &Node) -> Option<i64> {
    node.topics.committed_offset("millstream-connector-h", "t", 0).map(|offset| offset.0)
}

async fn sink(node: &Node, url: &str, settings: Value, errors: &str) {
    let mut all = json!({ "url": url });
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let spec = json!({"type": "http-sink", "topics": ["t"], "errors": errors, "settings": all});
    node.host.deploy(key(), spec).await.unwrap();
}

#[tokio::test]
async fn batches_arrive_in_order_each_with_the_name_of_its_records() {
    let (node, receiver) = (Node::new(), Receiver::default());
    let url = receiver.start(&node.runtime).await;
    produce(&node.topics, &["1", "2", "3", "4", "5"]).await;
    sink(&node, &url, json!({"batch_max": 2}), "fail").await;
    until("all is committed", || committed(&node) == Some(5)).await;
    let expected = [("t-0-0-1", "[1,2]"), ("t-0-2-3", "[3,4]"), ("t-0-4-4", "[5]")];
    assert_eq!(*receiver.taken.lock(), expected.map(|(key, body)| (key.to_owned(), body.to_owned())));
}

#[tokio::test]
async fn what_the_receiver_can_not_take_now_is_sent_again_and_what_it_took_is_not() {
    let (node, receiver) = (Node::new(), Receiver::default());
    let url = receiver.start(&node.runtime).await;
    produce(&node.topics, &["1", "2", "3"]).await;
    receiver.next.lock().extend([503, 429, 500]);
    sink(&node, &url, json!({"batch_max": 2}), "fail").await;
    until("all is committed", || committed(&node) == Some(3)).await;
    assert_eq!(receiver.bodies(), ["[1,2]", "[3]"]);
    let status = node.host.status_one(&key()).unwrap();
    assert!(status.error.unwrap().message.contains("500 Internal Server Error: told to"));
    assert_eq!((status.state, *receiver.requests.lock()), (State::Running, 5));
}

#[tokio::test]
async fn the_record_that_the_receiver_refuses_is_found_and_becomes_a_dead_letter() {
    let (node, receiver) = (Node::new(), Receiver::default());
    let url = receiver.start(&node.runtime).await;
    *receiver.unwanted.lock() = Some("bad".to_owned());
    produce(&node.topics, &["1", "2", "\"bad\"", "4", "not json", "5"]).await;
    sink(&node, &url, json!({}), "dead-letter").await;
    until("all is committed", || committed(&node) == Some(6)).await;
    let mut sent: Vec<i64> =
        receiver.bodies().iter().flat_map(|body| serde_json::from_str::<Vec<i64>>(body).unwrap()).collect();
    sent.dedup();
    assert_eq!(sent, [1, 2, 4, 5]);
    let letters = node.topics.records("h-dead-letters", 0);
    assert_eq!(texts(&letters), ["\"bad\"", "not json"]);
    let cause = letters.headers.get(0).find(|(name, _)| *name == "millstream.error").unwrap().1.unwrap();
    assert_eq!(cause, b"the receiver answered 422 Unprocessable Entity: I don't want it");
}

#[tokio::test]
async fn single_requests_carry_values_as_they_are() {
    let (node, receiver) = (Node::new(), Receiver::default());
    let url = receiver.start(&node.runtime).await;
    *receiver.unwanted.lock() = Some("bad".to_owned());
    produce(&node.topics, &["a b", "bad", "c"]).await;
    sink(&node, &url, json!({"format": "single", "content_type": "text/plain"}), "skip").await;
    until("all is committed", || committed(&node) == Some(3)).await;
    assert_eq!(receiver.bodies(), ["a b", "c"]);
    assert_eq!(node.host.status_one(&key()).unwrap().counts.records_failed, 1);
}

#[tokio::test]
async fn an_address_that_is_wrong_stops_the_sink_and_one_that_is_away_does_not() {
    let (node, receiver) = (Node::new(), Receiver::default());
    let url = receiver.start(&node.runtime).await;
    produce(&node.topics, &["1"]).await;
    receiver.next.lock().push_back(401);
    sink(&node, &url, json!({}), "skip").await;
    until("it stops", || node.host.status_one(&key()).unwrap().state == State::Failed).await;
    assert_eq!(node.host.status_one(&key()).unwrap().error.unwrap().kind, ErrorKind::Unauthorized);
    let nobody = free_port().await;
    sink(
        &node,
        &format!("http://{nobody}/"),
        json!({"headers": {"authorization": "Bearer ${env:MILLSTREAM_SECRET_TOKEN}"}}),
        "skip",
    )
    .await;
    until("it tries again", || node.host.status_one(&key()).unwrap().state == State::Retrying).await;
    let message = node.host.status_one(&key()).unwrap().error.unwrap().message;
    assert!(message.contains("Connection refused") && !message.contains("t0ken"), "{message}");
    let error = node
        .host
        .deploy(key(), json!({"type": "http-sink", "topics": ["t"], "settings": {"url": "ftp://x"}}))
        .await
        .unwrap_err();
    assert!(
        error.message.starts_with("settings.url is \"ftp://x\": expected a URL that begins with"),
        "{}",
        error.message
    );
}
