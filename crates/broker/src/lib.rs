//! Kafka's APIs: one handler file each.
