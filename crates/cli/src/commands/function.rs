//! `millstream function`: Wasm functions, from an empty folder to a running deployment.

mod project;

use crate::args::Node;
use crate::commands::deployments;
use crate::error::Error;
use crate::http::Client;
use crate::output::say;
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Wasm functions: new, build, test, deploy and operate.
#[derive(Args)]
pub struct Function {
    #[command(flatten)]
    node: Node,
    #[command(subcommand)]
    verb: Verb,
}

/// What a function can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Rust.
    Rust,
    /// JavaScript, or TypeScript.
    Js,
}

/// What happens to a record that a function can't process.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnError {
    /// The function stops with the record's error.
    Fail,
    /// The record is counted and left out.
    Skip,
    /// The record goes to the dead-letter topic, with headers that name the cause.
    DeadLetter,
}

#[derive(Subcommand)]
enum Verb {
    /// Make a folder with a function that works, to start from.
    New {
        /// The folder.
        folder: PathBuf,
        /// The language.
        #[arg(long, short, value_enum, default_value = "rust")]
        language: Language,
    },
    /// Build a folder's function into a component.
    Build {
        /// The folder.
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Run a component over records, one JSON value a line, without a node.
    Test {
        /// The component.
        component: PathBuf,
        /// The file of records; standard input by default.
        #[arg(long, short)]
        input: Option<PathBuf>,
        /// Settings for the function, in JSON.
        #[arg(long, default_value = "{}")]
        settings: String,
    },
    /// Deploy a component: a first generation, or the next of the same name.
    Deploy(Deploy),
    #[command(flatten)]
    Shared(deployments::Verb),
}

#[derive(Args)]
struct Deploy {
    /// The function's name.
    name: String,
    /// The component.
    component: PathBuf,
    /// A topic it reads. May be given often.
    #[arg(long, short, required = true)]
    input: Vec<String>,
    /// A topic it writes, in the order the function numbers them. May be given often.
    #[arg(long = "to", short = 't', required = true, value_name = "TOPIC")]
    outputs: Vec<String>,
    /// Settings for the function, in JSON.
    #[arg(long, default_value = "{}")]
    settings: String,
    /// What happens to a record it can't process.
    #[arg(long, value_enum, default_value = "fail")]
    on_error: OnError,
    /// Where such records go with `--on-error dead-letter`.
    #[arg(long)]
    dead_letter_topic: Option<String>,
    /// Show outputs as soon as they are written, and after a crash some of them again, instead of exactly once with the next commit.
    #[arg(long)]
    at_least_once: bool,
    /// Milliseconds between two commits of outputs and progress; by default the node's task.commit.interval.ms.
    #[arg(long, value_name = "MS")]
    commit_interval_ms: Option<u64>,
    /// Begin at the end of the topics instead of their start, the first time.
    #[arg(long)]
    from_latest: bool,
}

/// Runs the command.
pub async fn run(command: Function) -> Result<(), Error> {
    let node = &command.node;
    match command.verb {
        Verb::New { folder, language } => project::new(&folder, language),
        Verb::Build { folder } => project::build(&folder),
        Verb::Test { component, input, settings } => project::test(&component, input.as_deref(), &settings).await,
        Verb::Deploy(deploy) => self::deploy(node, deploy).await,
        Verb::Shared(verb) => deployments::run(node, "functions", verb).await,
    }
}

async fn deploy(node: &Node, deploy: Deploy) -> Result<(), Error> {
    let client = Client::new(&node.http);
    let settings: Value = serde_json::from_str(&deploy.settings)
        .map_err(|error| Error::Usage(format!("--settings is not JSON: {error}")))?;
    let component = read(&deploy.component)?;
    let request =
        client.request(Method::PUT, "/v1/components").header("content-type", "application/wasm").body(component);
    let refused = |error: Error| match error {
        Error::Node(reason) => Error::Node(format!("{}: {reason}", deploy.component.display())),
        other => other,
    };
    let uploaded: Value = client
        .send(request)
        .await
        .map_err(refused)?
        .json()
        .await
        .map_err(|error| Error::Node(format!("the answer is not JSON: {error}")))?;
    let on_error = match deploy.on_error {
        OnError::Fail => "fail",
        OnError::Skip => "skip",
        OnError::DeadLetter => "dead-letter",
    };
    let spec = json!({
        "component": uploaded["hash"], "inputs": deploy.input, "outputs": deploy.outputs, "settings": settings,
        "on_error": on_error, "dead_letter_topic": deploy.dead_letter_topic,
        "processing_guarantee": if deploy.at_least_once { "at-least-once" } else { "exactly-once" },
        "commit_interval_ms": deploy.commit_interval_ms,
        "from": if deploy.from_latest { "latest" } else { "earliest" },
    });
    let answer = client.call(Method::POST, "/v1/functions", &json!({"name": deploy.name, "spec": spec})).await?;
    say(node.output, &format!("{}: deployed, generation {}", deploy.name, answer["generation"]), &answer)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| Error::file("read", path, &error))
}
