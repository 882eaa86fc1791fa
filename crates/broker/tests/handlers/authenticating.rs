//! Logging in: what is taken before it, who is let in, what the others are told, and when a session ends.

use crate::node::{Node, connection, whole};
use bytes::Bytes;
use kafka_protocol::messages::alter_user_scram_credentials_request::{
    AlterUserScramCredentialsRequest, ScramCredentialDeletion, ScramCredentialUpsertion,
};
use kafka_protocol::messages::describe_user_scram_credentials_request::{
    DescribeUserScramCredentialsRequest, UserName,
};
use kafka_protocol::messages::{
    ApiVersionsRequest, MetadataRequest, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
};
use millstream_broker::Sasl;
use millstream_net::{Answer, Frame, Handler};
use millstream_protocol::{ResponseError, StrBytes, decode_response};
use millstream_sasl::{Mechanism, Rules, Scram};
use std::time::Duration;
use tokio::time::Instant;

const PASSED: &[u8] = b"\0alice\0one";

async fn node(session_ms: Option<u64>) -> Node {
    let mechanisms = vec![Mechanism::Plain, Mechanism::Scram(Scram::Sha256)];
    let listeners = [("PLAINTEXT".to_owned(), Rules { mechanisms, session_ms })].into();
    Node::asking(Sasl { listeners, users: vec![("alice".into(), "one".into())] }).await
}

fn handshake(mechanism: &'static str) -> SaslHandshakeRequest {
    SaslHandshakeRequest::default().with_mechanism(mechanism.into())
}

fn token(token: &'static [u8]) -> SaslAuthenticateRequest {
    SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(token))
}

/// What a client is told for the last time.
async fn last(answer: Answer, version: i16) -> SaslAuthenticateResponse {
    let Answer::Last(parts, _) = answer else { panic!("{answer:?}") };
    decode_response::<SaslAuthenticateRequest>(whole(parts).await, version).unwrap().1
}

#[tokio::test(start_paused = true)]
async fn nothing_is_answered_before_the_client_is_known() {
    let node = node(None).await;
    assert_eq!(node.ask(0, &ApiVersionsRequest::default()).await.error_code, 0);
    for _ in 0..2 {
        let Answer::Close(reason) = node.send(9, &MetadataRequest::default()).await else { panic!("not known yet") };
        assert!(reason.starts_with("Metadata came before the client said who it is"), "{reason}");
    }
    let offered = node.ask(1, &handshake("PLAIN")).await;
    assert_eq!(offered.mechanisms, ["PLAIN", "SCRAM-SHA-256"].map(StrBytes::from));
    let answer = node.ask(2, &token(PASSED)).await;
    assert_eq!((answer.error_code, answer.session_lifetime_ms), (0, 0));
    assert_eq!(node.ask(9, &MetadataRequest::default()).await.brokers.len(), 1);
    let needless = node.ask(2, &token(PASSED)).await;
    assert_eq!(needless.error_code, ResponseError::IllegalSaslState.code());
}

