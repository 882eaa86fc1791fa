//! `millstream config`: every option with its default and effect, from the one place that defines it.

use crate::error::Error;
use crate::output::{Format, print};
use clap::{Args, ValueEnum};
use millstream_server::all_definitions;
use millstream_types::{ConfigDef, TOPIC_CONFIGS};
use serde_json::{Value, json};

/// Whose options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Whose {
    /// The node's and the broker's.
    Node,
    /// A topic's.
    Topic,
}

/// Print every option with its default, range and effect. Set one with `--set NAME=VALUE`, as MILLSTREAM_NAME, or in a file.
#[derive(Args)]
pub struct Config {
    /// Whose options.
    #[arg(value_enum, default_value = "node")]
    whose: Whose,
    /// Only options whose name contains this.
    #[arg(long, default_value = "")]
    name: String,
    /// How rows are printed.
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// Runs the command.
pub fn run(command: &Config) -> Result<(), Error> {
    let definitions = match command.whose {
        Whose::Node => all_definitions(),
        Whose::Topic => TOPIC_CONFIGS.iter().map(|def| (def.name, def)).collect(),
    };
    let named = definitions.into_iter().filter(|(name, _)| name.contains(&command.name));
    let rows: Vec<Value> = named.map(|(name, def)| row(name, def)).collect();
    if command.output != Format::Table {
        return print(command.output, &["name", "type", "default", "min", "max", "one_of", "purpose"], &rows);
    }
    print(command.output, &["name", "default", "purpose"], &rows)
}

fn row(name: &str, def: &ConfigDef) -> Value {
    json!({
        "name": name, "type": format!("{:?}", def.kind).to_lowercase(), "default": def.default,
        "min": def.min, "max": def.max, "one_of": def.one_of, "purpose": def.doc,
    })
}
