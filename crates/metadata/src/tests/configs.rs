//! Options are changed by Kafka's rules.

use super::{commit, create, one_broker};
use crate::configs::Operation::{Append, Delete, Set, Subtract};
use crate::configs::{Alter, Operation, Resource, broker_definition, incremental_alter, replace};
use crate::topics::{self, TopicRef};
use crate::{Error, Image};
use millstream_types::BrokerId;
use std::collections::BTreeMap;

fn with_topic() -> Image {
    let mut image = one_broker();
    let made = topics::create(&image, &create("t", 1));
    commit(&mut image, made);
    image
}

fn topic() -> Resource {
    Resource::Topic(TopicRef::Name("t".into()))
}

fn change(name: &str, operation: Operation) -> Alter {
    Alter { name: name.into(), operation }
}

fn overrides(image: &Image) -> BTreeMap<String, String> {
    image.topic_named("t").unwrap().overrides.clone()
}

fn alter(image: &mut Image, resource: &Resource, changes: &[Alter]) {
    let altered = incremental_alter(image, resource, changes, false);
    commit(image, altered);
}

#[test]
fn options_are_set_and_unset() {
    let mut image = with_topic();
    alter(
        &mut image,
        &topic(),
        &[change("retention.ms", Set("10".into())), change("segment.bytes", Set("4096".into()))],
    );
    assert_eq!(image.topic_named("t").unwrap().config.retention_ms, 10);
    alter(&mut image, &topic(), &[change("retention.ms", Delete)]);
    assert_eq!(overrides(&image), [("segment.bytes".to_owned(), "4096".to_owned())].into());
    assert_eq!(image.topic_named("t").unwrap().config.retention_ms, 604_800_000);
}

#[test]
fn lists_are_added_to_and_taken_from() {
    let mut image = with_topic();
    let table = [
        (Append("compact".into()), "delete,compact"),
        (Append("compact".into()), "delete,compact"),
        (Subtract("delete".into()), "compact"),
        (Subtract("delete".into()), "compact"),
    ];
    for (operation, expected) in table {
        alter(&mut image, &topic(), &[change("cleanup.policy", operation)]);
        assert_eq!(overrides(&image)["cleanup.policy"], expected);
    }
}

#[test]
fn wrong_changes_are_refused_and_change_nothing() {
    let image = with_topic();
    let refused = |changes: &[Alter]| incremental_alter(&image, &topic(), changes, false).unwrap_err();
    assert!(matches!(refused(&[change("no.such", Set("1".into()))]), Error::InvalidConfig(_)));
    assert!(matches!(refused(&[change("retention.ms", Set("x".into()))]), Error::InvalidConfig(_)));
    assert!(matches!(refused(&[change("retention.ms", Append("1".into()))]), Error::ConfigRefused { .. }));
    assert!(matches!(refused(&[change("cleanup.policy", Append("shred".into()))]), Error::InvalidConfig(_)));
    let twice = [change("retention.ms", Set("1".into())), change("retention.ms", Delete)];
    assert!(matches!(refused(&twice), Error::InvalidRequest { .. }));
    let nowhere = Resource::Topic(TopicRef::Name("nowhere".into()));
    assert!(matches!(incremental_alter(&image, &nowhere, &[], false), Err(Error::UnknownTopic { .. })));
    let nobody = Resource::Broker(Some(BrokerId(9)));
    assert!(matches!(incremental_alter(&image, &nobody, &[], false), Err(Error::UnknownBroker { .. })));
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let image = with_topic();
    let set = |pairs: &[(&str, &str)]| {
        let changes: Vec<Alter> = pairs.iter().map(|(name, value)| change(name, Set((*value).into()))).collect();
        incremental_alter(&image, &topic(), &changes, false)
    };
    let (tiered, read_only) = (("remote.storage.enable", "true"), ("remote.log.copy.disable", "true"));
    for wrong in [
        &[tiered, ("cleanup.policy", "compact")][..],
        &[tiered, ("retention.ms", "100"), ("local.retention.ms", "101")],
        &[tiered, ("retention.ms", "100"), ("local.retention.ms", "-1")],
        &[tiered, ("retention.bytes", "100"), ("local.retention.bytes", "101")],
        &[("min.compaction.lag.ms", "2"), ("max.compaction.lag.ms", "1")],
        &[tiered, read_only, ("retention.ms", "100"), ("local.retention.ms", "99")],
        &[tiered, read_only, ("local.retention.bytes", "99")],
    ] {
        assert!(matches!(set(wrong), Err(Error::ConfigRefused { .. })), "{wrong:?}");
    }
    for right in [
        &[tiered][..],
        &[tiered, ("retention.ms", "100"), ("local.retention.ms", "100")],
        &[tiered, ("retention.ms", "-1"), ("local.retention.ms", "5")],
        &[("retention.ms", "100"), ("local.retention.ms", "101")],
        &[tiered, read_only, ("retention.ms", "100"), ("local.retention.ms", "100")],
        &[read_only, ("local.retention.ms", "99")],
    ] {
        assert!(set(right).is_ok(), "{right:?}");
    }
}

