//! Rows on standard output: an aligned table for people, JSON lines or CSV for programs.

use crate::error::Error;
use clap::ValueEnum;
use serde_json::Value;
use std::io::Write;

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns with a heading.
    Table,
    /// One JSON object a line, with every field the node gave.
    Json,
    /// Comma-separated values with a heading.
    Csv,
}

impl Format {
    /// The word the node's API knows it by.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }
}

/// Prints `rows`, of which people see `columns` (a field's name, or a `/`-separated path to it).
pub fn print(format: Format, columns: &[&str], rows: &[Value]) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => {
            for row in rows {
                writeln!(out, "{row}")?;
            }
        }
        Format::Csv => out.write_all(&csv(columns, rows)?)?,
        Format::Table => out.write_all(table(columns, rows).as_bytes())?,
    }
    out.flush()?;
    Ok(())
}

/// Prints one sentence for people; programs read the JSON instead.
pub fn say(format: Format, sentence: &str, answer: &Value) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json if !answer.is_null() => writeln!(out, "{answer}")?,
        Format::Json | Format::Csv => {}
        Format::Table => writeln!(out, "{sentence}")?,
    }
    out.flush()?;
    Ok(())
}

fn cell(row: &Value, column: &str) -> String {
    let path = format!("/{column}");
    match row.pointer(&path) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn csv(columns: &[&str], rows: &[Value]) -> Result<Vec<u8>, Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| Error::Local(error.to_string());
    writer.write_record(columns).map_err(failed)?;
    for row in rows {
        writer.write_record(columns.iter().map(|column| cell(row, column))).map_err(failed)?;
    }
    writer.into_inner().map_err(|error| Error::Local(error.to_string()))
}

fn table(columns: &[&str], rows: &[Value]) -> String {
    let heading = |column: &&str| column.rsplit('/').next().unwrap_or(column).to_uppercase();
    let mut lines: Vec<Vec<String>> = vec![columns.iter().map(heading).collect()];
    lines.extend(rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect::<Vec<_>>()));
    let widths: Vec<usize> =
        (0..columns.len()).map(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0)).collect();
    let numeric: Vec<bool> = columns.iter().map(|column| rows.iter().all(|row| is_number(row, column))).collect();
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().enumerate().map(|(at, cell)| {
            let padding = " ".repeat(widths[at] - cell.chars().count());
            if numeric[at] { format!("{padding}{cell}") } else { format!("{cell}{padding}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn is_number(row: &Value, column: &str) -> bool {
    row.pointer(&format!("/{column}")).is_none_or(|value| value.is_number() || value.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_is_aligned_with_numbers_to_the_right() {
        let rows = [json!({"name": "flights", "partitions": 12}), json!({"name": "a", "partitions": 3})];
        assert_eq!(
            table(&["name", "partitions"], &rows),
            "NAME     PARTITIONS\nflights          12\na                 3\n"
        );
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let rows = [json!({"name": "a,b", "nested": {"state": "running"}})];
        assert_eq!(csv(&["name", "nested/state"], &rows).unwrap(), b"name,nested/state\n\"a,b\",running\n");
    }
}
