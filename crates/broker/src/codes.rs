//! Which Kafka code each error becomes: the one place that says so, matched without `_`, so that a new error must choose.

use millstream_protocol::{ResponseError, StrBytes};
use millstream_types::ErrorKind;

/// A Kafka code and the words that go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: ResponseError,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: ResponseError, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The message as a response carries it.
    pub(crate) fn text(self) -> Option<StrBytes> {
        Some(StrBytes::from_string(self.message))
    }
}

impl From<millstream_record::Error> for Failure {
    fn from(error: millstream_record::Error) -> Self {
        use millstream_record::Reason;
        let code = match error.reason() {
            // Kafka has no code of its own for it.
            _ if matches!(error, millstream_record::Error::UnknownCodec { .. }) => ResponseError::UnknownServerError,
            Reason::CorruptMessage => ResponseError::CorruptMessage,
            Reason::InvalidRecord => ResponseError::InvalidRecord,
            Reason::MessageTooLarge => ResponseError::MessageTooLarge,
            Reason::InvalidTimestamp => ResponseError::InvalidTimestamp,
        };
        Self::new(code, error.to_string())
    }
}

impl From<millstream_metadata::Error> for Failure {
    fn from(error: millstream_metadata::Error) -> Self {
        use millstream_metadata::Error as E;
        let code = match &error {
            E::InvalidTopicName { .. } | E::TopicNameCollision { .. } => ResponseError::InvalidTopicException,
            E::TopicExists { .. } => ResponseError::TopicAlreadyExists,
            E::UnknownTopic { .. } | E::UnknownPartition { .. } => ResponseError::UnknownTopicOrPartition,
            E::UnknownTopicId { .. } => ResponseError::UnknownTopicId,
            E::InvalidPartitions { .. } => ResponseError::InvalidPartitions,
            E::InvalidReplicationFactor { .. } => ResponseError::InvalidReplicationFactor,
            E::InvalidReplicaAssignment { .. } => ResponseError::InvalidReplicaAssignment,
            E::InvalidConfig(_) | E::ConfigRefused { .. } => ResponseError::InvalidConfig,
            E::InvalidRequest { .. } => ResponseError::InvalidRequest,
            E::UnacceptableCredential { .. } => ResponseError::UnacceptableCredential,
            E::UnknownScram { .. } => ResponseError::UnsupportedSaslMechanism,
            E::UnknownCredential { .. } => ResponseError::ResourceNotFound,
            E::CredentialTwice { .. } => ResponseError::DuplicateResource,
            E::QuotaExceeded { .. } => ResponseError::ThrottlingQuotaExceeded,
            E::UnknownBroker { .. } => ResponseError::BrokerIdNotRegistered,
            E::StaleBrokerEpoch { .. } => ResponseError::StaleBrokerEpoch,
            E::DuplicateBroker { .. } => ResponseError::DuplicateBrokerRegistration,
            E::DirectoryChanged { .. } => ResponseError::InvalidRegistration,
            // What Kafka's protocol has no word for: deployments and schemas have their own edges.
            E::IdsExhausted { .. }
            | E::DeploymentConflict { .. }
            | E::UnknownDeployment { .. }
            | E::UnknownSubject { .. }
            | E::UnknownSchemaVersion { .. }
            | E::UnknownSchema { .. }
            | E::SubjectSoftDeleted { .. }
            | E::SubjectNotSoftDeleted { .. }
            | E::SchemaVersionSoftDeleted { .. }
            | E::SchemaVersionNotSoftDeleted { .. }
            | E::NoSubjectCompatibility { .. }
            | E::InvalidSchema { .. }
            | E::InvalidCompatibility { .. }
            | E::SchemaReferenced { .. }
            | E::SubjectChanged { .. }
            | E::NewerRecord { .. }
            | E::CorruptRecord { .. }
            | E::Contradiction { .. } => ResponseError::UnknownServerError,
        };
        Self::new(code, error.to_string())
    }
}

impl From<millstream_partition::Error> for Failure {
    fn from(error: millstream_partition::Error) -> Self {
        use millstream_partition::Error as E;
        let code = match &error {
            E::NotHere { .. } | E::NotOpen { .. } | E::Closed { .. } => ResponseError::NotLeaderOrFollower,
            E::Replica { source, .. } => replica(source),
            E::Producer { source, .. } => producer(source),
            E::Storage { source, .. } => storage(source),
            E::Cold { source, .. } => cold(source.kind),
            E::Timeout { .. } => ResponseError::RequestTimedOut,
            E::Busy { .. } => ResponseError::ThrottlingQuotaExceeded,
            E::OnlyCompacted { .. } => ResponseError::PolicyViolation,
            E::Checkpoint { .. }
            | E::Io { .. }
            | E::FolderOffline { .. }
            | E::FolderGone { .. }
            | E::TwoFolders { .. }
            | E::FolderEmpty { .. }
            | E::FolderReplaced { .. }
            | E::WrongFolder { .. }
            | E::FolderInUse { .. }
            | E::SameFolder { .. }
            | E::FolderIdentity { .. }
            | E::FolderList { .. } => ResponseError::KafkaStorageError,
        };
        Self::new(code, error.to_string())
    }
}

