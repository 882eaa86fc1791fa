//! Makes the table of Kafka's message shapes from the JSON schemas inside the kafka-clients jar.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::jar;

/// Where the schemas are within the jar.
const FOLDER: &str = "common/message/";
/// Messages without an API key that brokers and clients read all the same.
const BLOBS: &[&str] = &["ConsumerProtocolAssignment", "ConsumerProtocolSubscription"];

/// Reads the schemas of `jar` and writes the table to `table`.
///
/// # Errors
/// Says which file or schema could not be read, or written.
pub fn run(jar: &Path, table: &Path) -> Result<(), String> {
    let bytes = fs::read(jar).map_err(|error| format!("{}: {error}", jar.display()))?;
    let mut requests = BTreeMap::new();
    let mut blobs = String::new();
    for entry in jar::entries(&bytes)? {
        let Some(file) = entry.name.strip_prefix(FOLDER).filter(|file| file.ends_with(".json")) else { continue };
        let text = String::from_utf8(entry.content()?).map_err(|error| format!("{file}: {error}"))?;
        let schema: Value =
            serde_json::from_str(&without_comments(&text)).map_err(|error| format!("{file}: {error}"))?;
        let name = word(&schema, "name").map_err(|error| format!("{file}: {error}"))?;
        let (is_request, is_blob) = (schema["type"] == "request", BLOBS.contains(&name));
        if schema["validVersions"] == "none" || !(is_request || is_blob) {
            continue;
        }
        let flexible = schema["flexibleVersions"].as_str().unwrap_or("none");
        let body = Message::new(&schema).fields().map_err(|error| format!("{file}: {error}"))?;
        if is_request {
            let key = schema["apiKey"].as_i64().ok_or_else(|| format!("{file}: no apiKey"))?;
            requests.insert(key, format!("request {key} {name} {flexible}\n{body}"));
        } else {
            let _ = write!(blobs, "blob {name} {flexible}\n{body}");
        }
    }
    let origin = jar.file_name().unwrap_or_default().to_string_lossy();
    let head = format!("# The shapes of Kafka's messages, from {origin}. Made by `cargo xtask shapes`; do not edit.\n");
    let text = head + &requests.into_values().collect::<String>() + &blobs;
    fs::write(table, &text).map_err(|error| format!("{}: {error}", table.display()))?;
    println!("{}: {} lines", table.display(), text.lines().count());
    Ok(())
}

/// The schemas are JSON with comments to the end of the line.
fn without_comments(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for line in text.lines() {
        let (mut quoted, mut escaped, mut end) = (false, false, line.len());
        for (at, byte) in line.bytes().enumerate() {
            match byte {
                b'"' if !escaped => quoted = !quoted,
                b'/' if !quoted && line[at..].starts_with("//") => {
                    end = at;
                    break;
                }
                _ => {}
            }
            escaped = byte == b'\\' && !escaped;
        }
        clean.push_str(&line[..end]);
        clean.push('\n');
    }
    clean
}

fn word<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    value[key].as_str().ok_or_else(|| format!("no {key} in {value}"))
}

/// A schema, with the structs that its fields name.
struct Message<'a> {
    schema: &'a Value,
    structs: BTreeMap<&'a str, &'a Value>,
}

impl<'a> Message<'a> {
    fn new(schema: &'a Value) -> Self {
        let shared = schema["commonStructs"].as_array().into_iter().flatten();
        let structs = shared.filter_map(|shape| Some((shape["name"].as_str()?, &shape["fields"]))).collect();
        Self { schema, structs }
    }

    fn fields(&self) -> Result<String, String> {
        let mut text = String::new();
        self.write(&self.schema["fields"], 1, &mut text)?;
        Ok(text)
    }

    fn write(&self, fields: &Value, depth: usize, text: &mut String) -> Result<(), String> {
        for field in fields.as_array().into_iter().flatten() {
            let (name, kind, versions) = (word(field, "name")?, word(field, "type")?, word(field, "versions")?);
            if !field["flexibleVersions"].is_null() {
                return Err(format!("{name} has flexible versions of its own, which the table can't say"));
            }
            let (array, element) = kind.strip_prefix("[]").map_or(("", kind), |element| ("[]", element));
            let is_struct = element.starts_with(char::is_uppercase);
            let told = if is_struct { "struct" } else { element };
            let _ = write!(text, "{:depth$}{name} {array}{told} {versions}", "");
            if let Some(versions) = field["nullableVersions"].as_str() {
                let _ = write!(text, " null={versions}");
            }
            if let (Some(tag), Some(versions)) = (field["tag"].as_u64(), field["taggedVersions"].as_str()) {
                let _ = write!(text, " tag={tag}@{versions}");
            }
            text.push('\n');
            if is_struct {
                let inner = if field["fields"].is_array() {
                    Some(&field["fields"])
                } else {
                    self.structs.get(element).copied()
                };
                self.write(inner.ok_or_else(|| format!("no struct {element}"))?, depth + 1, text)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_texts_stay() {
        let clean = without_comments("{ // a\n \"about\": \"see http://x \\\" // y\" } // z\n");
        let value: Value = serde_json::from_str(&clean).expect("JSON");
        assert_eq!(value["about"], "see http://x \" // y");
    }

    #[test]
    fn structs_are_written_in_place() {
        let schema = serde_json::json!({
            "fields": [
                {"name": "A", "type": "[]S", "versions": "1+", "nullableVersions": "2+"},
                {"name": "T", "type": "string", "versions": "3+", "tag": 4, "taggedVersions": "3+"},
            ],
            "commonStructs": [{"name": "S", "fields": [{"name": "B", "type": "int32", "versions": "0+"}]}],
        });
        let text = Message::new(&schema).fields().expect("a valid schema");
        assert_eq!(text, " A []struct 1+ null=2+\n  B int32 0+\n T string 3+ tag=4@3+\n");
    }
}
