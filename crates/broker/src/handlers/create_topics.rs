//! CreateTopics: each topic of a request is a decision of its own.

use crate::codes::Failure;
use crate::config_views::{self, View};
use crate::service::{Broker, Call};
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use millstream_metadata::topics::{Create, Created, Layout, check_new};
use millstream_protocol::{ResponseError, StrBytes};
use millstream_types::BrokerId;
use std::collections::{BTreeMap, BTreeSet};

/// Who is above its quota is refused from this version on (KIP-599).
const STRICT: i16 = 6;
/// Kafka's "as the broker has it by default".
const DEFAULT: i32 = -1;

impl Broker {
    /// Answers CreateTopics.
    pub(crate) async fn create_topics(&self, call: &Call<'_>, request: CreateTopicsRequest) -> CreateTopicsResponse {
        let twice = named_twice(&request.topics);
        let mut results = Vec::with_capacity(request.topics.len());
        let mut answered = BTreeSet::new();
        for topic in request.topics {
            let name = topic.name.clone();
            if twice.contains(&name) {
                if answered.insert(name.clone()) {
                    let failure =
                        Failure::new(ResponseError::InvalidRequest, "the topic is named twice in one request");
                    results.push(failed(name, failure));
                }
                continue;
            }
            results.push(match self.create_one(call, topic, request.validate_only).await {
                Ok(result) => result,
                Err(failure) => failed(name, failure),
            });
        }
        CreateTopicsResponse::default().with_topics(results)
    }

    async fn create_one(
        &self,
        call: &Call<'_>,
        topic: CreatableTopic,
        validate_only: bool,
    ) -> Result<CreatableTopicResult, Failure> {
        let configs: BTreeMap<String, Option<String>> = topic
            .configs
            .iter()
            .map(|config| (config.name.to_string(), config.value.as_ref().map(ToString::to_string)))
            .collect();
        if configs.len() != topic.configs.len() {
            check_new(&self.image(), &topic.name, &BTreeMap::new())?;
            return Err(Failure::new(ResponseError::InvalidConfig, "an option is named twice; name each once"));
        }
        let layout = match self.layout(&topic) {
            Ok(layout) => layout,
            // What is wrong with the name or an option is told first.
            Err(failure) => {
                check_new(&self.image(), &topic.name, &configs)?;
                return Err(failure);
            }
        };
        let overrides: BTreeMap<String, String> =
            configs.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect();
        let create = Create { name: topic.name.to_string(), id: self.new_topic_id(), layout, configs, validate_only };
        let Created { id, partitions, replication_factor } =
            self.create_topic(call, create, call.version >= STRICT).await?;
        let views = config_views::of_topic(&self.image(), &overrides);
        Ok(CreatableTopicResult::default()
            .with_name(topic.name)
            .with_topic_id(id.0)
            .with_num_partitions(partitions)
            .with_replication_factor(replication_factor)
            .with_configs(Some(views.into_iter().map(config).collect())))
    }

    fn layout(&self, topic: &CreatableTopic) -> Result<Layout, Failure> {
        let (partitions, factor) = (topic.num_partitions, topic.replication_factor);
        if topic.assignments.is_empty() {
            let partitions = if partitions == DEFAULT { self.settings.num_partitions } else { partitions };
            let factor = if i32::from(factor) == DEFAULT { self.settings.replication_factor } else { factor };
            return Ok(self.default_layout(partitions, factor));
        }
        if partitions != DEFAULT || i32::from(factor) != DEFAULT {
            let message = "with assignments, num_partitions and replication_factor must both be -1";
            return Err(Failure::new(ResponseError::InvalidRequest, message));
        }
        let mut assigned = BTreeMap::new();
        for assignment in &topic.assignments {
            let brokers: Vec<BrokerId> = assignment.broker_ids.iter().map(|broker| BrokerId(broker.0)).collect();
            if assigned.insert(assignment.partition_index, brokers).is_some() {
                let message = format!("partition {} is assigned twice", assignment.partition_index);
                return Err(Failure::new(ResponseError::InvalidReplicaAssignment, message));
            }
        }
        Ok(Layout::Assigned(assigned))
    }
}

fn named_twice(topics: &[CreatableTopic]) -> BTreeSet<TopicName> {
    let mut seen = BTreeSet::new();
    topics.iter().filter(|topic| !seen.insert(&topic.name)).map(|topic| topic.name.clone()).collect()
}

fn failed(name: TopicName, failure: Failure) -> CreatableTopicResult {
    let code = failure.code.code();
    CreatableTopicResult::default().with_name(name).with_error_code(code).with_error_message(failure.text())
}

fn config(view: View) -> CreatableTopicConfigs {
    CreatableTopicConfigs::default()
        .with_name(StrBytes::from_string(view.definition_name.into_owned()))
        .with_value(view.value.map(Into::into))
        .with_read_only(view.read_only)
        .with_config_source(view.source.wire())
}
