//! Apache Kafka itself, from its own jars: one node in a temporary folder, and its tools against any broker or folder.

use crate::client::clients_folder;
use crate::program::run;
use crate::wait::eventually;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a JVM may take to start or to stop on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Any id does: this cluster has one node.
const CLUSTER_ID: &str = "MillstreamPeerAAAAAAAA";

/// A Java program of Apache Kafka, or of the clients' folder.
pub(crate) fn java(heap: &str, class: &str) -> Command {
    let clients = clients_folder();
    let path = format!("{}:{}/*", clients.join("java/classes").display(), clients.join("java/libs").display());
    let mut command = Command::new("java");
    command.args([
        heap,
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    ]);
    command.args(["-cp", &path, class]);
    command
}

/// What a tool of Apache Kafka printed, which has to end well.
#[must_use]
pub fn kafka_tool(class: &str, args: &[&str]) -> String {
    kafka_tool_with_input(class, args, "")
}

/// The same, for a tool that reads its standard input.
#[must_use]
pub fn kafka_tool_with_input(class: &str, args: &[&str], input: &str) -> String {
    run(java("-Xmx512m", class).args(args), input)
}

/// Runs tools of Apache Kafka one after another in one process (`clients/java/.../Tools.java`), each by its class, arguments and input, and
/// returns with what it ended and what it printed.
///
/// # Panics
/// When the process ends badly.
#[must_use]
pub fn kafka_tools(calls: &[(&str, Vec<String>, &str)]) -> Vec<(i64, String)> {
    let line = |(class, args, input): &(&str, Vec<String>, &str)| json!({"class": class, "args": args, "input": input});
    let lines: String = calls.iter().map(|call| format!("{}\n", line(call))).collect();
    let output = run(&mut java("-Xmx256m", "Tools"), &lines);
    let answer = |line: &str| serde_json::from_str::<Value>(line).expect("it prints JSON");
    let ended = |answer: Value| {
        (answer["status"].as_i64().expect("a number"), answer["output"].as_str().expect("a text").to_owned())
    };
    output.lines().map(answer).map(ended).collect()
}

/// A Java program of the clients' folder that runs until its input ends, or until it is killed.
///
/// # Panics
/// When it can't be started.
#[must_use]
pub fn java_program(class: &str, args: &[&str]) -> Child {
    let mut command = java("-Xmx256m", class);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("java can be started")
}

/// Batches that are the same to the byte for every broker (`clients/java/.../Batches.java`): runs one verb, and returns what it printed.
pub fn batches(args: &[&str]) -> Vec<Value> {
    let output = run(java("-Xmx512m", "Batches").args(args), "");
    output.lines().map(|line| serde_json::from_str(line).expect("it prints JSON")).collect()
}

/// A node of Apache Kafka, broker and controller in one.
pub struct Kafka {
    process: Option<Child>,
    folder: tempfile::TempDir,
    /// Where it speaks its protocol.
    pub bootstrap: String,
    /// Where it speaks it to clients that log in, where it does.
    pub door: Option<String>,
}

impl Kafka {
    /// Starts a node with an empty data folder, and returns when it serves.
    ///
    /// # Panics
    /// When it does not listen.
    #[must_use]
    pub fn start() -> Self {
        Self::start_as(None)
    }

    /// The same, with a listener besides (SASL over plain sockets: PLAIN, and both of SCRAM) whose clients log in. `users` are names and
    /// passwords for PLAIN.
    ///
    /// # Panics
    /// When it does not listen.
    #[must_use]
    pub fn start_with_door(users: &[(&str, &str)]) -> Self {
        Self::start_as(Some(users))
    }

