//! Stored records: golden texts, what is newer is refused in words, what contradicts is reported.

use super::{commit, create, one_broker};
use crate::record::{PartitionRecord, SchemaRecord, TopicRecord};
use crate::{Error, Image, Record, SchemaType, decode, encode, topics};
use millstream_types::{BrokerEpoch, BrokerId, ErrorKind, LeaderEpoch, PartitionIndex, ProducerId, TopicId};
use uuid::Uuid;

#[test]
fn stored_texts_are_golden() {
    let id = TopicId(Uuid::from_u128(1));
    let table = [
        (
            Record::Topic(TopicRecord { id, name: "t".into() }),
            r#"[{"topic.1":{"id":"00000000-0000-0000-0000-000000000001","name":"t"}}]"#,
        ),
        (
            Record::Partition(PartitionRecord {
                topic: id,
                partition: PartitionIndex(0),
                leader: BrokerId(1),
                leader_epoch: LeaderEpoch(2),
                partition_epoch: 3,
                replicas: vec![BrokerId(1)],
                isr: vec![BrokerId(1)],
            }),
            r#"[{"partition.1":{"topic":"00000000-0000-0000-0000-000000000001","partition":0,"leader":1,"leader_epoch":2,"partition_epoch":3,"replicas":[1],"isr":[1]}}]"#,
        ),
        (
            Record::FenceBroker { broker: BrokerId(1), epoch: BrokerEpoch(7) },
            r#"[{"fence-broker.1":{"broker":1,"epoch":7}}]"#,
        ),
        (
            Record::ProducerIdBlock { broker: BrokerId(1), next: ProducerId(1000) },
            r#"[{"producer-id-block.1":{"broker":1,"next":1000}}]"#,
        ),
        (
            Record::Schema(SchemaRecord {
                subject: "s".into(),
                version: 1,
                id: 2,
                schema_type: SchemaType::Avro,
                text: "\"int\"".into(),
                references: vec![],
            }),
            r#"[{"schema.1":{"subject":"s","version":1,"id":2,"schema_type":"AVRO","text":"\"int\""}}]"#,
        ),
    ];
    for (record, text) in table {
        assert_eq!(String::from_utf8(encode(std::slice::from_ref(&record))).unwrap(), text);
        assert_eq!(decode(text.as_bytes()), Ok(vec![record]));
    }
}

#[test]
fn what_a_newer_version_wrote_is_refused_in_words() {
    let known = r#"{"fence-broker.1":{"broker":1,"epoch":7}}"#;
    for (unknown, tag) in [
        (r#"{"topic.2":{"id":"x","shards":9}}"#, "topic.2"),
        (r#"{"fence-broker.1":{"broker":1,"epoch":7,"why":"quiet"}}"#, "fence-broker.1"),
        (r#"{"remove-topic.1":{"topic":"00000000-0000-0000-0000-000000000001","by":1}}"#, "remove-topic.1"),
    ] {
        let error = decode(format!("[{known},{unknown}]").as_bytes()).unwrap_err();
        assert!(matches!(&error, Error::NewerRecord { tag: named, .. } if named == tag), "{error}");
        assert!(error.to_string().contains("start that version"));
    }
    for garbage in [&b"[{"[..], b"", b"7", &[0xff, 0xfe]] {
        assert!(matches!(decode(garbage), Err(Error::CorruptRecord { .. })));
    }
}

#[test]
fn a_record_that_contradicts_is_reported_and_changes_nothing() {
    let mut image = one_broker();
    let made = topics::create(&image, &create("t", 1));
    commit(&mut image, made);
    let id = TopicId(Uuid::from_u128(1));
    let elsewhere = TopicId(Uuid::from_u128(9));
    let partition = |topic, number| {
        Record::Partition(PartitionRecord {
            topic,
            partition: PartitionIndex(number),
            leader: BrokerId(1),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: 0,
            replicas: vec![],
            isr: vec![],
        })
    };
    let before = image.clone();
    for record in [
        Record::Topic(TopicRecord { id: elsewhere, name: "t".into() }),
        Record::Topic(TopicRecord { id, name: "u".into() }),
        partition(id, 7),
        partition(elsewhere, 0),
        Record::RemoveTopic { topic: elsewhere },
        Record::FenceBroker { broker: BrokerId(1), epoch: BrokerEpoch(99) },
        Record::UnregisterBroker { broker: BrokerId(9), epoch: BrokerEpoch(1) },
        Record::RemoveDeployment { kind: "function".into(), name: "none".into() },
        Record::SchemaDeleted { subject: "none".into(), version: 1, permanent: true },
    ] {
        let error = image.replay(&record).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{record:?}: {error}");
        assert_eq!(image, before, "{record:?}");
    }
}

#[test]
fn an_empty_image_is_empty() {
    let image = Image::default();
    assert_eq!((image.topic_count(), image.brokers().count(), image.cluster_id()), (0, 0, None));
}
