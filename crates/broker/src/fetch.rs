//! The parts of Fetch: what a session wants, what one pass over its partitions reads, and the answer made of it.

pub(crate) mod answer;
pub(crate) mod pass;
pub(crate) mod session;
