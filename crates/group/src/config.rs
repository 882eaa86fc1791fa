//! The settings a group decides by, under Kafka's names.

use crate::cluster::GroupTimes;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Limits and times of every group of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members.
    pub initial_rebalance_delay_ms: u64,
    /// `group.min.session.timeout.ms`.
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`.
    pub session_timeout_ms_max: i32,
    /// `group.max.size`.
    pub members_max: usize,
    /// `offset.metadata.max.bytes`.
    pub offset_metadata_bytes_max: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval_ms: u64,
    /// Of groups of the new protocol.
    pub consumer: ConsumerConfig,
    /// Of share groups.
    pub share: ShareConfig,
}

/// Limits and times of groups of the new protocol (`group.consumer.*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerConfig {
    /// `group.consumer.session.timeout.ms`: how long a member may be silent.
    pub session_timeout_ms: i32,
    /// `group.consumer.min.session.timeout.ms` and `max`: what a group of its own may ask for.
    pub session_timeout_ms_range: RangeInclusive<i32>,
    /// `group.consumer.heartbeat.interval.ms`: how often a member is to send heartbeats.
    pub heartbeat_interval_ms: i32,
    /// `group.consumer.min.heartbeat.interval.ms` and `max`.
    pub heartbeat_interval_ms_range: RangeInclusive<i32>,
    /// `group.consumer.max.size`.
    pub members_max: usize,
    /// `group.consumer.migration.policy`.
    pub migration: Migration,
    /// `group.consumer.regex.refresh.interval.ms`: how often patterns are matched anew at least.
    pub regex_refresh_interval_ms: i64,
}

/// Whether groups change their protocol while they have members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migration {
    /// Both ways.
    Bidirectional,
    /// To the new protocol only.
    Upgrade,
    /// To the classic protocol only.
    Downgrade,
    /// Never.
    Disabled,
}

impl Migration {
    /// Every policy.
    pub const ALL: [Self; 4] = [Self::Bidirectional, Self::Upgrade, Self::Downgrade, Self::Disabled];

    /// Kafka's name of it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bidirectional => "bidirectional",
            Self::Upgrade => "upgrade",
            Self::Downgrade => "downgrade",
            Self::Disabled => "disabled",
        }
    }

    pub(crate) const fn upgrades(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Upgrade)
    }

    pub(crate) const fn downgrades(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Downgrade)
    }
}

/// A name that is no policy's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no migration policy: there are bidirectional, upgrade, downgrade and disabled")]
pub struct NoPolicy(pub String);

impl FromStr for Migration {
    type Err = NoPolicy;

    fn from_str(name: &str) -> Result<Self, NoPolicy> {
        let found = Self::ALL.into_iter().find(|policy| policy.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| NoPolicy(name.to_owned()))
    }
}

impl ConsumerConfig {
    /// How long a member may be silent, in a group with `times` of its own: these are kept within what the broker allows.
    pub(crate) fn session_ms(&self, times: GroupTimes) -> i32 {
        within(times.session_timeout_ms.unwrap_or(self.session_timeout_ms), &self.session_timeout_ms_range)
    }

    /// How often a member is to send heartbeats.
    pub(crate) fn heartbeat_ms(&self, times: GroupTimes) -> i32 {
        within(times.heartbeat_interval_ms.unwrap_or(self.heartbeat_interval_ms), &self.heartbeat_interval_ms_range)
    }
}

/// Limits and times of share groups (`group.share.*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareConfig {
    /// `group.share.session.timeout.ms`: how long a member may be silent.
    pub session_timeout_ms: i32,
    /// `group.share.min.session.timeout.ms` and `max`: what a group of its own may ask for.
    pub session_timeout_ms_range: RangeInclusive<i32>,
    /// `group.share.heartbeat.interval.ms`: how often a member is to send heartbeats.
    pub heartbeat_interval_ms: i32,
    /// `group.share.min.heartbeat.interval.ms` and `max`.
    pub heartbeat_interval_ms_range: RangeInclusive<i32>,
    /// `group.share.max.size`.
    pub members_max: usize,
}

impl ShareConfig {
    /// How long a member may be silent, in a group with `times` of its own: these are kept within what the broker allows.
    pub(crate) fn session_ms(&self, times: GroupTimes) -> i32 {
        within(times.share_session_timeout_ms.unwrap_or(self.session_timeout_ms), &self.session_timeout_ms_range)
    }

    /// How often a member is to send heartbeats.
    pub(crate) fn heartbeat_ms(&self, times: GroupTimes) -> i32 {
        let ms = times.share_heartbeat_interval_ms.unwrap_or(self.heartbeat_interval_ms);
        within(ms, &self.heartbeat_interval_ms_range)
    }
}

impl Default for ShareConfig {
    fn default() -> Self {
        Self {
            session_timeout_ms: 45_000,
            session_timeout_ms_range: 45_000..=60_000,
            heartbeat_interval_ms: 5_000,
            heartbeat_interval_ms_range: 5_000..=15_000,
            members_max: 200,
        }
    }
}

fn within(ms: i32, range: &RangeInclusive<i32>) -> i32 {
    ms.max(*range.start()).min(*range.end())
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            session_timeout_ms: 45_000,
            session_timeout_ms_range: 45_000..=60_000,
            heartbeat_interval_ms: 5_000,
            heartbeat_interval_ms_range: 5_000..=15_000,
            members_max: i32::MAX as usize,
            migration: Migration::Bidirectional,
            regex_refresh_interval_ms: 600_000,
        }
    }
}

/// How long a member that just joined may wait for its first generation: it has no id to send heartbeats with yet.
pub(crate) const NEW_MEMBER_JOIN_TIMEOUT_MS: u64 = 300_000;

/// Requests that may wait for a group's records to be written: more are told to come again.
pub(crate) const PARKED_MAX: usize = 20_000;

/// The longest member, client and instance names that are stored: Kafka's strings have 16 bit lengths.
pub(crate) const NAME_BYTES_MAX: usize = i16::MAX as usize;

impl Default for Config {
    fn default() -> Self {
        Self {
            initial_rebalance_delay_ms: 3_000,
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 1_800_000,
            members_max: i32::MAX as usize,
            offset_metadata_bytes_max: 4_096,
            offsets_retention_ms: 10_080 * 60_000,
            offsets_retention_check_interval_ms: 600_000,
            consumer: ConsumerConfig::default(),
            share: ShareConfig::default(),
        }
    }
}
