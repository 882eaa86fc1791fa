//! A client that has nothing to do with what a test does wrong: it produces all the while, and must not notice.

use crate::client::{Family, clients_folder};
use crate::{Node, eventually};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long it may wait for anything at all. Generous, since the machine is shared; a node that hangs is found all the same.
const PATIENCE: Duration = Duration::from_secs(60);
/// Milliseconds that one acknowledgement may take while something else goes wrong on the node.
const ACK_MS_MAX: f64 = 20_000.0;

/// librdkafka producing numbers to a topic of its own, idempotent and with acks=all, one record every few milliseconds.
pub struct Bystander {
    process: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
    topic: String,
    acked: u64,
}

/// What a [`Bystander`] saw.
#[derive(Debug)]
pub struct Outcome {
    /// The numbers that were acknowledged, as they were.
    pub acked: Vec<u64>,
    /// How many it sent.
    pub sent: u64,
    /// Errors of deliveries and of the client, in words.
    pub errors: Vec<String>,
    /// The longest that one acknowledgement took.
    pub slowest_ms: f64,
}

impl Bystander {
    /// Makes the topic `bystander` and returns once the first record is acknowledged.
    ///
    /// # Panics
    /// When none is in time.
    #[must_use]
    pub fn start(node: &Node) -> Self {
        let topic = "bystander".to_owned();
        node.ok(&["topic", "create", &topic, "--config", "retention.ms=-1"]);
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python/steady.py");
        let mut process = Command::new(clients_folder().join("python/bin/python"))
            .arg(program)
            .args([&node.kafka, &topic])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a client program can be started");
        let stdin = process.stdin.take();
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).expect("the program prints JSON")).is_err() {
                    return;
                }
            }
        });
        let mut bystander = Self { process, stdin, lines, topic, acked: 0 };
        bystander.goes_on();
        bystander
    }

    /// Waits until some more records are acknowledged than up to now: the node serves it at this moment.
    ///
    /// # Panics
    /// When none are in time.
    pub fn goes_on(&mut self) {
        while let Ok(line) = self.lines.try_recv() {
            self.note(&line);
        }
        let enough = self.acked + 10;
        while self.acked < enough {
            let line = self.lines.recv_timeout(PATIENCE).expect("the bystander's records are acknowledged no more");
            self.note(&line);
        }
    }

    fn note(&mut self, line: &Value) {
        self.acked = line["acked"].as_u64().unwrap_or(self.acked);
    }

    /// Lets it end, and says what it saw.
    ///
    /// # Panics
    /// When it does not end in time.
    #[must_use]
    pub fn end(&mut self) -> Outcome {
        self.stdin = None;
        loop {
            let line = self.lines.recv_timeout(2 * PATIENCE).expect("the bystander ends with what it saw");
            if line.get("done").is_none() {
                continue;
            }
            let numbers = line["done"].as_array().expect("a list of numbers");
            let errors = line["errors"].as_array().expect("a list of texts");
            return Outcome {
                acked: numbers.iter().filter_map(Value::as_u64).collect(),
                sent: line["sent"].as_u64().expect("a number"),
                errors: errors.iter().map(|error| error.as_str().unwrap_or_default().to_owned()).collect(),
                slowest_ms: line["slowest_ms"].as_f64().expect("a number"),
            };
        }
    }

    /// Ends it and asserts that it noticed nothing: no error, no record unanswered, none slow, and all are read back by another client, once
    /// and in order.
    ///
    /// # Panics
    /// When it was harmed.
    pub fn unharmed(mut self, node: &Node) {
        self.goes_on();
        let seen = self.end();
        assert!(seen.errors.is_empty(), "the bystander saw errors: {:?}\nthe node's log:\n{}", seen.errors, node.log());
        assert_eq!(seen.acked.len() as u64, seen.sent, "every record is acknowledged");
        assert!(seen.slowest_ms < ACK_MS_MAX, "one acknowledgement took {} ms", seen.slowest_ms);
        let expected: Vec<u64> = (0..seen.sent).collect();
        assert_eq!(self.read_back(node), expected, "what was acknowledged is there once and in order");
    }

    /// Every record of its topic, read by another client, from the first to the last.
    ///
    /// # Panics
    /// When they can't be read.
    #[must_use]
    pub fn read_back(&self, node: &Node) -> Vec<u64> {
        // Until what was appended last is committed too.
        let count = eventually("the bystander's topic is listed", PATIENCE, || {
            let listed = node.ok(&["topic", "list", "-o", "json"]);
            let rows = listed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let row = rows.into_iter().find(|row| row["name"] == self.topic.as_str())?;
            row["records"].as_u64()
        });
        let records =
            Family::FranzGo.consume(&node.kafka, &self.topic, usize::try_from(count).expect("a small number"));
        let number = |record: &Value| {
            let value = STANDARD.decode(record["value"].as_str()?).ok()?;
            String::from_utf8(value).ok()?.parse().ok()
        };
        records.iter().map(|record| number(record).expect("the bystander writes numbers")).collect()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.stdin = None;
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
