//! What can go wrong with a guest, or with running it.

use crate::packed::Nonsense;
use millstream_types::ErrorKind;
use std::time::Duration;

/// An error of the engine or of a guest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not a component.
    #[error(
        "this is not a WebAssembly component: {reason}. A function is built by `millstream function build`, or linked with wasm-component-ld"
    )]
    NotComponent {
        /// What the parser says.
        reason: String,
    },
    /// The component is too large.
    #[error(
        "the component has {bytes} bytes; the limit is {max}. Build it for size and strip it, or raise function.component.bytes"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// It wants something of the machine.
    #[error("the component imports \"{import}\", which functions do not get. They may import {allowed}")]
    Import {
        /// What it imports.
        import: String,
        /// What it may import.
        allowed: &'static str,
    },
    /// It does not export the transform, or with other types.
    #[error("the component does not export {expected}: {reason}. Build it against wit/transform-1.0.0")]
    Export {
        /// What should be there.
        expected: &'static str,
        /// What is there instead.
        reason: String,
    },
    /// The limits of a deployment are past the engine's.
    #[error("function {function}: {asked} bytes of memory are asked for; the limit is {max}")]
    MemoryAsked {
        /// Which function.
        function: String,
        /// What was asked for.
        asked: usize,
        /// What may be.
        max: usize,
    },
    /// `configure` answered with an error.
    #[error("function {function} refuses its settings: {message}")]
    Settings {
        /// Which function.
        function: String,
        /// Its own words.
        message: String,
    },
    /// `process` answered with an error.
    #[error("function {function} could not process a batch of {records} records: {message}")]
    Batch {
        /// Which function.
        function: String,
        /// How many records it was given.
        records: usize,
        /// Its own words.
        message: String,
    },
    /// It trapped.
    #[error("function {function} trapped in {call}: {reason}")]
    Trap {
        /// Which function.
        function: String,
        /// In which export.
        call: &'static str,
        /// Why, and the last error that it logged.
        reason: String,
    },
    /// It ran out of CPU time.
    #[error("function {function} used more than {} ms of CPU time in {call}; raise its limit cpu_ms or give it less to do", limit.as_millis())]
    Cpu {
        /// Which function.
        function: String,
        /// In which export.
        call: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// It waited too long.
    #[error("function {function} did not return from {call} within {} s; functions must not wait", limit.as_secs())]
    Wall {
        /// Which function.
        function: String,
        /// In which export.
        call: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// It ran out of memory.
    #[error("function {function} wanted {wanted} bytes of memory in {call}; its limit memory_bytes is {limit}")]
    Memory {
        /// Which function.
        function: String,
        /// In which export.
        call: &'static str,
        /// What it wanted.
        wanted: usize,
        /// The limit.
        limit: usize,
    },
    /// Its answer can't be used.
    #[error("function {function} answered nonsense: {reason}")]
    Answer {
        /// Which function.
        function: String,
        /// What is wrong with it.
        reason: Nonsense,
    },
    /// The batch does not fit the packed layout.
    #[error("function {function}: a batch of {bytes} bytes does not fit the packed layout")]
    Batch32 {
        /// Which function.
        function: String,
        /// Its payload.
        bytes: usize,
    },
    /// No room for another instance.
    #[error("function {function}: there is no room for another instance: {reason}. Run fewer functions or partitions")]
    Crowded {
        /// Which function.
        function: String,
        /// What the pool says.
        reason: String,
    },
    /// The engine itself can't start.
    #[error("the WebAssembly engine can't start: {reason}")]
    Engine {
        /// Why.
        reason: String,
    },
    /// The node is stopping, or a computation of ours panicked.
    #[error("function {function}: {reason}")]
    Lost {
        /// Which function.
        function: String,
        /// Why.
        reason: String,
        /// Whether it is our fault rather than the node's end.
        internal: bool,
    },
}

impl Error {
    /// What sort of failure.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotComponent { .. }
            | Self::TooLarge { .. }
            | Self::Import { .. }
            | Self::Export { .. }
            | Self::MemoryAsked { .. }
            | Self::Settings { .. } => ErrorKind::Invalid,
            Self::Batch { .. }
            | Self::Trap { .. }
            | Self::Cpu { .. }
            | Self::Wall { .. }
            | Self::Memory { .. }
            | Self::Answer { .. } => ErrorKind::Guest,
            Self::Crowded { .. } => ErrorKind::Exhausted,
            Self::Batch32 { .. } | Self::Engine { .. } => ErrorKind::Internal,
            Self::Lost { internal, .. } => {
                if *internal {
                    ErrorKind::Internal
                } else {
                    ErrorKind::Unavailable
                }
            }
        }
    }
}
