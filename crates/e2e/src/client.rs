//! Real clients, one program for each family, all behind the same few verbs (`clients/README.md`).

use crate::program::run;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

/// Where `cargo xtask test` put the clients.
///
/// # Panics
/// When it did not: a test never passes by skipping.
#[must_use]
pub fn clients_folder() -> PathBuf {
    let folder = std::env::var_os("MILLSTREAM_E2E_CLIENTS").map(PathBuf::from);
    folder.expect("the real clients are missing: run `cargo xtask test`, which installs them and says where they are")
}

/// A program of `clients/python` or `clients/node`, by its ending.
fn script(program: &str) -> Command {
    let clients = clients_folder();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
    if program.ends_with(".js") {
        let mut command = Command::new("node");
        command.arg(sources.join("node").join(program)).env("NODE_PATH", clients.join("node/node_modules"));
        return command;
    }
    let mut command = Command::new(clients.join("python/bin/python"));
    command.arg(sources.join("python").join(program));
    command
}

/// Runs a program of `clients/python` or `clients/node` to its end, with `lines` as its standard input; the JSON lines it printed.
///
/// # Panics
/// When it fails, or prints something else.
#[must_use]
pub fn run_script(program: &str, args: &[&str], lines: &[Value]) -> Vec<Value> {
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let output = run(script(program).args(args), &input);
    let parsed = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{program}: {line:?}: {error}"));
    output.lines().map(parsed).collect()
}

/// A family of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// librdkafka, through confluent-kafka for Python.
    Librdkafka,
    /// kafka-python.
    KafkaPython,
    /// aiokafka.
    Aiokafka,
    /// kafkajs.
    Kafkajs,
    /// franz-go.
    FranzGo,
    /// Apache Kafka's own Java clients.
    Java,
}

/// A record as the programs print it: bytes as base64.
pub type Record = Value;

impl Family {
    /// All six.
    pub const ALL: [Self; 6] =
        [Self::Librdkafka, Self::KafkaPython, Self::Aiokafka, Self::Kafkajs, Self::FranzGo, Self::Java];

    /// Whether a record may have the same header name twice in an order that the library keeps. In kafkajs headers are an object:
    /// repeated names keep their values' order but stand together.
    #[must_use]
    pub fn keeps_header_order(self) -> bool {
        self != Self::Kafkajs
    }

    /// Whether a record may have neither a key nor a value: kafka-python and aiokafka refuse to send one.
    #[must_use]
    pub fn sends_records_of_nothing(self) -> bool {
        !matches!(self, Self::KafkaPython | Self::Aiokafka)
    }

    /// Whether a header's value may be null: kafka-python and kafkajs refuse to send such a one.
    #[must_use]
    pub fn sends_null_headers(self) -> bool {
        !matches!(self, Self::KafkaPython | Self::Kafkajs)
    }

    fn command(self) -> Command {
        match self {
            Self::Librdkafka => script("confluent.py"),
            Self::KafkaPython => script("kafkapython.py"),
            Self::Aiokafka => script("aio.py"),
            Self::Kafkajs => {
                let mut command = script("kafkajs.js");
                command.env("KAFKAJS_NO_PARTITIONER_WARNING", "1");
                command
            }
            Self::FranzGo => Command::new(clients_folder().join("go/client")),
            Self::Java => crate::kafka::java("-Xmx256m", "Client"),
        }
    }

