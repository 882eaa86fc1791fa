//! The generator connector: a source of made-up events at a rate.
//!
//! Event number `n` is a function of the seed and `n` alone, so that a restart goes on with the very next one and two runs are alike.

mod draw;
mod event;
mod settings;
mod source;

pub use settings::{Field, Settings, TimeFormat};
pub use source::GeneratorSource;
