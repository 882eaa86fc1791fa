//! Every API as a client sees it: frames in, frames out, over a whole node in memory and virtual time.

#![cfg(test)]

#[path = "handlers/adapters.rs"]
mod adapters;
#[path = "handlers/admin.rs"]
mod admin;
#[path = "handlers/authenticating.rs"]
mod authenticating;
#[path = "handlers/clients.rs"]
mod clients;
#[path = "handlers/consumer_groups.rs"]
mod consumer_groups;
#[path = "handlers/costs.rs"]
mod costs;
#[path = "handlers/edges.rs"]
mod edges;
#[path = "handlers/fetching.rs"]
mod fetching;
#[path = "handlers/folders.rs"]
mod folders;
#[path = "handlers/groups.rs"]
mod groups;
#[path = "handlers/node.rs"]
mod node;
#[path = "handlers/options.rs"]
mod options;
#[path = "handlers/producing.rs"]
mod producing;
#[path = "handlers/share_groups.rs"]
mod share_groups;
#[path = "handlers/shares.rs"]
mod shares;
#[path = "handlers/sharing.rs"]
mod sharing;
#[path = "handlers/simulation.rs"]
mod simulation;
#[path = "handlers/single_node.rs"]
mod single_node;
#[path = "handlers/task_producers.rs"]
mod task_producers;
#[path = "handlers/transactions.rs"]
mod transactions;
#[path = "handlers/versions.rs"]
mod versions;
