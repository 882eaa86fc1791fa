//! Avro and JSON Schema: registry rules, compatibility, and records to and from Arrow.
