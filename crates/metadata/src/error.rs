//! Why a decision was refused, in enough detail to become Kafka's and the registry's codes at the edges.

use millstream_types::{BrokerEpoch, BrokerId, ConfigError, DirectoryId, ErrorKind, PartitionIndex, TopicId};

/// Why the controller refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are the values that the message names")]
pub enum Error {
    /// Kafka's INVALID_TOPIC_EXCEPTION.
    #[error("the topic name {name:?} is invalid: {reason}")]
    InvalidTopicName { name: String, reason: String },
    /// Kafka's INVALID_TOPIC_EXCEPTION: both names would be one metric.
    #[error(
        "the topic name {name:?} collides with the existing topic {existing:?}: '.' and '_' count as one; choose another name"
    )]
    TopicNameCollision { name: String, existing: String },
    /// Kafka's TOPIC_ALREADY_EXISTS.
    #[error("the topic {name:?} exists already")]
    TopicExists { name: String },
    /// Kafka's UNKNOWN_TOPIC_OR_PARTITION.
    #[error("there is no topic {name:?}")]
    UnknownTopic { name: String },
    /// Kafka's UNKNOWN_TOPIC_ID.
    #[error("there is no topic with the id {id}")]
    UnknownTopicId { id: TopicId },
    /// Kafka's UNKNOWN_TOPIC_OR_PARTITION.
    #[error("the topic {topic:?} has no partition {partition}")]
    UnknownPartition { topic: String, partition: PartitionIndex },
    /// Kafka's INVALID_PARTITIONS.
    #[error("{topic:?}: {reason}")]
    InvalidPartitions { topic: String, reason: String },
    /// Kafka's INVALID_REPLICATION_FACTOR.
    #[error("{reason}")]
    InvalidReplicationFactor { reason: String },
    /// Kafka's INVALID_REPLICA_ASSIGNMENT.
    #[error("{reason}")]
    InvalidReplicaAssignment { reason: String },
    /// Kafka's INVALID_CONFIG.
    #[error(transparent)]
    InvalidConfig(#[from] ConfigError),
    /// Kafka's INVALID_CONFIG: options that are right alone and wrong together, or an operation an option can't take.
    #[error("{reason}")]
    ConfigRefused { reason: String },
    /// Kafka's INVALID_REQUEST.
    #[error("{reason}")]
    InvalidRequest { reason: String },
    /// Kafka's UNACCEPTABLE_CREDENTIAL.
    #[error("a credential of the user {user:?} is not acceptable: {reason}")]
    UnacceptableCredential { user: String, reason: String },
    /// Kafka's UNSUPPORTED_SASL_MECHANISM.
    #[error("{number} is no SCRAM mechanism; expected 1 SCRAM-SHA-256 or 2 SCRAM-SHA-512")]
    UnknownScram { number: i8 },
    /// Kafka's RESOURCE_NOT_FOUND.
    #[error("the user {user:?} has no credential of {mechanism}")]
    UnknownCredential { user: String, mechanism: &'static str },
    /// Kafka's DUPLICATE_RESOURCE.
    #[error("the user {user:?} is named twice in one request; change one credential of a user at a time")]
    CredentialTwice { user: String },
    /// Kafka's THROTTLING_QUOTA_EXCEEDED.
    #[error("the client has used up its quota {quota}: try again in {wait_ms} ms")]
    QuotaExceeded { quota: &'static str, wait_ms: u64 },
    /// Kafka's BROKER_ID_NOT_REGISTERED.
    #[error("broker {broker} is not registered")]
    UnknownBroker { broker: BrokerId },
    /// Kafka's STALE_BROKER_EPOCH.
    #[error("broker {broker} has epoch {current}; {given} is stale: register again")]
    StaleBrokerEpoch { broker: BrokerId, given: BrokerEpoch, current: BrokerEpoch },
    /// Kafka's DUPLICATE_BROKER_REGISTRATION.
    #[error("another process is registered as broker {broker} and alive; stop it, or give this one another node id")]
    DuplicateBroker { broker: BrokerId },
    /// The broker comes back without the data it was registered with.
    #[error(
        "broker {broker} was registered with the data folder {stored} and comes with {given}; bring the folder back, or unregister the broker first"
    )]
    DirectoryChanged { broker: BrokerId, stored: DirectoryId, given: DirectoryId },
    /// Kafka's UNKNOWN_SERVER_ERROR: there is no id left to give.
    #[error("all {what} have been given out")]
    IdsExhausted { what: &'static str },
    /// A deployment changed meanwhile.
    #[error(
        "{kind} {name:?} is at generation {stored}; a change must carry {stored} or the next, not {given}: read it again and repeat"
    )]
    DeploymentConflict { kind: String, name: String, stored: u32, given: u32 },
    /// No deployment of that name.
    #[error("there is no {kind} {name:?}")]
    UnknownDeployment { kind: String, name: String },
    /// The registry's 40401.
    #[error("there is no subject {subject:?}")]
    UnknownSubject { subject: String },
    /// The registry's 40402.
    #[error("the subject {subject:?} has no version {version}")]
    UnknownSchemaVersion { subject: String, version: i32 },
    /// The registry's 40403.
    #[error("there is no schema with the id {id}")]
    UnknownSchema { id: i32 },
    /// The registry's 40404.
    #[error("the subject {subject:?} is soft-deleted already; delete it with permanent=true to forget it")]
    SubjectSoftDeleted { subject: String },
    /// The registry's 40405.
    #[error("the subject {subject:?} is not soft-deleted; delete it first without permanent=true")]
    SubjectNotSoftDeleted { subject: String },
    /// The registry's 40406.
    #[error("version {version} of {subject:?} is soft-deleted already; delete it with permanent=true to forget it")]
    SchemaVersionSoftDeleted { subject: String, version: i32 },
    /// The registry's 40407.
    #[error("version {version} of {subject:?} is not soft-deleted; delete it first without permanent=true")]
    SchemaVersionNotSoftDeleted { subject: String, version: i32 },
    /// The registry's 40408.
    #[error("the subject {subject:?} has no compatibility level of its own")]
    NoSubjectCompatibility { subject: String },
    /// The registry's 42201.
    #[error("the schema for {subject:?} is invalid: {reason}")]
    InvalidSchema { subject: String, reason: String },
    /// The registry's 42203.
    #[error("invalid compatibility level {level:?}: expected one of {expected}")]
    InvalidCompatibility { level: String, expected: String },
    /// The registry's 42206.
    #[error("version {version} of {subject:?} is referenced by {by}; delete that first")]
    SchemaReferenced { subject: String, version: i32, by: String },
    /// The subject got a new version between the check and the registration.
    #[error(
        "the subject {subject:?} changed meanwhile: its latest version is {latest:?}; check compatibility again and repeat"
    )]
    SubjectChanged { subject: String, latest: Option<i32> },
    /// A newer version of Millstream wrote the record.
    #[error("a metadata record {tag:?} was written by a newer version of Millstream ({reason}); start that version")]
    NewerRecord { tag: String, reason: String },
    /// Bytes that are not a record.
    #[error("a metadata record can't be read: {reason}")]
    CorruptRecord { reason: String },
    /// Records that contradict what came before them.
    #[error("a metadata record contradicts those before it: {reason}")]
    Contradiction { reason: String },
}