#[test]
fn remote_storage_is_turned_off_by_who_says_that_what_is_there_is_deleted() {
    let mut image = with_topic();
    let off = || change("remote.storage.enable", Set("false".into()));
    let says = || change("remote.log.delete.on.disable", Set("true".into()));
    alter(&mut image, &topic(), &[off()]);
    alter(&mut image, &topic(), &[change("remote.storage.enable", Set("true".into()))]);
    for wrong in [off(), change("remote.storage.enable", Delete)] {
        let refused = incremental_alter(&image, &topic(), &[wrong], false);
        assert!(matches!(refused, Err(Error::ConfigRefused { .. })));
    }
    assert!(matches!(replace(&image, &topic(), &BTreeMap::new(), false), Err(Error::ConfigRefused { .. })));
    alter(&mut image, &topic(), &[off(), says()]);
    assert!(!image.topic_named("t").unwrap().config.remote_storage_enable);
}

#[test]
fn replacing_unsets_what_is_not_named() {
    let mut image = with_topic();
    alter(
        &mut image,
        &topic(),
        &[change("retention.ms", Set("10".into())), change("segment.bytes", Set("4096".into()))],
    );
    let replaced = replace(&image, &topic(), &[("segment.ms".to_owned(), "7".to_owned())].into(), false);
    commit(&mut image, replaced);
    assert_eq!(overrides(&image), [("segment.ms".to_owned(), "7".to_owned())].into());
    assert!(replace(&image, &topic(), &[("segment.ms".to_owned(), "0".to_owned())].into(), false).is_err());
}

#[test]
fn validation_alone_and_changes_to_the_same_change_nothing() {
    let mut image = with_topic();
    let set = [change("retention.ms", Set("10".into()))];
    assert!(incremental_alter(&image, &topic(), &set, true).unwrap().records.is_empty());
    alter(&mut image, &topic(), &set);
    assert!(incremental_alter(&image, &topic(), &set, false).unwrap().records.is_empty());
}

#[test]
fn a_clusters_default_reaches_topics_that_do_not_say_otherwise() {
    let mut image = with_topic();
    let made = topics::create(&image, &create("own", 2));
    commit(&mut image, made);
    let own = Resource::Topic(TopicRef::Name("own".into()));
    alter(&mut image, &own, &[change("segment.bytes", Set("8192".into()))]);
    alter(&mut image, &Resource::Broker(None), &[change("log.segment.bytes", Set("4096".into()))]);
    let bytes = |image: &Image, name: &str| image.topic_named(name).unwrap().config.segment_bytes;
    assert_eq!((bytes(&image, "t"), bytes(&image, "own")), (4096, 8192));
    let made = topics::create(&image, &create("later", 3));
    commit(&mut image, made);
    assert_eq!(bytes(&image, "later"), 4096);
    alter(&mut image, &Resource::Broker(None), &[change("log.segment.bytes", Delete)]);
    assert_eq!((bytes(&image, "t"), image.broker_config(None)), (1 << 30, None));
}

#[test]
fn a_brokers_options_are_its_own_and_those_it_defaults() {
    let mut image = with_topic();
    assert!(broker_definition("num.partitions").is_some() && broker_definition("log.retention.ms").is_some());
    assert!(broker_definition("no.such").is_none());
    let broker = Resource::Broker(Some(BrokerId(1)));
    alter(&mut image, &broker, &[change("num.partitions", Set("4".into()))]);
    assert_eq!(image.broker_config(Some(BrokerId(1))).unwrap()["num.partitions"], "4");
    assert!(incremental_alter(&image, &broker, &[change("num.partitions", Set("0".into()))], false).is_err());
    alter(&mut image, &Resource::Broker(None), &[change("num.partitions", Set("2".into()))]);
    let partitions = |broker| image.broker_option(BrokerId(broker), "num.partitions");
    assert_eq!((partitions(1), partitions(2)), (Some("4"), Some("2")));
    assert_eq!(image.broker_option(BrokerId(1), "log.retention.ms"), None);
}

#[test]
fn what_a_node_was_started_with_is_below_the_clusters_default_and_in_no_record() {
    let given = BTreeMap::from([("log.segment.bytes".to_owned(), "2048".to_owned())]);
    let mut image = with_topic().on_node(Some(BrokerId(1)), given.into()).unwrap();
    let bytes = |image: &Image, name: &str| image.topic_named(name).unwrap().config.segment_bytes;
    assert_eq!(bytes(&image, "t"), 2048);
    let made = topics::create(&image, &create("later", 2));
    commit(&mut image, made);
    assert_eq!(bytes(&image, "later"), 2048);
    alter(&mut image, &Resource::Broker(None), &[change("log.segment.bytes", Set("4096".into()))]);
    assert_eq!(bytes(&image, "t"), 4096);
    alter(&mut image, &Resource::Broker(None), &[change("log.segment.bytes", Delete)]);
    assert_eq!(bytes(&image, "t"), 2048);
    let mut elsewhere = Image::default();
    image.records().for_each(|record| elsewhere.replay(&record).unwrap());
    assert_eq!(bytes(&elsewhere, "t"), 1 << 30);
}