const fn replica(error: &millstream_replica::Error) -> ResponseError {
    use millstream_replica::Error as E;
    match error {
        E::NotLeader { .. } | E::NotAReplica { .. } => ResponseError::NotLeaderOrFollower,
        E::FencedEpoch { .. } | E::StaleAssignment { .. } => ResponseError::FencedLeaderEpoch,
        E::UnknownEpoch { .. } => ResponseError::UnknownLeaderEpoch,
        E::NotEnoughReplicas { .. } => ResponseError::NotEnoughReplicas,
        E::NotEnoughReplicasAfterAppend { .. } => ResponseError::NotEnoughReplicasAfterAppend,
        E::OffsetOutOfRange { .. } => ResponseError::OffsetOutOfRange,
    }
}

const fn storage(error: &millstream_storage::Error) -> ResponseError {
    use millstream_storage::Error as E;
    match error {
        E::OutOfRange { .. } => ResponseError::OffsetOutOfRange,
        E::BatchTooLarge { .. } => ResponseError::RecordListTooLarge,
        E::NotLocal { .. } => ResponseError::OffsetMovedToTieredStorage,
        E::Deleted { .. } => ResponseError::NotLeaderOrFollower,
        E::Io { .. }
        | E::Corrupt { .. }
        | E::Format { .. }
        | E::OutOfOrder { .. }
        | E::WrongTopic { .. }
        | E::Failed { .. } => ResponseError::KafkaStorageError,
    }
}

/// A store that is away must look retriable to the reader of cold data: Kafka's word for that is OFFSET_NOT_AVAILABLE.
const fn cold(kind: ErrorKind) -> ResponseError {
    match kind {
        ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Throttled | ErrorKind::Exhausted => {
            ResponseError::OffsetNotAvailable
        }
        ErrorKind::NotFound | ErrorKind::Invalid => ResponseError::OffsetOutOfRange,
        ErrorKind::NotLeader => ResponseError::NotLeaderOrFollower,
        ErrorKind::Unauthorized
        | ErrorKind::Conflict
        | ErrorKind::Fenced
        | ErrorKind::Corrupt
        | ErrorKind::Guest
        | ErrorKind::Internal => ResponseError::KafkaStorageError,
    }
}

/// The code of what is wrong with a producer or its transaction.
pub(crate) const fn producer(error: &millstream_txn::Error) -> ResponseError {
    use millstream_txn::Error as E;
    match error {
        E::OutOfOrderSequence { .. } => ResponseError::OutOfOrderSequenceNumber,
        E::InvalidProducerEpoch { .. } => ResponseError::InvalidProducerEpoch,
        E::NotTransactional { .. } | E::NotInTransaction { .. } | E::InvalidTxnState { .. } => {
            ResponseError::InvalidTxnState
        }
        E::NotAdded { .. } => ResponseError::TransactionAbortable,
        E::CoordinatorFenced { .. } => ResponseError::TransactionCoordinatorFenced,
        E::EmptyTransactionalId => ResponseError::InvalidRequest,
        E::InvalidTransactionTimeout { .. } => ResponseError::InvalidTransactionTimeout,
        E::TransactionalIdNotFound { .. } => ResponseError::TransactionalIdNotFound,
        E::InvalidProducerIdMapping { .. } => ResponseError::InvalidProducerIdMapping,
        E::ProducerFenced { .. } => ResponseError::ProducerFenced,
        E::ConcurrentTransactions { .. } => ResponseError::ConcurrentTransactions,
        E::IdsUsedUp | E::CoordinatorNotAvailable { .. } => ResponseError::CoordinatorNotAvailable,
        E::NotCoordinator { .. } => ResponseError::NotCoordinator,
        E::RecordTooLarge { .. } | E::CorruptRecord { .. } => ResponseError::UnknownServerError,
    }
}

impl From<millstream_group::Error> for Failure {
    fn from(error: millstream_group::Error) -> Self {
        Self::new(group(&error), error.to_string())
    }
}

