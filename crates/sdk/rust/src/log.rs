//! Lines for the function's own log (`millstream function logs NAME`).

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For the author.
    Debug,
    /// Worth knowing.
    Info,
    /// Something is odd.
    Warn,
    /// Something went wrong.
    Error,
}

/// Adds a line to the function's log. Long lines are cut, too many are counted and left out.
pub fn log(level: Level, message: impl AsRef<str>) {
    crate::abi::log(level as i32, message.as_ref());
}
