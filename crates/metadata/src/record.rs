//! The records of the metadata log: facts, never commands, so that two versions replay alike.
//!
//! Stored as JSON, each under a tag of name and version (`"topic.1"`). Tags are stored: never reuse or rename one. A record whose
//! fields change gets the next version under a new tag, and the old one stays readable; an unknown tag or field is refused.

use crate::Error;
use crate::quotas::Entity;
use millstream_sasl::{Credential, Scram};
use millstream_types::{
    BrokerEpoch, BrokerId, ClusterId, ControllerEpoch, DirectoryId, LeaderEpoch, PartitionIndex, ProducerId, TopicId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// One fact about the cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Record {
    /// The cluster's identity and the level of features its nodes may use.
    #[serde(rename = "cluster.1")]
    Cluster {
        /// Given once, when the log is formed.
        cluster_id: ClusterId,
        /// What records and behaviours are allowed; only ever raised.
        feature_level: i16,
    },
    /// A new controller's term has begun.
    #[serde(rename = "controller.1")]
    Controller {
        /// Its epoch.
        epoch: ControllerEpoch,
    },
    /// The highest numbers given out, in a snapshot, where what carried them may be gone.
    #[serde(rename = "counters.1")]
    Counters {
        /// The newest broker epoch given.
        broker_epoch: BrokerEpoch,
        /// The newest schema id given.
        schema_id: i32,
    },
    /// A broker registered, or registered anew.
    #[serde(rename = "register-broker.1")]
    RegisterBroker(BrokerRecord),
    /// A broker is not to lead nor to be read from.
    #[serde(rename = "fence-broker.1")]
    FenceBroker {
        /// The broker.
        broker: BrokerId,
        /// Its epoch.
        epoch: BrokerEpoch,
    },
    /// A broker may lead again.
    #[serde(rename = "unfence-broker.1")]
    UnfenceBroker {
        /// The broker.
        broker: BrokerId,
        /// Its epoch.
        epoch: BrokerEpoch,
    },
    /// A broker left for good.
    #[serde(rename = "unregister-broker.1")]
    UnregisterBroker {
        /// The broker.
        broker: BrokerId,
        /// Its epoch.
        epoch: BrokerEpoch,
    },
    /// A topic exists; its partitions follow.
    #[serde(rename = "topic.1")]
    Topic(TopicRecord),
    /// A partition exists.
    #[serde(rename = "partition.1")]
    Partition(PartitionRecord),
    /// A partition changed.
    #[serde(rename = "partition-change.1")]
    PartitionChange(PartitionChange),
    /// An option of a topic was set or unset.
    #[serde(rename = "topic-config.1")]
    TopicConfig(TopicConfigRecord),
    /// An option of a broker, or of all brokers, was set or unset.
    #[serde(rename = "broker-config.1")]
    BrokerConfig(BrokerConfigRecord),
    /// An option of a subscription to client metrics was set or unset.
    #[serde(rename = "client-metrics.1")]
    ClientMetrics(ClientMetricsRecord),
    /// A limit of an entity was set or unset.
    #[serde(rename = "client-quota.1")]
    ClientQuota(ClientQuotaRecord),
    /// An option of a group was set or unset.
    #[serde(rename = "group-config.1")]
    GroupConfig(GroupConfigRecord),
    /// A user may log in by a SCRAM mechanism, or does so by another password now.
    #[serde(rename = "user-scram-credential.1")]
    UserScramCredential(ScramCredentialRecord),
    /// A user may not log in by a SCRAM mechanism any more.
    #[serde(rename = "remove-user-scram-credential.1")]
    RemoveUserScramCredential {
        /// The user.
        user: String,
        /// The mechanism.
        mechanism: Scram,
    },
    /// A topic, its partitions and its options are gone.
    #[serde(rename = "remove-topic.1")]
    RemoveTopic {
        /// The topic.
        topic: TopicId,
    },
    /// A block of producer ids was given out.
    #[serde(rename = "producer-id-block.1")]
    ProducerIdBlock {
        /// The broker it was given to.
        broker: BrokerId,
        /// The first id that has not been given out.
        next: ProducerId,
    },
    /// A deployment was made or changed.
    #[serde(rename = "deployment.1")]
    Deployment(DeploymentRecord),
    /// A deployment is gone.
    #[serde(rename = "remove-deployment.1")]
    RemoveDeployment {
        /// Which sort of deployment.
        kind: String,
        /// Its name among its kind.
        name: String,
    },
    /// A version of a subject's schema.
    #[serde(rename = "schema.1")]
    Schema(SchemaRecord),
    /// How new versions must fit old ones.
    #[serde(rename = "schema-compatibility.1")]
    SchemaCompatibility {
        /// The subject; all subjects without a level of their own when absent.
        subject: Option<String>,
        /// The level under Confluent's name; the default again when absent.
        level: Option<String>,
    },
    /// A version of a subject was deleted.
    #[serde(rename = "schema-deleted.1")]
    SchemaDeleted {
        /// The subject.
        subject: String,
        /// The version.
        version: i32,
        /// For good; otherwise it is hidden and can still be looked up by id.
        permanent: bool,
    },
}

