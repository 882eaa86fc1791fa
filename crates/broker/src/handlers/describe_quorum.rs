//! DescribeQuorum: the quorum that keeps the metadata (KIP-595).

use crate::service::{Broker, Call};
use kafka_protocol::messages::describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData};
use kafka_protocol::messages::{BrokerId as WireBroker, DescribeQuorumRequest, DescribeQuorumResponse, TopicName};
use millstream_protocol::{ResponseError, StrBytes};
use millstream_quorum::QuorumState;

/// What Kafka calls the log of metadata.
const METADATA_TOPIC: &str = "__cluster_metadata";
/// Answers have messages and nodes from this version on (KIP-853).
const TELLS_NODES: i16 = 2;

impl Broker {
    /// Answers DescribeQuorum.
    pub(crate) fn describe_quorum(&self, call: &Call<'_>, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
        let state = self.quorum.state();
        let mut is_told = false;
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                let index = partition.partition_index;
                let is_metadata = topic.topic_name.as_str() == METADATA_TOPIC && index == 0;
                is_told |= is_metadata;
                if is_metadata { self.described(&state) } else { elsewhere(&topic.topic_name, index) }
            });
            let partitions = partitions.collect();
            TopicData::default().with_topic_name(topic.topic_name).with_partitions(partitions)
        });
        let response = DescribeQuorumResponse::default().with_topics(topics.collect());
        if is_told && call.version >= TELLS_NODES { response.with_nodes(self.nodes(&state)) } else { response }
    }

    fn described(&self, state: &QuorumState) -> PartitionData {
        let now = self.runtime.clock.now().0;
        let replica = |id: &millstream_types::BrokerId| {
            let is_me = *id == self.settings.node;
            ReplicaState::default()
                .with_replica_id(WireBroker(id.0))
                .with_log_end_offset(if is_me { state.log_end } else { UNKNOWN })
                .with_last_fetch_timestamp(if is_me { now } else { UNKNOWN })
                .with_last_caught_up_timestamp(if is_me { now } else { UNKNOWN })
        };
        PartitionData::default()
            .with_leader_id(WireBroker(state.leader.map_or(NO_LEADER, |id| id.0)))
            .with_leader_epoch(state.term)
            .with_high_watermark(state.committed)
            .with_current_voters(state.voters.iter().map(replica).collect())
            .with_observers(state.learners.iter().map(replica).collect())
    }

    /// Where the voters are reached: a controller here has the broker's listeners.
    fn nodes(&self, state: &QuorumState) -> Vec<Node> {
        let image = self.image();
        let known = state.voters.iter().filter_map(|id| image.broker(*id));
        let nodes = known.map(|broker| {
            let listeners = broker.listeners.iter().map(|listener| {
                Listener::default()
                    .with_name(StrBytes::from_string(listener.name.clone()))
                    .with_host(StrBytes::from_string(listener.host.clone()))
                    .with_port(listener.port)
            });
            Node::default().with_node_id(WireBroker(broker.id.0)).with_listeners(listeners.collect())
        });
        nodes.collect()
    }
}

/// The wire's word for no leader, and for what is not known here.
const NO_LEADER: i32 = -1;
const UNKNOWN: i64 = -1;

fn elsewhere(topic: &TopicName, index: i32) -> PartitionData {
    let message = format!("{}-{index} is no quorum's log; ask for {METADATA_TOPIC}-0", topic.as_str());
    PartitionData::default()
        .with_partition_index(index)
        .with_error_code(ResponseError::UnknownTopicOrPartition.code())
        .with_error_message(Some(message.into()))
}
