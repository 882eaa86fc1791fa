//! `millstream doctor`: what of this machine would hinder a node, each with a verdict and a remedy.

use crate::commands::serve::NodeOptions;
use crate::error::Error;
use crate::output::{Format, print};
use clap::Args;
use millstream_runtime::{Disk, OpenMode, RealDisk, Runtime};
use serde_json::{Value, json};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Open files below which many partitions and connections run into the limit.
const FILES_MIN: u64 = 10_000;
/// Free bytes below which a node would soon be full.
const FREE_BYTES_MIN: u64 = 1 << 30;
/// An fsync slower than this makes every metadata change slow.
const SYNC_MAX: Duration = Duration::from_millis(50);
/// Milliseconds since 1970 before which a clock is surely wrong: 2025-01-01.
const CLOCK_MIN_MS: i64 = 1_735_689_600_000;

/// Check this machine and its data folders: a verdict and a remedy each. Exits with 1 when something would keep a node from running.
#[derive(Args)]
pub struct Doctor {
    #[command(flatten)]
    options: NodeOptions,
    /// How rows are printed.
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
}

struct Finding {
    check: &'static str,
    verdict: &'static str,
    found: String,
    remedy: String,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: "ok", found: found.into(), remedy: String::new() }
    }

    fn warn(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, verdict: "warning", found: found.into(), remedy: remedy.into() }
    }

    fn fail(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, verdict: "failure", found: found.into(), remedy: remedy.into() }
    }
}

/// Runs the command.
pub async fn run(command: Doctor) -> Result<(), Error> {
    let settings = command.options.settings()?;
    let runtime = Runtime::real();
    let mut findings: Vec<Finding> =
        settings.listeners.iter().map(|listener| port("kafka port", listener.address)).collect();
    findings.push(port("http port", settings.http));
    findings.push(clock(&runtime));
    findings.push(open_files());
    for path in std::iter::once(&settings.data_dir).chain(&settings.other_dirs) {
        findings.extend(folder(&runtime, path).await);
    }
    let rows: Vec<Value> = findings
        .iter()
        .map(|one| json!({"check": one.check, "verdict": one.verdict, "found": one.found, "remedy": one.remedy}))
        .collect();
    print(command.output, &["check", "verdict", "found", "remedy"], &rows)?;
    match findings.iter().filter(|one| one.verdict == "failure").count() {
        0 => Ok(()),
        failures => {
            Err(Error::Local(format!("{failures} of {} checks would keep a node from running", findings.len())))
        }
    }
}

fn port(check: &'static str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok(check, format!("{address} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::fail(
            check,
            format!("{address} is taken"),
            "stop what listens there (a node that runs already?), or choose another port",
        ),
        Err(error) => Finding::fail(
            check,
            format!("{address}: {error}"),
            "choose an address of this machine, and a port above 1023",
        ),
    }
}

fn clock(runtime: &Runtime) -> Finding {
    let now = runtime.clock.now().0;
    let text = chrono::DateTime::from_timestamp_millis(now).map_or_else(|| now.to_string(), |time| time.to_rfc3339());
    if now < CLOCK_MIN_MS {
        return Finding::fail(
            "clock",
            text,
            "set the clock: records would be stamped with a wrong time, and retention would go wrong",
        );
    }
    Finding::ok("clock", text)
}

fn open_files() -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    // What a node is started with may be less: it takes as many as it may.
    match limit.maximum {
        Some(files) if files < FILES_MIN => Finding::warn(
            "open files",
            format!("at most {files}"),
            format!(
                "raise it to {FILES_MIN} or more (`ulimit -n`, LimitNOFILE=): each segment of a partition takes one, each connection one"
            ),
        ),
        Some(files) => Finding::ok("open files", format!("at most {files}")),
        None => Finding::ok("open files", "no limit"),
    }
}

async fn folder(runtime: &Runtime, path: &Path) -> Vec<Finding> {
    let mut findings = vec![contents(path)];
    let existing = path.ancestors().find(|folder| folder.is_dir() || folder.as_os_str().is_empty());
    let existing =
        existing.filter(|folder| !folder.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    findings.push(match RealDisk::new().space(&existing).await {
        Ok((free, _)) if free < FREE_BYTES_MIN => {
            Finding::warn("free disk", megabytes(free), "make room, name another --data-dir, or lower retention.bytes")
        }
        Ok((free, total)) => Finding::ok("free disk", format!("{} of {}", megabytes(free), megabytes(total))),
        Err(error) => {
            Finding::fail("free disk", format!("{}: {error}", existing.display()), "name a folder of a disk that works")
        }
    });
    findings.push(match sync_time(runtime, &existing).await {
        Ok(time) if time > SYNC_MAX => Finding::warn(
            "disk sync",
            format!("{time:?}"),
            "use a faster disk: every change of metadata waits for a sync",
        ),
        Ok(time) => Finding::ok("disk sync", format!("{time:?}")),
        Err(error) => Finding::fail(
            "disk sync",
            format!("{}: {error}", existing.display()),
            "name a folder that this user may write",
        ),
    });
    findings
}

/// What is in the data folder, as far as can be told without opening it.
fn contents(path: &Path) -> Finding {
    let check = "data folder";
    match std::fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Finding::ok(check, format!("{} will be made", path.display()))
        }
        Err(error) => Finding::fail(
            check,
            format!("{}: {error}", path.display()),
            "name a folder that this user may read and write",
        ),
        Ok(entries) => {
            let names: Vec<String> =
                entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
            let has = |name: &str| names.iter().any(|known| known == name);
            match (names.is_empty(), has("meta.properties"), has(".kafka_cleanshutdown")) {
                (true, _, _) => Finding::ok(check, format!("{} is empty", path.display())),
                (false, true, true) => Finding::ok(check, format!("{}: left in order", path.display())),
                (false, true, false) => Finding::warn(
                    check,
                    format!("{}: a node runs, or was ended without stopping", path.display()),
                    "nothing, if a node runs; else the next start checks the logs by itself",
                ),
                (false, false, _) => Finding::warn(
                    check,
                    format!("{} holds files that are not a node's", path.display()),
                    "name an empty folder",
                ),
            }
        }
    }
}

async fn sync_time(runtime: &Runtime, folder: &Path) -> io::Result<Duration> {
    let path = folder.join(format!(".millstream-doctor-{}", std::process::id()));
    let disk = RealDisk::new();
    let file = disk.open(&path, OpenMode::CreateNew).await?;
    let start = runtime.clock.elapsed();
    let outcome = async {
        file.append(&[bytes::Bytes::from_static(&[0; 4096])]).await?;
        file.sync().await
    }
    .await;
    let time = runtime.clock.elapsed() - start;
    disk.remove_file(&path).await?;
    outcome.map(|()| time)
}

fn megabytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
