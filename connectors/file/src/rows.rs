//! From the bytes of whole rows to records: pure.

use crate::cell;
use crate::settings::{ColumnType, Format, Settings, TimestampFormat};
use crate::timestamp;
use bytes::Bytes;
use millstream_connect::{OperatorError, SourceFailure};
use millstream_record::Columns;
use millstream_types::{ErrorKind, TimestampMs};
use serde_json::Value;
use std::sync::Arc;

/// Bytes of a broken row that are kept for its dead letter.
const RAW_BYTES_MAX: usize = 64 << 10;

/// Turns rows into records.
pub(crate) struct Rows {
    settings: Arc<Settings>,
    columns: Option<CsvColumns>,
}

/// What is known of each CSV column.
struct CsvColumns {
    names: Vec<String>,
    /// What comes before each value: `{"name":` or `,"name":`.
    leads: Vec<Vec<u8>>,
    types: Vec<Option<ColumnType>>,
    key: Option<usize>,
    timestamp: Option<(usize, TimestampFormat)>,
}

/// What came of some rows.
#[derive(Default)]
pub(crate) struct Parsed {
    pub records: Columns,
    pub failures: Vec<SourceFailure>,
    /// Where the first failure's row begins and which line that is, where parsing stopped there.
    pub stopped: Option<(usize, u64)>,
}

/// One row: its record is pushed, or this says why not.
type Row = Result<(), String>;

impl Rows {
    pub fn new(settings: Arc<Settings>) -> Result<Self, OperatorError> {
        let mut rows = Self { settings, columns: None };
        if rows.settings.format == Format::Csv && !rows.settings.header {
            let names = rows.settings.columns.clone();
            rows.columns = Some(rows.columns_of(names)?);
        }
        Ok(rows)
    }

    /// Whether the first row is still needed to know the columns.
    pub fn needs_header(&self) -> bool {
        self.settings.format == Format::Csv && self.columns.is_none()
    }

    /// Takes the first row as the names of the columns.
    pub fn take_header(&mut self, row: &[u8]) -> Result<(), OperatorError> {
        let mut reader = self.reader(row);
        let mut names = csv::StringRecord::new();
        let path = self.settings.path.display();
        reader
            .read_record(&mut names)
            .map_err(|error| invalid(format!("the header of {path} is not text: {error}")))?;
        let names = names.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
        self.columns = Some(self.columns_of(names)?);
        Ok(())
    }

