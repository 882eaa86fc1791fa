//! Metadata: brokers, and topics with their leaders; topics that are named and missing are made, where that is allowed.

use crate::codes::Failure;
use crate::endpoints;
use crate::operations;
use crate::service::{Broker, Call};
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId as WireBroker, TopicName};
use kafka_protocol::protocol::StrBytes;
use millstream_metadata::{Image, Partition, Topic};
use millstream_protocol::ResponseError;
use millstream_types::{PartitionIndex, TopicId};
use std::collections::BTreeSet;

/// A request may name topics by id since this version: the two before it have a place for ids, and can't answer them.
const TOPICS_BY_ID: i16 = 12;
const HAS_IDS: i16 = 10;

impl Broker {
    /// Answers Metadata.
    pub(crate) async fn metadata(&self, call: &Call<'_>, request: MetadataRequest) -> MetadataResponse {
        let wanted = match request.topics {
            // Version 0 says "all" by naming none.
            Some(topics) if call.version == 0 && topics.is_empty() => None,
            topics => topics,
        };
        if let Some(code) = wanted.as_ref().and_then(|wanted| refusal(call.version, wanted)) {
            return refused(wanted.unwrap_or_default(), code);
        }
        let topics = match wanted {
            None => self.image().topics().map(|topic| describe(&self.image(), call, topic)).collect(),
            Some(wanted) => self.wanted(call, wanted, request.allow_auto_topic_creation).await,
        };
        let topics =
            topics.into_iter().map(|topic: MetadataResponseTopic| match request.include_topic_authorized_operations {
                true if topic.error_code != ResponseError::UnknownTopicId.code() => {
                    topic.with_topic_authorized_operations(operations::TOPIC)
                }
                _ => topic,
            });
        let image = self.image();
        let mut response = MetadataResponse::default()
            .with_brokers(brokers(&image, call))
            .with_cluster_id(image.cluster_id().map(|id| id.to_string().into()))
            .with_controller_id(WireBroker(self.settings.node.0))
            .with_topics(topics.collect());
        if request.include_cluster_authorized_operations {
            response.cluster_authorized_operations = operations::CLUSTER;
        }
        response
    }

    /// Topics by id, where any is asked for so: names are beside the point then.
    async fn wanted(
        &self,
        call: &Call<'_>,
        wanted: Vec<MetadataRequestTopic>,
        create: bool,
    ) -> Vec<MetadataResponseTopic> {
        let by_id = wanted.iter().any(|topic| TopicId(topic.topic_id) != TopicId::ZERO);
        let mut seen = BTreeSet::new();
        let mut topics = Vec::with_capacity(wanted.len());
        for topic in wanted {
            let id = TopicId(topic.topic_id);
            let key = (id, if by_id { None } else { topic.name.clone() });
            if !seen.insert(key) || (by_id && id == TopicId::ZERO) {
                continue;
            }
            topics.push(match topic.name {
                Some(name) if !by_id => self.by_name(call, name, create).await,
                _ => self.by_id(call, id),
            });
        }
        topics
    }

    fn by_id(&self, call: &Call<'_>, id: TopicId) -> MetadataResponseTopic {
        let image = self.image();
        match image.topic(id) {
            Some(topic) => describe(&image, call, topic),
            None => failed(None, id, ResponseError::UnknownTopicId),
        }
    }

    async fn by_name(&self, call: &Call<'_>, name: TopicName, create: bool) -> MetadataResponseTopic {
        let image = self.image();
        if let Some(topic) = image.topic_named(&name) {
            return describe(&image, call, topic);
        }
        let code = match millstream_metadata::topics::check_name(&name) {
            Err(error) => Failure::from(error).code,
            Ok(()) if create && self.settings.auto_create_topics => match self.auto_create(call, &name).await {
                Ok(()) => ResponseError::LeaderNotAvailable,
                // Its client asks again, as it does in Kafka.
                Err(failure) if failure.code == ResponseError::ThrottlingQuotaExceeded => {
                    ResponseError::UnknownTopicOrPartition
                }
                Err(failure) => failure.code,
            },
            Ok(()) => ResponseError::UnknownTopicOrPartition,
        };
        let image = self.image();
        match image.topic_named(&name) {
            Some(topic) => describe(&image, call, topic),
            None => failed(Some(name), TopicId::ZERO, code),
        }
    }
}

