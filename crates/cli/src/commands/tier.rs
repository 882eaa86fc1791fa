//! `millstream tier`: cold storage.

use crate::args::Node;
use crate::error::Error;
use crate::http::{Client, rows};
use crate::output::{print, say};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::json;

/// Cold storage: status, offload, recover.
#[derive(Args)]
pub struct Tier {
    #[command(flatten)]
    node: Node,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Show what is hot and what is cold, by partition.
    Status {
        /// Only this topic.
        topic: Option<String>,
    },
    /// Close the topic's open segments and copy all closed ones to the object store, now.
    Offload {
        /// The topic; it needs remote.storage.enable=true.
        topic: String,
        /// Also drop the local copies of what was copied.
        #[arg(long)]
        drop_local: bool,
    },
    /// Make a topic again from the object store alone.
    Recover {
        /// The topic's name, as it was.
        topic: String,
    },
}

/// Runs the command.
pub async fn run(command: Tier) -> Result<(), Error> {
    let (node, client) = (&command.node, Client::new(&command.node.http));
    match command.verb {
        Verb::Status { topic } => {
            let mut partitions = rows(client.get("/v1/tier").await?);
            partitions.retain(|row| topic.as_deref().is_none_or(|topic| row["topic"] == topic));
            let columns = [
                "topic",
                "partition",
                "log_start",
                "local_start",
                "high_watermark",
                "bytes_hot",
                "bytes_cold",
                "segments_cold",
                "error",
            ];
            print(node.output, &columns, &partitions)
        }
        Verb::Offload { topic, drop_local } => {
            let answer = client
                .call(Method::POST, "/v1/tier/offload", &json!({"topic": topic, "drop_local": drop_local}))
                .await?;
            let sentence = format!(
                "{topic}: {} segments copied, {} bytes; {} bytes dropped locally",
                answer["segments"], answer["bytes"], answer["dropped_bytes"]
            );
            say(node.output, &sentence, &answer)
        }
        Verb::Recover { topic } => {
            let answer = client.call(Method::POST, "/v1/tier/recover", &json!({"topic": topic})).await?;
            say(node.output, &format!("{topic}: recovered {} partitions", answer["partitions"]), &answer)
        }
    }
}