    fn columns_of(&self, names: Vec<String>) -> Result<CsvColumns, OperatorError> {
        let settings = &self.settings;
        let path = settings.path.display();
        if let Some((at, twice)) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            return Err(invalid(format!(
                "column {} of {path} has the name {twice:?} of one before it: give names of your own with `header` false",
                at + 1
            )));
        }
        let place = |setting: &str, name: &String| {
            let unknown = || {
                invalid(format!("settings.{setting} names the column {name:?}, but {path} has {}", names.join(", ")))
            };
            names.iter().position(|known| known == name).ok_or_else(unknown)
        };
        for name in settings.types.keys() {
            place("types", name)?;
        }
        let key = settings.key.as_ref().map(|name| place("key", name)).transpose()?;
        let time = settings
            .timestamp
            .as_ref()
            .map(|time| Ok((place("timestamp.column", &time.column)?, time.format)))
            .transpose()?;
        let lead = |(at, name): (usize, &String)| {
            let mut lead = vec![if at == 0 { b'{' } else { b',' }];
            cell::push_string(&mut lead, name);
            lead.push(b':');
            lead
        };
        Ok(CsvColumns {
            leads: names.iter().enumerate().map(lead).collect(),
            types: names.iter().map(|name| settings.types.get(name).copied()).collect(),
            key,
            timestamp: time,
            names,
        })
    }

    fn reader<'a>(&self, rows: &'a [u8]) -> csv::Reader<&'a [u8]> {
        csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.settings.delimiter())
            .from_reader(rows)
    }

    /// Parses whole rows, of which the first is on line `line`.
    pub fn parse(&self, rows: &[u8], line: u64, stop_at_failure: bool) -> Parsed {
        match self.settings.format {
            Format::Csv => self.parse_csv(rows, line, stop_at_failure),
            Format::JsonLines | Format::Lines => self.parse_lines(rows, line, stop_at_failure),
        }
    }

    fn parse_csv(&self, rows: &[u8], line: u64, stop_at_failure: bool) -> Parsed {
        let mut parsed = Parsed::default();
        let Some(columns) = &self.columns else { return parsed };
        let mut reader = self.reader(rows);
        let (mut row, mut json) = (csv::ByteRecord::new(), Vec::new());
        loop {
            // Reading from memory, of any bytes and any number of values, has no other error than a broken row.
            let read = reader.read_byte_record(&mut row);
            let (begin, at) =
                row.position().map_or((0, line), |position| (position.byte(), line + position.line() - 1));
            let begin = usize::try_from(begin).unwrap_or(0);
            let end = usize::try_from(reader.position().byte()).unwrap_or(rows.len()).clamp(begin, rows.len());
            let outcome = match read {
                Ok(false) => return parsed,
                Ok(true) if end - begin > self.settings.row_bytes_max => Err(self.too_long()),
                Ok(true) => self.push_csv(columns, &row, &mut json, &mut parsed.records),
                Err(error) => Err(error.to_string()),
            };
            if let Err(message) = outcome {
                parsed.failures.push(self.failure(at, message, rows[begin..end].trim_ascii_end()));
                if stop_at_failure {
                    parsed.stopped = Some((begin, at));
                    return parsed;
                }
            }
        }
    }

    fn push_csv(&self, columns: &CsvColumns, row: &csv::ByteRecord, json: &mut Vec<u8>, records: &mut Columns) -> Row {
        if row.len() != columns.names.len() {
            return Err(format!(
                "it has {} values, expected {} ({})",
                row.len(),
                columns.names.len(),
                columns.names.join(", ")
            ));
        }
        json.clear();
        let (mut key, mut time) = (None, -1);
        for (at, bytes) in row.iter().enumerate() {
            let name = &columns.names[at];
            let text = std::str::from_utf8(bytes).map_err(|_| format!("column {name:?} is not UTF-8"))?;
            json.extend_from_slice(&columns.leads[at]);
            if self.settings.null_values.iter().any(|null| null == text) {
                json.extend_from_slice(b"null");
                continue;
            }
            let pushed = cell::push_json(json, text, columns.types[at], self.settings.infer);
            pushed.map_err(|expected| format!("column {name:?} is {text:?}, expected {expected}"))?;
            if columns.key == Some(at) {
                key = Some(bytes);
            }
            if let Some((_, format)) = columns.timestamp.filter(|(place, _)| *place == at) {
                time = timestamp::parse(text, format)
                    .map_err(|expected| format!("column {name:?} is {text:?}, expected {expected}"))?;
            }
        }
        json.push(b'}');
        records.push(time, key, Some(json), []);
        Ok(())
    }

    fn parse_lines(&self, rows: &[u8], mut line: u64, stop_at_failure: bool) -> Parsed {
        let mut parsed = Parsed::default();
        let mut begin = 0;
        for whole in rows.split_inclusive(|byte| *byte == b'\n') {
            let text = whole.strip_suffix(b"\n").unwrap_or(whole);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let outcome = match self.settings.format {
                _ if whole.len() > self.settings.row_bytes_max => Err(self.too_long()),
                Format::Lines => {
                    parsed.records.push(-1, None, Some(text), []);
                    Ok(())
                }
                Format::Csv | Format::JsonLines => self.push_json_line(text, &mut parsed.records),
            };
            if let Err(message) = outcome {
                parsed.failures.push(self.failure(line, message, text));
                if stop_at_failure {
                    parsed.stopped = Some((begin, line));
                    return parsed;
                }
            }
            begin += whole.len();
            line += 1;
        }
        parsed
    }

    fn push_json_line(&self, text: &[u8], records: &mut Columns) -> Row {
        let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        if text.trim_ascii().is_empty() {
            return Ok(());
        }
        let settings = &self.settings;
        if settings.key.is_none() && settings.timestamp.is_none() {
            serde_json::from_slice::<serde::de::IgnoredAny>(text)
                .map_err(|error| format!("it is not JSON: {error}"))?;
            records.push(-1, None, Some(text), []);
            return Ok(());
        }
        let value: Value = serde_json::from_slice(text).map_err(|error| format!("it is not JSON: {error}"))?;
        let key = settings.key.as_ref().and_then(|name| value.get(name)).and_then(plain);
        let mut time = TimestampMs::NONE.0;
        if let Some(setting) = &settings.timestamp
            && let Some(text) = value.get(&setting.column).and_then(plain)
        {
            let wrong = |expected| format!("field {:?} is {text:?}, expected {expected}", setting.column);
            time = timestamp::parse(&text, setting.format).map_err(wrong)?;
        }
        records.push(time, key.as_deref().map(str::as_bytes), Some(text), []);
        Ok(())
    }

    /// What is said of a row over the limit.
    pub fn too_long(&self) -> String {
        format!("it has more than {} bytes (row_bytes_max); is a quote not closed?", self.settings.row_bytes_max)
    }

    /// A failure of the row on that line.
    pub fn failure(&self, line: u64, message: String, raw: &[u8]) -> SourceFailure {
        let raw = Bytes::copy_from_slice(&raw[..raw.len().min(RAW_BYTES_MAX)]);
        SourceFailure { place: format!("line {line} of {}", self.settings.path.display()), message, raw }
    }
}

/// A JSON value as text for a key: strings without their quotes, nothing for null.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

pub(crate) fn invalid(message: String) -> OperatorError {
    OperatorError::new(ErrorKind::Invalid, message)
}
