//! The image: what all committed records come to. Immutable where it is read; a clone shares everything with its original.

mod replay;
mod snapshot;

use crate::quotas::Entity;
use crate::record::{BrokerRecord, Listener, SchemaReference, SchemaType};
use crate::{Error, Map};
use millstream_sasl::{Credential, Scram};
use millstream_types::{
    BrokerEpoch, BrokerId, ClusterId, ConfigDef, ControllerEpoch, DirectoryId, LeaderEpoch, PartitionIndex, ProducerId,
    TopicConfig, TopicId, TopicPartition,
};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// The cluster's metadata at one moment. Cloning it costs a few pointers.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    cluster: Option<(ClusterId, i16)>,
    controller_epoch: ControllerEpoch,
    broker_epoch: BrokerEpoch,
    brokers: Map<BrokerId, Arc<Broker>>,
    /// By broker; the options of all brokers under none.
    broker_configs: Map<Option<BrokerId>, Arc<BTreeMap<String, String>>>,
    /// The node that has this image, whose own options count here. No record says it, and no snapshot.
    node: Option<BrokerId>,
    /// By group.
    group_configs: Map<Arc<str>, Arc<BTreeMap<String, String>>>,
    /// The options this node was started with. They are this node's own: no record has them, and no snapshot.
    static_configs: Arc<BTreeMap<String, String>>,
    client_metrics: Map<Arc<str>, Arc<BTreeMap<String, String>>>,
    client_quotas: Map<Entity, Arc<BTreeMap<String, f64>>>,
    scram_credentials: Map<(String, Scram), Arc<Credential>>,
    topics: Map<TopicId, Arc<Topic>>,
    names: Map<Arc<str>, TopicId>,
    /// By the name with '.' as '_', of which only one may exist.
    collisions: Map<Arc<str>, TopicId>,
    next_producer_id: ProducerId,
    deployments: Map<DeploymentKey, Arc<Deployment>>,
    subjects: Map<Arc<str>, Arc<Subject>>,
    schemas: Map<i32, Arc<Schema>>,
    schema_ids: Map<Arc<Schema>, i32>,
    schema_id: i32,
    compatibility: Option<String>,
    subject_compatibility: Map<Arc<str>, String>,
}

impl Default for Image {
    fn default() -> Self {
        Self {
            cluster: None,
            controller_epoch: ControllerEpoch::NONE,
            broker_epoch: BrokerEpoch(0),
            brokers: Map::default(),
            broker_configs: Map::default(),
            node: None,
            group_configs: Map::default(),
            static_configs: Arc::default(),
            client_metrics: Map::default(),
            client_quotas: Map::default(),
            scram_credentials: Map::default(),
            topics: Map::default(),
            names: Map::default(),
            collisions: Map::default(),
            next_producer_id: ProducerId(0),
            deployments: Map::default(),
            subjects: Map::default(),
            schemas: Map::default(),
            schema_ids: Map::default(),
            schema_id: 0,
            compatibility: None,
            subject_compatibility: Map::default(),
        }
    }
}

/// A registered broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// The broker.
    pub id: BrokerId,
    /// New at each start of its process.
    pub incarnation: Uuid,
    /// Its data folder.
    pub directory: DirectoryId,
    /// Given at its registration.
    pub epoch: BrokerEpoch,
    /// Where it can be reached.
    pub listeners: Vec<Listener>,
    /// Where it stands.
    pub rack: Option<String>,
    /// Not to lead nor to be read from.
    pub fenced: bool,
}

/// A topic with its partitions and options.
#[derive(Debug, Clone, PartialEq)]
pub struct Topic {
    /// The key everywhere.
    pub id: TopicId,
    /// What people call it.
    pub name: Arc<str>,
    /// By number, from 0, without gaps.
    pub partitions: Vec<Partition>,
    /// The options set for this topic, as text.
    pub overrides: BTreeMap<String, String>,
    /// All its options: its own over those set for the node, for all nodes, and given to the node at start, over the defaults.
    pub config: Arc<TopicConfig>,
}

impl Topic {
    /// The partition of that number.
    #[must_use]
    pub fn partition(&self, index: PartitionIndex) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index.0).ok()?)
    }

    /// The partitions with their numbers, in order.
    pub fn partitions(&self) -> impl Iterator<Item = (PartitionIndex, &Partition)> {
        (0..).map(PartitionIndex).zip(&self.partitions)
    }
}

/// A partition's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The leader, or [`BrokerId::NONE`].
    pub leader: BrokerId,
    /// Bumped at each change of the leader.
    pub leader_epoch: LeaderEpoch,
    /// Bumped at each change of the partition.
    pub partition_epoch: i32,
    /// Its replicas; the first is preferred as the leader.
    pub replicas: Vec<BrokerId>,
    /// The replicas that have everything acknowledged.
    pub isr: Vec<BrokerId>,
}

/// What names a deployment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeploymentKey {
    /// Which sort of deployment.
    pub kind: String,
    /// Its name among its kind.
    pub name: String,
}

/// A deployment, in its kind's own words.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// From 1; the number of deploys under this name.
    pub generation: u32,
    /// All the rest; not looked into here.
    pub value: serde_json::Value,
}

