//! Why somebody was not let in.

use crate::Mechanism;

/// Why an authentication failed. The words of some go to the client as Kafka sends them; others would tell who exists and who does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// PLAIN without a name.
    #[error("Authentication failed: username not specified")]
    NoUser,
    /// PLAIN without a password.
    #[error("Authentication failed: password not specified")]
    NoPassword,
    /// PLAIN with a wrong name or password.
    #[error("Authentication failed: Invalid username or password")]
    WrongPassword,
    /// Somebody wants to act for somebody else.
    #[error("Authentication failed: Client requested an authorization id that is different from username")]
    ForAnother,
    /// A token that is not the mechanism's.
    #[error("a {} token can't be read: {what}", mechanism.name())]
    Token {
        /// The mechanism.
        mechanism: Mechanism,
        /// What was expected.
        what: &'static str,
    },
    /// The client's final nonce is not the one it was given.
    #[error("the nonce of the client's proof is not the one it was given")]
    Nonce,
    /// SCRAM with a wrong name or password.
    #[error("no such user, or the proof does not fit the password")]
    WrongProof,
    /// More tokens than the mechanism has.
    #[error("a token came after the last one")]
    Over,
    /// Another user than the one the connection belongs to.
    #[error("Cannot change principals during re-authentication from User.{before}: User.{after}")]
    AnotherUser {
        /// Whose the connection is.
        before: String,
        /// Who authenticated now.
        after: String,
    },
    /// Another mechanism than the one of the first time.
    #[error(
        "SASL mechanism '{after}' requested by client is not supported for re-authentication of mechanism '{before}'"
    )]
    AnotherMechanism {
        /// The one of the first time.
        before: &'static str,
        /// The one asked for now.
        after: &'static str,
    },
}

impl Error {
    /// What the client is told.
    #[must_use]
    pub fn told(&self, mechanism: Mechanism, again: bool) -> String {
        match self {
            Self::NoUser
            | Self::NoPassword
            | Self::WrongPassword
            | Self::ForAnother
            | Self::AnotherUser { .. }
            | Self::AnotherMechanism { .. } => self.to_string(),
            Self::Token { .. } | Self::Nonce | Self::WrongProof | Self::Over => {
                let during = if again { "re-authentication" } else { "authentication" };
                let name = mechanism.name();
                format!("Authentication failed during {during} due to invalid credentials with SASL mechanism {name}")
            }
        }
    }
}
