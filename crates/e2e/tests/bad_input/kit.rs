//! What the tests of bad input share: a socket that speaks Kafka's frames byte by byte, and what is seen of a node from outside.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millstream_e2e::{Node, Record};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long anything may take. Generous, since the machine is shared.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Kafka's numbers of APIs.
pub mod api {
    pub const PRODUCE: i16 = 0;
    pub const FETCH: i16 = 1;
    pub const LIST_OFFSETS: i16 = 2;
    pub const METADATA: i16 = 3;
    pub const OFFSET_COMMIT: i16 = 8;
    pub const FIND_COORDINATOR: i16 = 10;
    pub const JOIN_GROUP: i16 = 11;
    pub const API_VERSIONS: i16 = 18;
    pub const CREATE_TOPICS: i16 = 19;
    pub const DELETE_RECORDS: i16 = 21;
    pub const INCREMENTAL_ALTER_CONFIGS: i16 = 44;
}

/// A request's or an answer's fields, written one after another.
#[derive(Debug, Default, Clone)]
pub struct Body(pub Vec<u8>);

impl Body {
    pub fn i8(mut self, value: i8) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub fn i16(mut self, value: i16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub fn i32(mut self, value: i32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub fn i64(mut self, value: i64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub fn text(self, value: &str) -> Self {
        self.i16(i16::try_from(value.len()).unwrap()).raw(value.as_bytes())
    }

    pub fn bytes(self, value: &[u8]) -> Self {
        self.i32(i32::try_from(value.len()).unwrap()).raw(value)
    }

    pub fn raw(mut self, value: &[u8]) -> Self {
        self.0.extend(value);
        self
    }
}

/// An answer, read field by field.
#[derive(Debug)]
pub struct Answer(Vec<u8>, usize);

impl Answer {
    fn take(&mut self, count: usize) -> &[u8] {
        self.1 += count;
        &self.0[self.1 - count..self.1]
    }

    pub fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    pub fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    pub fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.take(8).try_into().unwrap())
    }

    /// Null is an empty text.
    pub fn text(&mut self) -> String {
        let len = usize::try_from(self.i16()).unwrap_or(0);
        String::from_utf8(self.take(len).to_vec()).unwrap()
    }
}

/// A request's head and body, without its length.
pub fn request(api: i16, version: i16, body: &Body) -> Vec<u8> {
    Body::default().i16(api).i16(version).i32(7).text("hostile").raw(&body.0).0
}

/// A connection to the port of Kafka's protocol.
pub struct Connection(TcpStream);

impl Connection {
    pub fn open(node: &Node) -> Self {
        let stream = TcpStream::connect(&node.kafka).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    /// Sends bytes as they are. The node may have closed the connection meanwhile.
    pub fn raw(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }

    /// Sends a frame with a true length.
    pub fn frame(&mut self, frame: &[u8]) {
        self.raw(&Body::default().bytes(frame).0);
    }

    /// Sends a request and reads its answer from behind the correlation id.
    pub fn ask(&mut self, api: i16, version: i16, body: &Body) -> Answer {
        self.frame(&request(api, version, body));
        self.answer()
    }

    pub fn answer(&mut self) -> Answer {
        let mut len = [0; 4];
        self.0.read_exact(&mut len).expect("an answer, not a closed connection");
        let mut frame = vec![0; u32::from_be_bytes(len) as usize];
        self.0.read_exact(&mut frame).unwrap();
        let mut answer = Answer(frame, 0);
        assert_eq!(answer.i32(), 7, "the correlation id");
        answer
    }

    /// Waits until the node closes the connection; whatever it says before that is returned.
    pub fn closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => rest,
            // What we sent and it did not read makes the system reset the connection.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => rest,
            Err(error) => panic!("the connection is not closed: {error}"),
        }
    }

    /// Says that nothing more comes from here.
    pub fn end_writing(&self) {
        self.0.shutdown(std::net::Shutdown::Write).unwrap();
    }
}

/// Bytes of memory that the node's process holds now.
pub fn resident_bytes(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// JSON, one object a line.
pub fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// SplitMix64: what is random in a test comes from a seed.
pub struct Draw(pub u64);

impl Draw {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// Asserts that `text` holds every one of `parts`.
#[track_caller]
pub fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

/// Runs a command that must be refused with this exit code, in words that hold every one of `parts`.
#[track_caller]
pub fn refused(node: &Node, args: &[&str], code: i32, parts: &[&str]) {
    let output = node.run(args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
    assert!(error.starts_with("error: "), "{error}");
    says(&error, parts);
}

/// Posts a body; status and answer.
pub fn post(node: &Node, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> (u16, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut request = reqwest::Client::new().post(format!("http://{}{path}", node.http)).body(body.into());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    runtime.block_on(async {
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    })
}

/// The row of a deployment (`functions`, `streams`, `connectors`, `rules` by their command) when `wanted` says that it is as awaited.
pub fn deployment(node: &Node, command: &str, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    for _ in 0..600 {
        let listed = rows(&node.ok(&[command, "list", "-o", "json"]));
        last = listed.into_iter().find(|row| row["name"] == name).unwrap_or_default();
        if wanted(&last) {
            return last;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{command} {name} does not become what is awaited, but is {last}\nthe node's log:\n{}", node.log())
}

/// Waits until a deployment has failed, and asserts its words.
#[track_caller]
pub fn fails_with(node: &Node, command: &str, name: &str, parts: &[&str]) {
    let row = deployment(node, command, name, |row| row["state"] == "failed");
    says(row["error"].as_str().unwrap_or_default(), parts);
}

/// Puts a file into the test's own folder.
pub fn file(node: &Node, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = node.folder().join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A produce request (version 8) of one partition's records, with acks from all.
pub fn produce(topic: &str, partition: i32, records: &[u8]) -> Body {
    Body::default().i16(-1).i16(-1).i32(30_000).i32(1).text(topic).i32(1).i32(partition).bytes(records)
}

/// What a produce request was answered: the code, the offset, and the words.
pub fn produced(answer: &mut Answer) -> (i16, i64, String) {
    assert_eq!(answer.i32(), 1, "one topic");
    answer.text();
    assert_eq!(answer.i32(), 1, "one partition");
    answer.i32();
    let (code, offset) = (answer.i16(), answer.i64());
    // Time of append, start of the log.
    let _ = (answer.i64(), answer.i64());
    for _ in 0..answer.i32() {
        let _ = (answer.i32(), answer.text());
    }
    (code, offset, answer.text())
}

/// Records of partition 0 as the client programs take them, each with this value, made now: older ones are retention's to delete.
pub fn records(count: usize, value: &str) -> Vec<Record> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let timestamp = u64::try_from(now.as_millis()).unwrap();
    let value = STANDARD.encode(value);
    let one = || json!({"partition": 0, "key": null, "value": value, "headers": [], "timestamp": timestamp});
    (0..count).map(|_| one()).collect()
}