/// The content of a schema, which has one id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Schema {
    /// The language.
    pub schema_type: SchemaType,
    /// The schema itself.
    pub text: String,
    /// What it builds on.
    pub references: Vec<SchemaReference>,
}

/// A subject's versions, soft-deleted ones among them. Never empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// By version.
    pub versions: BTreeMap<i32, SchemaVersion>,
}

/// One version of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaVersion {
    /// The id of its content.
    pub id: i32,
    /// Soft-deleted: hidden, but still found by id.
    pub deleted: bool,
}

impl Subject {
    /// The newest version that is not deleted.
    #[must_use]
    pub fn latest(&self) -> Option<(i32, SchemaVersion)> {
        self.live().next_back()
    }

    /// The versions that are not deleted, in order.
    pub fn live(&self) -> impl DoubleEndedIterator<Item = (i32, SchemaVersion)> {
        self.versions.iter().filter(|(_, version)| !version.deleted).map(|(number, version)| (*number, *version))
    }
}

/// Names that differ only in '.' and '_' are one name in metrics.
fn collision_key(name: &str) -> Arc<str> {
    name.replace('.', "_").into()
}

impl Image {
    /// The cluster's id, once it is formed.
    #[must_use]
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.cluster.map(|(id, _)| id)
    }

    /// The level of features that nodes may use; 0 before the cluster is formed.
    #[must_use]
    pub fn feature_level(&self) -> i16 {
        self.cluster.map_or(0, |(_, level)| level)
    }

    /// The epoch of the controller whose record was the last replayed.
    #[must_use]
    pub const fn controller_epoch(&self) -> ControllerEpoch {
        self.controller_epoch
    }

    /// The newest broker epoch given out.
    #[must_use]
    pub const fn last_broker_epoch(&self) -> BrokerEpoch {
        self.broker_epoch
    }

    /// The broker of that id, fenced or not.
    #[must_use]
    pub fn broker(&self, id: BrokerId) -> Option<&Arc<Broker>> {
        self.brokers.get(&id)
    }

    /// Every registered broker by id, fenced ones among them.
    pub fn brokers(&self) -> impl Iterator<Item = &Arc<Broker>> {
        self.brokers.values()
    }

    /// Whether the broker may lead.
    #[must_use]
    pub fn is_alive(&self, id: BrokerId) -> bool {
        self.broker(id).is_some_and(|broker| !broker.fenced)
    }

    /// The options set for one broker, or for all of them (none).
    #[must_use]
    pub fn broker_config(&self, broker: Option<BrokerId>) -> Option<&Arc<BTreeMap<String, String>>> {
        self.broker_configs.get(&broker)
    }

    /// An option as it was set for the broker, or else for all brokers; none where it was set for neither.
    #[must_use]
    pub fn broker_option(&self, broker: BrokerId, name: &str) -> Option<&str> {
        let set = |whose| self.broker_config(whose)?.get(name);
        set(Some(broker)).or_else(|| set(None)).map(String::as_str)
    }

    /// Every subscription to client metrics, and the options it sets.
    #[must_use]
    pub const fn client_metrics(&self) -> &Map<Arc<str>, Arc<BTreeMap<String, String>>> {
        &self.client_metrics
    }

    /// The limits of that very entity.
    #[must_use]
    pub fn client_quota(&self, entity: &Entity) -> Option<&Arc<BTreeMap<String, f64>>> {
        self.client_quotas.get(entity)
    }

    /// Every entity with limits, and those.
    #[must_use]
    pub const fn client_quotas(&self) -> &Map<Entity, Arc<BTreeMap<String, f64>>> {
        &self.client_quotas
    }

    /// The options set for a group.
    #[must_use]
    pub fn group_config(&self, group: &str) -> Option<&Arc<BTreeMap<String, String>>> {
        self.group_configs.get(group)
    }

    /// The groups that options are set for.
    pub fn groups_with_options(&self) -> impl Iterator<Item = &Arc<str>> {
        self.group_configs.keys()
    }

    /// What a group's option is while the group does not set it.
    #[must_use]
    pub fn group_default<'a>(&'a self, definition: &'a ConfigDef) -> &'a str {
        let given = definition.synonym.and_then(|name| self.static_configs.get(name));
        given.map_or(definition.default, String::as_str)
    }

    /// By what a user's proof of a password is checked.
    #[must_use]
    pub fn scram_credential(&self, user: &str, mechanism: Scram) -> Option<&Arc<Credential>> {
        self.scram_credentials.get(&(user.to_owned(), mechanism))
    }

    /// The credentials of all users, in the order of their names.
    #[must_use]
    pub const fn scram_credentials(&self) -> &Map<(String, Scram), Arc<Credential>> {
        &self.scram_credentials
    }

    /// The options this node was started with, by their names among a broker's options.
    #[must_use]
    pub const fn static_configs(&self) -> &Arc<BTreeMap<String, String>> {
        &self.static_configs
    }

    /// The node whose own options count here.
    #[must_use]
    pub const fn node(&self) -> Option<BrokerId> {
        self.node
    }

    /// The same image for a node that was started with these options: its topics' options are worked out anew.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] for the first bad value.
    pub fn on_node(mut self, node: Option<BrokerId>, options: Arc<BTreeMap<String, String>>) -> Result<Self, Error> {
        self.node = node;
        self.static_configs = options;
        self.resolve_topics()?;
        Ok(self)
    }

    /// The topic of that id.
    #[must_use]
    pub fn topic(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.topics.get(&id)
    }

    /// The topic of that name.
    #[must_use]
    pub fn topic_named(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(self.names.get(name)?)
    }

    /// The id of the topic of that name.
    #[must_use]
    pub fn topic_id(&self, name: &str) -> Option<TopicId> {
        self.names.get(name).copied()
    }

    /// The existing topic whose name differs from `name` only in '.' and '_', or is `name`.
    #[must_use]
    pub fn topic_colliding(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(self.collisions.get(&collision_key(name))?)
    }

    /// Every topic in the order of the names.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.names.values().filter_map(|id| self.topics.get(id))
    }

    /// Topics that exist.
    #[must_use]
    pub const fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// The partition's state.
    #[must_use]
    pub fn partition(&self, partition: TopicPartition) -> Option<&Partition> {
        self.topic(partition.topic)?.partition(partition.partition)
    }

    /// The first producer id that has not been given out.
    #[must_use]
    pub const fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }

    /// The deployment of that kind and name.
    #[must_use]
    pub fn deployment(&self, kind: &str, name: &str) -> Option<&Arc<Deployment>> {
        self.deployments.get(&DeploymentKey { kind: kind.to_owned(), name: name.to_owned() })
    }

    /// Every deployment, by kind and name.
    #[must_use]
    pub const fn deployments(&self) -> &Map<DeploymentKey, Arc<Deployment>> {
        &self.deployments
    }

    /// The subject of that name, even if all its versions are soft-deleted.
    #[must_use]
    pub fn subject(&self, name: &str) -> Option<&Arc<Subject>> {
        self.subjects.get(name)
    }

    /// Every subject by name, wholly soft-deleted ones among them.
    #[must_use]
    pub const fn subjects(&self) -> &Map<Arc<str>, Arc<Subject>> {
        &self.subjects
    }

    /// The content under an id; found as long as one version has it, soft-deleted ones among them.
    #[must_use]
    pub fn schema(&self, id: i32) -> Option<&Arc<Schema>> {
        self.schemas.get(&id)
    }

    /// The id of a content.
    #[must_use]
    pub fn schema_id_of(&self, schema: &Schema) -> Option<i32> {
        self.schema_ids.get(schema).copied()
    }

    /// The newest schema id given out; 0 before the first.
    #[must_use]
    pub const fn last_schema_id(&self) -> i32 {
        self.schema_id
    }

    /// The compatibility level of subjects without one of their own, where it was set.
    #[must_use]
    pub fn compatibility(&self) -> Option<&str> {
        self.compatibility.as_deref()
    }

    /// The subject's own compatibility level, where it was set.
    #[must_use]
    pub fn subject_compatibility(&self, subject: &str) -> Option<&str> {
        self.subject_compatibility.get(subject).map(String::as_str)
    }

    /// The options of a topic with these overrides: its own over the cluster's over this node's over the defaults.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] for the first unknown name or bad value.
    pub fn topic_config(&self, overrides: &BTreeMap<String, String>) -> Result<TopicConfig, Error> {
        let inherited = |def: &ConfigDef| Some((def.name.to_owned(), self.topic_default(def)?.into_owned()));
        let mut merged: BTreeMap<String, String> =
            millstream_types::TOPIC_CONFIGS.iter().filter_map(inherited).collect();
        merged.extend(overrides.iter().map(|(name, value)| (name.clone(), value.clone())));
        Ok(TopicConfig::parse(&merged)?)
    }
}

