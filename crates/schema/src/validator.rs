//! Checking a value against everything its schema says, ranges, patterns and all: what a topic or a function may ask for at its door.

use crate::schema::{Body, Schema};
use crate::{Error, json, wire};

/// Checks values of one schema.
pub struct Validator(Check);

enum Check {
    Json(Box<jsonschema::Validator>),
    Avro(crate::avro::Parsed),
}

impl Validator {
    /// A validator of `schema`'s values.
    ///
    /// # Errors
    /// When a JSON Schema can't be compiled (which parsing has excluded).
    pub fn new(schema: &Schema) -> Result<Self, Error> {
        Ok(Self(match &schema.body {
            Body::Json(parsed) => Check::Json(Box::new(parsed.validator()?)),
            Body::Avro(parsed) => Check::Avro(parsed.clone()),
        }))
    }

    /// Checks one value, with the registry's prefix or without.
    ///
    /// # Errors
    /// `Misfit` with the place and the reason.
    pub fn check(&self, value: &[u8]) -> Result<(), Error> {
        let misfit = |reason: String| Error::Misfit { reason };
        match &self.0 {
            Check::Json(validator) => {
                let value = serde_json::from_slice(wire::split(value).payload)
                    .map_err(|error| misfit(format!("not JSON: {error}")))?;
                validator.validate(&value).map_err(|error| misfit(json::in_words(&error)))
            }
            Check::Avro(parsed) => {
                let framed = wire::split(value);
                if framed.id.is_some() && parsed.check(framed.payload).is_ok() {
                    return Ok(());
                }
                parsed.check(value).map_err(misfit)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemorySchemas, SchemaType};

    fn validator(schema_type: SchemaType, text: &str) -> Validator {
        Validator::new(&Schema::parse(schema_type, text, &[], &MemorySchemas::new()).expect("a schema"))
            .expect("a validator")
    }

    #[test]
    fn a_json_value_is_checked_in_full() {
        let check =
            validator(SchemaType::Json, r#"{"type":"object","properties":{"age":{"type":"integer","minimum":0}}}"#);
        assert!(check.check(br#"{"age":3}"#).is_ok());
        assert!(check.check(&[&[0, 0, 0, 0, 1][..], br#"{"age":3}"#].concat()).is_ok());
        let error = check.check(br#"{"age":-3}"#).expect_err("below the minimum").to_string();
        assert!(error.contains("/age") && error.contains('0'), "{error}");
        assert!(check.check(b"{").expect_err("cut").to_string().contains("not JSON"));
    }

    #[test]
    fn an_avro_value_is_checked_to_its_last_byte() {
        let check = validator(
            SchemaType::Avro,
            r#"{"type":"record","name":"R","fields":[{"name":"n","type":"int"},{"name":"s","type":"string"}]}"#,
        );
        assert!(check.check(&[2, 2, b'a']).is_ok());
        assert!(check.check(&[0, 0, 0, 0, 9, 2, 2, b'a']).is_ok());
        assert!(check.check(&[2, 4, b'a']).expect_err("cut").to_string().contains("missing"));
        assert!(check.check(&[2, 2, b'a', 7]).expect_err("too long").to_string().contains("1 bytes are left"));
    }
}
