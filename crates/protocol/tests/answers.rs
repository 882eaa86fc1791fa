//! Answers, read back by the client's decoder.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use bytes::{Bytes, BytesMut};
use millstream_protocol::messages::{
    FetchRequest, FetchResponse, HeartbeatRequest, HeartbeatResponse, MetadataRequest,
};
use millstream_protocol::{
    AbortedTransaction, ApiKey, DivergingEpoch, Encodable, Error, FetchAnswer, GROUP_VERSION, METADATA_VERSION,
    NodeEndpoint, PartitionAnswer, Piece, ResponseKind, SERVED, StrBytes, TRANSACTION_VERSION, TopicAnswer, advertised,
    api_versions_response, decode_response, encode, encode_fetch, encode_kind, messages, supported,
};
use millstream_types::{BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId};
use proptest::prelude::*;

/// A partition's records: bytes that tell where they belong.
fn records(topic: usize, partition: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + topic * 31 + partition * 101) as u8).collect()
}

/// The frame as the socket sends it, without its length.
fn joined(answer: &FetchAnswer, version: i16) -> Bytes {
    let frame = encode_fetch(answer, version, 99).unwrap();
    let mut bytes = BytesMut::new();
    for piece in &frame.pieces {
        match piece {
            Piece::Bytes(content) => bytes.extend_from_slice(content),
            Piece::Payload { topic, partition } => {
                let len = answer.topics[*topic].partitions[*partition].records_len;
                assert!(len > 0, "an empty slot");
                bytes.extend_from_slice(&records(*topic, *partition, len));
            }
        }
    }
    assert_eq!(bytes.len(), frame.len);
    let length = bytes.split_to(4);
    assert_eq!(length[..], u32::try_from(bytes.len()).unwrap().to_be_bytes());
    bytes.freeze()
}

/// Compares what the client read with what was answered, as far as the version tells it.
fn assert_same(answer: &FetchAnswer, version: i16, read: &FetchResponse) {
    assert_eq!(read.throttle_time_ms, answer.throttle_time_ms);
    let session = if version >= 7 { (answer.error_code, answer.session_id) } else { (0, 0) };
    assert_eq!((read.error_code, read.session_id), session);
    assert_eq!(read.responses.len(), answer.topics.len());
    for (place, (topic, told)) in read.responses.iter().zip(&answer.topics).enumerate() {
        if version >= 13 {
            assert_eq!(topic.topic_id, told.id.0);
        } else {
            assert_eq!(topic.topic.0, told.name);
        }
        assert_eq!(topic.partitions.len(), told.partitions.len());
        for (within, (partition, told)) in topic.partitions.iter().zip(&told.partitions).enumerate() {
            assert_partition(told, version, partition);
            let stored = records(place, within, told.records_len);
            assert_eq!(partition.records.as_deref(), Some(&stored[..]));
        }
    }
    let endpoints = if version >= 16 { answer.node_endpoints.len() } else { 0 };
    assert_eq!(read.node_endpoints.len(), endpoints);
    for (read, told) in read.node_endpoints.iter().zip(&answer.node_endpoints) {
        assert_eq!(
            (read.node_id.0, &read.host, read.port, &read.rack),
            (told.node.0, &told.host, told.port, &told.rack)
        );
    }
}

fn assert_partition(told: &PartitionAnswer, version: i16, read: &messages::fetch_response::PartitionData) {
    assert_eq!((read.partition_index, read.error_code), (told.partition.0, told.error_code));
    assert_eq!((read.high_watermark, read.last_stable_offset), (told.high_watermark.0, told.last_stable.0));
    assert_eq!(read.log_start_offset, if version >= 5 { told.log_start.0 } else { -1 });
    assert_eq!(read.preferred_read_replica.0, if version >= 11 { told.preferred_read_replica.0 } else { -1 });
    let aborted = read
        .aborted_transactions
        .as_ref()
        .map(|all| all.iter().map(|one| (one.producer_id.0, one.first_offset)).collect::<Vec<_>>());
    let expected = told
        .aborted_transactions
        .as_ref()
        .map(|all| all.iter().map(|one| (one.producer.0, one.first_offset.0)).collect::<Vec<_>>());
    assert_eq!(aborted, expected);
    let diverging = told.diverging_epoch.filter(|_| version >= 12).map_or((-1, -1), |it| (it.epoch.0, it.end_offset.0));
    assert_eq!((read.diverging_epoch.epoch, read.diverging_epoch.end_offset), diverging);
    let leader = told.current_leader.filter(|_| version >= 12).map_or((-1, -1), |(id, epoch)| (id.0, epoch.0));
    assert_eq!((read.current_leader.leader_id.0, read.current_leader.leader_epoch), leader);
}

