//! What is wrong with one field of a spec: its name, its value, what was expected. All problems are found at once.

use serde::Serialize;
use serde_json::Value;
use std::fmt;

/// Longest value that is shown whole.
const SHOWN_CHARS_MAX: usize = 60;

/// One field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where: `settings.path`.
    pub field: String,
    /// What it is now, as JSON; nothing where the field is missing.
    pub value: Option<String>,
    /// What it should be.
    pub expected: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} is {value}: expected {}", self.field, self.expected),
            None => write!(f, "{}: expected {}", self.field, self.expected),
        }
    }
}

/// Checks a value against a JSON Schema and then against what serde makes of it; `parse` is asked for its own words where the schema's
/// are not plain (a choice between variants).
pub(crate) fn check(
    at: &str,
    schema: &Value,
    value: &Value,
    parse: impl FnOnce(&Value) -> Option<String>,
) -> Vec<Problem> {
    let validator = match jsonschema::validator_for(schema) {
        Ok(validator) => validator,
        Err(error) => {
            return vec![Problem { field: at.to_owned(), value: None, expected: format!("a valid schema ({error})") }];
        }
    };
    let mut problems: Vec<Problem> = Vec::new();
    let mut unclear = false;
    for error in validator.iter_errors(value) {
        let path = error.instance_path().to_string();
        let keyword = error.kind().keyword();
        let field = dotted(at, &path);
        if keyword == "anyOf" || keyword == "oneOf" {
            match constants(schema.pointer(error.schema_path().as_str())) {
                Some(names) => problems.push(Problem {
                    field,
                    value: Some(shown(error.instance())),
                    expected: format!("one of [{}]", names.join(",")),
                }),
                None => unclear = true,
            }
            continue;
        }
        problems.push(problem(field, schema, &error));
    }
    if problems.is_empty()
        && let Some(message) = parse(value)
    {
        problems.push(Problem {
            field: at.to_owned(),
            value: None,
            expected: format!("settings that fit ({message})"),
        });
    } else if problems.is_empty() && unclear {
        problems.push(Problem {
            field: at.to_owned(),
            value: Some(shown(value)),
            expected: "one of the forms in its schema".to_owned(),
        });
    }
    problems
}

/// The values of a choice between constants: an enum whose variants are documented.
fn constants(variants: Option<&Value>) -> Option<Vec<&str>> {
    variants?.as_array()?.iter().map(|variant| variant.get("const").and_then(Value::as_str)).collect()
}

fn problem(field: String, schema: &Value, error: &jsonschema::ValidationError<'_>) -> Problem {
    let (value, message, schema_path) = (error.instance(), error.to_string(), error.schema_path().as_str());
    let wanted = schema.pointer(schema_path);
    let text = |wanted: Option<&Value>| wanted.map(|wanted| wanted.to_string().replace('"', "")).unwrap_or_default();
    let expected = match error.kind().keyword() {
        "type" => format!("a value of type {}", text(wanted)),
        "enum" => format!("one of {}", text(wanted)),
        "minimum" => format!("at least {}", text(wanted)),
        "maximum" => format!("at most {}", text(wanted)),
        "additionalProperties" | "unevaluatedProperties" => {
            return unknown_fields(field, schema, error);
        }
        "required" => {
            let missing = message.trim_end_matches(" is a required property").trim_matches('"');
            return Problem {
                field: within(&field, missing),
                value: None,
                expected: "a value; it is required".to_owned(),
            };
        }
        _ => message,
    };
    Problem { field, value: Some(shown(value)), expected }
}

fn unknown_fields(field: String, schema: &Value, error: &jsonschema::ValidationError<'_>) -> Problem {
    let (value, schema_path) = (error.instance(), error.schema_path().as_str());
    let parent = schema_path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let known = schema.pointer(&format!("{parent}/properties")).and_then(Value::as_object);
    let Some(known) = known else {
        return Problem { field, value: Some(shown(value)), expected: error.to_string() };
    };
    let unknown = value.as_object().and_then(|object| object.keys().find(|name| !known.contains_key(*name)));
    let names: Vec<&str> = known.keys().map(String::as_str).collect();
    let given = unknown.and_then(|name| value.get(name)).map(shown);
    Problem {
        field: unknown.map_or_else(|| field.clone(), |name| within(&field, name)),
        value: given,
        expected: format!("no such field; there are {}", names.join(", ")),
    }
}

/// `settings` and `/fields/0` become `settings.fields.0`.
fn dotted(at: &str, pointer: &str) -> String {
    let rest = pointer.replace('/', ".");
    if at.is_empty() { rest.trim_start_matches('.').to_owned() } else { format!("{at}{rest}") }
}

fn within(field: &str, name: &str) -> String {
    if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") }
}

fn shown(value: &Value) -> String {
    let whole = value.to_string();
    match whole.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &whole[..end]),
        None => whole,
    }
}
