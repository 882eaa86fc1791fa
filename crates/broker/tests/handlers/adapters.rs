//! The server's own adapters, so that tasks run here over the same code as there; the server itself is above this crate.

#[path = "../../../server/src/adapters/deployments.rs"]
pub mod deployments;
#[path = "../../../server/src/adapters/known_cluster.rs"]
pub mod known_cluster;
#[path = "../../../server/src/adapters/producer.rs"]
pub mod producer;
#[path = "../../../server/src/adapters/topics.rs"]
#[expect(dead_code, reason = "what only the server uses")]
pub mod topics;

/// What the adapters use of each other.
pub mod controller {
    use millstream_runtime::Runtime;
    use millstream_types::TopicId;
    use uuid::Builder;

    pub fn new_topic_id(runtime: &Runtime) -> TopicId {
        TopicId(Builder::from_random_bytes(runtime.random.next_u128().to_be_bytes()).into_uuid())
    }
}
