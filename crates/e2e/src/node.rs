//! One node: the real binary in a process of its own, with a data folder that goes when the test ends.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// The binary under test: `MILLSTREAM_BINARY`, or the one cargo built beside this test.
///
/// # Panics
/// When there is none: `cargo build` comes first.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("MILLSTREAM_BINARY") {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("a running test has a path");
    let folder = test.ancestors().nth(2).expect("cargo puts tests two folders below the binaries");
    let path = folder.join("millstream");
    assert!(path.exists(), "{} is missing: `cargo build` makes it", path.display());
    path
}

fn serve(folder: &tempfile::TempDir, way: &Way, kafka: &str, http: &str) -> Command {
    let mut command = match way.runner.split_first() {
        None => Command::new(binary()),
        Some((program, args)) => {
            let mut command = Command::new(program);
            command.args(args).arg(binary());
            command
        }
    };
    command.arg("serve").arg("--data-dir").arg(folder.path().join("data")).args(["--http", http]);
    if !way.settings.iter().any(|setting| setting.starts_with("listeners=")) {
        command.args(["--kafka", kafka]);
    }
    command.args(["--set", "group.initial.rebalance.delay.ms=0"]).stdin(Stdio::null());
    for setting in &way.settings {
        command.args(["--set", setting]);
    }
    command
}

/// How a node is started.
#[derive(Clone)]
struct Way {
    /// `NAME=VALUE`.
    settings: Vec<String>,
    /// A program, with arguments, that runs the binary; the binary itself where there is none.
    runner: Vec<String>,
}

impl Way {
    fn new(settings: &[&str]) -> Self {
        Self { settings: settings.iter().map(|text| (*text).to_owned()).collect(), runner: Vec::new() }
    }
}

/// A running node.
pub struct Node {
    process: Child,
    folder: Arc<tempfile::TempDir>,
    way: Way,
    /// Where it speaks Kafka's protocol.
    pub kafka: String,
    /// All its listeners, in the order of the setting `listeners`.
    pub listeners: Vec<String>,
    /// Where it speaks HTTP.
    pub http: String,
}

impl Node {
    /// Starts a node with an empty data folder and returns when it is ready. `settings` are `NAME=VALUE`.
    ///
    /// # Panics
    /// When it does not become ready.
    #[must_use]
    pub fn start(settings: &[&str]) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder can be made"));
        Self::start_in(folder, Way::new(settings), "127.0.0.1:0", "127.0.0.1:0")
    }

    /// The same, through a program that runs the binary: `runner` is given the test's own folder, whose folder `data` will be the data
    /// folder, and says the program and its arguments.
    ///
    /// # Panics
    /// When it does not become ready.
    #[must_use]
    pub fn start_through(runner: impl FnOnce(&Path) -> Vec<String>, settings: &[&str]) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder can be made"));
        let way = Way { runner: runner(folder.path()), ..Way::new(settings) };
        Self::start_in(folder, way, "127.0.0.1:0", "127.0.0.1:0")
    }

    fn start_in(folder: Arc<tempfile::TempDir>, way: Way, kafka: &str, http: &str) -> Self {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(folder.path().join("node.log"))
            .expect("a log file can be made");
        let mut command = serve(&folder, &way, kafka, http);
        let mut process = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the binary can be started");
        let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let mut listeners = Vec::new();
        let http = loop {
            let line = lines.next().and_then(Result::ok);
            let said = line.as_deref().and_then(|line| line.split_once(' '));
            match said {
                Some(("kafka", address)) => listeners.push(address.to_owned()),
                Some(("http", address)) if !listeners.is_empty() => break address.to_owned(),
                _ => {
                    let log = std::fs::read_to_string(folder.path().join("node.log")).unwrap_or_default();
                    panic!("the node did not say where it listens but {line:?}; its log:\n{log}")
                }
            }
        };
        Self { process, folder, way, kafka: listeners[0].clone(), listeners, http }
    }

    /// Kills the process as a power cut would (SIGKILL) and starts it again on the same folder and ports.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.restart();
    }

    /// Kills the process (SIGKILL).
    ///
    /// # Panics
    /// When it can't be killed.
    pub fn kill(&mut self) {
        self.process.kill().expect("a child can be killed");
        self.process.wait().expect("a killed child ends");
    }

    /// Starts the node again after it was killed or stopped, with the same settings, folder and ports.
    pub fn restart(&mut self) {
        let (kafka, http) = (self.kafka.clone(), self.http.clone());
        let next = Self::start_in(self.folder.clone(), self.way.clone(), &kafka, &http);
        *self = next;
    }

    /// Starts a process on the same folder and ports and kills it (SIGKILL) after `moment`, whatever it is at. The node must be dead.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start_and_kill(&mut self, moment: Duration) {
        let mut command = serve(&self.folder, &self.way, &self.kafka, &self.http);
        self.process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary can be started");
        std::thread::sleep(moment);
        self.kill();
    }

    /// Asks the process to stop (SIGTERM) and waits until it has. Returns whether it ended well.
    ///
    /// # Panics
    /// When the signal can't be sent.
    pub fn stop(&mut self) -> bool {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill can be run");
        assert!(sent.success(), "the node was not running any more");
        self.ended_well()
    }

    /// Waits until the process has ended, for a test that told it to. Returns whether it ended well.
    ///
    /// # Panics
    /// When it can't be waited for.
    pub fn ended_well(&mut self) -> bool {
        self.process.wait().expect("a stopped child ends").success()
    }

    /// The process's id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder for whatever else the test makes.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the node logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("node.log")).unwrap_or_default()
    }

    /// The sum of the series of `/metrics` that begin so: a name, and labels where one is meant.
    ///
    /// # Panics
    /// When the node does not answer.
    #[must_use]
    pub fn metric(&self, series: &str) -> u64 {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        let address = format!("http://{}/metrics", self.http);
        let text = runtime.block_on(async { reqwest::get(address).await?.text().await }).expect("the node answers");
        let values = text.lines().filter(|line| line.starts_with(series)).filter_map(|line| line.rsplit(' ').next());
        values.map(|value| value.parse::<u64>().expect("a counter is a whole number")).sum()
    }

    /// Runs a command of the binary against this node.
    ///
    /// # Panics
    /// When it can't be run.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Output {
        Command::new(binary()).args(args).env("MILLSTREAM_HTTP", &self.http).output().expect("the binary can be run")
    }

    /// The same, for a command that must succeed; its standard output.
    ///
    /// # Panics
    /// When it fails.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "millstream {} failed: {error}\nthe node's log:\n{}",
            args.join(" "),
            self.log()
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The same, for a command that must fail; its standard error.
    ///
    /// # Panics
    /// When it succeeds.
    #[must_use]
    pub fn fails(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(!output.status.success(), "millstream {} should have failed", args.join(" "));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
