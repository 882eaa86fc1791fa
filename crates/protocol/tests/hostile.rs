//! Frames made to break a decoder: each is refused, in words, by the field that is wrong.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use bytes::{BufMut, Bytes, BytesMut};
use millstream_protocol::shape::{ELEMENTS_MAX, Fault, UNKNOWN_TAGS_MAX, check_blob};
use millstream_protocol::{ApiKey, Malformed, Refused, decode, decode_response, messages};

fn request(api: ApiKey, version: i16, body: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_i16(api as i16);
    frame.put_i16(version);
    frame.put_i32(42);
    frame.put_i16(-1);
    if api.request_header_version(version) >= 2 {
        frame.put_u8(0);
    }
    frame.put_slice(body);
    frame.freeze()
}

fn fault(frame: Bytes) -> (String, Fault) {
    match decode(frame) {
        Err(Refused::Malformed(Malformed::Field { path, fault, .. })) => (path, fault),
        other => panic!("{other:?}"),
    }
}

#[test]
fn short_frames_are_refused() {
    for len in 0..8 {
        let refused = decode(Bytes::from(vec![0; len])).expect_err("too short");
        assert_eq!(refused, Refused::Malformed(Malformed::ShortHeader { len }));
    }
}

#[test]
fn hostile_counts_are_refused_before_anything_is_reserved() {
    for count in [i32::MAX, 1_000_000, 5] {
        let (path, fault) = fault(request(ApiKey::Metadata, 4, &count.to_be_bytes()));
        assert_eq!((path.as_str(), fault), ("Topics", Fault::Count { count: count as usize, remaining: 0 }));
    }
    for count in [-2, i32::MIN] {
        let (path, fault) = fault(request(ApiKey::Metadata, 4, &count.to_be_bytes()));
        assert_eq!((path.as_str(), fault), ("Topics", Fault::Negative { value: i64::from(count) }));
    }
    let (path, fault) = fault(request(ApiKey::Metadata, 12, &[0xff, 0xff, 0xff, 0xff, 0x0f]));
    assert_eq!((path.as_str(), fault), ("Topics", Fault::Count { count: u32::MAX as usize - 1, remaining: 0 }));
}

#[test]
fn a_varint_of_more_than_32_bits_is_refused() {
    for hostile in [&[0xff; 10][..], &[0xff, 0xff, 0xff, 0xff, 0x1f], &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]] {
        assert_eq!(fault(request(ApiKey::Metadata, 12, hostile)), ("Topics".to_owned(), Fault::Varint));
    }
}

#[test]
fn the_path_names_the_element() {
    // acks, timeout; one topic "t" of one partition whose records say 100 bytes.
    let mut body = BytesMut::new();
    body.put_i16(-1);
    body.put_i16(-1);
    body.put_i32(1_000);
    body.put_i32(1);
    body.put_i16(1);
    body.put_slice(b"t");
    body.put_i32(1);
    body.put_i32(0);
    body.put_i32(100);
    body.put_slice(b"few");
    let refused = decode(request(ApiKey::Produce, 7, &body)).expect_err("cut short");
    let told = "ProduceRequest v7, field TopicData[0].PartitionData[0].Records: needs 100 bytes, 3 remain";
    assert!(refused.to_string().ends_with(told), "{refused}");
}

#[test]
fn null_where_there_is_none_is_refused() {
    assert_eq!(fault(request(ApiKey::Heartbeat, 0, &[0xff, 0xff])), ("GroupId".to_owned(), Fault::Null));
    assert_eq!(fault(request(ApiKey::DeleteGroups, 2, &[0])), ("GroupsNames".to_owned(), Fault::Null));
}

#[test]
fn a_tagged_field_must_take_the_bytes_it_says() {
    // Fetch v15: everything empty, then tag 1 (ReplicaState) with a size that is not its own 13 bytes.
    let mut body = BytesMut::new();
    body.put_slice(&[0; 4 + 4 + 4 + 1 + 4 + 4]);
    body.put_slice(&[1, 1, 1]);
    body.put_slice(&[1, 1, 14]);
    body.put_slice(&[0; 14]);
    let told = fault(request(ApiKey::Fetch, 15, &body));
    assert_eq!(told, ("ReplicaState".to_owned(), Fault::TagSize { told: 14, found: 13 }));
}

#[test]
fn tagged_fields_without_end_are_refused() {
    let body = [&[0, 0, 0, 0][..], &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
    assert!(matches!(fault(request(ApiKey::Metadata, 9, &body)).1, Fault::Count { .. }));
    let mut many = vec![0, 0, 0, 0, 0x80, 0x80, 0x01];
    for tag in 0..0x4000u32 {
        many.extend_from_slice(&[(tag & 0x7f) as u8 | 0x80, (tag >> 7) as u8, 0]);
    }
    const { assert!(UNKNOWN_TAGS_MAX < 0x4000) };
    assert_eq!(fault(request(ApiKey::Metadata, 9, &many)).1, Fault::UnknownTags);
}

#[test]
fn more_elements_than_the_limit_are_refused() {
    let count = i32::try_from(ELEMENTS_MAX).unwrap() + 1;
    let body = [&count.to_be_bytes()[..], &vec![0; 2 * ELEMENTS_MAX + 2]].concat();
    assert_eq!(fault(request(ApiKey::Metadata, 0, &body)).1, Fault::Elements);
}

#[test]
fn a_text_that_is_not_utf8_is_refused() {
    let refused = decode(request(ApiKey::Heartbeat, 0, &[0, 1, 0xff, 0, 0, 0, 1, 0, 0])).expect_err("not UTF-8");
    assert!(matches!(refused, Refused::Malformed(Malformed::Content { .. })), "{refused}");
}

#[test]
fn an_unknown_api_is_told_apart_from_an_unknown_version() {
    let unknown = decode(Bytes::from_static(&[0x7f, 0xff, 0, 1, 0, 0, 0, 9])).expect_err("no such key");
    assert_eq!(unknown, Refused::UnknownApi { key: 0x7fff, version: 1, correlation_id: 9 });
    assert_eq!(unknown.answer(), None);
    let refused = decode(request(ApiKey::Produce, 2, &[])).expect_err("too old");
    assert!(matches!(
        refused,
        Refused::UnsupportedVersion { api: ApiKey::Produce, version: 2, correlation_id: 42, .. }
    ));
    assert_eq!(refused.answer(), None, "Kafka closes the connection");
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    for version in [5, 99, i16::MAX, -1] {
        let refused = decode(request(ApiKey::ApiVersions, version, &[1, 2, 3])).expect_err("unknown version");
        let mut answer = refused.answer().expect("an answer");
        assert_eq!(answer.split_to(4), u32::try_from(answer.len()).unwrap().to_be_bytes()[..]);
        let (correlation_id, body) = decode_response::<messages::ApiVersionsRequest>(answer, 0).unwrap();
        assert_eq!((correlation_id, body.error_code), (42, 35));
        let versions: Vec<_> =
            body.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect();
        assert_eq!(versions, [(18, 0, 4)]);
    }
}

#[test]
fn blobs_of_the_consumer_protocol_are_bounded_too() {
    assert!(check_blob("ConsumerProtocolSubscription", 0, &[0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff]).is_ok());
    let error = check_blob("ConsumerProtocolSubscription", 0, &i32::MAX.to_be_bytes()).expect_err("no room");
    assert!(error.to_string().contains("field Topics"), "{error}");
    assert!(check_blob("NoSuchProtocol", 0, &[]).is_err());
}
