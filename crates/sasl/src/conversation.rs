//! What a connection of a listener with SASL may ask, and when: Kafka's handshake, then tokens, then everything else until the session ends.
//!
//! ```text
//! Open --SaslHandshake--> Exchanging --SaslAuthenticate..--> In --SaslHandshake--> Exchanging again (KIP-368) ..
//!        version 0: tokens follow as bare frames             |
//!                                                            +-- session over: only SaslHandshake
//! ```

use crate::{Error, Exchange, Mechanism, Step, Users};
use std::sync::Arc;

/// A connection that begins to authenticate again sooner than this after the last time is answered as if it had not to (as in Kafka).
const AGAIN_MS_MIN: u64 = 1_000;

/// What a listener asks of its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The mechanisms it takes, in the order in which clients are told.
    pub mechanisms: Vec<Mechanism>,
    /// How long one authentication holds, in milliseconds; none for ever.
    pub session_ms: Option<u64>,
}

/// A request, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request<'a> {
    /// What is served: anybody may know.
    ApiVersions,
    /// The client chooses a mechanism.
    Handshake {
        /// The request's version. Of version 0, bare frames follow.
        version: i16,
        /// The mechanism's name.
        mechanism: &'a str,
        /// The server's part of a nonce, which nobody could guess.
        nonce: String,
    },
    /// A token.
    Authenticate(&'a [u8]),
    /// Any other, by its name.
    Other(&'a str),
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is for others to answer.
    Pass,
    /// The mechanism is taken: tokens may come.
    Chosen,
    /// The mechanism is not taken: say which are, and close.
    NotOffered(String),
    /// It is answered with this token, and more must come.
    Challenge(Vec<u8>),
    /// The client is who it says.
    Authenticated {
        /// The last token.
        token: Vec<u8>,
        /// How long that holds, in milliseconds; 0 for ever.
        session_ms: u64,
    },
    /// The client is not let in: tell it, and close.
    Failed {
        /// What it is told.
        told: String,
        /// Why.
        error: Error,
    },
    /// The client authenticated before, and that holds still: answer ILLEGAL_SASL_STATE and go on.
    Needless,
    /// It came where a token is due: answer ILLEGAL_SASL_STATE, and close.
    OutOfTurn,
    /// Close without an answer.
    Close(String),
}

/// One connection's.
#[derive(Debug, Default)]
pub struct Conversation {
    stage: Stage,
    session: Option<Session>,
    /// When the client last began to authenticate again.
    began_again_ms: Option<u64>,
}

#[derive(Debug, Default)]
enum Stage {
    /// No authentication is under way.
    #[default]
    Idle,
    Exchanging {
        exchange: Exchange,
        bare: bool,
    },
    /// It chose another mechanism than the first time; its next token is refused.
    WrongMechanism {
        chosen: Mechanism,
    },
    Failed,
}

#[derive(Debug)]
struct Session {
    user: Arc<str>,
    mechanism: Mechanism,
    ends_ms: Option<u64>,
}

impl Conversation {
    /// The user, once it is known who that is.
    #[must_use]
    pub fn user(&self) -> Option<&Arc<str>> {
        self.session.as_ref().map(|session| &session.user)
    }

    /// Whether the next frame is a token without Kafka's header.
    #[must_use]
    pub const fn takes_bare_token(&self) -> bool {
        matches!(self.stage, Stage::Exchanging { bare: true, .. })
    }

    /// Decides about a request that came at `now_ms`.
    pub fn take(&mut self, request: &Request<'_>, now_ms: u64, rules: &Rules, users: &impl Users) -> Verdict {
        match (request, &self.stage) {
            (_, Stage::Failed) => Verdict::Close("it was not let in".to_owned()),
            (Request::Handshake { version, mechanism, nonce }, Stage::Idle) => {
                if !self.may_begin(now_ms) {
                    return self.go_on(now_ms, Verdict::Needless);
                }
                self.begin((*version, mechanism), nonce.clone(), rules)
            }
            (Request::Authenticate(token), Stage::Exchanging { .. }) => self.token(token, now_ms, rules, users),
            (Request::Authenticate(_), Stage::WrongMechanism { chosen }) => {
                let before = self.session.as_ref().map_or(*chosen, |session| session.mechanism);
                let error = Error::AnotherMechanism { before: before.name(), after: chosen.name() };
                self.fail(*chosen, error)
            }
            (Request::Authenticate(_), Stage::Idle) if self.session.is_some() => self.go_on(now_ms, Verdict::Needless),
            (Request::ApiVersions, Stage::Idle) if self.session.is_none() => Verdict::Pass,
            (Request::Other(_) | Request::ApiVersions, Stage::Idle) if self.session.is_some() => {
                self.go_on(now_ms, Verdict::Pass)
            }
            (Request::Other(api), Stage::Idle) => Verdict::Close(format!(
                "{api} came before the client said who it is; expected SaslHandshake: is its security.protocol SASL_PLAINTEXT or SASL_SSL?"
            )),
            (Request::Handshake { .. } | Request::ApiVersions, _) => {
                self.stage = Stage::Failed;
                Verdict::OutOfTurn
            }
            (Request::Authenticate(_), Stage::Idle) => {
                Verdict::Close("a token came before SaslHandshake said of which mechanism".to_owned())
            }
            (request, _) => Verdict::Close(format!("{} came in the middle of an authentication", name(request))),
        }
    }

    /// What has been decided, unless the session is over.
    fn go_on(&self, now_ms: u64, verdict: Verdict) -> Verdict {
        match &self.session {
            Some(Session { ends_ms: Some(ends), user, .. }) if now_ms > *ends => Verdict::Close(format!(
                "the session of {user} ended (connections.max.reauth.ms) and it did not authenticate again"
            )),
            Some(_) | None => verdict,
        }
    }

    /// Whether a handshake begins an authentication. Who is in for ever has no need to come in again.
    fn may_begin(&mut self, now_ms: u64) -> bool {
        let Some(session) = &self.session else { return true };
        let is_for_ever = session.ends_ms.is_none();
        if is_for_ever || self.began_again_ms.is_some_and(|last| now_ms.saturating_sub(last) < AGAIN_MS_MIN) {
            return false;
        }
        self.began_again_ms = Some(now_ms);
        true
    }

    fn begin(&mut self, (version, named): (i16, &str), nonce: String, rules: &Rules) -> Verdict {
        let offered = Mechanism::named(named).filter(|mechanism| rules.mechanisms.contains(mechanism));
        let Some(mechanism) = offered else {
            self.stage = Stage::Failed;
            return Verdict::NotOffered(named.to_owned());
        };
        self.stage = match &self.session {
            Some(session) if session.mechanism != mechanism => Stage::WrongMechanism { chosen: mechanism },
            Some(_) | None => Stage::Exchanging { exchange: Exchange::new(mechanism, nonce), bare: version == 0 },
        };
        Verdict::Chosen
    }

    fn token(&mut self, token: &[u8], now_ms: u64, rules: &Rules, users: &impl Users) -> Verdict {
        let Stage::Exchanging { exchange, .. } = &mut self.stage else { return Verdict::Needless };
        let mechanism = exchange.mechanism();
        match exchange.step(token, users) {
            Ok(Step::Challenge(token)) => Verdict::Challenge(token),
            Ok(Step::Done { user, token }) => match &self.session {
                Some(session) if *session.user != *user => {
                    let error = Error::AnotherUser { before: session.user.to_string(), after: user };
                    self.fail(mechanism, error)
                }
                Some(_) | None => {
                    let ends_ms = rules.session_ms.map(|lasts| now_ms.saturating_add(lasts));
                    self.session = Some(Session { user: user.into(), mechanism, ends_ms });
                    self.stage = Stage::Idle;
                    Verdict::Authenticated { token, session_ms: rules.session_ms.unwrap_or(0) }
                }
            },
            Err(error) => self.fail(mechanism, error),
        }
    }

    fn fail(&mut self, mechanism: Mechanism, error: Error) -> Verdict {
        self.stage = Stage::Failed;
        Verdict::Failed { told: error.told(mechanism, self.session.is_some()), error }
    }
}

const fn name<'a>(request: &Request<'a>) -> &'a str {
    match request {
        Request::ApiVersions => "ApiVersions",
        Request::Handshake { .. } => "SaslHandshake",
        Request::Authenticate(_) => "SaslAuthenticate",
        Request::Other(name) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Credential, Scram};

    struct Nobody;

    impl Users for Nobody {
        fn credential(&self, scram: Scram, user: &str) -> Credential {
            Credential::of_nobody(scram, user, b"secret")
        }

        fn has_password(&self, user: &str, password: &str) -> bool {
            password.strip_prefix("is ") == Some(user)
        }
    }

    struct Client {
        conversation: Conversation,
        rules: Rules,
        now_ms: u64,
    }

    impl Client {
        fn new(session_ms: Option<u64>) -> Self {
            let mechanisms = vec![Mechanism::Plain, Mechanism::Scram(Scram::Sha256)];
            Self { conversation: Conversation::default(), rules: Rules { mechanisms, session_ms }, now_ms: 50 }
        }

        fn asks(&mut self, request: &Request<'_>) -> Verdict {
            self.conversation.take(request, self.now_ms, &self.rules, &Nobody)
        }

        fn chooses(&mut self, version: i16, mechanism: &str) -> Verdict {
            self.asks(&Request::Handshake { version, mechanism, nonce: "nonce".into() })
        }

        fn logs_in(&mut self, user: &str) -> Verdict {
            assert_eq!(self.chooses(1, "PLAIN"), Verdict::Chosen);
            self.asks(&Request::Authenticate(format!("\0{user}\0is {user}").as_bytes()))
        }
    }

    fn is_in(session_ms: u64) -> Verdict {
        Verdict::Authenticated { token: Vec::new(), session_ms }
    }

    #[test]
    fn before_authentication_only_its_own_requests_and_versions_are_taken() {
        let mut client = Client::new(None);
        assert_eq!(client.asks(&Request::ApiVersions), Verdict::Pass);
        assert_eq!(client.asks(&Request::ApiVersions), Verdict::Pass);
        for request in [Request::Other("Metadata"), Request::Authenticate(b"\0a\0is a")] {
            assert!(matches!(Client::new(None).asks(&request), Verdict::Close(_)), "{request:?}");
        }
        assert_eq!(client.chooses(1, "PLAIN"), Verdict::Chosen);
        assert!(matches!(client.asks(&Request::Other("Metadata")), Verdict::Close(_)));
        assert_eq!(client.asks(&Request::Authenticate(b"\0a\0is a")), is_in(0));
        assert_eq!(client.conversation.user().map(|user| &**user), Some("a"));
        assert_eq!(client.asks(&Request::Other("Metadata")), Verdict::Pass);
        assert_eq!(client.asks(&Request::ApiVersions), Verdict::Pass);
    }

    #[test]
    fn after_a_failure_nothing_is_taken() {
        let mut client = Client::new(None);
        assert_eq!(client.chooses(1, "SCRAM-SHA-512"), Verdict::NotOffered("SCRAM-SHA-512".into()));
        assert!(matches!(client.chooses(1, "PLAIN"), Verdict::Close(_)));
        let mut client = Client::new(None);
        assert_eq!(client.chooses(1, "PLAIN"), Verdict::Chosen);
        let told = "Authentication failed: Invalid username or password".to_owned();
        let failed = client.asks(&Request::Authenticate(b"\0a\0is b"));
        assert_eq!(failed, Verdict::Failed { told, error: Error::WrongPassword });
        assert!(matches!(client.asks(&Request::Authenticate(b"\0a\0is a")), Verdict::Close(_)));
        assert_eq!(client.conversation.user(), None);
    }

    #[test]
    fn who_exists_is_not_told() {
        let mut client = Client::new(None);
        assert_eq!(client.chooses(1, "SCRAM-SHA-256"), Verdict::Chosen);
        assert!(matches!(client.asks(&Request::Authenticate(b"n,,n=a,r=b")), Verdict::Challenge(_)));
        let Verdict::Failed { told, error } = client.asks(&Request::Authenticate(b"c=biws,r=bnonce,p=AAAA")) else {
            panic!("nobody is let in");
        };
        assert_eq!(error, Error::WrongProof);
        assert_eq!(
            told,
            "Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-256"
        );
    }

    #[test]
    fn bare_tokens_follow_a_handshake_of_version_0() {
        let mut client = Client::new(None);
        assert!(!client.conversation.takes_bare_token());
        assert_eq!(client.chooses(0, "PLAIN"), Verdict::Chosen);
        assert!(client.conversation.takes_bare_token());
        assert_eq!(client.asks(&Request::Authenticate(b"\0a\0is a")), is_in(0));
        assert!(!client.conversation.takes_bare_token());
    }

    #[test]
    fn a_session_that_is_over_takes_nothing_but_a_new_handshake() {
        let mut client = Client::new(Some(10_000));
        assert_eq!(client.logs_in("a"), is_in(10_000));
        client.now_ms += 10_000;
        assert_eq!(client.asks(&Request::Other("Produce")), Verdict::Pass);
        client.now_ms += 1;
        let Verdict::Close(reason) = client.asks(&Request::Other("Produce")) else { panic!("it is over") };
        assert!(reason.contains("the session of a ended"), "{reason}");
        assert_eq!(client.logs_in("a"), is_in(10_000));
        assert_eq!(client.asks(&Request::Other("Produce")), Verdict::Pass);
    }

    #[test]
    fn a_user_and_its_mechanism_stay_what_they_are() {
        let mut client = Client::new(Some(10_000));
        assert_eq!(client.logs_in("a"), is_in(10_000));
        let Verdict::Failed { told, .. } = client.logs_in("b") else { panic!("another user") };
        assert_eq!(told, "Cannot change principals during re-authentication from User.a: User.b");
        let mut client = Client::new(Some(10_000));
        assert_eq!(client.logs_in("a"), is_in(10_000));
        assert_eq!(client.chooses(1, "SCRAM-SHA-256"), Verdict::Chosen);
        let Verdict::Failed { told, .. } = client.asks(&Request::Authenticate(b"n,,n=a,r=b")) else {
            panic!("another mechanism");
        };
        assert!(told.starts_with("SASL mechanism 'SCRAM-SHA-256' requested by client"), "{told}");
    }

    #[test]
    fn who_is_in_for_ever_does_not_come_in_again() {
        let mut client = Client::new(None);
        assert_eq!(client.logs_in("a"), is_in(0));
        client.now_ms += 10_000;
        assert_eq!(client.chooses(1, "PLAIN"), Verdict::Needless);
        assert_eq!(client.chooses(1, "GSSAPI"), Verdict::Needless);
        assert_eq!(client.asks(&Request::Other("Produce")), Verdict::Pass);
    }

    #[test]
    fn bare_tokens_may_follow_again() {
        let mut client = Client::new(Some(10_000));
        assert_eq!(client.logs_in("a"), is_in(10_000));
        assert_eq!(client.chooses(0, "PLAIN"), Verdict::Chosen);
        assert!(client.conversation.takes_bare_token());
        assert_eq!(client.asks(&Request::Authenticate(b"\0a\0is a")), is_in(10_000));
    }

    #[test]
    fn what_comes_where_a_token_is_due_is_out_of_turn() {
        for session_ms in [None, Some(10_000)] {
            let mut client = Client::new(session_ms);
            if session_ms.is_some() {
                client.logs_in("a");
            }
            assert_eq!(client.chooses(1, "PLAIN"), Verdict::Chosen);
            assert_eq!(client.chooses(1, "PLAIN"), Verdict::OutOfTurn);
            assert!(matches!(client.asks(&Request::Authenticate(b"\0a\0is a")), Verdict::Close(_)), "that was the end");
        }
        let mut client = Client::new(None);
        assert_eq!(client.chooses(1, "PLAIN"), Verdict::Chosen);
        assert_eq!(client.asks(&Request::ApiVersions), Verdict::OutOfTurn);
        let mut client = Client::new(None);
        assert!(matches!(client.asks(&Request::Authenticate(b"\0a\0is a")), Verdict::Close(_)));
        assert_eq!(client.chooses(1, "PLAIN"), Verdict::Chosen);
        assert!(matches!(client.asks(&Request::Other("Produce")), Verdict::Close(_)), "it is not read at all");
    }

    #[test]
    fn authenticating_again_at_once_is_needless() {
        let mut client = Client::new(Some(10_000));
        assert_eq!(client.logs_in("a"), is_in(10_000));
        assert_eq!(client.asks(&Request::Authenticate(b"\0a\0is a")), Verdict::Needless);
        assert_eq!(client.logs_in("a"), is_in(10_000));
        client.now_ms += 999;
        assert_eq!(client.chooses(1, "PLAIN"), Verdict::Needless);
        client.now_ms += 1;
        assert_eq!(client.logs_in("a"), is_in(10_000));
        assert_eq!(client.asks(&Request::Other("Produce")), Verdict::Pass);
    }
}
