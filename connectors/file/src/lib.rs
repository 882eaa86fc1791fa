//! The file connector.
