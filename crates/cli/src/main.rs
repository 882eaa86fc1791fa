//! The binary `millstream`: parses the command line, runs the command, and turns its outcome into an exit code.
//!
//! 0 done, 1 failed, 2 wrong usage.

mod args;
mod commands;
mod error;
mod http;
mod output;

use args::{Args, Command};
use clap::Parser;
use error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of our pipe has seen enough: that is an ordinary end.
        Err(Error::PipeClosed) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_code()
        }
    }
}

fn run(args: Args) -> Result<(), Error> {
    match args.command {
        Command::Completions(command) => return commands::completions::run(&command),
        Command::Config(command) => return commands::config::run(&command),
        Command::Version => return commands::version::run(),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::from)?;
    let outcome = runtime.block_on(dispatch(args.command));
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    outcome
}

async fn dispatch(command: Command) -> Result<(), Error> {
    match command {
        Command::Serve(command) => commands::serve::run(command).await,
        Command::Demo(command) => commands::demo::run(command).await,
        Command::Topic(command) => commands::topic::run(command).await,
        Command::Group(command) => commands::group::run(command).await,
        Command::Function(command) => commands::function::run(command).await,
        Command::Connector(command) => commands::connector::run(command).await,
        Command::Stream(command) => commands::stream::run(command).await,
        Command::Sql(command) => commands::sql::run(command).await,
        Command::Bus(command) => commands::bus::run(command).await,
        Command::Rule(command) => commands::rule::run(command).await,
        Command::Schema(command) => commands::schema::run(command).await,
        Command::Cluster(command) => commands::cluster::run(command).await,
        Command::Tier(command) => commands::tier::run(command).await,
        Command::Doctor(command) => commands::doctor::run(command).await,
        Command::Completions(_) | Command::Config(_) | Command::Version => Ok(()),
    }
}