#[tokio::test(start_paused = true)]
async fn who_is_not_let_in_is_told_after_a_while_and_closed() {
    for (mechanism, tried, told) in [
        ("PLAIN", &b"\0alice\0two"[..], "Authentication failed: Invalid username or password"),
        ("PLAIN", b"\0bob\0one", "Authentication failed: Invalid username or password"),
        (
            "SCRAM-SHA-256",
            b"nonsense",
            "Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-256",
        ),
    ] {
        let node = node(None).await;
        node.ask(1, &handshake(mechanism)).await;
        let begun = Instant::now();
        let answer = last(node.send(2, &token(tried)).await, 2).await;
        assert_eq!(answer.error_code, ResponseError::SaslAuthenticationFailed.code());
        assert_eq!(answer.error_message.as_deref(), Some(told));
        assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
        assert!(matches!(node.send(2, &token(PASSED)).await, Answer::Close(_)), "it is too late");
    }
    let node = node(None).await;
    let Answer::Last(parts, reason) = node.send(1, &handshake("SCRAM-SHA-512")).await else { panic!("not offered") };
    let (_, answer) = decode_response::<SaslHandshakeRequest>(whole(parts).await, 1).unwrap();
    assert_eq!((answer.error_code, answer.mechanisms.len()), (ResponseError::UnsupportedSaslMechanism.code(), 2));
    assert!(reason.contains("\"SCRAM-SHA-512\" is not in sasl.enabled.mechanisms"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn who_chooses_twice_is_told_so_and_closed() {
    let node = node(None).await;
    node.ask(1, &handshake("PLAIN")).await;
    let Answer::Last(parts, _) = node.send(1, &handshake("PLAIN")).await else { panic!("the last answer") };
    let (_, answer) = decode_response::<SaslHandshakeRequest>(whole(parts).await, 1).unwrap();
    assert_eq!((answer.error_code, answer.mechanisms.len()), (ResponseError::IllegalSaslState.code(), 0));
    assert!(matches!(node.send(2, &token(PASSED)).await, Answer::Close(_)), "it is too late");
}

#[tokio::test(start_paused = true)]
async fn bare_tokens_of_old_clients_are_answered_barely() {
    let node = node(None).await;
    let context = connection(7, true);
    let send = |bytes: Bytes| node.service.handle(&context, Frame { bytes, more: false });
    let request = millstream_protocol::encode_request(&handshake("PLAIN"), 0, 1, None).unwrap();
    assert!(matches!(send(request.slice(4..)).await, Answer::Reply(_)));
    let Answer::Reply(parts) = send(Bytes::from_static(PASSED)).await else { panic!("let in") };
    assert_eq!(whole(parts).await, Bytes::new());
    let request = millstream_protocol::encode_request(&MetadataRequest::default(), 9, 1, None).unwrap();
    assert!(matches!(send(request.slice(4..)).await, Answer::Reply(_)));
    for frame in [&b""[..], b"\0", &[0xff; 9]] {
        let context = connection(8, true);
        let answer = node.service.handle(&context, Frame { bytes: frame.into(), more: false }).await;
        assert!(matches!(answer, Answer::Close(_)), "{frame:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_unless_the_client_logs_in_again() {
    let node = node(Some(60_000)).await;
    node.ask(1, &handshake("PLAIN")).await;
    assert_eq!(node.ask(2, &token(PASSED)).await.session_lifetime_ms, 60_000);
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(node.ask(9, &MetadataRequest::default()).await.brokers.len(), 1);
        node.ask(1, &handshake("PLAIN")).await;
        assert_eq!(node.ask(2, &token(PASSED)).await.session_lifetime_ms, 60_000);
    }
    tokio::time::advance(Duration::from_secs(61)).await;
    let Answer::Close(reason) = node.send(9, &MetadataRequest::default()).await else { panic!("it is over") };
    assert!(reason.contains("the session of alice ended"), "{reason}");
}

fn upsertion(user: &'static str, mechanism: i8, iterations: i32) -> ScramCredentialUpsertion {
    ScramCredentialUpsertion::default()
        .with_name(user.into())
        .with_mechanism(mechanism)
        .with_iterations(iterations)
        .with_salt(Bytes::from_static(b"salt"))
        .with_salted_password(Bytes::from_static(&[7; 32]))
}

#[tokio::test(start_paused = true)]
async fn credentials_are_altered_and_described_by_kafkas_codes() {
    let node = Node::start().await;
    let alter = async |upsertions: Vec<ScramCredentialUpsertion>, deletions: Vec<ScramCredentialDeletion>| {
        let request = AlterUserScramCredentialsRequest::default().with_upsertions(upsertions).with_deletions(deletions);
        let results = node.ask(0, &request).await.results;
        results.into_iter().map(|result| (result.user.to_string(), result.error_code)).collect::<Vec<_>>()
    };
    let done = alter(
        vec![
            upsertion("alice", 1, 8_192),
            upsertion("bob", 2, 4_095),
            upsertion("carol", 7, 4_096),
            upsertion("dave", 1, 4_096),
            upsertion("dave", 2, 4_096),
        ],
        Vec::new(),
    )
    .await;
    let expected = [
        ("alice", 0),
        ("bob", ResponseError::UnacceptableCredential.code()),
        ("carol", ResponseError::UnsupportedSaslMechanism.code()),
        ("dave", ResponseError::DuplicateResource.code()),
    ];
    assert_eq!(done, expected.map(|(user, code)| (user.to_owned(), code)));
    let describe = async |users: Option<&[&'static str]>| {
        let users = users.map(|users| users.iter().map(|user| UserName::default().with_name((*user).into())).collect());
        let results = node.ask(0, &DescribeUserScramCredentialsRequest::default().with_users(users)).await.results;
        let told = results.into_iter().map(|result| {
            let infos = result.credential_infos.iter().map(|info| (info.mechanism, info.iterations));
            (result.user.to_string(), result.error_code, infos.collect::<Vec<_>>())
        });
        told.collect::<Vec<_>>()
    };
    let alice = ("alice".to_owned(), 0, vec![(1, 8_192)]);
    assert_eq!(describe(None).await, std::slice::from_ref(&alice));
    let none = |user: &str, code: ResponseError| (user.to_owned(), code.code(), Vec::new());
    assert_eq!(
        describe(Some(&["alice", "bob", "carol", "carol"])).await,
        [alice, none("bob", ResponseError::ResourceNotFound), none("carol", ResponseError::DuplicateResource)]
    );
    let deletion =
        |mechanism| vec![ScramCredentialDeletion::default().with_name("alice".into()).with_mechanism(mechanism)];
    assert_eq!(alter(Vec::new(), deletion(2)).await, [("alice".to_owned(), ResponseError::ResourceNotFound.code())]);
    assert_eq!(alter(Vec::new(), deletion(1)).await, [("alice".to_owned(), 0)]);
    assert_eq!(describe(None).await, []);
}
