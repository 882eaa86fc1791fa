//! `millstream completions`: a script that teaches a shell our commands.

use crate::args::Args;
use crate::error::Error;
use clap::{Args as ClapArgs, CommandFactory};
use clap_complete::Shell;

/// Prints a completion script, for example `millstream completions bash > /etc/bash_completion.d/millstream`.
#[derive(ClapArgs)]
pub struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script of one shell.
pub fn run(command: &Completions) -> Result<(), Error> {
    clap_complete::generate(command.shell, &mut Args::command(), "millstream", &mut std::io::stdout());
    Ok(())
}