fn text() -> impl Strategy<Value = StrBytes> {
    "[a-z.é]{0,200}".prop_map(StrBytes::from_string)
}

prop_compose! {
    fn partition()(
        index in 0..i32::MAX,
        error_code in 0..100i16,
        offsets in any::<[i64; 3]>(),
        diverging in any::<Option<(i32, i64)>>(),
        leader in any::<Option<(i32, i32)>>(),
        aborted in any::<Option<Vec<(i64, i64)>>>(),
        preferred in any::<i32>(),
        records_len in prop_oneof![Just(0), 1..300usize, 15_000..40_000usize],
    ) -> PartitionAnswer {
        PartitionAnswer {
            partition: PartitionIndex(index),
            error_code,
            high_watermark: Offset(offsets[0]),
            last_stable: Offset(offsets[1]),
            log_start: Offset(offsets[2]),
            diverging_epoch: diverging
                .map(|(epoch, end)| DivergingEpoch { epoch: LeaderEpoch(epoch), end_offset: Offset(end) }),
            current_leader: leader.map(|(id, epoch)| (BrokerId(id), LeaderEpoch(epoch))),
            aborted_transactions: aborted.map(|all| {
                all.into_iter()
                    .map(|(producer, first)| AbortedTransaction { producer: ProducerId(producer), first_offset: Offset(first) })
                    .collect()
            }),
            preferred_read_replica: BrokerId(preferred),
            records_len,
        }
    }
}

prop_compose! {
    fn answer()(
        throttle_time_ms: i32,
        error_code: i16,
        session_id: i32,
        topics in prop::collection::vec((text(), any::<u128>(), prop::collection::vec(partition(), 0..5)), 0..4),
        endpoints in prop::collection::vec((any::<i32>(), text(), any::<i32>(), prop::option::of(text())), 0..3),
    ) -> FetchAnswer {
        FetchAnswer {
            throttle_time_ms,
            error_code,
            session_id,
            topics: topics
                .into_iter()
                .map(|(name, id, partitions)| TopicAnswer { name, id: TopicId(uuid::Uuid::from_u128(id)), partitions })
                .collect(),
            node_endpoints: endpoints
                .into_iter()
                .map(|(node, host, port, rack)| NodeEndpoint { node: BrokerId(node), host, port, rack })
                .collect(),
        }
    }
}

proptest! {
    #[test]
    fn a_fetch_answer_reads_back_in_every_version(answer in answer()) {
        for version in supported(ApiKey::Fetch).unwrap() {
            let (correlation_id, read) = decode_response::<FetchRequest>(joined(&answer, version), version).unwrap();
            prop_assert_eq!(correlation_id, 99);
            assert_same(&answer, version, &read);
        }
    }
}

#[test]
fn a_fetch_answer_is_as_the_general_encoder_writes_it() {
    let mut answer = FetchAnswer { session_id: 5, ..FetchAnswer::default() };
    let partition = PartitionAnswer { records_len: 300, ..PartitionAnswer::empty(PartitionIndex(3), 0) };
    let name = StrBytes::from_static_str("topic");
    answer.topics.push(TopicAnswer { name, id: TopicId::ZERO, partitions: vec![partition] });
    for version in 7..=18 {
        let whole = joined(&answer, version);
        let (_, read) = decode_response::<FetchRequest>(whole.clone(), version).unwrap();
        assert_eq!(encode(&read, version, 99).unwrap()[4..], whole, "v{version}");
    }
}

