//! `millstream schema`: the schema registry.

use crate::args::Node;
use crate::error::Error;
use crate::http::{Client, rows, segment};
use crate::output::{Format, print, say};
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Schemas: register, list, show, check, delete. A topic's schema stands under the subject `<topic>-value`.
#[derive(Args)]
pub struct Schema {
    #[command(flatten)]
    node: Node,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Json,
    Avro,
}

#[derive(Subcommand)]
enum Verb {
    /// Register a schema under a subject: its first version, or the next.
    Register(Text),
    /// List subjects and their versions.
    List,
    /// Print one schema.
    Show {
        /// The subject.
        subject: String,
        /// The version; the latest by default.
        #[arg(long, default_value = "latest")]
        version: String,
    },
    /// Say whether a schema could follow the latest version, without registering it.
    Check(Text),
    /// Delete a subject, or one version of it.
    Delete {
        /// The subject.
        subject: String,
        /// Only this version.
        #[arg(long)]
        version: Option<String>,
        /// For good: ids that were given out stop resolving.
        #[arg(long)]
        permanent: bool,
    },
}

#[derive(Args)]
struct Text {
    /// The subject.
    subject: String,
    /// The file with the schema.
    file: PathBuf,
    /// Its type.
    #[arg(long = "type", short = 't', value_enum, default_value = "json")]
    kind: Kind,
}

/// Runs the command.
pub async fn run(command: Schema) -> Result<(), Error> {
    let (node, client) = (&command.node, Client::new(&command.node.http));
    match command.verb {
        Verb::Register(text) => {
            let path = format!("/subjects/{}/versions", segment(&text.subject));
            let answer = client.call(Method::POST, &path, &body(&text.file, text.kind)?).await?;
            say(node.output, &format!("{}: registered under id {}", text.subject, answer["id"]), &answer)
        }
        Verb::List => list(node, &client).await,
        Verb::Show { subject, version } => {
            let found = client.get(&format!("/subjects/{}/versions/{}", segment(&subject), segment(&version))).await?;
            if node.output == Format::Table {
                println!("{}", found["schema"].as_str().unwrap_or(""));
                return Ok(());
            }
            print(node.output, &["subject", "version", "id", "schemaType", "schema"], &[found])
        }
        Verb::Check(text) => {
            let path = format!("/compatibility/subjects/{}/versions/latest?verbose=true", segment(&text.subject));
            let answer = client.call(Method::POST, &path, &body(&text.file, text.kind)?).await?;
            let compatible = answer["is_compatible"] == json!(true);
            if compatible {
                return say(node.output, &format!("{}: compatible with the latest version", text.subject), &answer);
            }
            let reasons: Vec<&str> =
                answer["messages"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            Err(Error::Node(format!(
                "{}: not compatible with the latest version: {}",
                text.subject,
                reasons.join("; ")
            )))
        }
        Verb::Delete { subject, version, permanent } => {
            let version = version.map_or(String::new(), |version| format!("/versions/{}", segment(&version)));
            let answer =
                client.delete(&format!("/subjects/{}{version}?permanent={permanent}", segment(&subject))).await?;
            say(node.output, &format!("{subject}: deleted"), &answer)
        }
    }
}

async fn list(node: &Node, client: &Client) -> Result<(), Error> {
    let mut listed = Vec::new();
    for subject in rows(client.get("/subjects").await?) {
        let Some(subject) = subject.as_str() else { continue };
        let latest = client.get(&format!("/subjects/{}/versions/latest", segment(subject))).await?;
        listed.push(json!({"subject": subject, "version": latest["version"], "id": latest["id"],
            "type": latest.get("schemaType").cloned().unwrap_or_else(|| json!("AVRO"))}));
    }
    print(node.output, &["subject", "version", "id", "type"], &listed)
}

fn body(file: &Path, kind: Kind) -> Result<Value, Error> {
    let text = std::fs::read_to_string(file).map_err(|error| Error::file("read", file, &error))?;
    let kind = match kind {
        Kind::Json => "JSON",
        Kind::Avro => "AVRO",
    };
    Ok(json!({"schema": text, "schemaType": kind}))
}
