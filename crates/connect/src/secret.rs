//! Secrets in settings: `${env:MILLSTREAM_SECRET_NAME}` stands for an environment variable, so that no secret is stored with a spec.

use crate::Error;
use serde_json::Value;
use std::sync::Arc;

/// What variables that a connector may read begin with: whoever may create a connector could send any other variable away.
pub const SECRET_PREFIX: &str = "MILLSTREAM_SECRET_";

/// Looks up an environment variable; given by the composition root.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

const OPEN: &str = "${env:";

/// The settings with their secrets put in.
pub(crate) fn resolve(settings: &Value, environment: &Environment) -> Result<Value, Error> {
    Ok(match settings {
        Value::String(text) => Value::String(resolve_text(text, environment)?),
        Value::Array(values) => {
            Value::Array(values.iter().map(|value| resolve(value, environment)).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => {
            let resolved = fields.iter().map(|(name, value)| Ok((name.clone(), resolve(value, environment)?)));
            Value::Object(resolved.collect::<Result<_, Error>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => settings.clone(),
    })
}

fn resolve_text(text: &str, environment: &Environment) -> Result<String, Error> {
    let mut resolved = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let Some((variable, after)) = after.split_once('}') else { break };
        if !variable.starts_with(SECRET_PREFIX) {
            return Err(Error::ForbiddenSecret { variable: variable.to_owned() });
        }
        resolved.push_str(before);
        resolved
            .push_str(&environment(variable).ok_or_else(|| Error::MissingSecret { variable: variable.to_owned() })?);
        rest = after;
    }
    resolved.push_str(rest);
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn environment() -> Environment {
        Arc::new(|name| (name == "MILLSTREAM_SECRET_A").then(|| "hidden".to_owned()))
    }

    #[test]
    fn a_secret_is_put_in_wherever_it_is_named() {
        let settings =
            json!({"headers": {"x": "Bearer ${env:MILLSTREAM_SECRET_A}!"}, "list": ["${env:MILLSTREAM_SECRET_A}", 1]});
        let expected = json!({"headers": {"x": "Bearer hidden!"}, "list": ["hidden", 1]});
        assert_eq!(resolve(&settings, &environment()), Ok(expected));
    }

    #[test]
    fn only_variables_meant_for_connectors_can_be_read() {
        let settings = json!("${env:AWS_SECRET_ACCESS_KEY}");
        assert_eq!(
            resolve(&settings, &environment()),
            Err(Error::ForbiddenSecret { variable: "AWS_SECRET_ACCESS_KEY".into() })
        );
        let missing = resolve(&json!("${env:MILLSTREAM_SECRET_B}"), &environment()).unwrap_err();
        assert_eq!(missing, Error::MissingSecret { variable: "MILLSTREAM_SECRET_B".into() });
    }

    #[test]
    fn other_text_stays() {
        for text in ["plain", "${other}", "${env:unclosed", ""] {
            assert_eq!(resolve(&json!(text), &environment()), Ok(json!(text)));
        }
    }
}