/// Where a broker can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// The listener's name, as clients' connections find it.
    pub name: String,
    /// The advertised host.
    pub host: String,
    /// The advertised port.
    pub port: u16,
}

/// A broker's registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerRecord {
    /// The broker.
    pub broker: BrokerId,
    /// New at each start of its process.
    pub incarnation: Uuid,
    /// Its data folder.
    pub directory: DirectoryId,
    /// Given at registration; what carries an older one is refused.
    pub epoch: BrokerEpoch,
    /// Where it can be reached.
    pub listeners: Vec<Listener>,
    /// Where it stands, for spreading replicas.
    pub rack: Option<String>,
    /// Not to lead nor to be read from.
    pub fenced: bool,
}

/// A topic's identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicRecord {
    /// The key everywhere.
    pub id: TopicId,
    /// What people call it.
    pub name: String,
}

/// A partition's whole state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionRecord {
    /// Its topic.
    pub topic: TopicId,
    /// Its number.
    pub partition: PartitionIndex,
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

/// What changed of a partition. Absent fields stay as they are; epochs are stated, never counted at replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionChange {
    /// Its topic.
    pub topic: TopicId,
    /// Its number.
    pub partition: PartitionIndex,
    /// The new partition epoch.
    pub partition_epoch: i32,
    /// The new leader and its epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<(BrokerId, LeaderEpoch)>,
    /// The new in-sync replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isr: Option<Vec<BrokerId>>,
    /// The new replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Vec<BrokerId>>,
}

/// An option of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicConfigRecord {
    /// The topic.
    pub topic: TopicId,
    /// Kafka's name of the option.
    pub name: String,
    /// Its value; the default again when absent.
    pub value: Option<String>,
}

/// An option of a broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerConfigRecord {
    /// The broker; every broker when absent.
    pub broker: Option<BrokerId>,
    /// Kafka's name of the option.
    pub name: String,
    /// Its value; the default again when absent.
    pub value: Option<String>,
}

/// An option of a subscription to client metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientMetricsRecord {
    /// The subscription.
    pub name: String,
    /// Kafka's name of the option.
    pub option: String,
    /// Its value; the default again when absent.
    pub value: Option<String>,
}

/// A limit of what an entity may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientQuotaRecord {
    /// Whose.
    pub entity: Entity,
    /// Kafka's name of the limit.
    pub key: String,
    /// The limit; none again when absent.
    pub value: Option<f64>,
}

/// An option of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupConfigRecord {
    /// The group; it need not exist.
    pub group: String,
    /// Kafka's name of the option.
    pub name: String,
    /// Its value; the broker's again when absent.
    pub value: Option<String>,
}

/// How a user's proof of a password is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScramCredentialRecord {
    /// The user.
    pub user: String,
    /// The mechanism.
    pub mechanism: Scram,
    /// Salt, rounds and keys.
    pub credential: Credential,
}

/// A deployment, in its kind's own words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentRecord {
    /// Which sort of deployment.
    pub kind: String,
    /// Its name among its kind.
    pub name: String,
    /// From 1; the number of deploys under this name.
    pub generation: u32,
    /// All the rest; not looked into here.
    pub value: serde_json::Value,
}

/// The languages of schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SchemaType {
    /// Apache Avro.
    #[serde(rename = "AVRO")]
    Avro,
    /// JSON Schema.
    #[serde(rename = "JSON")]
    Json,
    /// Protocol Buffers.
    #[serde(rename = "PROTOBUF")]
    Protobuf,
}

/// A schema that another one builds on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaReference {
    /// The name by which the text calls it.
    pub name: String,
    /// Its subject.
    pub subject: String,
    /// Its version.
    pub version: i32,
}

/// A version of a subject's schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaRecord {
    /// The subject.
    pub subject: String,
    /// From 1 within the subject.
    pub version: i32,
    /// From 1 within the cluster; equal content has one id under every subject.
    pub id: i32,
    /// The language.
    pub schema_type: SchemaType,
    /// The schema itself.
    pub text: String,
    /// What it builds on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<SchemaReference>,
}

/// The bytes that are stored for records that are committed together.
#[must_use]
pub fn encode(records: &[Record]) -> Vec<u8> {
    serde_json::to_vec(records).expect("records are maps with text keys, which JSON can always hold")
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// [`Error::NewerRecord`] for a tag or field this version does not know, [`Error::CorruptRecord`] for anything else that is wrong.
pub fn decode(bytes: &[u8]) -> Result<Vec<Record>, Error> {
    serde_json::from_slice(bytes).map_err(|error| {
        let reason = error.to_string();
        match unknown_tag(bytes) {
            Some(tag) => Error::NewerRecord { tag, reason },
            None => Error::CorruptRecord { reason },
        }
    })
}

/// The tag of the first record of `bytes` that can't be read although it is well-formed.
fn unknown_tag(bytes: &[u8]) -> Option<String> {
    let tagged: Vec<BTreeMap<String, serde_json::Value>> = serde_json::from_slice(bytes).ok()?;
    let mut single = tagged.into_iter().flatten();
    single.find_map(|(tag, body)| {
        let record = serde_json::Value::Object(serde_json::Map::from_iter([(tag.clone(), body)]));
        serde_json::from_value::<Record>(record).is_err().then_some(tag)
    })
}
