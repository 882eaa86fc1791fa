//! Buses and rules over topics in memory, and a real HTTP endpoint.
#![cfg(test)]

#[path = "bus/endpoint.rs"]
mod endpoint;
#[path = "bus/kit.rs"]
mod kit;
#[path = "bus/put.rs"]
mod put;
#[path = "bus/rules.rs"]
mod rules;
