//! The task host over topics in memory and virtual time: lifecycle, policies, retries, crashes, lost input, sources.

#![cfg(test)]

#[path = "host/exactly.rs"]
mod exactly;
#[path = "host/failures.rs"]
mod failures;
#[path = "host/kit.rs"]
mod kit;
#[path = "host/lifecycle.rs"]
mod lifecycle;
#[path = "host/sources.rs"]
mod sources;
