//! The verbs that functions, streams, connectors and rules share: they are all deployments of tasks.

use crate::args::Node;
use crate::error::Error;
use crate::http::{Client, rows, segment};
use crate::output::{print, say};
use clap::{Args as ClapArgs, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

/// The shared verbs.
#[derive(Subcommand)]
pub enum Verb {
    /// List all of them, with state and lag.
    List,
    /// Show one: its settings, tasks, progress and last error.
    Describe(Named),
    /// Stop its tasks and keep its progress.
    Pause(Named),
    /// Let a paused one go on from where it was.
    Resume(Named),
    /// Start its tasks again, as after a failure.
    Restart(Named),
    /// Go back to an earlier generation of its settings.
    Rollback(Rollback),
    /// Move its progress: to the earliest or latest record, an offset, or a time.
    Reset(Reset),
    /// Print what it logged last.
    Logs(Named),
    /// Stop and forget it. Its topics stay.
    Delete(Named),
}

/// One deployment by name.
#[derive(ClapArgs)]
pub struct Named {
    /// The name.
    name: String,
}

/// Which generation to go back to.
#[derive(ClapArgs)]
pub struct Rollback {
    /// The name.
    name: String,
    /// The generation, as `describe` lists them; the one before the current by default.
    #[arg(long)]
    generation: Option<u32>,
}

/// Where to move its progress.
#[derive(ClapArgs)]
pub struct Reset {
    /// The name.
    name: String,
    /// `earliest`, `latest`, an offset, or a time such as 2026-01-31T12:00:00Z.
    #[arg(long)]
    to: String,
}

/// Runs a shared verb on `path`, the API's word for the kind (`functions`, `streams`, `connectors`, `rules`).
pub async fn run(node: &Node, path: &str, verb: Verb) -> Result<(), Error> {
    let client = Client::new(&node.http);
    let at = |name: &str| format!("/v1/{path}/{}", segment(name));
    match verb {
        Verb::List => {
            let listed = rows(client.get(&format!("/v1/{path}")).await?);
            print(
                node.output,
                &[
                    "name",
                    "state",
                    "generation",
                    "tasks",
                    "records_in",
                    "records_out",
                    "records_failed",
                    "lag",
                    "error",
                ],
                &listed,
            )
        }
        Verb::Describe(named) => describe(node, &client.get(&at(&named.name)).await?),
        Verb::Pause(named) => act(&client, node, &named.name, &at(&named.name), "pause").await,
        Verb::Resume(named) => act(&client, node, &named.name, &at(&named.name), "resume").await,
        Verb::Restart(named) => act(&client, node, &named.name, &at(&named.name), "restart").await,
        Verb::Rollback(rollback) => {
            let body = json!({"generation": rollback.generation});
            let answer = client.call(Method::POST, &format!("{}/rollback", at(&rollback.name)), &body).await?;
            say(
                node.output,
                &format!("{}: rolled back, now generation {}", rollback.name, answer["generation"]),
                &answer,
            )
        }
        Verb::Reset(reset) => {
            let answer =
                client.call(Method::POST, &format!("{}/reset", at(&reset.name)), &json!({"to": reset.to})).await?;
            say(node.output, &format!("{}: progress reset to {}", reset.name, reset.to), &answer)
        }
        Verb::Logs(named) => print(
            node.output,
            &["time", "level", "message"],
            &rows(client.get(&format!("{}/logs", at(&named.name))).await?),
        ),
        Verb::Delete(named) => {
            let answer = client.delete(&at(&named.name)).await?;
            say(node.output, &format!("{}: deleted", named.name), &answer)
        }
    }
}

async fn act(client: &Client, node: &Node, name: &str, path: &str, verb: &str) -> Result<(), Error> {
    let answer = client.call(Method::POST, &format!("{path}/{verb}"), &Value::Null).await?;
    say(node.output, &format!("{name}: {verb} accepted"), &answer)
}

fn describe(node: &Node, one: &Value) -> Result<(), Error> {
    if node.output == crate::output::Format::Table {
        let text = serde_json::to_string_pretty(one).map_err(|error| Error::Local(error.to_string()))?;
        println!("{text}");
        return Ok(());
    }
    print(node.output, &["name", "state", "generation"], std::slice::from_ref(one))
}
