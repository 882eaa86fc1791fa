//! The command line's top level: which commands there are, and what all that ask a running node share.

use crate::commands;
use crate::output::Format;
use clap::{Args as ClapArgs, Parser, Subcommand};

/// The whole command line.
#[derive(Parser)]
#[command(
    name = "millstream",
    version,
    about = "A Kafka-compatible streaming data platform in one binary.",
    long_about = "A Kafka-compatible streaming data platform in one binary: the log, functions, connectors, SQL, events and cold storage.\n\n\
                  Start a node with `millstream serve`, or see all of it work on real data with `millstream demo`.",
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Run a node.
    Serve(commands::serve::Serve),
    /// Show the whole mission on real data, in one process.
    Demo(commands::demo::Demo),
    /// Topics: create, list, describe, alter, delete, produce, consume.
    Topic(commands::topic::Topic),
    /// Consumer groups: list, describe, reset, delete.
    Group(commands::group::Group),
    /// Wasm functions: new, build, test, deploy and operate.
    Function(commands::function::Function),
    /// Connectors: types, validate, create and operate.
    Connector(commands::connector::Connector),
    /// Continuous SQL: create and operate streams.
    Stream(commands::stream::Stream),
    /// Ask questions in SQL: a prompt, one query, or a file.
    Sql(commands::sql::Sql),
    /// Event buses: create, list, describe, put, delete.
    Bus(commands::bus::Bus),
    /// Rules over events: create, test and operate.
    Rule(commands::rule::Rule),
    /// Schemas: register, list, show, check, delete.
    Schema(commands::schema::Schema),
    /// The cluster: status.
    Cluster(commands::cluster::Cluster),
    /// Cold storage: status, offload, recover.
    Tier(commands::tier::Tier),
    /// Check this machine and its data folder: a verdict and a remedy each.
    Doctor(commands::doctor::Doctor),
    /// Print every option with its default, unit and effect.
    Config(commands::config::Config),
    /// Print a completion script for a shell.
    Completions(commands::completions::Completions),
    /// Print the version.
    Version,
}

/// Which node a command asks, and how it prints rows.
#[derive(ClapArgs, Clone)]
pub struct Node {
    /// The node's HTTP address.
    #[arg(long, global = true, env = "MILLSTREAM_HTTP", default_value = "127.0.0.1:9080", value_name = "HOST:PORT")]
    pub http: String,
    /// How rows are printed: a table for people, one JSON object a line, or CSV for programs.
    #[arg(long, short = 'o', global = true, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}