/// The code of a group's refusal.
pub(crate) const fn group(error: &millstream_group::Error) -> ResponseError {
    use millstream_group::Error as E;
    match error {
        E::ProducerFenced { .. } => ResponseError::InvalidProducerEpoch,
        E::NotInTransaction { .. } => ResponseError::InvalidTxnState,
        E::UnknownMemberId { .. } => ResponseError::UnknownMemberId,
        E::IllegalGeneration { .. } => ResponseError::IllegalGeneration,
        E::RebalanceInProgress { .. } => ResponseError::RebalanceInProgress,
        E::MemberIdRequired { .. } => ResponseError::MemberIdRequired,
        E::FencedInstanceId { .. } => ResponseError::FencedInstanceId,
        E::InconsistentGroupProtocol { .. } => ResponseError::InconsistentGroupProtocol,
        E::InvalidSessionTimeout { .. } => ResponseError::InvalidSessionTimeout,
        E::InvalidGroupId => ResponseError::InvalidGroupId,
        E::GroupMaxSizeReached { .. } => ResponseError::GroupMaxSizeReached,
        E::CoordinatorNotAvailable { .. } => ResponseError::CoordinatorNotAvailable,
        E::NotCoordinator { .. } => ResponseError::NotCoordinator,
        E::RecordTooLarge { .. } | E::CorruptRecord { .. } => ResponseError::UnknownServerError,
        E::NonEmptyGroup { .. } => ResponseError::NonEmptyGroup,
        E::GroupIdNotFound { .. } | E::OtherProtocol { .. } | E::NotMigratable { .. } => ResponseError::GroupIdNotFound,
        E::InvalidRequest { .. } | E::InvalidAcknowledgement { .. } | E::NoShareState { .. } => {
            ResponseError::InvalidRequest
        }
        E::InvalidRecordState { .. } => ResponseError::InvalidRecordState,
        E::FencedStateEpoch { .. } => ResponseError::FencedStateEpoch,
        E::FencedShareLeader { .. } => ResponseError::FencedLeaderEpoch,
        E::FencedMemberEpoch { .. } => ResponseError::FencedMemberEpoch,
        E::StaleMemberEpoch { .. } => ResponseError::StaleMemberEpoch,
        E::UnreleasedInstanceId { .. } => ResponseError::UnreleasedInstanceId,
        E::UnsupportedAssignor { .. } => ResponseError::UnsupportedAssignor,
        E::InvalidRegularExpression { .. } => ResponseError::InvalidRegularExpression,
        E::UnsupportedVersion { .. } => ResponseError::UnsupportedVersion,
        E::GroupSubscribedToTopic { .. } => ResponseError::GroupSubscribedToTopic,
        E::OffsetMetadataTooLarge { .. } => ResponseError::OffsetMetadataTooLarge,
        E::UnknownShareOffset { .. } => ResponseError::UnknownTopicOrPartition,
    }
}

impl From<millstream_coordinator::Error> for Failure {
    fn from(error: millstream_coordinator::Error) -> Self {
        use millstream_coordinator::Error as E;
        let code = match &error {
            E::Group(error) => group(error),
            E::Transaction(error) => producer(error),
            E::NotCoordinator { .. } | E::NotTxnCoordinator { .. } | E::NotShareCoordinator { .. } => {
                ResponseError::NotCoordinator
            }
            E::LoadInProgress { .. } | E::TxnLoadInProgress { .. } | E::ShareLoadInProgress { .. } => {
                ResponseError::CoordinatorLoadInProgress
            }
            E::NoOffsetsTopic { .. }
            | E::NoTransactionsTopic { .. }
            | E::NoShareTopic { .. }
            | E::Busy { .. }
            | E::Controller(_) => ResponseError::CoordinatorNotAvailable,
            E::WrongReply { .. } => ResponseError::UnknownServerError,
        };
        Self::new(code, error.to_string())
    }
}

/// The record of a batch that a refusal blames.
pub(crate) const fn record_index(error: &millstream_record::Error) -> Option<usize> {
    use millstream_record::Error as E;
    match error {
        E::Record { index, .. } | E::KeyMissing { index } | E::Timestamp { index, .. } => Some(*index),
        E::Truncated { .. }
        | E::Length { .. }
        | E::Magic { .. }
        | E::Crc { .. }
        | E::UnknownCodec { .. }
        | E::TooLarge { .. }
        | E::Counts { .. }
        | E::TooManyRecords { .. }
        | E::BatchCount { .. }
        | E::BaseOffset { .. }
        | E::Control
        | E::Sequence { .. }
        | E::Trailing { .. }
        | E::Inflate { .. }
        | E::Bomb { .. } => None,
    }
}

impl From<millstream_quorum::Error> for Failure {
    fn from(error: millstream_quorum::Error) -> Self {
        use millstream_quorum::Error as E;
        let code = match error {
            E::Refused(refused) => return refused.into(),
            E::NotLeader { .. } => ResponseError::NotController,
            // Whether it was decided is unknown, or will be decided when it is asked for again.
            E::NoLeader { .. } | E::Unknown | E::Superseded => ResponseError::RequestTimedOut,
            E::Stopped { .. } => ResponseError::BrokerNotAvailable,
            E::Disk { .. } => ResponseError::KafkaStorageError,
            E::Corrupt { .. }
            | E::NewerFormat { .. }
            | E::WrongFolder { .. }
            | E::FolderInUse { .. }
            | E::NoClusterId { .. } => ResponseError::UnknownServerError,
        };
        Self::new(code, error.to_string())
    }
}