fn brokers(image: &Image, call: &Call<'_>) -> Vec<MetadataResponseBroker> {
    let reachable = endpoints::of_all(image, call.listener);
    reachable
        .map(|endpoint| {
            MetadataResponseBroker::default()
                .with_node_id(WireBroker(endpoint.broker.0))
                .with_host(endpoint.host.to_owned().into())
                .with_port(i32::from(endpoint.port))
                .with_rack(endpoint.rack.map(|rack| rack.to_owned().into()))
        })
        .collect()
}

fn describe(image: &Image, call: &Call<'_>, topic: &Topic) -> MetadataResponseTopic {
    let partitions = topic.partitions().map(|(index, partition)| describe_partition(image, call, index, partition));
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(topic.name.to_string()))))
        .with_topic_id(topic.id.0)
        .with_is_internal(crate::topics::is_internal(&topic.name))
        .with_partitions(partitions.collect())
}

fn describe_partition(
    image: &Image,
    call: &Call<'_>,
    index: PartitionIndex,
    partition: &Partition,
) -> MetadataResponsePartition {
    let code = match endpoints::leader_error(image, call.listener, partition.leader) {
        // Clients before version 6 do not know LISTENER_NOT_FOUND.
        Some(ResponseError::ListenerNotFound) if call.version < 6 => ResponseError::LeaderNotAvailable.code(),
        other => other.map_or(0, |code| code.code()),
    };
    let brokers = |ids: &[millstream_types::BrokerId]| ids.iter().map(|id| WireBroker(id.0)).collect::<Vec<_>>();
    let offline = partition.replicas.iter().copied().filter(|id| !image.is_alive(*id)).collect::<Vec<_>>();
    MetadataResponsePartition::default()
        .with_error_code(code)
        .with_partition_index(index.0)
        .with_leader_id(WireBroker(partition.leader.0))
        .with_leader_epoch(partition.leader_epoch.0)
        .with_replica_nodes(brokers(&partition.replicas))
        .with_isr_nodes(brokers(&partition.isr))
        .with_offline_replicas(brokers(&offline))
}

fn failed(name: Option<TopicName>, id: TopicId, code: ResponseError) -> MetadataResponseTopic {
    let is_internal = name.as_ref().is_some_and(|name| crate::topics::is_internal(name));
    MetadataResponseTopic::default()
        .with_error_code(code.code())
        .with_name(name)
        .with_topic_id(id.0)
        .with_is_internal(is_internal)
}

/// Why no topic of a request can be told of. Kafka has no code of its own for a topic without a name.
fn refusal(version: i16, wanted: &[MetadataRequestTopic]) -> Option<ResponseError> {
    let has_ids = wanted.iter().any(|topic| TopicId(topic.topic_id) != TopicId::ZERO);
    let lacks_names = wanted.iter().any(|topic| topic.name.is_none());
    match version {
        HAS_IDS..TOPICS_BY_ID if has_ids || lacks_names => Some(ResponseError::InvalidRequest),
        TOPICS_BY_ID.. if lacks_names && !has_ids => Some(ResponseError::UnknownServerError),
        _ => None,
    }
}

/// Nothing but the error, for every topic.
fn refused(wanted: Vec<MetadataRequestTopic>, code: ResponseError) -> MetadataResponse {
    let topics = wanted.into_iter().map(|topic| {
        let name = Some(topic.name.unwrap_or_default());
        MetadataResponseTopic::default().with_error_code(code.code()).with_name(name).with_topic_id(topic.topic_id)
    });
    MetadataResponse::default().with_topics(topics.collect())
}
