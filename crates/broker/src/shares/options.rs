//! The options of a share group: set for it, or the broker's.

use crate::shares::registry::Registry;
use millstream_group::share::Limits;
use millstream_metadata::Image;
use millstream_partition::{Isolation, TimeQuery};
use millstream_types::{BROKER_CONFIGS, GROUP_CONFIGS, TimestampMs};
use std::sync::Arc;

/// By what a share group is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShareOptions {
    /// How records are given out.
    pub(crate) limits: Limits,
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
        ShareOptions { limits, isolation, begins, dead_letters }
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

/// `earliest`, `latest`, or `by_duration:` and a duration as ISO 8601 has it.
fn begins(text: &str) -> Begins {
    match text {
        "earliest" => Begins::Earliest,
        "latest" => Begins::Latest,
        other => match other.strip_prefix("by_duration:").and_then(duration_ms) {
            Some(ms) => Begins::Ago(ms),
            None => Begins::Latest,
        },
    }
}

/// The milliseconds of a duration as Java writes it: `P2DT3H4M5.5S`.
pub(crate) fn duration_ms(text: &str) -> Option<i64> {
    let rest = text.strip_prefix(['P', 'p'])?;
    let (days, time) = match rest.find(['T', 't']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    if days.is_empty() && time.is_none_or(str::is_empty) {
        return None;
    }
    let mut ms: i64 = 0;
    let units = [("D", 86_400_000), ("H", 3_600_000), ("M", 60_000), ("S", 1_000)];
    let mut next_unit = 0;
    for (part, allowed) in [(days, &units[..1]), (time.unwrap_or_default(), &units[1..])] {
        let mut part = part;
        next_unit = if allowed.len() > 1 { 0 } else { next_unit };
        while !part.is_empty() {
            let at = part.find(|c: char| c.is_ascii_alphabetic())?;
            let unit = allowed.iter().skip(next_unit).position(|(name, _)| part[at..=at].eq_ignore_ascii_case(name))?;
            next_unit += unit;
            let (name, factor) = allowed.get(next_unit)?;
            let amount = &part[..at];
            let added =
                if *name == "S" { seconds_ms(amount)? } else { amount.parse::<i64>().ok()?.checked_mul(*factor)? };
            ms = ms.checked_add(added)?;
            next_unit += 1;
            part = &part[at + 1..];
        }
    }
    Some(ms)
}

fn seconds_ms(amount: &str) -> Option<i64> {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
    let millis: i64 = millis.parse().ok()?;
    let whole: i64 = whole.parse::<i64>().ok()?.checked_mul(1_000)?;
    Some(if amount.starts_with('-') { whole.checked_sub(millis)? } else { whole.checked_add(millis)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_javas() {
        for (text, ms) in [
            ("PT1H", Some(3_600_000)),
            ("P2D", Some(172_800_000)),
            ("P1DT2H3M4.5S", Some(86_400_000 + 7_200_000 + 180_000 + 4_500)),
            ("PT0.001S", Some(1)),
            ("pt5m", Some(300_000)),
            ("P", None),
            ("PT", None),
            ("1H", None),
            ("PT1M1H", None),
            ("PT1X", None),
        ] {
            assert_eq!(duration_ms(text), ms, "{text}");
        }
    }

    #[test]
    fn a_group_begins_where_it_says() {
        assert_eq!(begins("earliest"), Begins::Earliest);
        assert_eq!(begins("latest"), Begins::Latest);
        assert_eq!(begins("by_duration:PT1M"), Begins::Ago(60_000));
    }
}
