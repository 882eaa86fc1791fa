//! The options of a share group: set for it, or the broker's.

use crate::shares::registry::Registry;
use millstream_group::share::Limits;
use millstream_metadata::Image;
use millstream_partition::{Isolation, TimeQuery};
use millstream_types::{BROKER_CONFIGS, GROUP_CONFIGS, OffsetReset, TimestampMs};
use std::sync::Arc;

/// By what a share group is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShareOptions {
    /// How records are given out.
    pub(crate) limits: Limits,
    /// `share.renew.acknowledge.enable`: whether members may have locks for longer (KIP-1222).
    pub(crate) renews: bool,
    /// `share.isolation.level`.
    pub(crate) isolation: Isolation,
    /// `share.auto.offset.reset`.
    pub(crate) begins: Begins,
    /// `errors.deadletterqueue.topic.name`; none where records that are given up go nowhere.
    pub(crate) dead_letters: Option<DeadLetters>,
}

/// Where records that are given up go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadLetters {
    /// `errors.deadletterqueue.topic.name`.
    pub(crate) topic: Arc<str>,
    /// `errors.deadletterqueue.copy.record.enable`: whether key, value and headers go along.
    pub(crate) copies: bool,
}

/// Where a group begins to read a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begins {
    /// At the first record.
    Earliest,
    /// At what comes next.
    Latest,
    /// At records of so many milliseconds ago.
    Ago(i64),
}

impl Begins {
    /// What its offset is looked for by, at `now`.
    pub(crate) const fn query(self, now: TimestampMs) -> TimeQuery {
        match self {
            Self::Earliest => TimeQuery::Earliest,
            Self::Latest => TimeQuery::Latest(Isolation::ReadUncommitted),
            Self::Ago(ms) => TimeQuery::At(TimestampMs(now.0.saturating_sub(ms))),
        }
    }
}

impl Registry {
    /// The options of `group`.
    pub(crate) fn options(&self, group: &str) -> ShareOptions {
        let image = self.quorum.image();
        let options = Options { registry: self, image: &image, group };
        let topic = options.text("errors.deadletterqueue.topic.name", None);
        let copies = || options.number("errors.deadletterqueue.copy.record.enable", None).unwrap_or(false);
        let dead_letters =
            topic.filter(|topic| !topic.is_empty()).map(|topic| DeadLetters { topic: topic.into(), copies: copies() });
        let defaults = Limits::default();
        let limits = Limits {
            in_flight_max: options
                .number("share.partition.max.record.locks", Some("group.share.partition.max.record.locks"))
                .unwrap_or(defaults.in_flight_max),
            deliveries_max: options
                .number("share.delivery.count.limit", Some("group.share.delivery.count.limit"))
                .unwrap_or(defaults.deliveries_max),
            lock_ms: options
                .number("share.record.lock.duration.ms", Some("group.share.record.lock.duration.ms"))
                .unwrap_or(defaults.lock_ms),
            buries: dead_letters.is_some(),
        };
        let isolation = match options.text("share.isolation.level", None) {
            Some("read_committed") => Isolation::ReadCommitted,
            _ => Isolation::ReadUncommitted,
        };
        let begins = options.text("share.auto.offset.reset", None).map_or(Begins::Latest, begins);
        let renews = options.number("share.renew.acknowledge.enable", None).unwrap_or(true);
        ShareOptions { limits, renews, isolation, begins, dead_letters }
    }

    /// `errors.deadletterqueue.auto.create.topics.enable`.
    pub(super) fn makes_letters_topics(&self) -> bool {
        let image = self.quorum.image();
        let options = Options { registry: self, image: &image, group: "" };
        options.number("", Some("errors.deadletterqueue.auto.create.topics.enable")).unwrap_or(false)
    }

    /// What names of topics for dead letters begin with (`errors.deadletterqueue.topic.name.prefix`).
    pub(super) fn letters_prefix(&self) -> String {
        let image = self.quorum.image();
        let options = Options { registry: self, image: &image, group: "" };
        options.text("", Some("errors.deadletterqueue.topic.name.prefix")).unwrap_or_default().to_owned()
    }
}

struct Options<'a> {
    registry: &'a Registry,
    image: &'a Image,
    group: &'a str,
}

impl<'a> Options<'a> {
    /// The group's own, else that of the broker's option `of_broker`, else the default.
    fn text(&self, name: &str, of_broker: Option<&str>) -> Option<&'a str> {
        let Registry { node, given, .. } = self.registry;
        let own = || self.image.group_config(self.group)?.get(name).map(String::as_str);
        let broker = || {
            let of_broker = of_broker?;
            let given = || given.get(of_broker).map(String::as_str);
            let default = || BROKER_CONFIGS.iter().find(|known| known.name == of_broker).map(|known| known.default);
            self.image.broker_option(*node, of_broker).or_else(given).or_else(default)
        };
        let default = || GROUP_CONFIGS.iter().find(|known| known.name == name).map(|known| known.default);
        own().or_else(broker).or_else(default).map(str::trim)
    }

    /// The same, read; what can't be was refused when it was set.
    fn number<T: std::str::FromStr>(&self, name: &str, of_broker: Option<&str>) -> Option<T> {
        self.text(name, of_broker)?.parse().ok()
    }
}

/// What the text says; what says nothing was refused when it was set.
fn begins(text: &str) -> Begins {
    match text.parse() {
        Ok(OffsetReset::Earliest) => Begins::Earliest,
        Ok(OffsetReset::ByDuration(ms)) => Begins::Ago(ms),
        Ok(OffsetReset::Latest) | Err(_) => Begins::Latest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_begins_where_it_says() {
        assert_eq!(begins("earliest"), Begins::Earliest);
        assert_eq!(begins("latest"), Begins::Latest);
        assert_eq!(begins("by_duration:PT1M"), Begins::Ago(60_000));
    }
}
