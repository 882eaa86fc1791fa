//! `millstream connector`: sources and sinks.

use crate::args::Node;
use crate::commands::deployments;
use crate::error::Error;
use crate::http::{Client, rows, segment};
use crate::output::{Format, print, say};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Connectors: types, validate, create and operate.
#[derive(Args)]
pub struct Connector {
    #[command(flatten)]
    node: Node,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List the connector types, or print the JSON Schema of one's settings.
    Types {
        /// The type whose settings to print.
        name: Option<String>,
    },
    /// Check settings without creating anything.
    Validate(Settings),
    /// Create a connector, or change its settings.
    Create(Settings),
    #[command(flatten)]
    Shared(deployments::Verb),
}

/// Where a connector's settings come from.
#[derive(Args)]
struct Settings {
    /// The connector's name.
    name: String,
    /// The connector's type: `millstream connector types` lists them.
    #[arg(long = "type", short = 't', value_name = "TYPE")]
    kind: Option<String>,
    /// A topic that a source writes, or that a sink reads. May be given often.
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,
    /// Partitions of a topic that a source writes and that does not exist yet.
    #[arg(long, short)]
    partitions: Option<i32>,
    /// What happens to what can't be processed.
    #[arg(long, value_parser = ["fail", "skip", "dead-letter"])]
    errors: Option<String>,
    /// Where dead letters go.
    #[arg(long)]
    dead_letter_topic: Option<String>,
    /// A JSON or TOML file with the whole connector: type, topics, settings. Options win over it.
    #[arg(long, short)]
    file: Option<PathBuf>,
    /// One setting; the value is JSON where it parses as JSON, else text. May be given often.
    #[arg(long = "set", short, value_name = "NAME=VALUE")]
    set: Vec<String>,
}

/// Runs the command.
pub async fn run(command: Connector) -> Result<(), Error> {
    let (node, client) = (&command.node, Client::new(&command.node.http));
    match command.verb {
        Verb::Types { name: None } => print(
            node.output,
            &["name", "direction", "version", "description"],
            &rows(client.get("/v1/connector-types").await?),
        ),
        Verb::Types { name: Some(name) } => {
            let schema = client.get(&format!("/v1/connector-types/{}", segment(&name))).await?;
            if node.output == Format::Json {
                return print(node.output, &[], &[schema]);
            }
            println!("{}", serde_json::to_string_pretty(&schema).map_err(|error| Error::Local(error.to_string()))?);
            Ok(())
        }
        Verb::Validate(settings) => {
            let answer = client.call(Method::POST, "/v1/connectors/validate", &body(&settings)?).await?;
            say(node.output, &format!("{}: the settings are valid", settings.name), &answer)
        }
        Verb::Create(settings) => {
            let answer = client.call(Method::POST, "/v1/connectors", &body(&settings)?).await?;
            say(node.output, &format!("{}: created, generation {}", settings.name, answer["generation"]), &answer)
        }
        Verb::Shared(verb) => deployments::run(node, "connectors", verb).await,
    }
}

fn body(from: &Settings) -> Result<Value, Error> {
    let mut spec = from.file.as_deref().map_or_else(|| Ok(Map::new()), read_object)?;
    let given = [
        ("type", from.kind.as_ref().map(|kind| json!(kind))),
        ("topics", (!from.topics.is_empty()).then(|| json!(from.topics))),
        ("partitions", from.partitions.map(|count| json!(count))),
        ("errors", from.errors.as_ref().map(|policy| json!(policy))),
        ("dead_letter_topic", from.dead_letter_topic.as_ref().map(|topic| json!(topic))),
        ("name", Some(json!(from.name))),
    ];
    spec.extend(given.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?))));
    if !from.set.is_empty() {
        let settings = spec.entry("settings").or_insert_with(|| json!({}));
        for text in &from.set {
            let (name, value) = text.split_once('=').ok_or_else(|| {
                Error::Usage(format!("{text:?} is not a setting: expected NAME=VALUE, for example path=data.csv"))
            })?;
            settings[name] = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
        }
    }
    Ok(Value::Object(spec))
}

/// Reads a JSON or TOML file (by its ending) as one object.
pub fn read_object(path: &Path) -> Result<Map<String, Value>, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::file("read", path, &error))?;
    let parsed: Result<Value, String> = if path.extension().is_some_and(|extension| extension == "toml") {
        toml::from_str(&text).map_err(|error| error.to_string())
    } else {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    };
    match parsed {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::Usage(format!("{}: expected one object of settings", path.display()))),
        Err(error) => Err(Error::Usage(format!("{}: {error}", path.display()))),
    }
}
