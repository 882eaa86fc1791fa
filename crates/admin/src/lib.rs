//! HTTP: our own API, the schema registry's, Kafka Connect's, events, metrics and health.
