//! The demo ends well, leaves nothing behind, and its answers are DuckDB's over the same files.

#![allow(clippy::unwrap_used, reason = "a test")]

use millstream_e2e::{binary, clients_folder};
use std::path::Path;
use std::process::Command;

/// The cells of the tables that the demo drew, table by table, without their headings.
fn tables(output: &str) -> Vec<Vec<Vec<String>>> {
    let mut tables = Vec::new();
    let mut rules = 0;
    for line in output.lines().map(str::trim) {
        if line.starts_with("+-") {
            rules += 1;
            // Above the heading, below it, below the rows.
            if rules == 2 {
                tables.push(Vec::new());
            }
            rules %= 3;
        } else if line.starts_with('|') && rules == 2 {
            let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
            tables.last_mut().unwrap().push(cells);
        }
    }
    tables
}

fn duckdb() -> Vec<Vec<Vec<String>>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(clients_folder().join("python/bin/python"))
        .arg(here.join("clients/python/answers.py"))
        .arg(here.join("../../examples/flights/data"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_demo_ends_well_and_answers_as_duckdb_does() {
    let temporary = tempfile::tempdir().unwrap();
    let output = Command::new(binary()).arg("demo").env("TMPDIR", temporary.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("328521 flights, 8255 cancelled, 0 rejected"), "{text}");
    assert!(text.contains("0.0 MiB hot"), "the local copies should be gone:\n{text}");
    assert!(text.contains("nothing is left behind"), "{text}");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "the temporary folder should be gone");
    let expected = duckdb();
    let answered = tables(&text);
    assert_eq!(answered.len(), expected.len(), "{text}");
    for (answered, expected) in answered.iter().zip(&expected) {
        assert_eq!(answered, expected);
    }
}
