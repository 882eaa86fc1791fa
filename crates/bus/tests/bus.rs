//! Buses and rules over topics in memory, and a real HTTP endpoint.
#![allow(missing_docs)]

#[path = "bus/endpoint.rs"]
mod endpoint;
#[path = "bus/kit.rs"]
mod kit;
#[path = "bus/put.rs"]
mod put;
#[path = "bus/rules.rs"]
mod rules;
