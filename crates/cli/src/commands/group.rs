//! `millstream group`: consumer groups and how far they are.

use crate::args::Node;
use crate::error::Error;
use crate::http::{Client, rows, segment};
use crate::output::{Format, print, say};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

/// Consumer groups: list, describe, reset, delete.
#[derive(Args)]
pub struct Group {
    #[command(flatten)]
    node: Node,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List the groups.
    List,
    /// Show one group: its members, offsets and lag.
    Describe {
        /// The group.
        name: String,
    },
    /// Move the offsets of a group that has no members.
    Reset {
        /// The group.
        name: String,
        /// The topic whose offsets move.
        #[arg(long)]
        topic: String,
        /// `earliest`, `latest`, an offset, or a time such as 2026-01-31T12:00:00Z.
        #[arg(long)]
        to: String,
    },
    /// Delete a group that has no members, with its offsets.
    Delete {
        /// The group.
        name: String,
    },
}

/// Runs the command.
pub async fn run(command: Group) -> Result<(), Error> {
    let (node, client) = (&command.node, Client::new(&command.node.http));
    match command.verb {
        Verb::List => print(
            node.output,
            &["group", "state", "protocol_type", "group_type", "members", "lag"],
            &rows(client.get("/v1/groups").await?),
        ),
        Verb::Describe { name } => {
            let group = client.get(&format!("/v1/groups/{}", segment(&name))).await?;
            if node.output == Format::Json {
                return print(node.output, &[], &[group]);
            }
            if node.output == Format::Table {
                println!(
                    "{name}  {}  {}  {} members",
                    text(&group["state"]),
                    text(&group["group_type"]),
                    group["members"]
                );
            }
            let offsets = group["offsets"].as_array().map_or(&[][..], Vec::as_slice);
            print(node.output, &["topic", "partition", "offset", "high_watermark", "lag"], offsets)
        }
        Verb::Reset { name, topic, to } => {
            let body = json!({"topic": topic, "to": to});
            let answer = client.call(Method::POST, &format!("/v1/groups/{}/reset", segment(&name)), &body).await?;
            say(node.output, &format!("{name}: offsets of {topic} reset to {to}"), &answer)
        }
        Verb::Delete { name } => {
            let answer = client.delete(&format!("/v1/groups/{}", segment(&name))).await?;
            say(node.output, &format!("{name}: deleted"), &answer)
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}
