//! What a server keeps of a user's password for SCRAM: enough to check a proof, not enough to make one.

use crate::Scram;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::num::NonZeroU32;
use subtle::ConstantTimeEq;

/// A user's credential for one mechanism. Stored: the names of its fields never change.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// What the password was mixed with.
    #[serde(serialize_with = "write", deserialize_with = "read")]
    pub salt: Vec<u8>,
    /// How often.
    pub iterations: NonZeroU32,
    /// RFC 5802's `StoredKey`: the client's key is what hashes to it.
    #[serde(serialize_with = "write", deserialize_with = "read")]
    stored_key: Vec<u8>,
    /// RFC 5802's `ServerKey`, by which the server shows that it knows the user.
    #[serde(serialize_with = "write", deserialize_with = "read")]
    server_key: Vec<u8>,
}

impl Credential {
    /// Rounds below which Kafka takes no credential, and which it uses where nobody says.
    pub const ITERATIONS_MIN: NonZeroU32 = NonZeroU32::new(4_096).expect("it is not zero");
    /// Rounds above which Kafka takes none.
    pub const ITERATIONS_MAX: NonZeroU32 = NonZeroU32::new(16_384).expect("it is not zero");

    /// The credential of a password.
    #[must_use]
    pub fn of_password(scram: Scram, password: &str, salt: Vec<u8>, iterations: NonZeroU32) -> Self {
        let salted = scram.salted_password(password, &salt, iterations);
        Self::of_salted_password(scram, &salted, salt, iterations)
    }

    /// The credential of a password that was salted already, as clients send it when they create a user.
    #[must_use]
    pub fn of_salted_password(scram: Scram, salted: &[u8], salt: Vec<u8>, iterations: NonZeroU32) -> Self {
        let stored_key = scram.hash(&scram.hmac(salted, b"Client Key"));
        Self { salt, iterations, stored_key, server_key: scram.hmac(salted, b"Server Key") }
    }

    /// A credential that no password fits, which looks like any other: who asks for a user that is not there can't tell. `secret` is the
    /// server's own, so that a user's salt is the same each time.
    #[must_use]
    pub fn of_nobody(scram: Scram, user: &str, secret: &[u8]) -> Self {
        let mut salt = scram.hmac(secret, user.as_bytes());
        salt.truncate(16);
        // No key hashes to nothing.
        Self { salt, iterations: Self::ITERATIONS_MIN, stored_key: Vec::new(), server_key: Vec::new() }
    }

    /// The server's signature of the conversation, where the client's proof holds for it.
    pub(crate) fn check(&self, scram: Scram, conversation: &[u8], proof: &[u8]) -> Option<Vec<u8>> {
        let mut client_key = scram.hmac(&self.stored_key, conversation);
        if proof.len() != client_key.len() {
            return None;
        }
        client_key.iter_mut().zip(proof).for_each(|(byte, proof)| *byte ^= proof);
        let fits = scram.hash(&client_key).ct_eq(&self.stored_key);
        bool::from(fits).then(|| scram.hmac(&self.server_key, conversation))
    }
}

impl fmt::Debug for Credential {
    /// The keys are nobody's to see.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

fn write<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_text_is_golden_and_debugging_shows_no_key() {
        let credential = Credential::of_password(Scram::Sha256, "secret", b"salt".to_vec(), Credential::ITERATIONS_MIN);
        let text = serde_json::to_string(&credential).unwrap();
        assert_eq!(serde_json::from_str::<Credential>(&text).unwrap(), credential);
        assert!(text.starts_with(r#"{"salt":"c2FsdA==","iterations":4096,"stored_key":""#), "{text}");
        assert_eq!(format!("{credential:?}"), "Credential { iterations: 4096, .. }");
    }

    #[test]
    fn nobodys_salt_is_always_the_same_and_no_proof_fits_it() {
        let nobody = |user| Credential::of_nobody(Scram::Sha512, user, b"the server's");
        assert_eq!(nobody("a"), nobody("a"));
        assert_ne!(nobody("a").salt, nobody("b").salt);
        for proof in [&[0; 64][..], &[], &[7; 32]] {
            assert_eq!(nobody("a").check(Scram::Sha512, b"words", proof), None);
        }
    }
}
