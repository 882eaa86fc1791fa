//! What a rule's deployment says: stored as JSON in the metadata log.

use crate::buses::Buses;
use crate::error::Error;
use crate::transform::{Compiled, Transform};
use millstream_pattern::Pattern;
use millstream_task::Deployment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

const ATTEMPTS_MAX: u32 = 1_000;
const SECONDS_MAX: u64 = 7 * 86_400;
const TIMEOUT_MS_MAX: u64 = 600_000;

/// A rule's deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// What it reads.
    pub input: Input,
    /// Which events it is for, in EventBridge's grammar: of a bus the CloudEvent, of a topic the record's JSON value.
    pub pattern: Map<String, Value>,
    /// Where they go.
    pub target: Target,
    /// What is sent instead of the event.
    #[serde(default)]
    pub transform: Option<Transform>,
    /// How a delivery by HTTP that fails is tried again.
    #[serde(default)]
    pub retry: Retry,
    /// Where events go that could not be delivered or read, with headers that name the cause. Without one they are counted and left out.
    #[serde(default)]
    pub dead_letter_topic: Option<String>,
    /// Where it begins the first time.
    #[serde(default)]
    pub from: Start,
}

/// What a rule reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The events of a bus.
    Bus(String),
    /// The JSON values of a topic.
    Topic(String),
}

/// Where a rule sends what matches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A topic (a function's input among others). Made where it does not exist.
    Topic(String),
    /// An HTTP endpoint, by POST.
    Http(Http),
}

/// An HTTP endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Its address.
    pub url: String,
    /// Headers sent with every event.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Milliseconds that one request may take.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// Requests on their way at the same time. With more than one, events may arrive in another order.
    #[serde(default = "parallel")]
    pub parallel: usize,
}

/// How often and how long a delivery is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Attempts in all.
    pub attempts: u32,
    /// Seconds from the first attempt after which no more is made. Events behind it wait.
    pub max_age_seconds: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 10, max_age_seconds: 300 }
    }
}

/// Where a rule without progress begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// At the first event there is, as functions do: none that came before the rule was started is missed.
    #[default]
    Earliest,
    /// At the end: only what comes from now on.
    Latest,
}

const fn timeout_ms() -> u64 {
    10_000
}

const fn parallel() -> usize {
    8
}

/// What of a spec is needed to run it.
#[derive(Debug, Clone)]
pub struct Checked {
    pub spec: RuleSpec,
    pub pattern: Pattern,
    pub transform: Option<Compiled>,
}

impl Input {
    /// The topic it is.
    #[must_use]
    pub fn topic(&self) -> String {
        match self {
            Self::Bus(bus) => Buses::topic(bus),
            Self::Topic(topic) => topic.clone(),
        }
    }
}

impl RuleSpec {
    /// Reads and checks a deployment's spec: everything that does not need the log.
    pub(crate) fn of(deployment: &Deployment) -> Result<Checked, Error> {
        Self::checked(&deployment.key.name, &deployment.spec)
    }

    /// Reads and checks a spec.
    pub(crate) fn checked(rule: &str, spec: &Value) -> Result<Checked, Error> {
        let in_spec = |problem: String| Error::Spec { rule: rule.to_owned(), problem };
        let spec: Self = serde_json::from_value(spec.clone())
            .map_err(|error| in_spec(format!("{error}; `millstream rule create --help` tells what a rule has")))?;
        let pattern =
            Pattern::from_value(&Value::Object(spec.pattern.clone())).map_err(|error| in_spec(error.to_string()))?;
        let field = |(field, expected, found)| Error::Field { rule: rule.to_owned(), field, expected, found };
        let transform = spec.transform.as_ref().map(Transform::compile).transpose().map_err(field)?;
        spec.check(rule)?;
        Ok(Checked { spec, pattern, transform })
    }

