//! Who a client is, where its listener asks: the conversations of connections, run against the users there are.

mod users;

pub use users::read_users;

use crate::Error;
use crate::service::Broker;
use bytes::{BufMut, Bytes, BytesMut};
use futures::future::{BoxFuture, FutureExt};
use kafka_protocol::messages::{ApiVersionsResponse, SaslAuthenticateResponse, SaslHandshakeResponse};
use millstream_metadata::Image;
use millstream_net::{Answer, ConnectionContext, Part};
use millstream_protocol::{ApiKey, Request, RequestKind, ResponseError, StrBytes};
use millstream_sasl::{Conversation, Credential, Request as Asked, Rules, Scram, Users, Verdict};
use millstream_telemetry::catalogue::AUTHENTICATIONS;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use users::{Known, random};

/// The listeners whose clients log in, and the users there are besides those in the metadata.
#[derive(Clone, Default)]
pub struct Sasl {
    /// What listeners ask, by their names.
    pub listeners: BTreeMap<String, Rules>,
    /// Names and passwords.
    pub users: Vec<(String, String)>,
}

impl fmt::Debug for Sasl {
    /// Passwords are nobody's to see.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sasl").field("listeners", &self.listeners).finish_non_exhaustive()
    }
}

/// The state of all that.
pub(crate) struct Authentication {
    listeners: BTreeMap<String, Rules>,
    known: Known,
    conversations: Mutex<HashMap<u64, Arc<Mutex<Conversation>>>>,
}

/// Whether a request goes on to its handler.
pub(crate) enum Admission<'a> {
    /// It does. The user, where the connection has one.
    In(Option<Arc<str>>),
    /// It is answered so.
    Answer(BoxFuture<'a, Answer>),
}

/// The answer to a verdict, in the words that the request was in.
enum Words<'a> {
    Request(&'a Request),
    /// Tokens after a handshake of version 0 have no header, and neither have their answers.
    Bare,
}

/// The users as of a moment.
struct Lookup<'a> {
    known: &'a Known,
    image: Arc<Image>,
}

impl Users for Lookup<'_> {
    fn credential(&self, scram: Scram, user: &str) -> Credential {
        let stored = self.image.scram_credential(user, scram).map(|credential| (**credential).clone());
        stored.unwrap_or_else(|| self.known.credential(scram, user))
    }

    fn has_password(&self, user: &str, password: &str) -> bool {
        self.known.has_password(user, password)
    }
}

impl Authentication {
    pub(crate) fn new(sasl: Sasl) -> Result<Self, Error> {
        // Without a listener that asks, nobody needs their credentials, which take milliseconds to make.
        let users = if sasl.listeners.is_empty() { Vec::new() } else { sasl.users };
        Ok(Self { listeners: sasl.listeners, known: Known::new(&users)?, conversations: Mutex::default() })
    }

    pub(crate) fn forget(&self, connection: u64) {
        self.conversations.lock().remove(&connection);
    }

    fn conversation(&self, connection: u64) -> Arc<Mutex<Conversation>> {
        self.conversations.lock().entry(connection).or_default().clone()
    }
}

