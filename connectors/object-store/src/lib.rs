//! The object-store connector.
