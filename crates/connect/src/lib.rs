//! The connector host, and the traits that connectors implement.