impl Image {
    /// What topics that don't set an option get instead of its default: what was set for this node, for all, or given to it at start, of the
    /// first of the broker's options for it that is set at all.
    #[must_use]
    pub fn topic_default(&self, definition: &ConfigDef) -> Option<Cow<'_, str>> {
        definition.inherited().find_map(|(name, units)| {
            let own = self.node.and_then(|node| self.broker_config(Some(node))).and_then(|options| options.get(name));
            let cluster = || self.broker_config(None).and_then(|options| options.get(name));
            let set = own.or_else(cluster).or_else(|| self.static_configs.get(name))?;
            // It was checked when it was set. -1 is no number of hours.
            let coarse = if units == 1 { None } else { set.trim().parse::<i64>().ok().filter(|number| *number >= 0) };
            Some(
                coarse
                    .map_or(Cow::Borrowed(set.as_str()), |number| Cow::Owned(number.saturating_mul(units).to_string())),
            )
        })
    }
}

impl From<BrokerRecord> for Broker {
    fn from(record: BrokerRecord) -> Self {
        Self {
            id: record.broker,
            incarnation: record.incarnation,
            directory: record.directory,
            epoch: record.epoch,
            listeners: record.listeners,
            rack: record.rack,
            fenced: record.fenced,
        }
    }
}
