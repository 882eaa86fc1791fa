//! What the API needs of the node: ports that the composition root implements, and the rows they give.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use millstream_metadata::schemas::{Register, Registered};
use millstream_metadata::{Error as MetadataError, Image};
use millstream_runtime::Runtime;
use millstream_schema::SchemaLookup;
use millstream_task::{Error, Host, Topics};
use millstream_telemetry::Metrics;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// Everything that the routes use.
pub struct Node {
    /// Clock and tasks.
    pub runtime: Runtime,
    /// What `/metrics` exports.
    pub metrics: Metrics,
    /// What of it is measured only when it is asked for.
    pub measures: Arc<dyn Measures>,
    /// The cluster's topics and brokers.
    pub cluster: Arc<dyn Cluster>,
    /// Records.
    pub topics: Arc<dyn Topics>,
    /// Consumer groups.
    pub groups: Arc<dyn Groups>,
    /// The schema registry.
    pub schemas: Arc<dyn Schemas>,
    /// Schemas by subject and id, as tables see them.
    pub lookup: Arc<dyn SchemaLookup>,
    /// Functions, streams, connectors and rules.
    pub host: Host,
    /// What connectors there are.
    pub connector_types: Arc<dyn ConnectorTypes>,
    /// Event buses and rule tests.
    pub buses: Arc<dyn Buses>,
    /// Cold storage.
    pub tier: Arc<dyn Tiering>,
    /// Components; none where the binary was built without functions.
    pub components: Option<Arc<dyn Components>>,
    /// Queries; none where the binary was built without SQL.
    pub sql: Option<Arc<dyn Sql>>,
    /// Bytes of the largest component.
    pub component_bytes_max: usize,
}

/// Metrics that would cost too much to keep true at every moment: how many, how far behind.
#[async_trait]
pub trait Measures: Send + Sync + 'static {
    /// Brings them up to date.
    async fn refresh(&self);
}

/// One topic in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TopicRow {
    /// Its name.
    pub name: String,
    /// Its id, as Kafka prints it.
    pub id: String,
    /// Whether it is one of the product's own.
    pub internal: bool,
    /// How many partitions.
    pub partitions: i32,
    /// Records between log start and high watermark, of all partitions led here.
    pub records: i64,
    /// Bytes on local disk.
    pub bytes: u64,
    /// `cleanup.policy`.
    pub cleanup_policy: String,
    /// `remote.storage.enable`.
    pub cold: bool,
}

/// One topic with its partitions.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TopicDetail {
    /// As in a list.
    #[serde(flatten)]
    pub row: TopicRow,
    /// The options that were set.
    pub configs: BTreeMap<String, String>,
    /// Its partitions, in order.
    pub partition_details: Vec<PartitionDetail>,
}

/// One partition.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PartitionDetail {
    /// Its number.
    pub partition: i32,
    /// The broker that leads it.
    pub leader: i32,
    /// The leader's epoch.
    pub leader_epoch: i32,
    /// The first offset.
    pub log_start: Option<i64>,
    /// The offset after the last readable one.
    pub high_watermark: Option<i64>,
    /// Bytes on local disk.
    pub bytes: Option<u64>,
}

/// What a new topic is to be.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; the broker's default where absent.
    #[serde(default)]
    pub partitions: Option<i32>,
    /// Options.
    #[serde(default)]
    pub configs: BTreeMap<String, String>,
}

/// How a topic is to change.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlterTopic {
    /// Options to set; null gives one its default back.
    #[serde(default)]
    pub configs: BTreeMap<String, Option<String>>,
    /// The new number of partitions.
    #[serde(default)]
    pub partitions: Option<i32>,
}

/// One broker.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BrokerRow {
    /// Its `node.id`.
    pub node: i32,
    /// The first advertised listener.
    pub address: String,
    /// Its registration's epoch.
    pub epoch: i64,
    /// Whether it is the active controller.
    pub controller: bool,
    /// Whether it was silent too long.
    pub fenced: bool,
    /// Topics in the cluster.
    pub topics: usize,
    /// Partitions it leads.
    pub partitions: usize,
}

/// Topics and brokers.
#[async_trait]
pub trait Cluster: Send + Sync + 'static {
    /// Whether the node serves clients; else why not yet.
    fn ready(&self) -> Result<(), String>;
    /// Every topic, by name.
    fn topics(&self) -> Vec<TopicRow>;
    /// One topic.
    async fn topic(&self, name: &str) -> Result<TopicDetail, Error>;
    /// Makes a topic.
    async fn create_topic(&self, topic: NewTopic) -> Result<TopicDetail, Error>;
    /// Changes a topic.
    async fn alter_topic(&self, name: &str, change: AlterTopic) -> Result<TopicDetail, Error>;
    /// Deletes a topic.
    async fn delete_topic(&self, name: &str) -> Result<(), Error>;
    /// Every broker.
    fn brokers(&self) -> Vec<BrokerRow>;
}

/// One group in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GroupRow {
    /// Its name.
    pub group: String,
    /// Kafka's state.
    pub state: String,
    /// `consumer` for consumers.
    pub protocol_type: String,
    /// `classic`, or `consumer` where the group uses the new protocol.
    pub group_type: String,
    /// How many members.
    pub members: usize,
    /// Records behind, over all partitions with a committed offset.
    pub lag: i64,
}

/// One group with its members and offsets.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GroupDetail {
    /// As in a list.
    #[serde(flatten)]
    pub row: GroupRow,
    /// Its members.
    pub member_details: Vec<GroupMember>,
    /// How far it is.
    pub offsets: Vec<GroupOffset>,
}

