//! `millstream rule`: patterns over events, and where matches go.

use crate::args::Node;
use crate::commands::connector::read_object;
use crate::commands::deployments;
use crate::error::Error;
use crate::http::{Client, rows};
use crate::output::{print, say};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// Rules over events: create, test and operate.
#[derive(Args)]
pub struct Rule {
    #[command(flatten)]
    node: Node,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Create a rule, or change it: matches of a pattern go to a topic or an HTTP endpoint.
    Create(Create),
    /// Say which rules an event would match.
    Test {
        /// A file with the event in JSON.
        event: PathBuf,
        /// Only this rule.
        #[arg(long)]
        rule: Option<String>,
    },
    #[command(flatten)]
    Shared(deployments::Verb),
}

#[derive(Args)]
struct Create {
    /// The rule's name.
    name: String,
    /// The bus whose events it sees.
    #[arg(long, conflicts_with = "topic")]
    bus: Option<String>,
    /// The topic whose JSON values it sees.
    #[arg(long)]
    topic: Option<String>,
    /// The pattern in EventBridge's grammar, for example '{"dep_delay": [{"numeric": [">", 120]}]}'.
    #[arg(long)]
    pattern: Option<String>,
    /// The topic that matches go to.
    #[arg(long, conflicts_with = "to_url")]
    to_topic: Option<String>,
    /// The HTTP endpoint that matches are posted to.
    #[arg(long)]
    to_url: Option<String>,
    /// The topic of matches that could not be delivered.
    #[arg(long)]
    dead_letter_topic: Option<String>,
    /// A JSON or TOML file with the whole rule, instead of the options.
    #[arg(long, short)]
    file: Option<PathBuf>,
}

/// Runs the command.
pub async fn run(command: Rule) -> Result<(), Error> {
    let (node, client) = (&command.node, Client::new(&command.node.http));
    match command.verb {
        Verb::Create(create) => {
            let body = json!({"name": create.name, "spec": spec(&create)?});
            let answer = client.call(Method::POST, "/v1/rules", &body).await?;
            say(node.output, &format!("{}: created, generation {}", create.name, answer["generation"]), &answer)
        }
        Verb::Test { event, rule } => {
            let text = std::fs::read_to_string(&event).map_err(|error| Error::file("read", &event, &error))?;
            let event: Value = serde_json::from_str(&text)
                .map_err(|error| Error::Usage(format!("{} is not JSON: {error}", event.display())))?;
            let matched = client.call(Method::POST, "/v1/rules/test", &json!({"event": event, "rule": rule})).await?;
            print(node.output, &["rule", "matches", "target"], &rows(matched))
        }
        Verb::Shared(verb) => deployments::run(node, "rules", verb).await,
    }
}

fn spec(create: &Create) -> Result<Map<String, Value>, Error> {
    let mut spec = create.file.as_deref().map_or_else(|| Ok(Map::new()), read_object)?;
    if let Some(bus) = &create.bus {
        spec.insert("input".into(), json!({"bus": bus}));
    }
    if let Some(topic) = &create.topic {
        spec.insert("input".into(), json!({"topic": topic}));
    }
    if let Some(pattern) = &create.pattern {
        let pattern: Value =
            serde_json::from_str(pattern).map_err(|error| Error::Usage(format!("--pattern is not JSON: {error}")))?;
        spec.insert("pattern".into(), pattern);
    }
    if let Some(topic) = &create.to_topic {
        spec.insert("target".into(), json!({"topic": topic}));
    }
    if let Some(url) = &create.to_url {
        spec.insert("target".into(), json!({"http": {"url": url}}));
    }
    if let Some(topic) = &create.dead_letter_topic {
        spec.insert("dead_letter_topic".into(), json!(topic));
    }
    Ok(spec)
}
