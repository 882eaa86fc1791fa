//! Schemas are registered and deleted by the rules of Confluent's registry.

use super::commit;
use crate::schemas::{
    COMPATIBILITY_LEVELS, Register, Registered, delete_compatibility, delete_subject, delete_version, register,
    set_compatibility,
};
use crate::{Error, Image, Schema, SchemaReference, SchemaType};

fn request(subject: &str, text: &str) -> Register {
    let schema = Schema { schema_type: SchemaType::Json, text: text.into(), references: Vec::new() };
    Register { subject: subject.into(), schema, checked_against: None }
}

fn add(image: &mut Image, subject: &str, text: &str) -> (i32, i32) {
    let registered = register(image, &request(subject, text));
    let Registered { id, version } = commit(image, registered);
    (id, version)
}

fn remove(image: &mut Image, subject: &str, version: i32, permanent: bool) {
    let removed = delete_version(image, subject, Some(version), permanent);
    assert_eq!(commit(image, removed), version);
}

#[test]
fn equal_content_has_one_id_and_versions_grow_within_a_subject() {
    let mut image = Image::default();
    assert_eq!(add(&mut image, "a", "1"), (1, 1));
    assert_eq!(add(&mut image, "a", "2"), (2, 2));
    assert_eq!(add(&mut image, "a", "1"), (1, 1), "registered already");
    assert_eq!(add(&mut image, "b", "2"), (2, 1), "the same content under another subject");
    assert_eq!(add(&mut image, "b", "3"), (3, 2));
    assert_eq!(image.schema(3).unwrap().text, "3");
    let avro = Schema { schema_type: SchemaType::Avro, ..request("a", "1").schema };
    let registered = register(&image, &Register { schema: avro, ..request("a", "1") });
    assert_eq!(commit(&mut image, registered).id, 4, "another language is another content");
}

#[test]
fn a_version_that_came_between_the_check_and_the_registration_is_a_conflict() {
    let mut image = Image::default();
    let checked = |latest| Register { checked_against: Some(latest), ..request("a", "new") };
    assert!(register(&image, &checked(None)).is_ok());
    assert!(register(&image, &checked(Some(1))).is_err());
    add(&mut image, "a", "old");
    assert_eq!(register(&image, &checked(None)), Err(Error::SubjectChanged { subject: "a".into(), latest: Some(1) }));
    assert!(register(&image, &checked(Some(1))).is_ok());
    add(&mut image, "a", "new");
    assert!(register(&image, &checked(None)).is_ok(), "what is there already conflicts with nothing");
}

#[test]
fn a_soft_delete_hides_a_version_and_keeps_its_number_and_id() {
    let mut image = Image::default();
    add(&mut image, "a", "1");
    add(&mut image, "a", "2");
    remove(&mut image, "a", 2, false);
    assert_eq!(image.subject("a").unwrap().latest().map(|(version, _)| version), Some(1));
    assert!(image.schema(2).is_some(), "still found by id");
    assert!(matches!(delete_version(&image, "a", Some(2), false), Err(Error::SchemaVersionSoftDeleted { .. })));
    assert_eq!(add(&mut image, "a", "2"), (2, 3), "registered again: the same id under the next version");
}

#[test]
fn a_hard_delete_needs_a_soft_one_first_and_forgets_the_content() {
    let mut image = Image::default();
    add(&mut image, "a", "1");
    assert!(matches!(delete_version(&image, "a", Some(1), true), Err(Error::SchemaVersionNotSoftDeleted { .. })));
    remove(&mut image, "a", 1, false);
    remove(&mut image, "a", 1, true);
    assert!(image.schema(1).is_none() && image.subject("a").is_none());
    assert!(matches!(delete_version(&image, "a", Some(1), true), Err(Error::UnknownSubject { .. })));
    assert_eq!(add(&mut image, "a", "1"), (2, 1), "an id is never given twice");
}

