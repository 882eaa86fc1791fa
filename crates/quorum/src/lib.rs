//! Drives the Raft library and the metadata crate: one quorum, one log of metadata records.
