//! `cargo xtask test`: every check of the project in order, each named, the first failure ending the run.

use crate::{clients, guests};
use std::path::Path;
use std::process::Command;

/// One check: its name and the command that makes it.
struct Check {
    name: &'static str,
    command: &'static [&'static str],
}

const CHECKS: &[Check] = &[
    Check { name: "format", command: &["cargo", "fmt", "--all", "--check"] },
    Check { name: "tidy", command: &["cargo", "xtask", "tidy"] },
    // The binary is built first: the end-to-end tests start it. With all targets, so that the tests use what is built here.
    Check { name: "build", command: &["cargo", "build", "--workspace", "--all-targets"] },
    Check { name: "test", command: &["cargo", "test", "--workspace"] },
    // Without the crates that compile DataFusion and Wasmtime: linting them means checking those anew, which takes longer than all else.
    Check {
        name: "clippy",
        command: &[
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
    },
];

/// Installs the clients and what builds guests, then runs the checks whose name contains `only`.
pub fn run(root: &Path, only: &str) -> Result<(), String> {
    let clients = clients::install(root)?;
    guests::install(root)?;
    for check in CHECKS.iter().filter(|check| check.name.contains(only)) {
        eprintln!("== {}: {}", check.name, check.command.join(" "));
        let status = plain(check.command[0])
            .args(&check.command[1..])
            .env(clients::VARIABLE, &clients)
            .current_dir(root)
            .status()
            .map_err(|error| format!("{}: {error}", check.command[0]))?;
        if !status.success() {
            return Err(format!("the check `{}` failed ({status}): {}", check.name, check.command.join(" ")));
        }
    }
    if "guests".contains(only) {
        eprintln!("== guests: the tests of the guest SDK and of the functions' own sources");
        guests::test(root)?;
    }
    Ok(())
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
