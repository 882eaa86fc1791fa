//! SQL over topics kept in memory: one program, so that DataFusion is linked once.

mod fixture;
mod limits;
mod outputs;
mod queries;
mod streams;
