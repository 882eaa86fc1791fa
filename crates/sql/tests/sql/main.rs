//! SQL over topics kept in memory: one program, so that DataFusion is linked once.

#![expect(
    clippy::panic,
    clippy::type_complexity,
    reason = "a test that fails panics, and a table is as wide as what it shows"
)]

mod fixture;
mod limits;
mod outputs;
mod queries;
mod streams;
