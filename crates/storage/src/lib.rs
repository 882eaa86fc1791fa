//! The log: segments, indexes, recovery, retention and flush in Kafka's on-disk format.
