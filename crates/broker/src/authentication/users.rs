//! Users whom the node was told of at start, rather than those in the metadata.

use crate::Error;
use millstream_sasl::{Credential, Scram};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use std::collections::BTreeMap;

/// Names and what their passwords are checked by; the passwords themselves are not kept.
pub struct Known {
    /// This process's own, so that what it keeps is worth nothing elsewhere.
    secret: [u8; 32],
    users: BTreeMap<String, User>,
}

struct User {
    tag: hmac::Tag,
    credentials: [(Scram, Credential); 2],
}

impl Known {
    /// The users of those names and passwords.
    pub fn new(users: &[(String, String)]) -> Result<Self, Error> {
        let secret = random::<32>()?;
        let mut known = BTreeMap::new();
        for (name, password) in users {
            let tag = hmac::sign(&key(&secret, name), password.as_bytes());
            let mut credentials = Vec::with_capacity(2);
            for scram in Scram::ALL {
                let salt = random::<16>()?.to_vec();
                credentials.push((scram, Credential::of_password(scram, password, salt, Credential::ITERATIONS_MIN)));
            }
            let credentials = credentials.try_into().map_err(|_| Error::Random)?;
            known.insert(name.clone(), User { tag, credentials });
        }
        Ok(Self { secret, users: known })
    }

    /// What a proof of that user is checked by.
    pub fn credential(&self, scram: Scram, user: &str) -> Credential {
        let known = self.users.get(user).into_iter().flat_map(|user| &user.credentials);
        let found = known.clone().find(|(other, _)| *other == scram).map(|(_, credential)| credential.clone());
        found.unwrap_or_else(|| Credential::of_nobody(scram, user, &self.secret))
    }

    /// Whether the user has the password. The time it takes tells neither.
    pub fn has_password(&self, user: &str, password: &str) -> bool {
        let key = key(&self.secret, user);
        // Somebody who is not there is checked against what no password has.
        let nobody = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.secret), b"nobody");
        let known = self.users.get(user);
        let fits = hmac::verify(&key, password.as_bytes(), known.map_or(&nobody, |user| &user.tag).as_ref()).is_ok();
        fits && known.is_some()
    }
}

fn key(secret: &[u8], user: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &[secret, b"/", user.as_bytes()].concat())
}

/// Random bytes that nobody can guess. The runtime's random numbers are not for secrets.
pub fn random<const LEN: usize>() -> Result<[u8; LEN], Error> {
    let mut bytes = [0; LEN];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(bytes)
}

/// Reads `NAME:PASSWORD`, one a line; empty lines and those that begin with `#` say nothing. A password may hold colons, a name may not.
///
/// # Errors
/// The number of the first line that is not so, from 1. The line itself may be a secret.
pub fn read_users(text: &str) -> Result<Vec<(String, String)>, usize> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|(number, line)| match line.split_once(':') {
            Some((name, password)) if !name.is_empty() && !password.is_empty() => {
                Ok((name.to_owned(), password.to_owned()))
            }
            _ => Err(number),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_names_and_passwords() {
        let users = read_users("# who\nadmin:a:b\n\nalice:c d \n").unwrap();
        assert_eq!(users, [("admin".into(), "a:b".into()), ("alice".into(), "c d ".into())]);
        for (text, line) in [("admin", 1), ("a:b\n:c", 2), ("a:b\n\nd:", 3)] {
            assert_eq!(read_users(text), Err(line), "{text:?}");
        }
    }

    #[test]
    fn passwords_fit_their_users_only() {
        let known = Known::new(&read_users("alice:one\nbob:two").unwrap()).unwrap();
        assert!(known.has_password("alice", "one") && known.has_password("bob", "two"));
        for (user, password) in [("alice", "two"), ("alice", ""), ("carol", "one"), ("", ""), ("carol", "nobody")] {
            assert!(!known.has_password(user, password), "{user} {password}");
        }
        let salts: Vec<_> = Scram::ALL.iter().map(|scram| known.credential(*scram, "alice").salt).collect();
        assert_ne!(salts[0], salts[1]);
    }
}
