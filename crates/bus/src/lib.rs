//! Event buses: rules, targets, retry and dead letters.
