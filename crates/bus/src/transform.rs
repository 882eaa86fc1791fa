//! What a rule sends instead of the event: a JSON template with values taken from the event.
//!
//! ```text
//! {"paths": {"minutes": "$.data.dep_delay", "flight": "$.data.flight"},
//!  "template": {"text": "flight <flight> is late", "minutes": "<minutes>"}}
//! ```
//! A string that is only `<name>` becomes the value with its type (null where the event has none); within a longer string it becomes text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A transform as a rule's spec has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transform {
    /// Names, and where in the event their values are: `$`, `$.field.field`, `$.list[0]`.
    #[serde(default)]
    pub paths: BTreeMap<String, String>,
    /// Any JSON, with `<name>` in its strings.
    pub template: Value,
}

/// A transform that was checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Compiled {
    paths: BTreeMap<String, Vec<Step>>,
    template: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Element(usize),
}

impl Transform {
    /// Checks paths and the names that the template uses; where something is wrong: the field, what was expected, what was found.
    pub(crate) fn compile(&self) -> Result<Compiled, (String, String, String)> {
        let mut paths = BTreeMap::new();
        for (name, path) in &self.paths {
            let steps = steps(path).ok_or_else(|| {
                (format!("transform.paths.{name}"), "a path such as $.field.list[0]".to_owned(), format!("{path:?}"))
            })?;
            paths.insert(name.clone(), steps);
        }
        let mut unknown = None;
        visit(&self.template, &mut |text| {
            unknown = unknown.take().or_else(|| {
                pieces(text).find_map(|(_, name)| name.filter(|name| !paths.contains_key(*name)).map(str::to_owned))
            });
        });
        match unknown {
            Some(name) => {
                let names: Vec<&str> = paths.keys().map(String::as_str).collect();
                Err((
                    "transform.template".to_owned(),
                    format!("names that paths has ({})", names.join(", ")),
                    format!("<{name}>"),
                ))
            }
            None => Ok(Compiled { paths, template: self.template.clone() }),
        }
    }
}

impl Compiled {
    /// The template with the event's values.
    pub fn render(&self, event: &Value) -> Value {
        let value = |name: &str| self.paths.get(name).and_then(|steps| follow(event, steps));
        fill(&self.template, &value)
    }
}

fn fill<'a>(template: &Value, value: &impl Fn(&str) -> Option<&'a Value>) -> Value {
    match template {
        Value::String(text) => {
            if let Some(name) = alone(text) {
                return value(name).cloned().unwrap_or(Value::Null);
            }
            let piece = |(literal, name): (&str, Option<&str>)| {
                format!("{literal}{}", name.map_or(String::new(), |name| text_of(value(name))))
            };
            Value::String(pieces(text).map(piece).collect())
        }
        Value::Array(elements) => elements.iter().map(|element| fill(element, value)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), fill(field, value))).collect(),
        other => other.clone(),
    }
}

fn text_of(value: Option<&Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The name of a string that is one placeholder and nothing else.
fn alone(text: &str) -> Option<&str> {
    let mut pieces = pieces(text);
    match (pieces.next(), pieces.next()) {
        (Some(("", Some(name))), None) => Some(name),
        _ => None,
    }
}

/// A string as literals, each with the placeholder that follows it. `<` without a name and `>` is itself.
fn pieces(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut from = 0;
        while let Some(open) = rest[from..].find('<').map(|at| from + at) {
            let after = &rest[open + 1..];
            let len =
                after.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')).count();
            if len > 0 && after.as_bytes().get(len) == Some(&b'>') {
                let piece = (&rest[..open], Some(&after[..len]));
                rest = &after[len + 1..];
                return Some(piece);
            }
            from = open + 1;
        }
        Some((std::mem::take(&mut rest), None))
    })
}

fn visit(value: &Value, see: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => see(text),
        Value::Array(elements) => elements.iter().for_each(|element| visit(element, see)),
        Value::Object(fields) => fields.values().for_each(|field| visit(field, see)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn steps(path: &str) -> Option<Vec<Step>> {
    let rest = path.strip_prefix('$')?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    let mut steps = Vec::new();
    for part in rest.strip_prefix('.')?.split('.') {
        let (field, elements) = part.split_once('[').map_or((part, ""), |(field, elements)| (field, elements));
        if field.is_empty() || part.contains('[') == elements.is_empty() {
            return None;
        }
        steps.push(Step::Field(field.to_owned()));
        for element in elements.split('[').filter(|_| !elements.is_empty()) {
            steps.push(Step::Element(element.strip_suffix(']')?.parse().ok()?));
        }
    }
    Some(steps)
}

fn follow<'a>(event: &'a Value, steps: &[Step]) -> Option<&'a Value> {
    steps.iter().try_fold(event, |value, step| match step {
        Step::Field(name) => value.get(name),
        Step::Element(at) => value.get(at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn transform(paths: Value, template: Value) -> Transform {
        serde_json::from_value(json!({"paths": paths, "template": template})).unwrap()
    }

    #[test]
    fn values_keep_their_type_alone_and_become_text_among_text() {
        let event = json!({"data": {"delay": 121.5, "flight": "UA<1>", "legs": [{"to": "EWR"}], "nothing": null}});
        let paths = json!({"d": "$.data.delay", "f": "$.data.flight", "to": "$.data.legs[0].to", "none": "$.data.gone", "all": "$.data.legs", "n": "$.data.nothing"});
        let template = json!({"late": "<d>", "text": "<f> to <to>: <d> min, a < b <none>!", "list": ["<all>", "<none>", 7, true], "n": "<n>", "two": "<d><d>"});
        let rendered = transform(paths, template).compile().unwrap().render(&event);
        assert_eq!(
            rendered,
            json!({"late": 121.5, "text": "UA<1> to EWR: 121.5 min, a < b !", "list": [[{"to": "EWR"}], null, 7, true], "n": null, "two": "121.5121.5"})
        );
        let whole = transform(json!({"event": "$"}), json!("<event>")).compile().unwrap();
        assert_eq!(whole.render(&event), event);
    }

    #[test]
    fn wrong_paths_and_unknown_names_are_refused() {
        for path in ["", "data", "$data", "$.", "$.a[", "$.a[x]", "$.a[]", "$.[0]", "$.a..b"] {
            assert!(transform(json!({"x": path}), json!("<x>")).compile().is_err(), "{path}");
        }
        let (field, expected, found) = transform(json!({"x": "$.a"}), json!([{"b": "<y>"}])).compile().unwrap_err();
        assert_eq!(
            (field.as_str(), expected.as_str(), found.as_str()),
            ("transform.template", "names that paths has (x)", "<y>")
        );
    }
}
