//! The guests: finds or installs what builds them, and builds the functions of this repository.
//!
//! The work is done by `functions/toolchain.sh` and `functions/build.sh`, which people may call as well.

use std::path::Path;
use std::process::Command;

/// Makes sure that this machine can build Rust guests: a target that rustup has or can add, else Debian's compiler. Does nothing where it
/// already can.
///
/// # Errors
/// What is missing, and what installs it.
pub fn install(root: &Path) -> Result<(), String> {
    run(root, "toolchain.sh", &[])
}

/// Builds the functions anew, each beside its source, and runs their sources' tests; all of them when none is named.
///
/// # Errors
/// What failed.
pub fn build(root: &Path, names: &[&str]) -> Result<(), String> {
    run(root, "build.sh", names)
}

/// Runs the tests of the guest SDK and of the functions' sources, which are outside the workspace.
///
/// # Errors
/// The first folder whose tests fail.
pub fn test(root: &Path) -> Result<(), String> {
    let target = root.join("target/guests");
    for folder in ["crates/sdk/rust", "functions/filter", "functions/flights-enrich"] {
        let mut command = Command::new("cargo");
        command.current_dir(root.join(folder)).args(["test", "--quiet"]).env("CARGO_TARGET_DIR", &target);
        passes(&mut command, &format!("cargo test in {folder}"))?;
    }
    Ok(())
}

fn run(root: &Path, script: &str, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new("bash");
    command.arg(root.join("functions").join(script)).args(arguments);
    passes(&mut command, &format!("functions/{script}"))
}

fn passes(command: &mut Command, what: &str) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("{what} can't be run: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{what} failed with {status}")) }
}