    fn start_as(users: Option<&[(&str, &str)]>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let [broker, controller, door] = free_ports();
        let mut properties = properties(folder.path(), broker, controller);
        if let Some(users) = users {
            properties.push_str(&door_properties((broker, controller, door), users));
        }
        std::fs::write(folder.path().join("server.properties"), properties).expect("the folder is writable");
        let (bootstrap, door) = (format!("127.0.0.1:{broker}"), users.map(|_| format!("127.0.0.1:{door}")));
        let mut node = Self { process: None, folder, bootstrap, door };
        let settings = node.settings();
        let format = ["format", "-t", CLUSTER_ID, "-c", settings.to_str().expect("it is UTF-8")];
        let _ = kafka_tool("kafka.tools.StorageTool", &format);
        node.restart();
        node
    }

    fn settings(&self) -> PathBuf {
        self.folder.path().join("server.properties")
    }

    /// Where its partitions' folders are.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Starts it again after [`Self::stop`], on the same port and folder.
    ///
    /// # Panics
    /// When it does not listen.
    pub fn restart(&mut self) {
        let out = self.folder.path().join("out");
        let log = File::options().create(true).append(true).open(&out).expect("the folder is writable");
        let errors = log.try_clone().expect("a file can be opened twice");
        let mut command = java("-Xmx512m", "kafka.Kafka");
        command.arg(self.settings()).stdin(Stdio::null()).stdout(log).stderr(errors);
        let process = self.process.insert(command.spawn().expect("java can be started"));
        eventually("Apache Kafka takes part in its cluster", PATIENCE, || {
            let ended = process.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "Apache Kafka ended:\n{}", std::fs::read_to_string(&out).unwrap_or_default());
            has_brokers(&self.bootstrap).unwrap_or(false).then_some(())
        });
    }

    /// Stops it in order (SIGTERM) and waits until it has: its files are whole then, and marked so.
    ///
    /// # Panics
    /// When it is not running.
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        let sent = Command::new("kill").arg(process.id().to_string()).status().expect("kill can be run");
        assert!(sent.success(), "Apache Kafka was not running any more:\n{}", self.log());
        eventually("Apache Kafka stops", PATIENCE, || process.try_wait().expect("a child can be asked"));
    }

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("out")).unwrap_or_default()
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // It may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Ports that nobody has, from below those that outgoing connections get: a JVM may take a while until it listens there.
fn free_ports() -> [u16; 3] {
    let first = std::process::id() % 10_000;
    let ports = (0..10_000).map(|at| 20_000 + (first + at) % 10_000);
    let listeners = ports.filter_map(|port| TcpListener::bind(format!("127.0.0.1:{port}")).ok());
    // All are held until all are known, and given back before anybody connects.
    let held: Vec<TcpListener> = listeners.take(3).collect();
    [0, 1, 2].map(|at| held[at].local_addr().expect("it is bound").port())
}

/// Whether a broker tells of any: it listens some time before its controller lets it take part, and until then it refuses to make topics.
fn has_brokers(address: &str) -> std::io::Result<bool> {
    // Metadata, version 1, of no topic: length, key, version, correlation id, no client id, no topics.
    let request = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 255, 255, 0, 0, 0, 0];
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&request)?;
    // Length, correlation id, and how many brokers there are.
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    Ok(head[8..] != [0; 4])
}

/// What is set besides, and instead, for a listener whose clients log in: of an option that is there twice, the last counts.
fn door_properties((broker, controller, door): (u16, u16, u16), users: &[(&str, &str)]) -> String {
    let login = "org.apache.kafka.common.security";
    let users: String = users.iter().map(|(name, password)| format!(" user_{name}=\"{password}\"")).collect();
    format!(
        "listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller},DOOR://127.0.0.1:{door}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker},DOOR://127.0.0.1:{door}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,DOOR:SASL_PLAINTEXT
listener.name.door.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.door.connections.max.reauth.ms=3600000
listener.name.door.plain.sasl.jaas.config={login}.plain.PlainLoginModule required{users};
listener.name.door.scram-sha-256.sasl.jaas.config={login}.scram.ScramLoginModule required;
listener.name.door.scram-sha-512.sasl.jaas.config={login}.scram.ScramLoginModule required;
"
    )
}

fn properties(folder: &Path, broker: u16, controller: u16) -> String {
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.cleaner.backoff.ms=100
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
",
        folder.join("log").display()
    )
}
