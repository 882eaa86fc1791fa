//! Quotas are set by Kafka's rules, and the most exact one holds.

use super::{commit, one_broker};
use crate::quotas::{self, CONSUMER_BYTE_RATE, Limit, PRODUCER_BYTE_RATE, REQUEST_PERCENTAGE, alter};
use crate::record::ClientQuotaRecord;
use crate::{Error, Image, Record, decode, encode};
use std::collections::BTreeMap;

type Parts<'a> = &'a [(&'a str, Option<&'a str>)];

fn parts(parts: Parts<'_>) -> BTreeMap<String, Option<String>> {
    parts.iter().map(|(kind, name)| ((*kind).to_owned(), name.map(str::to_owned))).collect()
}

fn set(image: &mut Image, whose: Parts<'_>, key: &str, value: Option<f64>) {
    let decision = alter(image, &parts(whose), &[(key.to_owned(), value)], false);
    commit(image, decision);
}

fn reason(whose: Parts<'_>, key: &str, value: f64) -> String {
    let refused = alter(&Image::default(), &parts(whose), &[(key.to_owned(), Some(value))], false);
    match refused {
        Err(Error::InvalidRequest { reason }) => reason,
        other => panic!("{whose:?} {key} {value}: {other:?}"),
    }
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    let user: Parts<'_> = &[("user", Some("u"))];
    let table: [(Parts<'_>, &str, f64, &str); 12] = [
        (&[], PRODUCER_BYTE_RATE, 1.0, "names nobody"),
        (&[("group", Some("g"))], PRODUCER_BYTE_RATE, 1.0, "no kind of entity"),
        (&[("user", Some(""))], PRODUCER_BYTE_RATE, 1.0, "user of a quota is empty"),
        (&[("ip", Some("nowhere"))], "connection_creation_rate", 1.0, "not an IP address"),
        (&[("ip", Some("1.2.3.4")), ("user", None)], "connection_creation_rate", 1.0, "without a user"),
        (&[("ip", None)], PRODUCER_BYTE_RATE, 1.0, "no quota of such an entity"),
        (user, "connection_creation_rate", 1.0, "no quota of such an entity"),
        (user, PRODUCER_BYTE_RATE, 0.0, "greater than 0"),
        (user, PRODUCER_BYTE_RATE, -1.0, "greater than 0"),
        (user, PRODUCER_BYTE_RATE, f64::NAN, "greater than 0"),
        (user, PRODUCER_BYTE_RATE, 1.5, "whole number"),
        (user, PRODUCER_BYTE_RATE, 1e30, "at most"),
    ];
    for (whose, key, value, words) in table {
        let reason = reason(whose, key, value);
        assert!(reason.contains(words), "{whose:?} {key} {value}: {reason}");
    }
}

#[test]
fn a_quota_named_twice_is_refused() {
    let changes = [(REQUEST_PERCENTAGE.to_owned(), Some(1.0)), (REQUEST_PERCENTAGE.to_owned(), Some(2.0))];
    let refused = alter(&Image::default(), &parts(&[("user", None)]), &changes, false).unwrap_err();
    assert!(refused.to_string().contains("named twice"), "{refused}");
}

#[test]
fn the_most_exact_quota_holds() {
    let mut image = one_broker();
    let find = |image: &Image| quotas::limit(image, "u", "c", PRODUCER_BYTE_RATE);
    assert_eq!(find(&image), None);
    let from_vague_to_exact: [(Parts<'_>, bool, bool); 8] = [
        (&[("client-id", None)], false, true),
        (&[("client-id", Some("c"))], false, true),
        (&[("user", None)], true, false),
        (&[("user", None), ("client-id", None)], true, true),
        (&[("user", None), ("client-id", Some("c"))], true, true),
        (&[("user", Some("u"))], true, false),
        (&[("user", Some("u")), ("client-id", None)], true, true),
        (&[("user", Some("u")), ("client-id", Some("c"))], true, true),
    ];
    for (value, (whose, per_user, per_client)) in (1..).zip(from_vague_to_exact) {
        let value = f64::from(value);
        set(&mut image, whose, PRODUCER_BYTE_RATE, Some(value));
        // Another limit of a more exact entity changes nothing about this one.
        set(&mut image, &[("user", Some("u")), ("client-id", Some("c"))], CONSUMER_BYTE_RATE, Some(value));
        assert_eq!(find(&image), Some(Limit { value, per_user, per_client }), "{whose:?}");
    }
}

#[test]
fn quotas_are_taken_away_and_an_entity_without_any_is_gone() {
    let mut image = one_broker();
    let whose: Parts<'_> = &[("user", Some("u"))];
    set(&mut image, whose, PRODUCER_BYTE_RATE, Some(5.0));
    set(&mut image, whose, REQUEST_PERCENTAGE, Some(0.5));
    let again = alter(&image, &parts(whose), &[(PRODUCER_BYTE_RATE.to_owned(), Some(5.0))], false).unwrap();
    assert_eq!(again.records, [], "what is so already is not written again");
    let only_checked = alter(&image, &parts(whose), &[(PRODUCER_BYTE_RATE.to_owned(), None)], true).unwrap();
    assert_eq!(only_checked.records, []);
    let mut restored = Image::default();
    restored.replay_all(&image.records().collect::<Vec<_>>()).unwrap();
    assert_eq!(restored.client_quotas(), image.client_quotas(), "a snapshot keeps them");
    set(&mut image, whose, PRODUCER_BYTE_RATE, None);
    set(&mut image, whose, REQUEST_PERCENTAGE, None);
    set(&mut image, whose, "unheard_of", None);
    assert!(image.client_quotas().is_empty());
}

#[test]
fn the_stored_text_is_golden() {
    let mut image = one_broker();
    let whose: Parts<'_> = &[("user", None), ("client-id", Some("c"))];
    let decision = alter(&image, &parts(whose), &[(REQUEST_PERCENTAGE.to_owned(), Some(12.5))], false).unwrap();
    let text =
        r#"[{"client-quota.1":{"entity":{"client-id":"c","user":null},"key":"request_percentage","value":12.5}}]"#;
    assert_eq!(String::from_utf8(encode(&decision.records)).unwrap(), text);
    assert_eq!(decode(text.as_bytes()), Ok(decision.records.clone()));
    image.replay_all(&decision.records).unwrap();
    let [Record::ClientQuota(ClientQuotaRecord { entity, .. })] = &decision.records[..] else {
        panic!("{decision:?}");
    };
    assert_eq!(image.client_quota(entity).unwrap()[REQUEST_PERCENTAGE], 12.5);
}
