//! `cargo xtask test`: every check of the project in order, each named, the first failure ending the run.

use crate::{clients, guests};
use std::path::Path;
use std::process::Command;

/// One check: its name and the command that makes it, with its environment.
struct Check {
    name: &'static str,
    variables: &'static [(&'static str, &'static str)],
    command: &'static [&'static str],
}

const CHECKS: &[Check] = &[
    check("format", &["cargo", "fmt", "--all", "--check"]),
    check("tidy", &["cargo", "xtask", "tidy"]),
    // The binary is built first: the end-to-end tests start it. With all targets, so that the tests use what is built here.
    check("build", &["cargo", "build", "--workspace", "--all-targets"]),
    // With drawn values that are the same in every run, so that a change is refused for what it does; `all-properties` draws others each time.
    Check { name: "test", variables: &[("PROPTEST_RNG_SEED", "1")], command: &["cargo", "test", "--workspace"] },
    // Without the crates that compile DataFusion and Wasmtime: linting them means checking those anew, which takes longer than all else.
    check(
        "clippy",
        &[
            "cargo",
            "clippy",
            "--workspace",
            "--exclude",
            "millstream-sql",
            "--exclude",
            "millstream-function",
            "--exclude",
            "millstream-wasm",
            "--no-default-features",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    ),
];

/// What takes too long for every change: the same tests with more seeds, rounds and frames.
const LONG: &[Check] = &[
    long("all-properties", &[("PROPTEST_CASES", "10000")], &["cargo", "test", "--workspace", "--lib"]),
    long(
        "all-properties-of-bytes",
        &[("PROPTEST_CASES", "10000")],
        &[
            "cargo",
            "test",
            "--workspace",
            "--test",
            "answers",
            "--test",
            "round_trip",
            "--test",
            "layout",
            "--test",
            "share_assignor",
            "--test",
            "packed",
            "--test",
            "avro_columns",
            "--test",
            "json_columns",
        ],
    ),
    long("all-simulation", &[("SIMULATION_SEEDS", "10000")], &["cargo", "test", "--workspace", "--test", "simulation"]),
    long(
        "all-consumer",
        &[("MILLSTREAM_SEEDS", "3000")],
        &["cargo", "test", "--workspace", "--test", "consumer_simulation"],
    ),
    long(
        "all-share",
        &[("MILLSTREAM_SEEDS", "10000")],
        &["cargo", "test", "--workspace", "--test", "share_simulation", "--test", "share_group_simulation"],
    ),
    long("all-log", &[("MODEL_SEEDS", "10000")], &["cargo", "test", "--workspace", "--test", "model"]),
    long("all-compaction", &[("MODEL_SEEDS", "10000")], &["cargo", "test", "--workspace", "--test", "compaction"]),
    long(
        "all-node",
        &[("MILLSTREAM_SEEDS", "250")],
        &["cargo", "test", "--workspace", "--test", "handlers", "simulation"],
    ),
    long("all-crash", &[("MILLSTREAM_CRASH_ROUNDS", "50")], &["cargo", "test", "--workspace", "--test", "crash"]),
    long(
        "all-streams",
        &[("MILLSTREAM_STREAMS_KILLS", "20")],
        &["cargo", "test", "--workspace", "--test", "transactions"],
    ),
    long(
        "all-hostile",
        &[("MILLSTREAM_HOSTILE_FRAMES", "1000000")],
        &["cargo", "test", "--workspace", "--test", "bad_input", "hostile"],
    ),
    long(
        "all-differential",
        &[("MILLSTREAM_DIFFERENTIAL_SEED", "2"), ("MILLSTREAM_DIFFERENTIAL", "6")],
        &["cargo", "test", "--workspace", "--test", "differential"],
    ),
    long("all-fuzz", &[], &["cargo", "xtask", "fuzz", "--seconds", "600"]),
    long("all-mutants", &[], &["cargo", "xtask", "mutants"]),
];

const fn check(name: &'static str, command: &'static [&'static str]) -> Check {
    Check { name, variables: &[], command }
}

const fn long(name: &'static str, variables: &'static [(&str, &str)], command: &'static [&'static str]) -> Check {
    Check { name, variables, command }
}

/// Installs the clients and what builds guests, then runs the checks whose name contains `only`; with `all`, those that take long too.
pub fn run(root: &Path, only: &str, all: bool) -> Result<(), String> {
    let clients = clients::install(root)?;
    guests::install(root)?;
    for check in CHECKS.iter().filter(|check| check.name.contains(only)) {
        check.run(root, &clients)?;
    }
    if "guests".contains(only) {
        eprintln!("== guests: the tests of the guest SDK and of the functions' own sources");
        guests::test(root)?;
    }
    if all {
        for check in LONG.iter().filter(|check| check.name.contains(only)) {
            check.run(root, &clients)?;
        }
    }
    Ok(())
}

impl Check {
    fn run(&self, root: &Path, clients: &Path) -> Result<(), String> {
        let variables = self.variables.iter().map(|(name, value)| format!("{name}={value} ")).collect::<String>();
        let said = variables + &self.command.join(" ");
        eprintln!("== {}: {said}", self.name);
        let status = plain(self.command[0])
            .args(&self.command[1..])
            .env(clients::VARIABLE, clients)
            .envs(self.variables.iter().copied())
            .current_dir(root)
            .status()
            .map_err(|error| format!("{}: {error}", self.command[0]))?;
        if status.success() { Ok(()) } else { Err(format!("the check `{}` failed ({status}): {said}", self.name)) }
    }
}

/// A command without what `cargo run` tells its program: some build scripts look at it, and would build DataFusion anew each time that
/// cargo is called from here and by hand in turn.
pub fn plain(program: &str) -> Command {
    let mut command = Command::new(program);
    let told = |name: &str| {
        name == "OUT_DIR"
            || ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
                .iter()
                .any(|start| name.starts_with(start))
    };
    for (name, _) in std::env::vars().filter(|(name, _)| told(name)) {
        command.env_remove(name);
    }
    command
}
