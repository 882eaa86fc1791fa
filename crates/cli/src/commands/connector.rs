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
    /// A JSON or TOML file of settings; `{"type": ..., "settings": {...}}` or the settings alone.
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
        Verb::Types { name: None } => {
            print(node.output, &["name", "direction", "version", "description"], &rows(client.get("/v1/connector-types").await?))
        }
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
    let mut kind = from.kind.clone();
    let mut settings = Map::new();
    if let Some(path) = &from.file {
        let mut file = read_object(path)?;
        kind = kind.or_else(|| file.get("type").and_then(Value::as_str).map(str::to_owned));
        settings = match file.remove("settings") {
            Some(Value::Object(nested)) => nested,
            _ => {
                file.remove("type");
                file
            }
        };
    }
    for text in &from.set {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| Error::Usage(format!("{text:?} is not a setting: expected NAME=VALUE, for example path=data.csv")))?;
        settings.insert(name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| json!(value)));
    }
    let kind = kind.ok_or_else(|| Error::Usage("no connector type: give --type TYPE, or \"type\" in the file".into()))?;
    Ok(json!({"name": from.name, "type": kind, "settings": settings}))
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
