//! Kafka's wire protocol: frames bounded before they are decoded, API versions, requests and responses.
