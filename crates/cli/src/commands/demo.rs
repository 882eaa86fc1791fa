//! `millstream demo`: the whole mission on real data, in one process: real ports, real files, nothing staged.

mod data;
mod questions;
mod show;
mod steps;

use crate::commands::serve::environment;
use crate::error::Error;
use crate::http::Client;
use clap::Args;
use millstream_server::{Node, Settings, Sources};
use show::Show;
use std::path::{Path, PathBuf};

/// Show the whole mission on real data, in one process: a connector reads all departures from New York in 2013, a Wasm function checks
/// and routes them, a continuous query and a rule follow, cold segments go to an object store, and SQL asks across all of it.
#[derive(Args)]
pub struct Demo {
    /// Leave the node running afterwards, on the usual ports, to play with from another terminal.
    #[arg(long)]
    keep: bool,
    /// The folder of the node's data; a temporary one, which is removed at the end, by default.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// A folder of other flights: airlines.csv.zst, airports.csv.zst, weather.csv.zst and flights.csv.zst, a record a line, with the
    /// columns of those in examples/flights/data, which are the default.
    #[arg(long, value_name = "FOLDER")]
    flights: Option<PathBuf>,
    /// Where Kafka's protocol listens; any free port by default, and 127.0.0.1:9092 with --keep.
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// Where HTTP listens; any free port by default, and 127.0.0.1:9080 with --keep.
    #[arg(long, value_name = "HOST:PORT")]
    http: Option<String>,
}

/// Runs the command.
pub async fn run(command: Demo) -> Result<(), Error> {
    millstream_telemetry::logs::init(millstream_telemetry::logs::Format::Text, Some("warn,openraft=off"))
        .map_err(|error| Error::Local(error.to_string()))?;
    let files = data::files(command.flights.as_deref())?;
    // Removed when it is dropped, however this ends.
    let temporary = tempfile::tempdir().map_err(Error::from)?;
    let folder = command.data_dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    let settings = settings(&command, &folder)?;
    let mut show = Show::begin();
    let node = Node::start(settings, environment()).await.map_err(|error| Error::Local(error.to_string()))?;
    let bound = node.bound().clone();
    let kafka = bound.kafka.first().map_or_else(String::new, |(_, address)| address.to_string());
    show.step(
        "A node starts",
        &format!("Kafka's protocol at {kafka}, HTTP at {}, data in {}", bound.http, folder.display()),
    );
    let mission = steps::Mission { client: Client::new(&bound.http.to_string()), folder: folder.clone(), files };
    let outcome = mission.run(&mut show).await;
    if outcome.is_ok() {
        show.next(&kafka, &bound.http.to_string(), command.keep);
    }
    if command.keep && outcome.is_ok() {
        crate::commands::serve::interrupted().await?;
    }
    let stopped = node.stop().await.map_err(|error| Error::Local(format!("the node did not stop in order: {error}")));
    outcome?;
    stopped?;
    drop(temporary);
    show.end(command.data_dir.as_deref());
    Ok(())
}

fn settings(command: &Demo, folder: &Path) -> Result<Settings, Error> {
    let port = |given: &Option<String>, kept: &str| {
        given.clone().unwrap_or_else(|| if command.keep { kept.to_owned() } else { "127.0.0.1:0".to_owned() })
    };
    let set = vec![
        format!("data.dir={}", folder.join("data").display()),
        format!("tier.url={}", folder.join("bucket").display()),
        format!("listeners=PLAINTEXT://{}", port(&command.kafka, "127.0.0.1:9092")),
        format!("http.listener={}", port(&command.http, "127.0.0.1:9080")),
    ];
    Settings::load(&Sources { set, ..Sources::default() }).map_err(|error| Error::Usage(error.to_string()))
}
