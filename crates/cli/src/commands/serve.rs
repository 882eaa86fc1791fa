//! `millstream serve`: a node in this process, until it is told to stop.

use crate::error::Error;
use clap::{Args, ValueEnum};
use millstream_server::{Node, Settings, Sources};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// How the node logs, on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Run a node. No file is needed: `millstream config` lists the options that --set, MILLSTREAM_* and --config take.
#[derive(Args)]
pub struct Serve {
    /// Which options the node has.
    #[command(flatten)]
    pub options: NodeOptions,
    /// How the node logs.
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// What the node logs, for example `info`, or `warn,millstream_partition=debug`.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

/// The options of a node, for the commands that run or check one.
#[derive(Args)]
pub struct NodeOptions {
    /// The folder of everything the node keeps [default: ./millstream-data]. May be given often: what comes after the first are further
    /// folders for partitions, on disks of their own (log.dirs).
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Vec<PathBuf>,
    /// Where Kafka's protocol listens [default: 127.0.0.1:9092].
    #[arg(long, value_name = "HOST:PORT")]
    pub kafka: Option<String>,
    /// Where HTTP listens [default: 127.0.0.1:9080].
    #[arg(long, value_name = "HOST:PORT")]
    pub http: Option<String>,
    /// The node's number in its cluster [default: 1].
    #[arg(long, value_name = "N")]
    pub node_id: Option<i32>,
    /// A TOML file of options.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Any option. May be given often.
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

impl NodeOptions {
    /// The settings: flags over variables over the file over defaults.
    pub fn settings(&self) -> Result<Settings, Error> {
        let mut set = self.set.clone();
        if let Some((first, others)) = self.data_dir.split_first() {
            set.push(format!("data.dir={}", first.display()));
            let others: Vec<String> = others.iter().map(|folder| folder.display().to_string()).collect();
            set.extend((!others.is_empty()).then(|| format!("log.dirs={}", others.join(","))));
        }
        set.extend(self.kafka.as_ref().map(|address| format!("listeners=PLAINTEXT://{address}")));
        set.extend(self.http.as_ref().map(|address| format!("http.listener={address}")));
        set.extend(self.node_id.map(|id| format!("node.id={id}")));
        let variables = std::env::vars().filter(|(name, _)| name.starts_with("MILLSTREAM_")).collect();
        let sources = Sources { set, variables, file: self.config.clone() };
        Settings::load(&sources).map_err(|error| Error::Usage(error.to_string()))
    }
}

/// Where secrets in the settings of connectors are looked up: this process's environment.
pub fn environment() -> millstream_server::Environment {
    Arc::new(|name| std::env::var(name).ok())
}

/// Runs the command.
pub async fn run(command: Serve) -> Result<(), Error> {
    let format = match command.log_format {
        LogFormat::Text => millstream_telemetry::logs::Format::Text,
        LogFormat::Json => millstream_telemetry::logs::Format::Json,
    };
    millstream_telemetry::logs::init(format, command.log.as_deref())
        .map_err(|error| Error::Usage(error.to_string()))?;
    let settings = command.options.settings()?;
    take_all_files();
    let data_dir = settings.data_dir.clone();
    let node = Node::start(settings, environment()).await.map_err(|error| Error::Local(error.to_string()))?;
    let mut out = std::io::stdout();
    for (_, address) in &node.bound().kafka {
        writeln!(out, "kafka {address}")?;
    }
    writeln!(out, "http {}", node.bound().http)?;
    out.flush()?;
    tracing::info!(data = %data_dir.display(), "serving");
    interrupted().await?;
    tracing::info!("stopping");
    node.stop().await.map_err(|error| Error::Local(format!("the node did not stop in order: {error}")))
}

/// Has the process open as many files as it may: what it is started with is often made for programs that open few.
fn take_all_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let all = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, all) {
        tracing::warn!(%error, files = limit.current, "the limit of open files could not be raised: fewer connections and partitions fit");
    }
}

/// Returns at Ctrl-C or SIGTERM.
pub async fn interrupted() -> Result<(), Error> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        biased;
        outcome = tokio::signal::ctrl_c() => outcome?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
