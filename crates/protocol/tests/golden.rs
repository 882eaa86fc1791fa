//! Requests as Kafka's own classes encode them (`golden/Golden.java`), of every API and version.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "golden/frames.rs"]
mod frames;

use frames::golden;
use millstream_protocol::{ApiKey, Refused, RequestKind, SERVED, decode, is_plain_produce, may_wait, supported};
use std::collections::BTreeSet;

#[test]
fn every_version_served_decodes_and_encodes_to_kafkas_bytes() {
    for (name, version, frame) in golden() {
        let request = match decode(frame.clone()) {
            Ok(request) => request,
            Err(Refused::UnsupportedVersion { api, .. }) if !supported(api).unwrap().contains(&version) => continue,
            Err(error) => panic!("{name} v{version}: {error}"),
        };
        assert_eq!((format!("{:?}", request.api).as_str(), request.version), (name, version));
        assert_eq!((request.correlation_id, request.client_id.as_deref()), (7, Some("golden")), "{name} v{version}");
        let encoded = request.body.encode(version, 7, request.client_id.as_ref()).unwrap();
        assert_eq!(encoded[4..], frame, "{name} v{version}");
    }
}

#[test]
fn every_version_served_has_a_golden_frame() {
    let all: Vec<(&str, i16)> = golden().map(|(name, version, _)| (name, version)).collect();
    for api in SERVED {
        for version in supported(*api).unwrap() {
            assert!(all.contains(&(format!("{api:?}").as_str(), version)), "{api:?} v{version}");
        }
    }
}

#[test]
fn a_request_cut_at_any_byte_is_refused_and_named() {
    for (name, version, frame) in golden() {
        if decode(frame.clone()).is_err() {
            continue;
        }
        for len in 0..frame.len() {
            let refused = decode(frame.slice(..len)).expect_err("cut short");
            assert!(matches!(refused, Refused::Malformed(_)), "{name} v{version} cut at {len}: {refused}");
        }
    }
}

#[test]
fn bytes_after_a_request_are_left_alone_as_kafka_does() {
    for (name, version, frame) in golden() {
        let longer: bytes::Bytes = [&frame[..], b"more"].concat().into();
        assert_eq!(decode(frame).ok(), decode(longer).ok(), "{name} v{version}");
    }
}

#[test]
fn fields_have_the_values_that_were_sent() {
    let (_, _, frame) = golden().find(|(name, version, _)| (*name, *version) == ("Produce", 9)).unwrap();
    let RequestKind::Produce(produce) = decode(frame).unwrap().body else { panic!("another API") };
    assert_eq!(produce.transactional_id.as_ref().map(|id| id.as_str()), Some("text-1"));
    assert_eq!((produce.acks, produce.timeout_ms), (2, 3_000));
    assert_eq!(produce.topic_data.len(), 2);
    let records = produce.topic_data[0].partition_data[0].records.as_ref().unwrap();
    assert_eq!((records.len(), records[16]), (70, 2), "a batch of magic 2");
    let (_, _, frame) = golden().find(|(name, version, _)| (*name, *version) == ("ApiVersions", 4)).unwrap();
    let request = decode(frame).unwrap();
    assert_eq!(request.api, ApiKey::ApiVersions);
    let RequestKind::ApiVersions(body) = request.body else { panic!("another API") };
    assert!(body.client_software_name.starts_with("text-"));
}

#[test]
fn requests_that_may_wait_long_are_told_by_their_first_bytes() {
    let names: BTreeSet<String> =
        golden().filter(|(_, _, frame)| may_wait(frame)).map(|(name, _, _)| name.to_owned()).collect();
    assert_eq!(names.iter().collect::<Vec<_>>(), ["Fetch", "JoinGroup", "ShareFetch", "SyncGroup"]);
    assert!(!may_wait(&[1]) && !may_wait(&[]));
}

#[test]
fn a_produce_request_is_plain_where_its_transactional_id_is_null() {
    for (name, version, frame) in golden() {
        assert!(!is_plain_produce(&frame), "{name} v{version} has a transactional id, or is something else");
        let Ok(mut request) = decode(frame) else { continue };
        let RequestKind::Produce(produce) = &mut request.body else { continue };
        produce.transactional_id = None;
        for client_id in [Some(&"golden".into()), None] {
            let plain = request.body.encode(version, 7, client_id).unwrap();
            assert!(is_plain_produce(&plain[4..]), "v{version}");
            for len in 0..12 {
                assert!(!is_plain_produce(&plain[4..4 + len]), "cut at {len}");
            }
        }
    }
}
