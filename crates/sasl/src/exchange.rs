//! The tokens of one authentication, from the first to the user's name or a refusal.

use crate::message::{Final, First};
use crate::{Credential, Error, Mechanism, Scram};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Who knows the users.
pub trait Users {
    /// What a proof of that user is checked by; [`Credential::of_nobody`] where there is no such user.
    fn credential(&self, scram: Scram, user: &str) -> Credential;

    /// Whether that user has that password. It takes as long where there is no such user.
    fn has_password(&self, user: &str, password: &str) -> bool;
}

/// What a token led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// The client is to answer this.
    Challenge(Vec<u8>),
    /// The client is who it says.
    Done {
        /// The user.
        user: String,
        /// The last token for the client.
        token: Vec<u8>,
    },
}

/// One authentication.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing has come yet. The server's part of a nonce.
    Begun {
        nonce: String,
    },
    /// SCRAM's challenge is out.
    Challenged(Challenged),
    Over,
}

#[derive(Debug)]
struct Challenged {
    scram: Scram,
    user: String,
    credential: Credential,
    header: Vec<u8>,
    nonce: String,
    /// The client's first message without its header, a comma, the server's, a comma: what the proofs are made over, but for the last part.
    conversation: String,
}

impl Exchange {
    /// An authentication by `mechanism`. `nonce` is printable ASCII without commas, and nobody could guess it.
    #[must_use]
    pub const fn new(mechanism: Mechanism, nonce: String) -> Self {
        Self { mechanism, state: State::Begun { nonce } }
    }

    /// The mechanism.
    #[must_use]
    pub const fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Takes the client's next token. After an error there is no further.
    ///
    /// # Errors
    /// Why the client is not let in.
    pub fn step(&mut self, token: &[u8], users: &impl Users) -> Result<Step, Error> {
        match (self.mechanism, std::mem::replace(&mut self.state, State::Over)) {
            (Mechanism::Plain, State::Begun { .. }) => plain(token, users),
            (Mechanism::Scram(scram), State::Begun { nonce }) => {
                let (challenge, challenged) = first(scram, token, &nonce, users)?;
                self.state = State::Challenged(challenged);
                Ok(Step::Challenge(challenge))
            }
            (_, State::Challenged(challenged)) => challenged.finish(token),
            (_, State::Over) => Err(Error::Over),
        }
    }
}

/// `[authzid] NUL user NUL password`
fn plain(token: &[u8], users: &impl Users) -> Result<Step, Error> {
    let wrong = |what| Error::Token { mechanism: Mechanism::Plain, what };
    let text = std::str::from_utf8(token).map_err(|_| wrong("it is not UTF-8"))?;
    let parts: Vec<&str> = text.split('\0').collect();
    let [authorization, user, password] = parts[..] else {
        return Err(wrong("expected three texts with a NUL between two"));
    };
    if user.is_empty() {
        return Err(Error::NoUser);
    }
    if password.is_empty() {
        return Err(Error::NoPassword);
    }
    if !users.has_password(user, password) {
        return Err(Error::WrongPassword);
    }
    if !authorization.is_empty() && authorization != user {
        return Err(Error::ForAnother);
    }
    Ok(Step::Done { user: user.to_owned(), token: Vec::new() })
}

fn first(scram: Scram, token: &[u8], nonce: &str, users: &impl Users) -> Result<(Vec<u8>, Challenged), Error> {
    let first = First::parse(scram, token)?;
    if first.authorization.as_ref().is_some_and(|other| !other.is_empty() && *other != first.user) {
        return Err(Error::ForAnother);
    }
    let credential = users.credential(scram, &first.user);
    let nonce = format!("{}{nonce}", first.nonce);
    let challenge = format!("r={nonce},s={},i={}", STANDARD.encode(&credential.salt), credential.iterations);
    let conversation = format!("{},{challenge},", first.bare);
    let header = first.header.as_bytes().to_vec();
    Ok((challenge.into_bytes(), Challenged { scram, user: first.user, credential, header, nonce, conversation }))
}

