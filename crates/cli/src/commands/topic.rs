//! `millstream topic`: topics and their records.

use crate::args::Node;
use crate::error::Error;
use crate::http::{Client, rows, segment};
use crate::output::{Format, print, say};
use clap::{Args, Subcommand};
use futures::StreamExt;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::io::{BufRead, Write};

/// Topics: create, list, describe, alter, delete, produce, consume.
#[derive(Args)]
pub struct Topic {
    #[command(flatten)]
    node: Node,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make a topic.
    Create(Create),
    /// List the topics.
    List {
        /// Internal topics too.
        #[arg(long)]
        internal: bool,
    },
    /// Show one topic: its partitions, sizes and options.
    Describe {
        /// The topic.
        name: String,
    },
    /// Change options, or add partitions.
    Alter(Alter),
    /// Delete a topic and all its records.
    Delete {
        /// The topic.
        name: String,
    },
    /// Append records from standard input, one a line.
    Produce(Produce),
    /// Print records, one a line.
    Consume(Consume),
}

#[derive(Args)]
struct Create {
    /// The topic.
    name: String,
    /// How many partitions; the broker's num.partitions by default.
    #[arg(long, short)]
    partitions: Option<i32>,
    /// An option, for example `--config retention.ms=3600000`. May be given often.
    #[arg(long = "config", short, value_name = "NAME=VALUE")]
    configs: Vec<String>,
}

#[derive(Args)]
struct Alter {
    /// The topic.
    name: String,
    /// Set an option. May be given often.
    #[arg(long = "config", short, value_name = "NAME=VALUE")]
    configs: Vec<String>,
    /// Give an option its default back. May be given often.
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,
    /// The new number of partitions; it can only grow.
    #[arg(long, short)]
    partitions: Option<i32>,
}

#[derive(Args)]
struct Produce {
    /// The topic.
    name: String,
    /// What parts a line's key from its value; without it a line is a value.
    #[arg(long, value_name = "TEXT")]
    key_separator: Option<String>,
    /// The partition; by the key's hash, or in turn, by default.
    #[arg(long)]
    partition: Option<i32>,
}

#[derive(Args)]
struct Consume {
    /// The topic.
    name: String,
    /// `earliest`, `latest`, an offset, or a time such as 2026-01-31T12:00:00Z.
    #[arg(long, default_value = "earliest")]
    from: String,
    /// Only this partition.
    #[arg(long)]
    partition: Option<i32>,
    /// Stop after this many records.
    #[arg(long, short = 'n')]
    limit: Option<u64>,
    /// Wait for more at the end.
    #[arg(long, short)]
    follow: bool,
}

/// Lines sent in one request.
const PRODUCE_LINES: usize = 1_000;

/// Runs the command.
pub async fn run(command: Topic) -> Result<(), Error> {
    let (node, client) = (&command.node, Client::new(&command.node.http));
    match command.verb {
        Verb::Create(create) => {
            let configs = pairs(&create.configs)?;
            let body = json!({"name": create.name, "partitions": create.partitions, "configs": configs});
            let answer = client.call(Method::POST, "/v1/topics", &body).await?;
            say(node.output, &format!("{}: created with {} partitions", create.name, answer["partitions"]), &answer)
        }
        Verb::List { internal } => {
            let mut topics = rows(client.get("/v1/topics").await?);
            topics.retain(|topic| internal || topic["internal"] != json!(true));
            print(node.output, &["name", "partitions", "records", "bytes", "cleanup_policy", "cold", "id"], &topics)
        }
        Verb::Describe { name } => describe(node, &client.get(&format!("/v1/topics/{}", segment(&name))).await?),
        Verb::Alter(alter) => {
            let mut configs = pairs(&alter.configs)?;
            configs.extend(alter.unset.iter().map(|name| (name.clone(), Value::Null)));
            let body = json!({"configs": configs, "partitions": alter.partitions});
            let answer = client.call(Method::PATCH, &format!("/v1/topics/{}", segment(&alter.name)), &body).await?;
            say(node.output, &format!("{}: altered", alter.name), &answer)
        }
        Verb::Delete { name } => {
            let answer = client.delete(&format!("/v1/topics/{}", segment(&name))).await?;
            say(node.output, &format!("{name}: deleted"), &answer)
        }
        Verb::Produce(produce) => produce_lines(node, &client, &produce).await,
        Verb::Consume(consume) => consume_lines(node, &client, &consume).await,
    }
}