    fn check(&self, rule: &str) -> Result<(), Error> {
        let field = |field: &str, expected: &str, found: String| Error::Field {
            rule: rule.to_owned(),
            field: field.to_owned(),
            expected: expected.to_owned(),
            found,
        };
        let input = self.input.topic();
        let target = match &self.target {
            Target::Topic(topic) => Some(topic),
            Target::Http(http) => {
                http.check(&field)?;
                None
            }
        };
        let written = target.map(|topic| (topic, "target")).into_iter();
        let written = written.chain(self.dead_letter_topic.iter().map(|topic| (topic, "dead_letter_topic")));
        for (topic, name) in std::iter::once((&input, "input")).chain(written.clone()) {
            if !legal(topic) {
                return Err(field(name, "a name of 1 to 249 letters, digits, '.', '_' and '-'", format!("{topic:?}")));
            }
        }
        if let Some((topic, role)) = written.into_iter().find(|(topic, _)| **topic == input) {
            return Err(Error::Loop { rule: rule.to_owned(), topic: topic.clone(), role });
        }
        let ranges = [
            ("retry.attempts", u64::from(self.retry.attempts), u64::from(ATTEMPTS_MAX)),
            ("retry.max_age_seconds", self.retry.max_age_seconds, SECONDS_MAX),
        ];
        match ranges.into_iter().find(|(_, found, most)| !(1..=*most).contains(found)) {
            Some((name, found, most)) => Err(field(name, &format!("1 to {most}"), found.to_string())),
            None => Ok(()),
        }
    }
}

impl Http {
    fn check(&self, field: &impl Fn(&str, &str, String) -> Error) -> Result<(), Error> {
        let url = reqwest::Url::parse(&self.url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if url.is_none() {
            return Err(field(
                "target.http.url",
                "an address such as https://example.com/events",
                format!("{:?}", self.url),
            ));
        }
        for (name, value) in &self.headers {
            let is_name = reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_ok();
            if !is_name || reqwest::header::HeaderValue::from_str(value).is_err() {
                // Its value may be a secret.
                return Err(field(
                    "target.http.headers",
                    "names and values that HTTP allows",
                    format!("the header {name:?}"),
                ));
            }
        }
        if !(1..=TIMEOUT_MS_MAX).contains(&self.timeout_ms) {
            return Err(field(
                "target.http.timeout_ms",
                &format!("1 to {TIMEOUT_MS_MAX}"),
                self.timeout_ms.to_string(),
            ));
        }
        if !(1..=64).contains(&self.parallel) {
            return Err(field("target.http.parallel", "1 to 64", self.parallel.to_string()));
        }
        Ok(())
    }
}

/// Whether Kafka takes a topic of that name.
fn legal(topic: &str) -> bool {
    let characters = topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    characters && (1..=249).contains(&topic.len()) && topic != "." && topic != ".."
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(change: Value) -> String {
        let mut spec = json!({"input": {"topic": "flights"}, "pattern": {"dep_delay": [{"numeric": [">", 120]}]}, "target": {"topic": "alerts"}});
        for (name, value) in change.as_object().unwrap() {
            spec[name] = value.clone();
        }
        RuleSpec::checked("late", &spec).unwrap_err().to_string()
    }

    #[test]
    fn the_command_lines_specs_are_taken() {
        for target in [json!({"topic": "alerts"}), json!({"http": {"url": "http://127.0.0.1:1/x"}})] {
            let spec = json!({"input": {"bus": "shop"}, "pattern": {"type": ["order"]}, "target": target, "dead_letter_topic": "dead"});
            let checked = RuleSpec::checked("r", &spec).unwrap();
            assert_eq!((checked.spec.input.topic().as_str(), checked.spec.retry), ("bus.shop", Retry::default()));
        }
    }

    #[test]
    fn wrong_fields_are_named() {
        assert!(
            refusal(json!({"colour": 1})).starts_with("rule \"late\": unknown field `colour`, expected one of `input`")
        );
        assert!(refusal(json!({"pattern": {"a": [{"like": "x"}]}})).contains("pattern field a: expected"));
        assert!(
            refusal(json!({"target": {"queue": "x"}})).contains("unknown variant `queue`, expected `topic` or `http`")
        );
        assert_eq!(
            refusal(json!({"target": {"topic": "flights"}})),
            "rule \"late\" would read what it writes: its target is its input \"flights\"; choose another topic"
        );
        assert!(refusal(json!({"dead_letter_topic": "flights"})).contains("its dead_letter_topic is its input"));
        assert!(refusal(json!({"input": {"bus": "a b"}})).contains("input: expected a name of 1 to 249"));
        assert!(
            refusal(json!({"target": {"http": {"url": "ftp://x"}}}))
                .contains("target.http.url: expected an address such as")
        );
        assert!(refusal(json!({"retry": {"attempts": 0}})).contains("retry.attempts: expected 1 to 1000, found 0"));
        let secret = refusal(json!({"target": {"http": {"url": "http://x", "headers": {"a b": "hush"}}}}));
        assert!(secret.contains("the header \"a b\"") && !secret.contains("hush"), "{secret}");
        assert!(
            refusal(json!({"transform": {"template": "<x>"}}))
                .contains("transform.template: expected names that paths has ()")
        );
    }
}