impl Error {
    /// What sort of failure it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidTopicName { .. }
            | Self::TopicNameCollision { .. }
            | Self::InvalidPartitions { .. }
            | Self::InvalidReplicationFactor { .. }
            | Self::InvalidReplicaAssignment { .. }
            | Self::InvalidConfig(_)
            | Self::ConfigRefused { .. }
            | Self::InvalidRequest { .. }
            | Self::UnacceptableCredential { .. }
            | Self::UnknownScram { .. }
            | Self::CredentialTwice { .. }
            | Self::InvalidSchema { .. }
            | Self::InvalidCompatibility { .. } => ErrorKind::Invalid,
            Self::UnknownTopic { .. }
            | Self::UnknownTopicId { .. }
            | Self::UnknownPartition { .. }
            | Self::UnknownBroker { .. }
            | Self::UnknownCredential { .. }
            | Self::UnknownDeployment { .. }
            | Self::UnknownSubject { .. }
            | Self::UnknownSchemaVersion { .. }
            | Self::UnknownSchema { .. }
            | Self::SubjectSoftDeleted { .. }
            | Self::SubjectNotSoftDeleted { .. }
            | Self::SchemaVersionSoftDeleted { .. }
            | Self::SchemaVersionNotSoftDeleted { .. }
            | Self::NoSubjectCompatibility { .. } => ErrorKind::NotFound,
            Self::TopicExists { .. }
            | Self::DuplicateBroker { .. }
            | Self::DirectoryChanged { .. }
            | Self::DeploymentConflict { .. }
            | Self::SchemaReferenced { .. }
            | Self::SubjectChanged { .. } => ErrorKind::Conflict,
            Self::StaleBrokerEpoch { .. } => ErrorKind::Fenced,
            Self::QuotaExceeded { .. } => ErrorKind::Throttled,
            Self::IdsExhausted { .. } => ErrorKind::Exhausted,
            Self::NewerRecord { .. } | Self::CorruptRecord { .. } | Self::Contradiction { .. } => ErrorKind::Corrupt,
        }
    }
}
