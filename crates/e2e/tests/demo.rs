//! The demo ends well, leaves nothing behind, and its answers are DuckDB's: over the files that it carries, and over a sample of them that a
//! seed perturbed. `MILLSTREAM_DEMO_SEED` names the seed; without it each run has another.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use millstream_e2e::{binary, clients_folder};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

type Table = Vec<Vec<String>>;

/// The cells of the tables that the demo drew, table by table, without their headings.
fn tables(output: &str) -> Vec<Table> {
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

fn python(program: &str, args: &[&Path], seed: Option<u64>) -> String {
    let mut command = Command::new(clients_folder().join("python/bin/python"));
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python").join(program)).args(args);
    let output = command.args(seed.map(|seed| seed.to_string())).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The demo's own data.
fn carried() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights/data")
}

/// One demo at a time: what it takes is said of a demo that has the machine.
static MACHINE: Mutex<()> = Mutex::new(());

/// What the demo printed, which ended well.
fn demo(args: &[&str], temporary: &Path) -> String {
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let output = Command::new(binary()).arg("demo").args(args).env("TMPDIR", temporary).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// The demo counted and answered as DuckDB does over the files of `data`.
fn assert_answers_are_duckdbs(text: &str, data: &Path) {
    let answers = python("answers.py", &[data], None);
    let expected: Vec<Table> = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [flights, cancelled, rejected, long, alerts] = expected[0][0].as_slice() else { panic!("{:?}", expected[0]) };
    for counted in [
        format!("{flights} flights, {cancelled} cancelled, {rejected} rejected"),
        format!("{long} long delays, {alerts} alerts"),
    ] {
        assert!(text.contains(&counted), "DuckDB counts {counted}:\n{text}");
    }
    assert!(
        expected[1..].iter().all(|answer| !answer.is_empty()),
        "questions without an answer show nothing: {answers}"
    );
    assert_eq!(tables(text), expected[1..], "{text}");
}

/// What flights has was read from the store while nothing of it was on the local disk.
fn assert_read_from_the_store(text: &str) {
    let told = text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("For these answers the object store was read ")?;
        rest.strip_suffix(" bytes.")?.split_once(" times; the local logs of flights hold ")
    });
    let (reads, local) = told.unwrap_or_else(|| panic!("the demo should tell of its reads:\n{text}"));
    // Each partition's segments need a chunk index and a chunk at least.
    assert!(reads.parse::<u32>().unwrap() >= 8, "{text}");
    assert_eq!(local, "0", "{text}");
    assert!(text.contains("0.0 MiB hot"), "the local copies should be gone:\n{text}");
}

#[test]
fn the_demo_ends_well_and_answers_as_duckdb_does() {
    let temporary = tempfile::tempdir().unwrap();
    let text = demo(&[], temporary.path());
    assert!(text.contains("328521 flights, 8255 cancelled, 0 rejected"), "{text}");
    let took =
        text.lines().find_map(|line| line.strip_prefix("All of it took ")?.strip_suffix(" s.")?.parse::<f64>().ok());
    assert!(took.is_some_and(|seconds| seconds < 60.0), "a newcomer waits for less than a minute:\n{text}");
    assert_read_from_the_store(&text);
    assert!(text.contains("nothing is left behind"), "{text}");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "the temporary folder should be gone");
    assert_answers_are_duckdbs(&text, &carried());
}

#[test]
fn over_a_perturbed_sample_the_demo_answers_as_duckdb_does() {
    let given = std::env::var("MILLSTREAM_DEMO_SEED").ok();
    let seed = given.map_or_else(|| RandomState::new().hash_one(0), |seed| seed.parse().unwrap());
    println!("MILLSTREAM_DEMO_SEED={seed} runs this again");
    let temporary = tempfile::tempdir().unwrap();
    let (sample, data) = (temporary.path().join("sample"), temporary.path().join("data"));
    std::fs::create_dir(&sample).unwrap();
    python("perturb.py", &[&carried(), &sample], Some(seed));
    let text =
        demo(&["--flights", sample.to_str().unwrap(), "--data-dir", data.to_str().unwrap()], &std::env::temp_dir());
    assert_answers_are_duckdbs(&text, &sample);
    assert_read_from_the_store(&text);
}
