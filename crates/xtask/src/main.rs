//! The project's own build steps.
//!
//! `cargo xtask test` passes the tests on a fresh machine, installing what they need. `cargo xtask tidy` checks the house rules.
//! `cargo xtask shapes` makes the table by which the protocol bounds frames, `cargo xtask guests` builds the Wasm functions. `cargo xtask
//! mutants` tries the simulations on known bugs, `cargo xtask fuzz` every parser on bytes that a fuzzer makes up.

mod clients;
mod fuzz;
mod guests;
mod jar;
mod mutants;
mod shapes;
mod test;
mod tidy;

use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "The project's own build steps.")]
struct Args {
    #[command(subcommand)]
    step: Step,
}

#[derive(Subcommand)]
enum Step {
    /// Installs what the tests need, then runs all of them.
    Test {
        /// Run only the steps whose name contains this.
        #[arg(long, default_value = "")]
        only: String,
        /// What takes long too: ten thousand seeds, fifty kills, a million frames, mutants; some hours.
        #[arg(long)]
        all: bool,
    },
    /// Makes the table of Kafka's message shapes anew, from a kafka-clients jar.
    Shapes {
        /// The jar.
        jar: PathBuf,
    },
    /// Builds the functions of this repository anew, each beside its source; all of them when none is named.
    Guests {
        /// Folders of `functions/`.
        names: Vec<String>,
    },
    /// Puts known bugs into a copy, one after another, and fails unless the simulations find each.
    Mutants {
        /// Try only those whose name contains this.
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Has libFuzzer make up bytes for every parser, and tells what they reached and what they broke.
    Fuzz {
        /// Run only the targets whose name contains this.
        #[arg(default_value = "")]
        only: String,
        /// Seconds of the processor for each.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Checks what the compiler does not: arrows between crates, sizes, names.
    Tidy,
}

fn main() -> ExitCode {
    let outcome = match Args::parse().step {
        Step::Test { only, all } => test::run(&root(), &only, all),
        Step::Shapes { jar } => shapes::run(&jar, &root().join("crates/protocol/src/shape/kafka.shapes")),
        Step::Guests { names } => guests::build(&root(), &names.iter().map(String::as_str).collect::<Vec<_>>()),
        Step::Mutants { only } => mutants::run(&root(), &only),
        Step::Fuzz { only, seconds } => fuzz::run(&root(), &only, seconds),
        Step::Tidy => {
            tidy::check(&root()).and_then(|breaches| if breaches.is_empty() { Ok(()) } else { Err(breaches) })
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}
