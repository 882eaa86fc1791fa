//! DescribeConfigs, IncrementalAlterConfigs, AlterConfigs.

use crate::node::Node;
use kafka_protocol::messages::alter_configs_request as replace;
use kafka_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use kafka_protocol::protocol::StrBytes;
use millstream_protocol::ResponseError as E;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

async fn describe(node: &Node, kind: i8, name: &str) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource])
        .with_include_synonyms(true)
        .with_include_documentation(true);
    node.ask(4, &request).await.results.remove(0)
}

fn config<'a>(result: &'a DescribeConfigsResult, name: &str) -> &'a DescribeConfigsResourceResult {
    result.configs.iter().find(|config| config.name.as_str() == name).unwrap()
}

async fn alter(node: &Node, kind: i8, name: &str, changes: &[(&str, i8, Option<&str>)]) -> i16 {
    let configs = changes.iter().map(|(name, operation, value)| {
        AlterableConfig::default().with_name(text(name)).with_config_operation(*operation).with_value(value.map(text))
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(configs.collect());
    let response = node.ask(1, &IncrementalAlterConfigsRequest::default().with_resources(vec![resource])).await;
    response.responses[0].error_code
}

#[tokio::test(start_paused = true)]
async fn a_topics_options_say_where_they_come_from() {
    let node = Node::start().await;
    node.topic("t", 1, &[("retention.ms", "5000")]).await;
    let described = describe(&node, TOPIC, "t").await;
    let retention = config(&described, "retention.ms");
    assert_eq!((retention.value.clone(), retention.config_source, retention.config_type), (Some(text("5000")), 1, 5));
    assert_eq!(retention.synonyms.iter().map(|one| one.source).collect::<Vec<_>>(), [1], "log.retention.ms is not set");
    assert!(retention.documentation.is_some());
    assert_eq!(config(&described, "cleanup.policy").config_source, 5);
    assert_eq!(describe(&node, TOPIC, "nope").await.error_code, E::UnknownTopicOrPartition.code());
    assert_eq!(describe(&node, TOPIC, "no name").await.error_code, E::InvalidTopicException.code());
    assert_eq!(describe(&node, 99, "t").await.error_code, E::InvalidRequest.code());
}

#[tokio::test(start_paused = true)]
async fn a_brokers_options_are_its_own_and_those_it_gives_to_topics() {
    let node = Node::with(&[("num.partitions", "2")]).await;
    let described = describe(&node, BROKER, "1").await;
    assert_eq!(
        (config(&described, "num.partitions").config_source, config(&described, "num.partitions").read_only),
        (4, true)
    );
    assert_eq!(config(&described, "log.retention.ms").config_source, 5);
    assert_eq!(describe(&node, BROKER, "2").await.error_code, E::InvalidRequest.code());
    assert_eq!(describe(&node, BROKER, "x").await.error_code, E::InvalidRequest.code());
    assert_eq!(describe(&node, BROKER, "").await.configs.len(), 0);
    assert_eq!(alter(&node, BROKER, "", &[("log.retention.ms", SET, Some("7000"))]).await, 0);
    assert_eq!(describe(&node, BROKER, "").await.configs.len(), 1);
    node.topic("t", 1, &[]).await;
    let inherited = describe(&node, TOPIC, "t").await;
    assert_eq!(
        (config(&inherited, "retention.ms").value.clone(), config(&inherited, "retention.ms").config_source),
        (Some(text("7000")), 3)
    );
    assert_eq!(alter(&node, BROKER, "", &[("num.partitions", SET, Some("7"))]).await, E::InvalidRequest.code());
    assert_eq!(alter(&node, BROKER, "2", &[("log.retention.ms", SET, Some("7"))]).await, E::InvalidRequest.code());
    assert_eq!(alter(&node, BROKER, "", &[("log.retention.ms", SET, Some("soon"))]).await, E::InvalidRequest.code());
}

#[tokio::test(start_paused = true)]
async fn what_is_set_for_a_broker_goes_before_what_is_set_for_all() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    assert_eq!(alter(&node, BROKER, "", &[("log.retention.ms", SET, Some("7000"))]).await, 0);
    assert_eq!(alter(&node, BROKER, "1", &[("log.retention.ms", SET, Some("8000"))]).await, 0);
    let inherited = describe(&node, TOPIC, "t").await;
    let retention = config(&inherited, "retention.ms");
    assert_eq!((retention.value.clone(), retention.config_source), (Some(text("8000")), 2));
    assert_eq!(retention.synonyms.iter().map(|one| one.source).collect::<Vec<_>>(), [2, 3, 5]);
    assert_eq!(alter(&node, BROKER, "1", &[("log.retention.ms", DELETE, None)]).await, 0);
    assert_eq!(config(&describe(&node, TOPIC, "t").await, "retention.ms").value, Some(text("7000")));
}

#[tokio::test(start_paused = true)]
async fn options_are_changed_one_by_one() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    assert_eq!(
        alter(&node, TOPIC, "t", &[("retention.ms", SET, Some("1")), ("cleanup.policy", APPEND, Some("compact"))])
            .await,
        0
    );
    let described = describe(&node, TOPIC, "t").await;
    assert_eq!(config(&described, "cleanup.policy").value, Some(text("delete,compact")));
    assert_eq!(alter(&node, TOPIC, "t", &[("retention.ms", DELETE, None)]).await, 0);
    assert_eq!(config(&describe(&node, TOPIC, "t").await, "retention.ms").config_source, 5);
    for (changes, code) in [
        ([("retention", SET, Some("1"))], E::InvalidConfig),
        ([("retention.ms", SET, Some("soon"))], E::InvalidConfig),
        ([("retention.ms", SET, None)], E::InvalidRequest),
        ([("retention.ms", 9, Some("1"))], E::UnknownServerError),
    ] {
        assert_eq!(alter(&node, TOPIC, "t", &changes).await, code.code(), "{changes:?}");
    }
    assert_eq!(alter(&node, TOPIC, "no", &[("retention.ms", SET, Some("1"))]).await, E::UnknownTopicOrPartition.code());
}

#[tokio::test(start_paused = true)]
async fn replacing_options_unsets_those_not_named() {
    let node = Node::start().await;
    node.topic("t", 1, &[("retention.ms", "5")]).await;
    let option = replace::AlterableConfig::default().with_name(text("segment.ms")).with_value(Some(text("9")));
    let resource = replace::AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text("t"))
        .with_configs(vec![option]);
    let request = replace::AlterConfigsRequest::default().with_resources(vec![resource]);
    assert_eq!(node.ask(2, &request).await.responses[0].error_code, 0);
    let described = describe(&node, TOPIC, "t").await;
    assert_eq!(
        (config(&described, "retention.ms").config_source, config(&described, "segment.ms").config_source),
        (5, 1)
    );
}
