//! `millstream version`: what this binary is.

use crate::error::Error;

/// Prints the version and what the binary was built with.
pub fn run() -> Result<(), Error> {
    let sql = if cfg!(feature = "sql") { "with" } else { "without" };
    let functions = if cfg!(feature = "functions") { "with" } else { "without" };
    println!("millstream {} ({sql} SQL, {functions} functions)", env!("CARGO_PKG_VERSION"));
    Ok(())
}
