//! `millstream sql`: a prompt with history, one query, or a file of them.

use crate::args::Node;
use crate::error::Error;
use crate::http::Client;
use crate::output::Format;
use clap::Args;
use futures::StreamExt;
use reqwest::Method;
use rustyline::error::ReadlineError;
use serde_json::json;
use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;

/// Ask questions in SQL: a prompt, one query, or a file. Every topic is a table; `SHOW TABLES` lists them.
#[derive(Args)]
pub struct Sql {
    #[command(flatten)]
    node: Node,
    /// Run this and end.
    #[arg(long, short, value_name = "QUERY", conflicts_with = "file")]
    command: Option<String>,
    /// Run the statements of this file and end.
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Runs the command.
pub async fn run(command: Sql) -> Result<(), Error> {
    let client = Client::new(&command.node.http);
    let format = command.node.output;
    if let Some(query) = &command.command {
        return execute(&client, format, query).await;
    }
    if let Some(path) = &command.file {
        let text = std::fs::read_to_string(path).map_err(|error| Error::file("read", path, &error))?;
        return execute(&client, format, &text).await;
    }
    if !std::io::stdin().is_terminal() {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(Error::from)?;
        return execute(&client, format, &text).await;
    }
    prompt(&client, format).await
}

/// Sends the statements and copies the answer to standard output as it comes.
async fn execute(client: &Client, format: Format, sql: &str) -> Result<(), Error> {
    let body = json!({"query": sql, "format": format.word()});
    let mut pieces = client.send(client.request(Method::POST, "/v1/sql").json(&body)).await?.bytes_stream();
    let mut out = std::io::stdout();
    // The last line so far, held back: where a query fails midway it is the cause.
    let mut last: Vec<u8> = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| {
            Error::Node(format!(
                "the query failed while its rows were being read ({error}); the node's log names the cause"
            ))
        })?;
        last.extend_from_slice(&piece);
        let before =
            last[..last.len().saturating_sub(1)].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        out.write_all(&last[..before])?;
        last.drain(..before);
    }
    if let Some(cause) = cause(format, &last) {
        out.flush()?;
        return Err(Error::Node(cause));
    }
    out.write_all(&last)?;
    out.flush()?;
    Ok(())
}

/// Why a query failed midway, where its last line says so.
fn cause(format: Format, line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?.trim_end();
    match format {
        Format::Table => line.strip_prefix("error: ").map(str::to_owned),
        Format::Json => {
            let error: serde_json::Value = serde_json::from_str(line).ok()?;
            let only = error.as_object().is_some_and(|fields| fields.len() == 1);
            let message = error.pointer("/error/message").filter(|_| only)?;
            message.as_str().map(str::to_owned)
        }
        Format::Csv => None,
    }
}

async fn prompt(client: &Client, format: Format) -> Result<(), Error> {
    let failed = |error: ReadlineError| Error::Local(format!("the prompt: {error}"));
    let mut editor = rustyline::DefaultEditor::new().map_err(failed)?;
    let history = std::env::home_dir().map(|home| home.join(".millstream_history"));
    if let Some(path) = &history {
        // No history yet is no error.
        let _ = editor.load_history(path);
    }
    println!("SQL over topics. End a statement with `;`. SHOW TABLES lists the topics, \\q leaves.");
    let mut statement = String::new();
    loop {
        let line = match editor.readline(if statement.is_empty() { "sql> " } else { "  -> " }) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                statement.clear();
                continue;
            }
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(failed(error)),
        };
        if matches!(line.trim(), "\\q" | "exit" | "quit") {
            break;
        }
        statement.push_str(&line);
        statement.push('\n');
        if !line.trim_end().ends_with(';') {
            continue;
        }
        let _ = editor.add_history_entry(statement.trim());
        match execute(client, format, &std::mem::take(&mut statement)).await {
            Ok(()) => {}
            Err(error @ Error::PipeClosed) => return Err(error),
            Err(error) => eprintln!("error: {error}"),
        }
    }
    if let Some(path) = &history {
        let _ = editor.save_history(path);
    }
    Ok(())
}