impl Challenged {
    fn finish(self, token: &[u8]) -> Result<Step, Error> {
        let last = Final::parse(self.scram, token)?;
        if last.nonce != self.nonce {
            return Err(Error::Nonce);
        }
        if last.header != self.header {
            let what = "c= is not the header of the first message";
            return Err(Error::Token { mechanism: Mechanism::Scram(self.scram), what });
        }
        let conversation = self.conversation + last.without_proof;
        let signature = self.credential.check(self.scram, conversation.as_bytes(), &last.proof);
        let signature = signature.ok_or(Error::WrongProof)?;
        Ok(Step::Done { user: self.user, token: format!("v={}", STANDARD.encode(signature)).into_bytes() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    /// `user` with the password `pencil`, salted as in RFC 7677.
    struct Rfc;

    impl Users for Rfc {
        fn credential(&self, scram: Scram, user: &str) -> Credential {
            if user != "user" {
                return Credential::of_nobody(scram, user, b"secret");
            }
            let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
            Credential::of_password(scram, "pencil", salt, NonZeroU32::new(4_096).unwrap())
        }

        fn has_password(&self, user: &str, password: &str) -> bool {
            (user, password) == ("user", "pencil")
        }
    }

    const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const CHALLENGE: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn scram(scram: Scram) -> Exchange {
        Exchange::new(Mechanism::Scram(scram), NONCE.to_owned())
    }

    #[test]
    fn the_conversation_of_rfc_7677_ends_as_it_says() {
        let mut exchange = scram(Scram::Sha256);
        assert_eq!(exchange.step(FIRST, &Rfc), Ok(Step::Challenge(CHALLENGE.into())));
        let token = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".to_vec();
        assert_eq!(exchange.step(FINAL.as_bytes(), &Rfc), Ok(Step::Done { user: "user".into(), token }));
        assert_eq!(exchange.step(FINAL.as_bytes(), &Rfc), Err(Error::Over));
    }

    /// What a client with that password answers to a challenge.
    fn client_final(scram: Scram, bare: &str, challenge: &str, password: &str) -> String {
        let mut parts = challenge.split(',').map(|part| &part[2..]);
        let (nonce, salt, iterations) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let salt = STANDARD.decode(salt).unwrap();
        let salted = scram.salted_password(password, &salt, iterations.parse().unwrap());
        let client_key = scram.hmac(&salted, b"Client Key");
        let without_proof = format!("c=biws,r={nonce}");
        let conversation = format!("{bare},{challenge},{without_proof}");
        let signature = scram.hmac(&scram.hash(&client_key), conversation.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(key, signature)| key ^ signature).collect();
        format!("{without_proof},p={}", STANDARD.encode(proof))
    }

    fn log_in(mechanism: Scram, user: &str, password: &str) -> Result<Step, Error> {
        let mut exchange = scram(mechanism);
        let bare = format!("n={user},r=abc");
        let Step::Challenge(challenge) = exchange.step(format!("n,,{bare}").as_bytes(), &Rfc)? else {
            panic!("a challenge is due");
        };
        let challenge = String::from_utf8(challenge).unwrap();
        exchange.step(client_final(mechanism, &bare, &challenge, password).as_bytes(), &Rfc)
    }

    #[test]
    fn the_right_password_is_taken_and_every_other_refused() {
        for mechanism in Scram::ALL {
            assert!(matches!(log_in(mechanism, "user", "pencil"), Ok(Step::Done { user, .. }) if user == "user"));
            for (user, password) in [("user", "pencils"), ("user", ""), ("nobody", "pencil"), ("nobody", "")] {
                assert_eq!(log_in(mechanism, user, password), Err(Error::WrongProof), "{user} {password}");
            }
        }
    }

    #[test]
    fn a_changed_nonce_header_or_proof_is_refused() {
        for (from, to, expected) in [
            ("r=rOpr", "r=xOpr", "nonce"),
            ("c=biws", "c=eSws", "c= is not"),
            ("p=dHzb", "p=eHzb", "proof"),
            ("p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "p=dHzb", "proof"),
        ] {
            let mut exchange = scram(Scram::Sha256);
            exchange.step(FIRST, &Rfc).unwrap();
            let error = exchange.step(FINAL.replace(from, to).as_bytes(), &Rfc).unwrap_err();
            assert!(error.to_string().contains(expected), "{from} -> {to}: {error}");
        }
        let for_another = scram(Scram::Sha256).step(b"n,a=root,n=user,r=a", &Rfc);
        assert_eq!(for_another, Err(Error::ForAnother));
    }

    #[test]
    fn plain_takes_three_texts() {
        let step = |token: &[u8]| Exchange::new(Mechanism::Plain, String::new()).step(token, &Rfc);
        let done = Ok(Step::Done { user: "user".into(), token: Vec::new() });
        assert_eq!(step(b"\0user\0pencil"), done);
        assert_eq!(step(b"user\0user\0pencil"), done);
        for (token, error) in [
            (&b"\0user\0pen"[..], Error::WrongPassword),
            (b"\0other\0pencil", Error::WrongPassword),
            (b"\0\0pencil", Error::NoUser),
            (b"\0user\0", Error::NoPassword),
            (b"root\0user\0pencil", Error::ForAnother),
        ] {
            assert_eq!(step(token), Err(error), "{token:?}");
        }
        for token in [&b""[..], b"user", b"\0user", b"\0user\0pencil\0", b"\0\xff\0x"] {
            assert!(matches!(step(token), Err(Error::Token { mechanism: Mechanism::Plain, .. })), "{token:?}");
        }
    }
}
