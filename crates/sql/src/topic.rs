//! Topics as tables: which columns they have, what of them a query needs, and reading it.

pub(crate) mod layout;
pub(crate) mod prune;
pub(crate) mod rows;
mod scan;
pub(crate) mod table;
