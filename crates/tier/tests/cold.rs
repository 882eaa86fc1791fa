//! Cold storage over a real log: what goes up comes back the same, whatever fails on the way.
#![cfg(test)]

#[path = "cold/deleting.rs"]
mod deleting;
#[path = "cold/failing.rs"]
mod failing;
#[path = "cold/faulty.rs"]
mod faulty;
#[path = "cold/harness.rs"]
mod harness;
#[path = "cold/reading.rs"]
mod reading;
#[path = "cold/writers.rs"]
mod writers;
