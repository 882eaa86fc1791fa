//! The generator connector.
