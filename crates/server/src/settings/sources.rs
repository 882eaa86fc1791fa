//! Where settings come from, and which of two wins: flags, then variables, then the file, then defaults.

use super::definitions::definition;
use super::{SettingsError, all_definitions};
use millstream_types::{ConfigDef, ConfigError};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What the process was started with. The edge reads it; nothing further in reads the environment.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--set NAME=VALUE`, in order; a later one wins.
    pub set: Vec<String>,
    /// The variables of the environment that begin with `MILLSTREAM_`.
    pub variables: Vec<(String, String)>,
    /// `--config FILE`.
    pub file: Option<PathBuf>,
}

impl Sources {
    /// Every option's value as text, and which of them were given.
    pub(super) fn resolve(&self) -> Result<(BTreeMap<String, String>, BTreeSet<String>), SettingsError> {
        let definitions = all_definitions();
        let mut given = BTreeMap::new();
        let defaults: BTreeMap<String, String> =
            definitions.iter().map(|(name, def)| ((*name).to_owned(), def.default.to_owned())).collect();
        for (name, value) in self.read_file()? {
            put(&mut given, &definitions, &self.file_name(), &name, value)?;
        }
        for (variable, value) in &self.variables {
            let Some(name) = variable.strip_prefix("MILLSTREAM_") else { continue };
            let name = name.to_lowercase().replace('_', ".");
            // A variable that is no option belongs to someone else (MILLSTREAM_HTTP names the node that the CLI asks).
            if definition(&definitions, &name).is_some() {
                put(&mut given, &definitions, variable, &name, value.clone())?;
            }
        }
        for text in &self.set {
            let Some((name, value)) = text.split_once('=') else {
                let error = ConfigError::Unknown { name: text.clone() };
                return Err(SettingsError::Config {
                    source_name: format!("--set {text} (expected NAME=VALUE)"),
                    error,
                });
            };
            put(&mut given, &definitions, &format!("--set {name}"), name, value.to_owned())?;
        }
        let names = given.keys().cloned().collect();
        let mut values = defaults;
        values.extend(given);
        Ok((values, names))
    }

    fn file_name(&self) -> String {
        self.file.as_ref().map_or_else(String::new, |path| path.display().to_string())
    }

    fn read_file(&self) -> Result<Vec<(String, String)>, SettingsError> {
        let Some(path) = &self.file else { return Ok(Vec::new()) };
        let failed = |reason: String| SettingsError::File { path: self.file_name(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let table: toml::Table = toml::from_str(&text).map_err(|error| failed(error.to_string()))?;
        let mut found = Vec::new();
        flatten("", &table, &mut found);
        Ok(found)
    }
}

/// `[log] retention = 1` and `"log.retention" = 1` say the same.
fn flatten(prefix: &str, table: &toml::Table, found: &mut Vec<(String, String)>) {
    for (name, value) in table {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) => flatten(&name, inner, found),
            toml::Value::String(text) => found.push((name, text.clone())),
            toml::Value::Array(items) => {
                let items: Vec<String> =
                    items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect();
                found.push((name, items.join(",")));
            }
            other => found.push((name, other.to_string())),
        }
    }
}

fn put(
    values: &mut BTreeMap<String, String>,
    definitions: &[(&str, &'static ConfigDef)],
    source: &str,
    name: &str,
    value: String,
) -> Result<(), SettingsError> {
    let refused = |error| SettingsError::Config { source_name: source.to_owned(), error };
    let def = definition(definitions, name).ok_or_else(|| refused(ConfigError::Unknown { name: name.to_owned() }))?;
    def.check(&value).map_err(refused)?;
    values.insert(name.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_variables_and_those_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("millstream.toml");
        std::fs::write(&path, "[num]\npartitions = 2\n[node]\nid = 4\n[data]\ndir = \"a\"\n").unwrap();
        let sources = Sources {
            set: vec!["num.partitions=8".into()],
            variables: vec![
                ("MILLSTREAM_NUM_PARTITIONS".into(), "4".into()),
                ("MILLSTREAM_NODE_ID".into(), "7".into()),
            ],
            file: Some(path),
        };
        let (values, _) = sources.resolve().unwrap();
        assert_eq!(
            (values["num.partitions"].as_str(), values["node.id"].as_str(), values["data.dir"].as_str()),
            ("8", "7", "a")
        );
    }

    #[test]
    fn a_file_that_is_not_toml_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broken.toml");
        std::fs::write(&path, "a = [").unwrap();
        let error = Sources { file: Some(path), ..Sources::default() }.resolve().unwrap_err().to_string();
        assert!(error.contains("broken.toml: "), "{error}");
    }
}