#[test]
fn a_fetch_version_that_is_not_served_is_refused() {
    for version in [-1, 3, 19] {
        assert!(matches!(encode_fetch(&FetchAnswer::default(), version, 1), Err(Error::Encode { .. })), "v{version}");
    }
}

#[test]
fn a_fetch_answer_larger_than_a_frame_is_refused() {
    let partition = PartitionAnswer { records_len: i32::MAX as usize, ..PartitionAnswer::empty(PartitionIndex(0), 0) };
    let topic = TopicAnswer { name: StrBytes::new(), id: TopicId::ZERO, partitions: vec![partition] };
    let answer = FetchAnswer { topics: vec![topic], ..FetchAnswer::default() };
    assert!(matches!(encode_fetch(&answer, 12, 1), Err(Error::TooLarge { .. })));
}

#[test]
fn api_versions_reads_back_with_features_in_every_version() {
    for version in 0..=4 {
        let mut frame = encode(&api_versions_response(17, version), version, 3).unwrap();
        let length = frame.split_to(4);
        assert_eq!(length[..], u32::try_from(frame.len()).unwrap().to_be_bytes());
        let (correlation_id, read) = decode_response::<messages::ApiVersionsRequest>(frame, version).unwrap();
        assert_eq!((correlation_id, read.error_code), (3, 0));
        assert_eq!(read.api_keys.len(), SERVED.len());
        for told in &read.api_keys {
            let range = advertised(ApiKey::try_from(told.api_key).unwrap()).unwrap();
            assert_eq!(told.min_version..=told.max_version, range);
        }
        if version >= 3 {
            assert_eq!(read.finalized_features_epoch, 17);
            assert_eq!(read.finalized_features[0].max_version_level, METADATA_VERSION);
            assert_eq!(read.supported_features[0].name.as_str(), "metadata.version");
            assert_eq!(read.finalized_features[1].max_version_level, TRANSACTION_VERSION);
            assert_eq!(read.finalized_features[2].max_version_level, GROUP_VERSION);
            assert_eq!(read.supported_features.len(), if version >= 4 { 4 } else { 1 });
        }
    }
}

#[test]
fn an_answer_of_any_api_is_the_same_by_its_kind() {
    let body = HeartbeatResponse::default().with_error_code(27);
    for version in supported(ApiKey::Heartbeat).unwrap() {
        let kind = ResponseKind::from(body.clone());
        assert_eq!(kind.api(), ApiKey::Heartbeat);
        let frame = encode_kind(&kind, version, 8).unwrap();
        assert_eq!(frame, encode(&body, version, 8).unwrap());
        let (correlation_id, read) = decode_response::<HeartbeatRequest>(frame.slice(4..), version).unwrap();
        assert_eq!((correlation_id, read), (8, body.clone()));
    }
}

#[test]
fn every_default_answer_has_the_size_it_says() {
    let body = messages::MetadataResponse::default();
    for version in supported(ApiKey::Metadata).unwrap() {
        let frame = encode(&body, version, 1).unwrap();
        let header = if version >= 9 { 5 } else { 4 };
        assert_eq!(frame.len(), 4 + header + body.compute_size(version).unwrap(), "v{version}");
    }
}

#[test]
fn an_answer_that_does_not_decode_is_told() {
    for frame in [&b""[..], &[0, 0, 0], &[0, 0, 0, 1], &[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]] {
        let error = decode_response::<HeartbeatRequest>(Bytes::copy_from_slice(frame), 4).expect_err("cut short");
        assert!(matches!(error, Error::Decode { version: 4, .. }), "{error}");
    }
    assert!(decode_response::<MetadataRequest>(Bytes::new(), 99).is_err());
    let longer = [&encode(&HeartbeatResponse::default(), 4, 1).unwrap()[4..], b"more"].concat();
    assert!(decode_response::<HeartbeatRequest>(longer.into(), 4).is_err());
}
