//! The house rules that a compiler does not check: arrows between crates, sizes, names and openings of files.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 60;
const FORBIDDEN_NAMES: [&str; 5] = ["mod.rs", "utils.rs", "common.rs", "helpers.rs", "v2.rs"];
/// Crates beside the product: they may use anything, and nothing may use them.
const SIDE: [&str; 4] = ["e2e", "bench", "fuzz", "xtask"];

/// Checks the tree at `root`. The text names every breach, one a line; empty when there is none.
pub fn check(root: &Path) -> Result<String, String> {
    let mut breaches = String::new();
    check_arrows(root, &mut breaches)?;
    for file in rust_files(root)? {
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        check_file(&name, &text, &mut breaches);
    }
    Ok(breaches)
}

fn breach(breaches: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(breaches, "{text}").expect("writing to a String can't fail");
}

fn check_file(name: &str, text: &str, breaches: &mut String) {
    let file_name = name.rsplit('/').next().unwrap_or(name);
    if FORBIDDEN_NAMES.contains(&file_name) {
        breach(breaches, format_args!("{name}: a file is named after what it owns, not {file_name}"));
    }
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        breach(breaches, format_args!("{name}: {lines} lines; {FILE_LINES_MAX} at most"));
    }
    let generated = text.starts_with("// @generated");
    if !generated && !text.starts_with("//!") {
        breach(breaches, format_args!("{name}: it should open with //! and say what it owns"));
    }
    if !generated {
        check_functions(name, text, breaches);
    }
}

/// Functions end at the closing brace of their own indentation: rustfmt, which CI runs first, sees to that.
fn check_functions(name: &str, text: &str, breaches: &mut String) {
    let mut open: Option<(usize, usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        match &open {
            None if starts_function(line.trim_start()) && !line.trim_end().ends_with(['}', ';']) => {
                open = Some((number, indent, line.trim().chars().take(80).collect()));
            }
            Some((start, at, signature)) if indent == *at && line.trim() == "}" => {
                let lines = number - start + 1;
                if lines > FUNCTION_LINES_MAX {
                    breach(
                        breaches,
                        format_args!("{name}:{}: {lines} lines; {FUNCTION_LINES_MAX} at most: {signature}", start + 1),
                    );
                }
                open = None;
            }
            // A declaration without a body (a trait's method over several lines).
            Some((_, at, _)) if indent == *at && line.trim_end().ends_with(';') => open = None,
            _ => {}
        }
    }
}

fn starts_function(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().take(6).collect();
    let Some(at) = words.iter().position(|word| *word == "fn") else { return false };
    words[..at]
        .iter()
        .all(|word| matches!(*word, "pub" | "async" | "const" | "unsafe" | "extern") || word.starts_with("pub("))
}

fn rust_files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["crates", "connectors", "patches", "functions", "examples"].iter().map(|name| root.join(name)).collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && !matches!(name, "target" | "node_modules" | "corpus") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

/// The crate's row of the table in ARCHITECTURE.md: its layer and what it may use.
struct Row {
    layer: String,
    may_use: BTreeSet<String>,
}

fn check_arrows(root: &Path, breaches: &mut String) -> Result<(), String> {
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).map_err(|error| format!("ARCHITECTURE.md: {error}"))?;
    let rows = table(&text);
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    // What stands in for a library has its name.
    let own = metadata.packages.iter().filter(|package| !package.manifest_path.starts_with(root.join("patches")));
    for package in own {
        let Some(folder) = package.manifest_path.parent().and_then(Path::file_name).and_then(|name| name.to_str())
        else {
            continue;
        };
        let connector = package.name.starts_with("millstream-connector-");
        if !connector && package.name != format!("millstream-{folder}") {
            breach(
                breaches,
                format_args!("crates/{folder}: its package should be named millstream-{folder}, not {}", package.name),
            );
        }
        let used = package.dependencies.iter().filter(|dependency| dependency.kind.is_none());
        for target in used.filter_map(|dependency| dependency.name.strip_prefix("millstream-")) {
            if let Err(reason) = arrow(&rows, folder, connector, target) {
                breach(breaches, format_args!("{folder} -> {target}: {reason}"));
            }
        }
    }
    Ok(())
}

fn arrow(rows: &BTreeMap<String, Row>, from: &str, connector: bool, target: &str) -> Result<(), String> {
    if SIDE.contains(&from) {
        return Ok(());
    }
    if SIDE.contains(&target) {
        return Err("no crate of the product uses one beside it".into());
    }
    let allowed = |row: &Row| {
        let layer = rows.get(target).map_or("", |target| target.layer.as_str());
        row.may_use.contains(target)
            || row.may_use.contains(layer)
            || (target.starts_with("connector-") && row.may_use.contains("connectors"))
    };
    if connector {
        let row = rows.get("connect").ok_or("ARCHITECTURE.md has no row for connect")?;
        return if target == "connect" || allowed(row) {
            Ok(())
        } else {
            Err("a connector uses connect and what connect may use".into())
        };
    }
    let row = rows.get(from).ok_or("ARCHITECTURE.md has no row for the crate that uses it")?;
    if allowed(row) {
        Ok(())
    } else {
        Err("not in the crate's row of ARCHITECTURE.md: arrows point down the layers only".into())
    }
}

fn table(text: &str) -> BTreeMap<String, Row> {
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, layer, name, _, may_use, _] = cells.as_slice() else { continue };
        if layer.parse::<u8>().is_ok() && name.starts_with('`') {
            let may_use = may_use.split(',').map(|word| word.trim().to_owned()).collect();
            rows.insert(name.trim_matches('`').to_owned(), Row { layer: (*layer).to_owned(), may_use });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        assert_eq!(check(root).unwrap(), "");
    }

    #[test]
    fn a_long_function_is_found() {
        let body = "    step();\n".repeat(60);
        let mut breaches = String::new();
        check_file("a.rs", &format!("//! A.\npub fn long() {{\n{body}}}\n"), &mut breaches);
        assert_eq!(breaches, "a.rs:2: 62 lines; 60 at most: pub fn long() {\n");
    }

    #[test]
    fn an_arrow_that_points_up_is_found() {
        let rows =
            table("| 0 | `types` | words | - |\n| 2 | `net` | sockets | 0 |\n| 4 | `broker` | handlers | 0, 2 |\n");
        assert!(arrow(&rows, "broker", false, "net").is_ok());
        assert!(arrow(&rows, "net", false, "broker").is_err());
        assert!(arrow(&rows, "types", false, "e2e").is_err());
    }

    #[test]
    fn a_file_without_an_opening_is_found() {
        let mut breaches = String::new();
        check_file("crates/a/src/utils.rs", "fn f() {}\n", &mut breaches);
        assert_eq!(breaches.lines().count(), 2);
    }
}
