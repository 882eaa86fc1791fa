//! The guest engine: compiles components, keeps their code, runs them within limits. Knows nothing of topics.
//!
//! [`Engine::compile`] turns a component's bytes into a [`Compiled`], off the request path and by way of a cache on disk; an [`Instance`]
//! of it takes records ([`millstream_record::Columns`]) and answers with an [`Outcome`]. A guest may be hostile: what it imports is
//! refused by name, what it writes is checked before use, its memory and its CPU time are bounded, and an instance that trapped or grew
//! past its mark is thrown away.

mod cache;
mod compiled;
mod cpu;
mod engine;
mod error;
mod host;
mod imports;
mod instance;
mod limits;
mod lines;
pub mod packed;
mod ticker;

pub use compiled::{Compiled, ComponentHash};
pub use engine::Engine;
pub use error::Error;
pub use instance::{Instance, InstanceConfig};
pub use limits::{EngineLimits, Limits};
pub use lines::{LogLevel, LogSink};
pub use millstream_record::{Failure, Outcome, Output};
