//! The settings of the file source.

use millstream_connect::{Error, Problem};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The settings of the file source.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The file, on the node that runs the connector.
    pub path: PathBuf,
    /// What is in it.
    #[serde(default)]
    pub format: Format,
    /// How it is compressed; "auto" goes by the name's end (.gz, .zst).
    #[serde(default)]
    pub compression: Compression,
    /// Whether the first row of a CSV file names its columns.
    #[serde(default = "yes")]
    pub header: bool,
    /// The names of the columns of a CSV file without a header.
    #[serde(default)]
    pub columns: Vec<String>,
    /// The types of CSV columns, by name: "string", "integer", "number" or "boolean". A value that does not fit is an error of its row.
    #[serde(default)]
    pub types: BTreeMap<String, ColumnType>,
    /// Whether values of other CSV columns become numbers and booleans where they look so; otherwise they are strings.
    #[serde(default = "yes")]
    pub infer: bool,
    /// CSV values that mean null.
    #[serde(default = "empty")]
    pub null_values: Vec<String>,
    /// What separates the values of a CSV row: one ASCII character.
    #[serde(default = "comma")]
    #[schemars(length(equal = 1))]
    pub delimiter: String,
    /// The column (CSV) or field (JSON lines) whose value becomes the record's key.
    #[serde(default)]
    pub key: Option<String>,
    /// The column or field whose value becomes the record's timestamp; otherwise it is the time of reading.
    #[serde(default)]
    pub timestamp: Option<TimestampColumn>,
    /// Whether to wait for more at the end of the file. Rotation and truncation are noticed. Not with compression.
    #[serde(default)]
    pub follow: bool,
    /// Milliseconds between two looks at the end of a followed file.
    #[serde(default = "half_a_second")]
    #[schemars(range(min = 10, max = 3_600_000))]
    pub poll_interval_ms: u64,
    /// Bytes of the longest row. A longer one, or one whose quote is never closed, is an error of its line.
    #[serde(default = "one_mebibyte")]
    #[schemars(range(min = 64, max = 67_108_864))]
    pub row_bytes_max: usize,
}

/// What is in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Comma-separated values (RFC 4180); each row becomes a JSON object.
    #[default]
    Csv,
    /// One JSON value a line.
    JsonLines,
    /// Lines of any bytes, each a record as it is.
    Lines,
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// As its name says.
    #[default]
    Auto,
    /// Not at all.
    None,
    /// gzip, of any number of members.
    Gzip,
    /// Zstandard, of any number of frames.
    Zstd,
}

/// The type of a CSV column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnType {
    /// Text, as it is.
    String,
    /// A whole number of 64 bits.
    Integer,
    /// Any number.
    Number,
    /// true or false.
    Boolean,
}

/// Where a record's timestamp comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimestampColumn {
    /// The column or field.
    pub column: String,
    /// How it is written.
    #[serde(default)]
    pub format: TimestampFormat,
}

/// How a point in time is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TimestampFormat {
    /// RFC 3339 ("2013-01-01T10:00:00Z"); without a zone it is UTC, and a date alone is its midnight.
    #[default]
    Rfc3339,
    /// Seconds since the Unix epoch.
    Seconds,
    /// Milliseconds since the Unix epoch.
    Milliseconds,
}

const fn yes() -> bool {
    true
}

fn empty() -> Vec<String> {
    vec![String::new()]
}

fn comma() -> String {
    ",".to_owned()
}

const fn half_a_second() -> u64 {
    500
}

const fn one_mebibyte() -> usize {
    1 << 20
}

impl Settings {
    /// The compression, decided by name where the setting leaves it open.
    pub(crate) fn compression(&self) -> Compression {
        if self.compression != Compression::Auto {
            return self.compression;
        }
        match self.path.extension().and_then(|end| end.to_str()) {
            Some("gz") => Compression::Gzip,
            Some("zst" | "zstd") => Compression::Zstd,
            _ => Compression::None,
        }
    }

    pub(crate) fn delimiter(&self) -> u8 {
        self.delimiter.as_bytes().first().copied().unwrap_or(b',')
    }

    /// What the schema can't say.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let mut problems = Vec::new();
        let mut wrong = |field: &str, value: Option<String>, expected: &str| {
            problems.push(Problem { field: format!("settings.{field}"), value, expected: expected.to_owned() });
        };
        if !self.path.is_absolute() {
            wrong("path", Some(format!("{:?}", self.path)), "an absolute path: the node's working folder is not yours");
        }
        if !self.delimiter.is_ascii() || matches!(self.delimiter(), b'"' | b'\n' | b'\r') {
            wrong(
                "delimiter",
                Some(format!("{:?}", self.delimiter)),
                "one ASCII character that is no quote and no line break",
            );
        }
        if self.follow && self.compression() != Compression::None {
            wrong(
                "follow",
                Some("true".to_owned()),
                "false where the file is compressed: what is appended to it can't be told from its end",
            );
        }
        if self.format == Format::Csv && self.header != self.columns.is_empty() {
            wrong(
                "columns",
                Some(format!("{:?}", self.columns)),
                "column names where `header` is false, and none where the file has a header",
            );
        }
        if self.format != Format::Csv && !self.types.is_empty() {
            wrong("types", None, "no types: only CSV has columns without types of their own");
        }
        if self.format == Format::Lines && (self.key.is_some() || self.timestamp.is_some()) {
            wrong(
                "format",
                Some("\"lines\"".to_owned()),
                "csv or json-lines where a key or a timestamp is taken from a column",
            );
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Spec(problems)) }
    }
}