/// One member.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GroupMember {
    /// The id the coordinator gave it.
    pub member_id: String,
    /// What it calls itself.
    pub client_id: String,
    /// From where it connects.
    pub client_host: String,
}

/// How far a group is in one partition.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GroupOffset {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset to read.
    pub offset: i64,
    /// The offset after the last readable record, where the topic exists.
    pub high_watermark: Option<i64>,
    /// The difference of the two.
    pub lag: Option<i64>,
}

/// Consumer groups.
#[async_trait]
pub trait Groups: Send + Sync + 'static {
    /// Every group.
    async fn list(&self) -> Result<Vec<GroupRow>, Error>;
    /// One group.
    async fn describe(&self, group: &str) -> Result<GroupDetail, Error>;
    /// Deletes a group without members.
    async fn delete(&self, group: &str) -> Result<(), Error>;
    /// Moves the offsets of a group without members in one topic.
    async fn reset(&self, group: &str, topic: &str, to: crate::From) -> Result<(), Error>;
}

/// Why the registry refused, with what its HTTP codes are made of.
#[derive(Debug)]
pub enum SchemasError {
    /// The rules of subjects and versions.
    Metadata(MetadataError),
    /// Anything else.
    Other(Error),
}

/// The schema registry's store.
#[async_trait]
pub trait Schemas: Send + Sync + 'static {
    /// What is registered.
    fn image(&self) -> Arc<Image>;
    /// Registers a schema.
    async fn register(&self, request: Register) -> Result<Registered, SchemasError>;
    /// Deletes one version, the latest where none is given; its number is the answer.
    async fn delete_version(&self, subject: &str, version: Option<i32>, permanent: bool) -> Result<i32, SchemasError>;
    /// Deletes a subject; its versions are the answer.
    async fn delete_subject(&self, subject: &str, permanent: bool) -> Result<Vec<i32>, SchemasError>;
    /// Sets the compatibility level of a subject, or of all.
    async fn set_compatibility(&self, subject: Option<&str>, level: &str) -> Result<(), SchemasError>;
    /// Gives a subject, or all, the default back; the level there was is the answer.
    async fn delete_compatibility(&self, subject: Option<&str>) -> Result<Option<String>, SchemasError>;
}

/// What connectors there are.
pub trait ConnectorTypes: Send + Sync + 'static {
    /// Name, direction, version and description of each.
    fn list(&self) -> serde_json::Value;
    /// The JSON Schema of one's settings.
    fn settings_schema(&self, name: &str) -> Option<serde_json::Value>;
}

/// Event buses.
#[async_trait]
pub trait Buses: Send + Sync + 'static {
    /// Puts the events of an HTTP request on a bus: headers by lower-case name, and the body. How many were accepted, and how many were
    /// known already.
    async fn put(&self, bus: &str, headers: &[(String, String)], body: Bytes) -> Result<(usize, usize), Error>;
    /// The topic behind a bus.
    fn topic(&self, bus: &str) -> String;
    /// The bus of a topic, where it is one's.
    fn bus_of(&self, topic: &str) -> Option<String>;
    /// Which of the rules match an event.
    fn test(&self, event: &serde_json::Value, rules: &[(String, serde_json::Value)]) -> Result<Vec<bool>, Error>;
}

/// One partition's cold side.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TierRow {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The first offset, cold or hot.
    pub log_start: i64,
    /// The first offset on local disk.
    pub local_start: i64,
    /// The offset after the last readable one.
    pub high_watermark: i64,
    /// Bytes on local disk.
    pub bytes_hot: u64,
    /// Bytes in the object store.
    pub bytes_cold: u64,
    /// Segments in the object store.
    pub segments_cold: usize,
    /// What failed last.
    pub error: Option<String>,
}

/// Cold storage.
#[async_trait]
pub trait Tiering: Send + Sync + 'static {
    /// Every partition of topics with remote storage.
    async fn status(&self) -> Vec<TierRow>;
    /// Copies all closed segments of a topic now, after closing the open ones. Segments and bytes copied, bytes dropped.
    async fn offload(&self, topic: &str, drop_local: bool) -> Result<(usize, u64, u64), Error>;
    /// Makes a topic again from the store; its partitions are the answer.
    async fn recover(&self, topic: &str) -> Result<i32, Error>;
}

/// Wasm components.
#[async_trait]
pub trait Components: Send + Sync + 'static {
    /// Stores a component after checking that it is one; its hash is the answer.
    async fn put(&self, component: Bytes) -> Result<String, Error>;
    /// What a function logged last: rows with time, level and message.
    fn logs(&self, function: &str) -> Vec<serde_json::Value>;
}

/// How rows of a query are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Aligned columns for people.
    Table,
    /// One object a line.
    Json,
    /// Comma-separated values.
    Csv,
    /// Arrow's IPC stream.
    Arrow,
}

/// Rows on their way out.
pub struct QueryAnswer {
    /// Their content type.
    pub content_type: &'static str,
    /// The bytes.
    pub body: BoxStream<'static, Result<Bytes, Error>>,
}

/// Queries.
#[async_trait]
pub trait Sql: Send + Sync + 'static {
    /// Runs statements and writes their rows. `CREATE STREAM` and `DROP STREAM` among them are carried out.
    async fn query(&self, sql: &str, format: Format) -> Result<QueryAnswer, Error>;
    /// Carries out one `CREATE STREAM`; name and generation are the answer.
    async fn create_stream(&self, sql: &str) -> Result<(String, u32), Error>;
}