#[test]
fn topics_inherit_what_was_set_for_the_node_before_what_was_set_for_all() {
    let mut image = with_topic().on_node(Some(BrokerId(1)), std::sync::Arc::default()).unwrap();
    let retention = |image: &Image| image.topic_named("t").unwrap().config.retention_ms;
    let set = |value: &str| [change("log.retention.ms", Set(value.into()))];
    alter(&mut image, &Resource::Broker(None), &set("30"));
    assert_eq!(retention(&image), 30);
    alter(&mut image, &Resource::Broker(Some(BrokerId(1))), &set("20"));
    assert_eq!(retention(&image), 20);
    alter(&mut image, &Resource::Broker(Some(BrokerId(1))), &[change("log.retention.ms", Delete)]);
    assert_eq!(retention(&image), 30);
}

#[test]
fn an_option_that_nobody_knows_can_be_deleted_and_not_set() {
    let image = with_topic();
    let unknown = |operation| incremental_alter(&image, &topic(), &[change("nope", operation)], false);
    assert_eq!(unknown(Delete).unwrap().records, []);
    assert!(matches!(unknown(Set("1".into())), Err(Error::InvalidConfig(_))));
}

#[test]
fn a_value_that_a_broker_can_not_have_is_a_bad_request_as_in_kafka() {
    let image = one_broker();
    let set = |value: &str| {
        let changes = [change("log.retention.ms", Set(value.into()))];
        incremental_alter(&image, &Resource::Broker(None), &changes, true)
    };
    assert!(set("5").is_ok());
    assert!(matches!(set("x"), Err(Error::InvalidRequest { .. })));
}

#[test]
fn the_finest_of_several_options_for_one_default_wins() {
    let days = |hours: i64| hours * 3_600_000;
    let kept = |options: &[(&str, &str)]| {
        let given: BTreeMap<String, String> =
            options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let image = with_topic().on_node(None, given.into()).unwrap();
        image.topic_named("t").unwrap().config.clone()
    };
    for (options, expected) in [
        (&[][..], days(168)),
        (&[("log.retention.hours", "2")][..], days(2)),
        (&[("log.retention.hours", "-1")][..], -1),
        (&[("log.retention.hours", "2"), ("log.retention.minutes", "7")][..], 420_000),
        (&[("log.retention.ms", "5"), ("log.retention.minutes", "7"), ("log.retention.hours", "1")][..], 5),
    ] {
        assert_eq!(kept(options).retention_ms, expected, "{options:?}");
    }
    let rolls = kept(&[("log.roll.hours", "3"), ("log.roll.jitter.hours", "1")]);
    assert_eq!((rolls.segment_ms, rolls.segment_jitter_ms), (days(3), days(1)));
    let mut image = with_topic();
    alter(&mut image, &Resource::Broker(None), &[change("log.retention.hours", Set("1".into()))]);
    assert_eq!(image.topic_named("t").unwrap().config.retention_ms, days(1), "and it follows the cluster's");
}

#[test]
fn a_groups_options_are_kept_within_what_the_broker_allows() {
    let given = BTreeMap::from([("group.consumer.max.session.timeout.ms".to_owned(), "50000".to_owned())]);
    let mut image = with_topic().on_node(None, given.into()).unwrap();
    let group = Resource::Group("g".into());
    alter(&mut image, &group, &[change("consumer.session.timeout.ms", Set("46000".into()))]);
    assert_eq!(image.group_config("g").unwrap()["consumer.session.timeout.ms"], "46000");
    let mut again = Image::default();
    image.records().for_each(|record| again.replay(&record).unwrap());
    assert_eq!(again.group_config("g"), image.group_config("g"));
    for (name, value) in [
        ("consumer.session.timeout.ms", "50001"),
        ("consumer.session.timeout.ms", "44999"),
        ("consumer.heartbeat.interval.ms", "15001"),
        ("share.session.timeout.ms", "60001"),
        ("share.record.lock.duration.ms", "14999"),
        ("share.delivery.count.limit", "11"),
        ("share.auto.offset.reset", "by_duration:1h"),
        ("share.isolation.level", "serializable"),
        ("retention.ms", "1"),
    ] {
        assert!(
            incremental_alter(&image, &group, &[change(name, Set(value.into()))], false).is_err(),
            "{name}={value}"
        );
    }
    assert!(incremental_alter(&image, &Resource::Group(String::new()), &[], false).is_err());
    alter(&mut image, &group, &[change("consumer.session.timeout.ms", Delete)]);
    assert_eq!(image.group_config("g"), None);
}
