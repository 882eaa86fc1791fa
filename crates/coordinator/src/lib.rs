//! Drives group and txn over the internal topics.
