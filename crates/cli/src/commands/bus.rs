//! `millstream bus`: event buses.

use crate::args::Node;
use crate::error::Error;
use crate::http::{Client, rows, segment};
use crate::output::{print, say};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Read;
use std::path::PathBuf;

/// Event buses: create, list, describe, put, delete. Events are CloudEvents 1.0.
#[derive(Args)]
pub struct Bus {
    #[command(flatten)]
    node: Node,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make a bus.
    Create {
        /// The bus.
        name: String,
        /// How many partitions its topic has.
        #[arg(long, short, default_value_t = 1)]
        partitions: i32,
    },
    /// List the buses.
    List,
    /// Show one bus and its rules.
    Describe {
        /// The bus.
        name: String,
    },
    /// Put one CloudEvent, or an array of them, on a bus: from a file, or from standard input.
    Put {
        /// The bus.
        name: String,
        /// A file with a CloudEvent in JSON, or an array of them.
        file: Option<PathBuf>,
    },
    /// Delete a bus and its events.
    Delete {
        /// The bus.
        name: String,
    },
}

/// Runs the command.
pub async fn run(command: Bus) -> Result<(), Error> {
    let (node, client) = (&command.node, Client::new(&command.node.http));
    let at = |name: &str| format!("/v1/buses/{}", segment(name));
    match command.verb {
        Verb::Create { name, partitions } => {
            let answer =
                client.call(Method::POST, "/v1/buses", &json!({"name": name, "partitions": partitions})).await?;
            say(node.output, &format!("{name}: created; post CloudEvents to {}/events", at(&name)), &answer)
        }
        Verb::List => print(node.output, &["name", "topic", "events", "rules"], &rows(client.get("/v1/buses").await?)),
        Verb::Describe { name } => {
            print(node.output, &["name", "topic", "events", "rules"], &rows(client.get(&at(&name)).await?))
        }
        Verb::Put { name, file } => {
            let events = events(file)?;
            let content_type =
                if events.is_array() { "application/cloudevents-batch+json" } else { "application/cloudevents+json" };
            let request = client.request(Method::POST, &format!("{}/events", at(&name)));
            let response = client.send(request.header("content-type", content_type).body(events.to_string())).await?;
            let answer: Value =
                response.json().await.map_err(|error| Error::Node(format!("the answer is not JSON: {error}")))?;
            say(
                node.output,
                &format!("{name}: {} accepted, {} known already", answer["accepted"], answer["duplicates"]),
                &answer,
            )
        }
        Verb::Delete { name } => {
            let answer = client.delete(&at(&name)).await?;
            say(node.output, &format!("{name}: deleted"), &answer)
        }
    }
}

fn events(file: Option<PathBuf>) -> Result<Value, Error> {
    let (text, name) = match file {
        Some(path) => (
            std::fs::read_to_string(&path).map_err(|error| Error::file("read", &path, &error))?,
            path.display().to_string(),
        ),
        None => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(Error::from)?;
            (text, "standard input".to_owned())
        }
    };
    serde_json::from_str(&text)
        .map_err(|error| Error::Usage(format!("{name} is not a CloudEvent in JSON, nor an array of them: {error}")))
}
