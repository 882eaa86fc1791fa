//! The catalogue of metrics, and structured logs.
