//! A function on its author's machine: a folder to start from, its build into a component, and a try over records without a node.

mod build;
mod scaffold;
mod toolchain;
mod trial;

pub use build::{Built, build};
pub use scaffold::{Language, scaffold};
pub use trial::{Trial, TrialReport, TrialRow, test};