/// `NAME=VALUE` options as a JSON object.
fn pairs(configs: &[String]) -> Result<Map<String, Value>, Error> {
    configs
        .iter()
        .map(|text| match text.split_once('=') {
            Some((name, value)) => Ok((name.trim().to_owned(), json!(value))),
            None => Err(Error::Usage(format!(
                "{text:?} is not an option: expected NAME=VALUE, for example retention.ms=3600000"
            ))),
        })
        .collect()
}

fn describe(node: &Node, topic: &Value) -> Result<(), Error> {
    if node.output == Format::Table {
        println!(
            "{}  id {}  {} partitions",
            topic["name"].as_str().unwrap_or(""),
            topic["id"].as_str().unwrap_or(""),
            topic["partitions"]
        );
        for (name, value) in topic["configs"].as_object().into_iter().flatten() {
            println!("  {name} = {}", value.as_str().unwrap_or(""));
        }
        return print(
            node.output,
            &["partition", "leader", "leader_epoch", "log_start", "high_watermark", "bytes"],
            topic["partition_details"].as_array().map_or(&[][..], Vec::as_slice),
        );
    }
    print(node.output, &["name", "partitions", "id"], std::slice::from_ref(topic))
}

async fn produce_lines(node: &Node, client: &Client, produce: &Produce) -> Result<(), Error> {
    let mut appended = 0;
    let mut batch = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| Error::Local(format!("standard input: {error}")))?;
        let (key, value) = match &produce.key_separator {
            Some(separator) => {
                line.split_once(separator.as_str()).map_or((None, line.as_str()), |(key, value)| (Some(key), value))
            }
            None => (None, line.as_str()),
        };
        batch.push(json!({"key": key, "value": value, "partition": produce.partition}));
        if batch.len() == PRODUCE_LINES {
            appended += send(client, &produce.name, &mut batch).await?;
        }
    }
    appended += send(client, &produce.name, &mut batch).await?;
    say(node.output, &format!("{}: {appended} records appended", produce.name), &json!({"appended": appended}))
}

async fn send(client: &Client, topic: &str, batch: &mut Vec<Value>) -> Result<u64, Error> {
    if batch.is_empty() {
        return Ok(0);
    }
    let body = json!({"records": std::mem::take(batch)});
    let answer = client.call(Method::POST, &format!("/v1/topics/{}/records", segment(topic)), &body).await?;
    Ok(answer["appended"].as_u64().unwrap_or(0))
}

async fn consume_lines(node: &Node, client: &Client, consume: &Consume) -> Result<(), Error> {
    let mut query = vec![("from", consume.from.clone()), ("follow", consume.follow.to_string())];
    query.extend(consume.partition.map(|partition| ("partition", partition.to_string())));
    query.extend(consume.limit.map(|limit| ("limit", limit.to_string())));
    let request = client.request(Method::GET, &format!("/v1/topics/{}/records", segment(&consume.name))).query(&query);
    let mut body = client.send(request).await?.bytes_stream();
    let mut partial: Vec<u8> = Vec::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| Error::Node(format!("the records were cut off: {error}")))?;
        partial.extend_from_slice(&piece);
        let Some(end) = partial.iter().rposition(|byte| *byte == b'\n') else { continue };
        let lines: Vec<u8> = partial.drain(..=end).collect();
        write_records(node.output, &lines)?;
    }
    Ok(())
}

/// A table shows what a person reads, the value; programs get the whole record.
fn write_records(format: Format, lines: &[u8]) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let record: Value = serde_json::from_slice(line)
            .map_err(|error| Error::Node(format!("a record's line is not JSON: {error}")))?;
        if let Some(message) = record.pointer("/error/message").and_then(Value::as_str) {
            return Err(Error::Node(message.to_owned()));
        }
        match format {
            Format::Json => writeln!(out, "{record}")?,
            Format::Table => writeln!(out, "{}", text(&record["value"]))?,
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(&mut out);
                let fields = ["partition", "offset", "timestamp", "key", "value"].map(|field| text(&record[field]));
                writer.write_record(fields).map_err(|error| Error::Local(error.to_string()))?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
