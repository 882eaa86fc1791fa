//! `millstream stream`: continuous queries.

use crate::args::Node;
use crate::commands::deployments;
use crate::error::Error;
use crate::http::Client;
use crate::output::say;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::json;

/// Continuous SQL: create and operate streams.
#[derive(Args)]
pub struct Stream {
    #[command(flatten)]
    node: Node,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Create a stream from its statement: `CREATE STREAM late AS SELECT carrier, dep_delay FROM flights WHERE dep_delay > 60`.
    Create {
        /// The statement.
        sql: String,
    },
    #[command(flatten)]
    Shared(deployments::Verb),
}

/// Runs the command.
pub async fn run(command: Stream) -> Result<(), Error> {
    let node = &command.node;
    match command.verb {
        Verb::Create { sql } => {
            let answer = Client::new(&node.http).call(Method::POST, "/v1/streams", &json!({"sql": sql})).await?;
            say(
                node.output,
                &format!("{}: created, generation {}", answer["name"].as_str().unwrap_or(""), answer["generation"]),
                &answer,
            )
        }
        Verb::Shared(verb) => deployments::run(node, "streams", verb).await,
    }
}