    fn run(self, args: &[&str], input: &str) -> Vec<Value> {
        let output = run(self.command().args(args), input);
        output.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| json!({"text": line}))).collect()
    }

    /// Produces records to `topic` and returns when all are acknowledged.
    pub fn produce(self, bootstrap: &str, topic: &str, codec: &str, records: &[Record]) {
        let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
        self.run(&["produce", bootstrap, topic, codec], &lines);
    }

    /// The first `count` records of `topic`, by partition and offset.
    #[must_use]
    pub fn consume(self, bootstrap: &str, topic: &str, count: usize) -> Vec<Record> {
        let mut records = self.run(&["consume", bootstrap, topic, &count.to_string()], "");
        records.sort_by_key(|record| (record["partition"].as_i64(), record["offset"].as_i64()));
        records
    }

    /// Produces records, each to the topic that its `"topic"` names, from one process; `topics` says with which coding.
    pub fn produce_each(self, bootstrap: &str, topics: &[(&str, &str)], records: &[Record]) {
        let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
        let words = topics.iter().flat_map(|(topic, codec)| [*topic, *codec]);
        self.run(&["produce", bootstrap].into_iter().chain(words).collect::<Vec<_>>(), &lines);
    }

    /// The first so many records of each topic, by topic, partition and offset, read by one process.
    #[must_use]
    pub fn consume_each(self, bootstrap: &str, topics: &[(&str, usize)]) -> Vec<Record> {
        let words: Vec<String> =
            topics.iter().flat_map(|(topic, count)| [(*topic).to_owned(), count.to_string()]).collect();
        let words = ["consume", bootstrap].into_iter().chain(words.iter().map(String::as_str));
        let mut records = self.run(&words.collect::<Vec<_>>(), "");
        let place = |record: &Record| {
            (record["topic"].as_str().map(str::to_owned), record["partition"].as_i64(), record["offset"].as_i64())
        };
        records.sort_by_cached_key(place);
        records
    }

    /// Walks through topic administration and returns what the program saw.
    #[must_use]
    pub fn admin(self, bootstrap: &str, topic: &str) -> Vec<Value> {
        self.run(&["admin", bootstrap, topic], "")
    }

    /// Joins a consumer group as one member.
    ///
    /// # Panics
    /// When the program can't be started.
    #[must_use]
    pub fn group(self, bootstrap: &str, topic: &str, group: &str) -> Interactive {
        self.group_by(&["group", bootstrap, topic, group])
    }

    /// The same with a word for the protocol: `classic` or `consumer`. Librdkafka's and Java's programs know it.
    ///
    /// # Panics
    /// When the program can't be started.
    #[must_use]
    pub fn group_with(self, bootstrap: &str, topic: &str, group: &str, protocol: &str) -> Interactive {
        self.group_by(&["group", bootstrap, topic, group, protocol])
    }

    fn group_by(self, words: &[&str]) -> Interactive {
        Interactive::of(self.command(), words)
    }
}

/// A member of a group that runs until its standard input ends.
pub struct Interactive {
    process: Child,
    stdin: Option<ChildStdin>,
    lines: Arc<Mutex<Vec<Value>>>,
}

impl Interactive {
    /// A member of a share group (`clients/java/.../ShareMember.java`), by Kafka's own client: it acknowledges `implicit` or `explicit`, and sets
    /// `options` of the group first.
    ///
    /// # Panics
    /// When the program can't be started.
    #[must_use]
    pub fn share_member(bootstrap: &str, topic: &str, group: &str, mode: &str, options: &[&str]) -> Self {
        let words: Vec<&str> = [bootstrap, topic, group, mode].into_iter().chain(options.iter().copied()).collect();
        Self::of(crate::kafka::java("-Xmx256m", "ShareMember"), &words)
    }

    fn of(mut command: Command, words: &[&str]) -> Self {
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        Self::start(command)
    }

    fn start(mut command: Command) -> Self {
        let mut process = command.spawn().expect("a client program can be started");
        let stdin = process.stdin.take();
        let output = process.stdout.take().expect("it is piped");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let (Ok(value), Ok(mut lines)) = (serde_json::from_str(&line), sink.lock()) {
                    lines.push(value);
                }
            }
        });
        Self { process, stdin, lines }
    }

    /// What it printed so far.
    ///
    /// # Panics
    /// When its reader panicked.
    #[must_use]
    pub fn seen(&self) -> Vec<Value> {
        self.lines.lock().expect("the reader does not panic").clone()
    }

    /// The records it printed so far.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.seen().into_iter().filter(|line| line.get("offset").is_some()).collect()
    }

    /// The partitions it holds now, sorted.
    #[must_use]
    pub fn assigned(&self) -> Vec<i64> {
        let seen = self.seen();
        let last = seen.iter().rev().find_map(|line| line.get("assigned")?.as_array().cloned());
        let mut partitions: Vec<i64> = last.unwrap_or_default().iter().filter_map(Value::as_i64).collect();
        partitions.sort_unstable();
        partitions
    }

    /// Ends it without a word to anybody (SIGKILL).
    pub fn kill(mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Lets it leave the group and end.
    pub fn leave(mut self) {
        self.stdin = None;
        let _ = self.process.wait();
    }
}

impl Drop for Interactive {
    fn drop(&mut self) {
        self.stdin = None;
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
