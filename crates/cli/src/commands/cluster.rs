//! `millstream cluster`: the nodes and the metadata quorum.

use crate::args::Node;
use crate::error::Error;
use crate::http::{Client, rows};
use crate::output::print;
use clap::{Args, Subcommand};

/// The cluster: status.
#[derive(Args)]
pub struct Cluster {
    #[command(flatten)]
    node: Node,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Show the nodes, their listeners and the controller.
    Status,
}

/// Runs the command.
pub async fn run(command: Cluster) -> Result<(), Error> {
    let node = &command.node;
    match command.verb {
        Verb::Status => {
            let brokers = rows(Client::new(&node.http).get("/v1/cluster").await?);
            print(node.output, &["node", "address", "epoch", "controller", "fenced", "topics", "partitions"], &brokers)
        }
    }
}
