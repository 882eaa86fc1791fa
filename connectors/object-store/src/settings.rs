//! The settings of the object-store sink.

use crate::destination::Place;
use crate::template::Template;
use millstream_connect::{Error, Problem};
use schemars::JsonSchema;
use serde::Deserialize;

/// The settings of the object-store sink.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where objects go: `s3://bucket/prefix`, or `file:///folder` for a folder on the node.
    pub url: String,
    /// What objects hold.
    #[serde(default)]
    pub format: Format,
    /// The folders of objects. `{topic}`, `{partition}`, and of each record's timestamp (UTC) `{date}`, `{year}`, `{month}`, `{day}`,
    /// `{hour}`. An object ends where the path changes: do not partition by what alternates from record to record.
    #[serde(default = "by_day")]
    pub path: String,
    /// Bytes of keys and values at which an object is complete. Higher makes fewer and larger objects, and holds more in memory.
    #[serde(default = "sixteen_mebibytes")]
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub roll_bytes: usize,
    /// Records at which an object is complete.
    #[serde(default = "one_million")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub roll_records: usize,
    /// Milliseconds after its first record at which an object is complete.
    #[serde(default = "one_minute")]
    #[schemars(range(min = 100, max = 86_400_000))]
    pub roll_ms: u64,
    /// Whether keys, and values without a schema, are text in Parquet; a record that is not UTF-8 is an error then. Otherwise they are bytes.
    #[serde(default = "yes")]
    pub text: bool,
    /// The address of an S3 service that is not Amazon's.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The S3 region.
    #[serde(default = "us_east_1")]
    pub region: String,
    /// The S3 access key. Name a secret: `${env:MILLSTREAM_SECRET_...}`.
    #[serde(default)]
    pub access_key_id: Option<String>,
    /// The S3 secret key. Name a secret: `${env:MILLSTREAM_SECRET_...}`.
    #[serde(default)]
    pub secret_access_key: Option<String>,
    /// The token of temporary S3 keys.
    #[serde(default)]
    pub session_token: Option<String>,
}

/// What objects hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Parquet: `_partition`, `_offset`, `_timestamp`, `_key`, and the columns of the topic's registered schema, or `_value` without one.
    #[default]
    Parquet,
    /// The values, which have to be JSON, one a line.
    JsonLines,
}

impl Format {
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::JsonLines => "jsonl",
        }
    }
}

fn by_day() -> String {
    "{topic}/dt={date}".to_owned()
}

const fn sixteen_mebibytes() -> usize {
    16 << 20
}

const fn one_million() -> usize {
    1_000_000
}

const fn one_minute() -> u64 {
    60_000
}

const fn yes() -> bool {
    true
}

fn us_east_1() -> String {
    "us-east-1".to_owned()
}

impl Settings {
    /// What the schema can't say.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let mut problems = Vec::new();
        let mut wrong = |field: &str, value: &str, expected: String| {
            problems.push(Problem { field: format!("settings.{field}"), value: Some(format!("{value:?}")), expected });
        };
        match Place::parse(&self.url) {
            Ok(Place::Folder(_)) => {
                let s3 = [
                    ("endpoint", &self.endpoint),
                    ("access_key_id", &self.access_key_id),
                    ("secret_access_key", &self.secret_access_key),
                ];
                for (field, _) in s3.iter().filter(|(_, given)| given.is_some()) {
                    wrong(field, "...", "nothing where the url is a folder".to_owned());
                }
            }
            Ok(Place::S3 { .. }) => {
                if self.access_key_id.is_some() != self.secret_access_key.is_some() {
                    wrong("secret_access_key", "...", "both keys or none".to_owned());
                }
            }
            Err(expected) => wrong("url", &self.url, expected),
        }
        if let Err(expected) = Template::parse(&self.path) {
            wrong("path", &self.path, expected);
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Spec(problems)) }
    }
}
