//! A server's side of SASL PLAIN (RFC 4616) and SCRAM (RFC 5802, RFC 7677), and of Kafka's requests around them, as decisions.
//!
//! ```text
//! Conversation --SaslHandshake--> Exchange --tokens--> a user, until the session's time is up (KIP-368)
//! ```
//!
//! No I/O, no clock, no random: who knows the users is a port, nonces and the time are arguments.

mod conversation;
mod credential;
mod error;
mod exchange;
mod mechanism;
mod message;

pub use conversation::{Conversation, Request, Rules, Verdict};
pub use credential::Credential;
pub use error::Error;
pub use exchange::{Exchange, Step, Users};
pub use mechanism::{Mechanism, Scram};
