//! End-to-end tests: real clients and faults against the real binary.