impl Broker {
    /// What can be said of a frame before anything of it is read but its first bytes.
    pub(crate) fn before_decoding<'a>(
        &'a self,
        connection: &'a ConnectionContext,
        frame: &Bytes,
    ) -> Option<BoxFuture<'a, Answer>> {
        let conversation = self.authentication.conversation(connection.id);
        let (is_bare, is_known) = {
            let conversation = conversation.lock();
            (conversation.takes_bare_token(), conversation.user().is_some())
        };
        if is_bare {
            let verdict = self.decide(connection, &conversation, &Asked::Authenticate(frame));
            return Some(self.tell(connection, verdict, &Words::Bare));
        }
        let api = frame.first_chunk().and_then(|key| ApiKey::try_from(i16::from_be_bytes(*key)).ok());
        let asks_who = [ApiKey::ApiVersions, ApiKey::SaslHandshake, ApiKey::SaslAuthenticate];
        if is_known || api.is_some_and(|api| asks_who.contains(&api)) {
            return None;
        }
        let name = api.map_or_else(|| "what is no request of Kafka's".to_owned(), |api| format!("{api:?}"));
        let verdict = self.decide(connection, &conversation, &Asked::Other(&name));
        Some(self.tell(connection, verdict, &Words::Bare))
    }

    /// Whether a request goes on to its handler.
    pub(crate) fn admit<'a>(&'a self, connection: &'a ConnectionContext, request: &Request) -> Admission<'a> {
        let conversation = self.authentication.conversation(connection.id);
        let asked = match &request.body {
            RequestKind::ApiVersions(_) => Asked::ApiVersions,
            RequestKind::SaslHandshake(body) => match nonce() {
                Ok(nonce) => Asked::Handshake { version: request.version, mechanism: &body.mechanism, nonce },
                Err(error) => {
                    return Admission::Answer(futures::future::ready(Answer::Close(error.to_string())).boxed());
                }
            },
            RequestKind::SaslAuthenticate(body) => Asked::Authenticate(&body.auth_bytes),
            _ => Asked::Other("a request"),
        };
        match self.decide(connection, &conversation, &asked) {
            // Their handlers say that it was needless.
            Verdict::Pass | Verdict::Needless => Admission::In(conversation.lock().user().cloned()),
            verdict => Admission::Answer(self.tell(connection, verdict, &Words::Request(request))),
        }
    }

    fn decide(&self, connection: &ConnectionContext, conversation: &Mutex<Conversation>, asked: &Asked<'_>) -> Verdict {
        let Some(rules) = self.authentication.listeners.get(&*connection.listener) else {
            return Verdict::Close(format!("the listener {} has no rules for who may use it", connection.listener));
        };
        let now_ms = u64::try_from(self.runtime.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        let users = Lookup { known: &self.authentication.known, image: self.image() };
        let verdict = conversation.lock().take(asked, now_ms, rules, &users);
        let outcome = match &verdict {
            Verdict::Authenticated { .. } => "success",
            Verdict::Failed { .. } | Verdict::NotOffered(_) => "failed",
            Verdict::Pass
            | Verdict::Chosen
            | Verdict::Challenge(_)
            | Verdict::Needless
            | Verdict::OutOfTurn
            | Verdict::Close(_) => return verdict,
        };
        self.metrics.counter(&AUTHENTICATIONS, &[&connection.listener, outcome]).inc();
        verdict
    }

    fn tell<'a>(
        &'a self,
        connection: &'a ConnectionContext,
        verdict: Verdict,
        words: &Words<'_>,
    ) -> BoxFuture<'a, Answer> {
        let mechanisms = || {
            let rules = self.authentication.listeners.get(&*connection.listener);
            let offered = rules.into_iter().flat_map(|rules| &rules.mechanisms);
            SaslHandshakeResponse::default().with_mechanisms(offered.map(|one| one.name().into()).collect())
        };
        let refusal = match verdict {
            Verdict::Close(reason) => return futures::future::ready(Answer::Close(reason)).boxed(),
            Verdict::Chosen => return futures::future::ready(words.answer(mechanisms())).boxed(),
            Verdict::Pass | Verdict::Needless => return futures::future::ready(Answer::NoReply).boxed(),
            Verdict::OutOfTurn => return futures::future::ready(words.out_of_turn()).boxed(),
            Verdict::Challenge(token) => return futures::future::ready(words.token(token, 0)).boxed(),
            Verdict::Authenticated { token, session_ms } => {
                connection.authentication.done();
                return futures::future::ready(words.token(token, session_ms)).boxed();
            }
            Verdict::NotOffered(mechanism) => {
                let answer = mechanisms().with_error_code(ResponseError::UnsupportedSaslMechanism.code());
                (words.answer(answer), format!("the SASL mechanism {mechanism:?} is not in sasl.enabled.mechanisms"))
            }
            Verdict::Failed { told, error } => {
                let answer = SaslAuthenticateResponse::default()
                    .with_error_code(ResponseError::SaslAuthenticationFailed.code())
                    .with_error_message(Some(StrBytes::from_string(told)));
                (words.answer(answer), format!("the client is not let in: {error}"))
            }
        };
        self.refuse_later(refusal).boxed()
    }

    /// Answers and closes after a while: who tries passwords shall take long (`connection.failed.authentication.delay.ms`).
    async fn refuse_later(&self, (answer, reason): (Answer, String)) -> Answer {
        let shutdown = self.runtime.tasks.shutdown();
        tokio::select! {
            biased;
            () = shutdown.requested() => {}
            () = self.runtime.clock.sleep(self.settings.failed_authentication_delay) => {}
        }
        match answer {
            Answer::Reply(parts) => Answer::Last(parts, reason),
            Answer::NoReply | Answer::Last(..) | Answer::Close(_) => Answer::Close(reason),
        }
    }
}

impl Words<'_> {
    fn answer<T: Into<millstream_protocol::ResponseKind>>(&self, body: T) -> Answer {
        let Words::Request(request) = self else { return Answer::NoReply };
        match millstream_protocol::encode_kind(&body.into(), request.version, request.correlation_id) {
            Ok(frame) => Answer::Reply(vec![Part::Bytes(frame)]),
            Err(error) => Answer::Close(error.to_string()),
        }
    }

    /// It came where a token is due.
    fn out_of_turn(&self) -> Answer {
        let (code, reason) = (ResponseError::IllegalSaslState.code(), "it came in the middle of an authentication");
        let answer = match self {
            Words::Request(Request { body: RequestKind::SaslHandshake(_), .. }) => {
                self.answer(SaslHandshakeResponse::default().with_error_code(code))
            }
            Words::Request(_) => self.answer(ApiVersionsResponse::default().with_error_code(code)),
            Words::Bare => Answer::NoReply,
        };
        match answer {
            Answer::Reply(parts) => Answer::Last(parts, reason.to_owned()),
            Answer::NoReply | Answer::Last(..) | Answer::Close(_) => Answer::Close(reason.to_owned()),
        }
    }

    fn token(&self, token: Vec<u8>, session_ms: u64) -> Answer {
        match self {
            Words::Request(request) => {
                let session_ms = i64::try_from(session_ms).unwrap_or(i64::MAX);
                let answer = SaslAuthenticateResponse::default().with_auth_bytes(token.into());
                self.answer(if request.version >= 1 { answer.with_session_lifetime_ms(session_ms) } else { answer })
            }
            Words::Bare => {
                let mut frame = BytesMut::with_capacity(4 + token.len());
                frame.put_u32(u32::try_from(token.len()).unwrap_or(u32::MAX));
                frame.put_slice(&token);
                Answer::Reply(vec![Part::Bytes(frame.freeze())])
            }
        }
    }
}

/// Printable and without commas.
fn nonce() -> Result<String, Error> {
    Ok(random::<24>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}
