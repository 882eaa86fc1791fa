//! Credentials of users are set and taken away by Kafka's rules, and kept.

use super::{commit, one_broker};
use crate::scram::{Deletion, Outcome, Upsertion, alter};
use crate::{Error, Image, Record, decode, encode};
use millstream_sasl::Scram;
use millstream_types::ErrorKind;

fn upsertion(user: &str, mechanism: i8, iterations: i32) -> Upsertion {
    let (salt, salted_password) = (b"salt".to_vec(), vec![7; 32]);
    Upsertion { user: user.into(), mechanism, iterations, salt, salted_password }
}

fn deletion(user: &str, mechanism: i8) -> Deletion {
    Deletion { user: user.into(), mechanism }
}

fn altered(image: &mut Image, deletions: &[Deletion], upsertions: &[Upsertion]) -> Vec<Outcome> {
    let decision = alter(image, deletions, upsertions);
    commit(image, decision)
}

fn refusal(image: &Image, deletions: &[Deletion], upsertions: &[Upsertion]) -> Error {
    let decision = alter(image, deletions, upsertions).unwrap();
    assert_eq!(decision.records, []);
    let [(_, Err(error))] = &decision.answer[..] else { panic!("{decision:?}") };
    error.clone()
}

#[test]
fn what_kafka_refuses_is_refused() {
    let image = one_broker();
    for iterations in [4_095, 16_385, 0, -1, i32::MAX] {
        let error = refusal(&image, &[], &[upsertion("u", 1, iterations)]);
        assert!(matches!(error, Error::UnacceptableCredential { .. }), "{error}");
        assert!(error.to_string().contains("expected 4096 to 16384"), "{error}");
    }
    let error = refusal(&image, &[], &[upsertion("", 1, 4_096)]);
    assert!(error.to_string().contains("name is empty"), "{error}");
    for number in [0, 3, -1] {
        assert_eq!(refusal(&image, &[], &[upsertion("u", number, 4_096)]), Error::UnknownScram { number });
        assert_eq!(refusal(&image, &[deletion("u", number)], &[]), Error::UnknownScram { number });
    }
    let unknown = Error::UnknownCredential { user: "u".into(), mechanism: "SCRAM-SHA-512" };
    assert_eq!(refusal(&image, &[deletion("u", 2)], &[]), unknown);
}

#[test]
fn a_user_named_twice_is_refused_and_others_are_not() {
    let mut image = one_broker();
    altered(&mut image, &[], &[upsertion("u", 1, 4_096)]);
    let twice = Error::CredentialTwice { user: "u".into() };
    assert_eq!(refusal(&image, &[deletion("u", 1)], &[upsertion("u", 2, 4_096)]), twice);
    let both = [upsertion("u", 1, 4_096), upsertion("v", 2, 16_384), upsertion("u", 2, 4_096)];
    let outcomes = altered(&mut image, &[], &both);
    assert_eq!(outcomes, [("u".into(), Err(twice)), ("v".into(), Ok(()))]);
    assert!(image.scram_credential("v", Scram::Sha512).is_some());
    assert!(image.scram_credential("u", Scram::Sha512).is_none());
}

#[test]
fn credentials_are_kept_by_a_snapshot_until_they_are_deleted() {
    let mut image = one_broker();
    altered(&mut image, &[], &[upsertion("u", 1, 4_096)]);
    altered(&mut image, &[], &[upsertion("u", 2, 8_192)]);
    let mut restored = Image::default();
    restored.replay_all(&image.records().collect::<Vec<_>>()).unwrap();
    assert_eq!(restored.scram_credentials(), image.scram_credentials());
    assert_eq!(image.scram_credential("u", Scram::Sha512).unwrap().iterations.get(), 8_192);
    altered(&mut image, &[deletion("u", 2)], &[]);
    assert!(
        image.scram_credential("u", Scram::Sha512).is_none() && image.scram_credential("u", Scram::Sha256).is_some()
    );
    let again = Record::RemoveUserScramCredential { user: "u".into(), mechanism: Scram::Sha512 };
    assert_eq!(image.replay(&again).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn the_stored_texts_are_golden() {
    let decision = alter(&one_broker(), &[], &[upsertion("u", 1, 4_096)]).unwrap();
    let text = concat!(
        r#"[{"user-scram-credential.1":{"user":"u","mechanism":"SCRAM-SHA-256","credential":{"salt":"c2FsdA==","iterations":4096,"#,
        r#""stored_key":"zgcOxV8WknUpJycREyrG4VaP6SHOrAyNwgF9JkIy93o=","server_key":"1KPPA5EU8AdxLpjWEsmpLSt2JjKFZtYc/su7LJSD+Ok="}}}]"#
    );
    assert_eq!(String::from_utf8(encode(&decision.records)).unwrap(), text);
    assert_eq!(decode(text.as_bytes()), Ok(decision.records));
    let removed = [Record::RemoveUserScramCredential { user: "u".into(), mechanism: Scram::Sha512 }];
    let text = r#"[{"remove-user-scram-credential.1":{"user":"u","mechanism":"SCRAM-SHA-512"}}]"#;
    assert_eq!(String::from_utf8(encode(&removed)).unwrap(), text);
}
