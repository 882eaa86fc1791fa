//! The users who may log in from the first start on. Their passwords come from a file or a variable, and are shown nowhere.

use super::{SettingsError, Values};
use std::fmt;

/// Names and passwords.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(pub Vec<(String, String)>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} users", self.0.len())
    }
}

/// Those of `sasl.users` and of `sasl.users.file`.
pub(super) fn read(values: &Values<'_>) -> Result<Secrets, SettingsError> {
    let given = values.text("sasl.users").replace(',', "\n");
    let mut users = millstream_broker::read_users(&given).map_err(|number| SettingsError::Value {
        name: "sasl.users",
        value: "(not shown)".to_owned(),
        expected: format!("NAME:PASSWORD, separated by commas; the {number}. is not so"),
    })?;
    let path = values.text("sasl.users.file");
    if !path.is_empty() {
        let refused = |expected| SettingsError::Value { name: "sasl.users.file", value: path.to_owned(), expected };
        let text = std::fs::read_to_string(path)
            .map_err(|error| refused(format!("a file of lines NAME:PASSWORD, which can't be read: {error}")))?;
        let found = millstream_broker::read_users(&text)
            .map_err(|number| refused(format!("NAME:PASSWORD in each line; line {number} is not so")))?;
        users.extend(found);
    }
    Ok(Secrets(users))
}
