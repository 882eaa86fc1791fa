//! Why a group refuses a request. The variants are Kafka's error codes; the broker turns each into its number.

use crate::GroupState;
use millstream_types::{ErrorKind, TimestampMs, TopicId};

/// What a group answers when it does not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// INVALID_PRODUCER_EPOCH: offsets of a transaction whose producer was fenced.
    #[error(
        "offsets of group {group:?} came from a producer that a newer instance has replaced: nothing was committed"
    )]
    ProducerFenced {
        /// The group.
        group: String,
    },
    /// INVALID_TXN_STATE: offsets of a transaction that is over, or does not have the group's partition.
    #[error("offsets of group {group:?} came in a transaction that is not open here: abort it and begin anew")]
    NotInTransaction {
        /// The group.
        group: String,
    },
    /// UNKNOWN_MEMBER_ID.
    #[error("group {group:?} has no member {member:?}: join again with an empty member id")]
    UnknownMemberId {
        /// The group.
        group: String,
        /// The member id, or the instance id where one was given and none is known.
        member: String,
    },
    /// ILLEGAL_GENERATION.
    #[error("generation {sent} of group {group:?} is not the current one ({current}): join again")]
    IllegalGeneration {
        /// The group.
        group: String,
        /// What the request said.
        sent: i32,
        /// The group's generation.
        current: i32,
    },
    /// REBALANCE_IN_PROGRESS.
    #[error("group {group:?} is rebalancing: join again")]
    RebalanceInProgress {
        /// The group.
        group: String,
    },
    /// MEMBER_ID_REQUIRED: the first join of a dynamic member is answered with the id it must join with.
    #[error("join group {group:?} again as member {member:?}")]
    MemberIdRequired {
        /// The group.
        group: String,
        /// The id given to the member.
        member: String,
    },
    /// FENCED_INSTANCE_ID.
    #[error(
        "instance {instance:?} of group {group:?} is now member {current:?}, not {sent:?}: another process uses the same group.instance.id"
    )]
    FencedInstanceId {
        /// The group.
        group: String,
        /// The static member's name.
        instance: String,
        /// The member id of the request.
        sent: String,
        /// The member id that holds the name now.
        current: String,
    },
    /// INCONSISTENT_GROUP_PROTOCOL.
    #[error(
        "group {group:?} can't use protocol type {protocol_type:?} with {protocols:?}: every member must support a common assignor"
    )]
    InconsistentGroupProtocol {
        /// The group.
        group: String,
        /// The protocol type of the request.
        protocol_type: String,
        /// The protocols of the request.
        protocols: Vec<String>,
    },
    /// INVALID_SESSION_TIMEOUT.
    #[error(
        "session timeout {sent_ms} ms is outside {min_ms}..={max_ms} ms (group.min.session.timeout.ms, group.max.session.timeout.ms)"
    )]
    InvalidSessionTimeout {
        /// What the request said.
        sent_ms: i32,
        /// group.min.session.timeout.ms.
        min_ms: i32,
        /// group.max.session.timeout.ms.
        max_ms: i32,
    },
    /// INVALID_GROUP_ID.
    #[error("an empty group id can't have members: give the group a name")]
    InvalidGroupId,
    /// GROUP_MAX_SIZE_REACHED.
    #[error("group {group:?} has its {max} members (group.max.size)")]
    GroupMaxSizeReached {
        /// The group.
        group: String,
        /// group.max.size.
        max: usize,
    },
    /// COORDINATOR_NOT_AVAILABLE: try again.
    #[error("group {group:?} can't be written now: try again")]
    CoordinatorNotAvailable {
        /// The group.
        group: String,
    },
    /// NOT_COORDINATOR: find the coordinator again.
    #[error("this node no longer coordinates group {group:?}: find its coordinator again")]
    NotCoordinator {
        /// The group.
        group: String,
    },
    /// UNKNOWN_SERVER_ERROR: what had to be stored is larger than a record of the offsets topic may be.
    #[error(
        "what group {group:?} would store is larger than a record of __consumer_offsets may be: give it fewer members or shorter metadata"
    )]
    RecordTooLarge {
        /// The group.
        group: String,
    },
    /// NON_EMPTY_GROUP.
    #[error("group {group:?} is {state}: stop its members first")]
    NonEmptyGroup {
        /// The group.
        group: String,
        /// Its state.
        state: GroupState,
    },
    /// GROUP_ID_NOT_FOUND.
    #[error("there is no group {group:?}")]
    GroupIdNotFound {
        /// The group.
        group: String,
    },
    /// GROUP_SUBSCRIBED_TO_TOPIC.
    #[error("group {group:?} is subscribed to topic {topic:?}: stop its members first")]
    GroupSubscribedToTopic {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
    },
    /// INVALID_REQUEST: a heartbeat of the new protocol that contradicts itself.
    #[error("a heartbeat of group {group:?} can't be understood: {why}")]
    InvalidRequest {
        /// The group.
        group: String,
        /// What is wrong.
        why: &'static str,
    },
    /// FENCED_MEMBER_EPOCH: the member must give up its partitions and join again.
    #[error("member epoch {sent} is not the member's current one ({current}): give up all partitions and join again")]
    FencedMemberEpoch {
        /// What the request said.
        sent: i32,
        /// The member's epoch.
        current: i32,
    },
    /// STALE_MEMBER_EPOCH: the member must learn its epoch by its next heartbeat.
    #[error("member epoch {sent} of group {group:?} is not the member's current one ({current}): try again with that")]
    StaleMemberEpoch {
        /// The group.
        group: String,
        /// What the request said.
        sent: i32,
        /// The member's epoch.
        current: i32,
    },
    /// UNRELEASED_INSTANCE_ID: another process still uses the name.
    #[error(
        "instance {instance:?} of group {group:?} is still used by another member: stop that first, or wait for the end of its session"
    )]
    UnreleasedInstanceId {
        /// The group.
        group: String,
        /// The static member's name.
        instance: String,
    },
    /// UNSUPPORTED_ASSIGNOR.
    #[error("group {group:?} can't use the server's assignor {assignor:?}: there are uniform and range")]
    UnsupportedAssignor {
        /// The group.
        group: String,
        /// What was asked for.
        assignor: String,
    },
    /// INVALID_REGULAR_EXPRESSION.
    #[error("the regular expression {regex:?} is not one in RE2's syntax, or is too large")]
    InvalidRegularExpression {
        /// What was sent.
        regex: String,
    },
    /// UNSUPPORTED_VERSION: members of the new protocol commit with a version that knows of their epochs.
    #[error(
        "members of group {group:?} that use the consumer protocol have to commit with OffsetCommit version 9 or later"
    )]
    UnsupportedVersion {
        /// The group.
        group: String,
    },
    /// GROUP_ID_NOT_FOUND: a group of one protocol was asked for with a request of the other.
    #[error("group {group:?} is not a {wanted} group")]
    OtherProtocol {
        /// The group.
        group: String,
        /// What was asked for.
        wanted: &'static str,
    },
    /// GROUP_ID_NOT_FOUND: a classic group can't become one of the new protocol.
    #[error("group {group:?} can't be moved to the consumer protocol: {why}")]
    NotMigratable {
        /// The group.
        group: String,
        /// Why.
        why: &'static str,
    },
    /// OFFSET_METADATA_TOO_LARGE.
    #[error("offset metadata of {bytes} bytes is over the {max} of offset.metadata.max.bytes")]
    OffsetMetadataTooLarge {
        /// Bytes sent.
        bytes: usize,
        /// offset.metadata.max.bytes.
        max: usize,
    },
    /// INVALID_REQUEST: an acknowledgement that contradicts itself, or is of records that nobody was given.
    #[error("the acknowledgement can't be understood: {why}")]
    InvalidAcknowledgement {
        /// What is wrong.
        why: String,
    },
    /// INVALID_RECORD_STATE.
    #[error("the acknowledgement came too late or from somebody else: {why}")]
    InvalidRecordState {
        /// What is wrong.
        why: String,
    },
    /// FENCED_STATE_EPOCH: the state of a share partition was initialized anew since.
    #[error("state epoch {sent} of a share partition is behind the current one ({current}): read its state again")]
    FencedStateEpoch {
        /// What the request said.
        sent: i32,
        /// The state's epoch.
        current: i32,
    },
    /// FENCED_LEADER_EPOCH: the share partition has another leader since.
    #[error("leader epoch {sent} of a share partition is behind the current one ({current}): another broker leads it")]
    FencedShareLeader {
        /// What the request said.
        sent: i32,
        /// The newest leader's epoch.
        current: i32,
    },
    /// INVALID_REQUEST: a share partition whose state was never initialized.
    #[error("the state of partition {partition} of topic {topic} in share group {group:?} was not initialized")]
    NoShareState {
        /// The group.
        group: String,
        /// The topic.
        topic: TopicId,
        /// The partition.
        partition: i32,
    },
    /// UNKNOWN_TOPIC_OR_PARTITION: a partition that is not there, or has no share offset.
    #[error("{what} of topic {topic:?} in share group {group:?} can't be found")]
    UnknownShareOffset {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
        /// What is not there.
        what: &'static str,
    },
    /// A record of the offsets topic that can't be read.
    #[error("a record of __consumer_offsets is damaged at {field} (stored at {timestamp} ms): {why}")]
    CorruptRecord {
        /// The field that could not be read.
        field: &'static str,
        /// The record's timestamp.
        timestamp: TimestampMs,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Error {
    /// What sort of failure this is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownMemberId { .. }
            | Self::GroupIdNotFound { .. }
            | Self::OtherProtocol { .. }
            | Self::UnknownShareOffset { .. } => ErrorKind::NotFound,
            Self::IllegalGeneration { .. }
            | Self::FencedInstanceId { .. }
            | Self::FencedMemberEpoch { .. }
            | Self::StaleMemberEpoch { .. }
            | Self::FencedStateEpoch { .. }
            | Self::FencedShareLeader { .. } => ErrorKind::Fenced,
            Self::RebalanceInProgress { .. }
            | Self::UnreleasedInstanceId { .. }
            | Self::NotMigratable { .. }
            | Self::MemberIdRequired { .. }
            | Self::NonEmptyGroup { .. }
            | Self::GroupSubscribedToTopic { .. }
            | Self::InvalidRecordState { .. } => ErrorKind::Conflict,
            Self::InconsistentGroupProtocol { .. }
            | Self::InvalidSessionTimeout { .. }
            | Self::InvalidGroupId
            | Self::InvalidRequest { .. }
            | Self::UnsupportedAssignor { .. }
            | Self::InvalidRegularExpression { .. }
            | Self::UnsupportedVersion { .. }
            | Self::InvalidAcknowledgement { .. }
            | Self::NoShareState { .. }
            | Self::OffsetMetadataTooLarge { .. } => ErrorKind::Invalid,
            Self::GroupMaxSizeReached { .. } | Self::RecordTooLarge { .. } => ErrorKind::Exhausted,
            Self::ProducerFenced { .. } => ErrorKind::Fenced,
            Self::NotInTransaction { .. } => ErrorKind::Conflict,
            Self::CoordinatorNotAvailable { .. } => ErrorKind::Unavailable,
            Self::NotCoordinator { .. } => ErrorKind::NotLeader,
            Self::CorruptRecord { .. } => ErrorKind::Corrupt,
        }
    }
}