#[test]
fn content_is_kept_while_another_subject_has_it() {
    let mut image = Image::default();
    add(&mut image, "a", "1");
    add(&mut image, "b", "1");
    remove(&mut image, "a", 1, false);
    remove(&mut image, "a", 1, true);
    assert!(image.schema(1).is_some());
    assert_eq!(add(&mut image, "c", "1"), (1, 1));
}

#[test]
fn a_subject_is_deleted_softly_and_then_for_good() {
    let mut image = Image::default();
    assert!(matches!(delete_subject(&image, "a", false), Err(Error::UnknownSubject { .. })));
    for text in ["1", "2", "3"] {
        add(&mut image, "a", text);
    }
    remove(&mut image, "a", 2, false);
    assert!(matches!(delete_subject(&image, "a", true), Err(Error::SubjectNotSoftDeleted { .. })));
    let soft = delete_subject(&image, "a", false);
    assert_eq!(commit(&mut image, soft), [1, 3]);
    assert!(matches!(delete_subject(&image, "a", false), Err(Error::SubjectSoftDeleted { .. })));
    assert!(matches!(delete_version(&image, "a", None, false), Err(Error::UnknownSubject { .. })));
    let hard = delete_subject(&image, "a", true);
    assert_eq!(commit(&mut image, hard), [1, 2, 3]);
    assert!(image.subjects().is_empty() && image.schema(1).is_none());
}

#[test]
fn the_latest_version_may_be_meant() {
    let mut image = Image::default();
    add(&mut image, "a", "1");
    add(&mut image, "a", "2");
    let removed = delete_version(&image, "a", None, false);
    assert_eq!(commit(&mut image, removed), 2);
    assert!(matches!(delete_version(&image, "a", Some(7), false), Err(Error::UnknownSchemaVersion { version: 7, .. })));
}

#[test]
fn what_is_referenced_stays_and_what_is_not_there_is_not_referenced() {
    let mut image = Image::default();
    add(&mut image, "base", "1");
    let mut using = request("user", "2");
    using.schema.references = vec![SchemaReference { name: "b".into(), subject: "base".into(), version: 1 }];
    let registered = register(&image, &using);
    commit(&mut image, registered);
    assert!(matches!(delete_version(&image, "base", Some(1), false), Err(Error::SchemaReferenced { .. })));
    assert!(matches!(delete_subject(&image, "base", false), Err(Error::SchemaReferenced { .. })));
    remove(&mut image, "user", 1, false);
    remove(&mut image, "base", 1, false);
    using.subject = "late".into();
    assert!(matches!(register(&image, &using), Err(Error::UnknownSchemaVersion { .. })));
}

#[test]
fn what_is_no_schema_is_refused() {
    let image = Image::default();
    assert!(matches!(register(&image, &request("", "1")), Err(Error::InvalidSchema { .. })));
    let long = "x".repeat(crate::schemas::TEXT_LEN_MAX + 1);
    assert!(matches!(register(&image, &request("a", &long)), Err(Error::InvalidSchema { .. })));
}

#[test]
fn compatibility_is_set_for_all_and_for_one() {
    let mut image = Image::default();
    assert!(matches!(set_compatibility(&image, None, "SOMEWHAT"), Err(Error::InvalidCompatibility { .. })));
    for level in COMPATIBILITY_LEVELS {
        let set = set_compatibility(&image, Some("a"), level);
        commit(&mut image, set);
        assert_eq!((image.subject_compatibility("a"), image.compatibility()), (Some(*level), None));
    }
    let set = set_compatibility(&image, None, "FULL");
    commit(&mut image, set);
    assert!(set_compatibility(&image, None, "FULL").unwrap().records.is_empty());
    let unset = delete_compatibility(&image, Some("a"));
    assert_eq!(commit(&mut image, unset).as_deref(), Some("FULL_TRANSITIVE"));
    assert!(matches!(delete_compatibility(&image, Some("a")), Err(Error::NoSubjectCompatibility { .. })));
    let unset = delete_compatibility(&image, None);
    assert_eq!(commit(&mut image, unset).as_deref(), Some("FULL"));
    assert_eq!(delete_compatibility(&image, None).unwrap().answer, None);
}
