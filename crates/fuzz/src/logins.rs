//! Any bytes as what a client says while it logs in: nobody is let in who does not know the password, and nothing is heard after a refusal.
//!
//! ```text
//! input = (kind u8 | number u8 | bytes u8 | bytes)*           a handshake, a token, another request; the number is a version, or seconds
//! ```

use crate::input::{Input, piece};
use millstream_sasl::{Conversation, Credential, Mechanism, Request, Rules, Scram, Users, Verdict};
use std::num::NonZeroU32;
use std::sync::LazyLock;

const USER: &str = "user";
const PASSWORD: &str = "pencil";
/// The server's part of the nonce, the salt and the iterations of RFC 7677's example, so that its tokens are good ones.
const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const SALT: [u8; 16] = [0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81];
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4_096).expect("it is not zero");

struct OneUser {
    sha256: Credential,
    sha512: Credential,
}

static USERS: LazyLock<OneUser> = LazyLock::new(|| {
    let credential = |scram| Credential::of_password(scram, PASSWORD, SALT.to_vec(), ITERATIONS);
    OneUser { sha256: credential(Scram::Sha256), sha512: credential(Scram::Sha512) }
});

impl Users for OneUser {
    fn credential(&self, scram: Scram, user: &str) -> Credential {
        match scram {
            _ if user != USER => Credential::of_nobody(scram, user, b"secret"),
            Scram::Sha256 => self.sha256.clone(),
            Scram::Sha512 => self.sha512.clone(),
        }
    }

    fn has_password(&self, user: &str, password: &str) -> bool {
        (user, password) == (USER, PASSWORD)
    }
}

/// Tries these bytes.
pub fn run(bytes: &[u8]) {
    let rules = Rules { mechanisms: Mechanism::ALL.to_vec(), session_ms: Some(20_000) };
    let (mut conversation, mut now_ms, mut is_over) = (Conversation::default(), 0, false);
    let mut input = Input(bytes);
    while !input.0.is_empty() {
        let (kind, number, said) = (input.byte() % 4, input.byte(), input.piece());
        let text = String::from_utf8_lossy(said);
        let request = match kind {
            0 => {
                let mechanism = Mechanism::ALL.get(number / 2 % 4).map_or(&*text, |mechanism| mechanism.name());
                let version = i16::try_from(number % 2).unwrap_or_default();
                Request::Handshake { version, mechanism, nonce: NONCE.to_owned() }
            }
            1 | 2 => Request::Authenticate(said),
            _ => {
                now_ms += 1_000 * u64::try_from(number).unwrap_or_default();
                if number % 2 == 0 { Request::ApiVersions } else { Request::Other(&text) }
            }
        };
        let verdict = conversation.take(&request, now_ms, &rules, &*USERS);
        assert!(!is_over || matches!(verdict, Verdict::Close(_)), "{verdict:?} after a refusal");
        is_over |= matches!(verdict, Verdict::Failed { .. });
        if matches!(verdict, Verdict::Authenticated { .. }) {
            assert_eq!(conversation.user().map(|user| &**user), Some(USER), "there is no other user");
            assert!(knows_password(said), "{said:?} let somebody in");
        }
    }
}

/// Whether these bytes can be the last token of somebody who knows the password: the password itself, or a proof made from it, which is not
/// found by trying.
fn knows_password(token: &[u8]) -> bool {
    let has = |wanted: &[u8]| token.windows(wanted.len()).any(|window| window == wanted);
    has(PASSWORD.as_bytes()) || has(b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ")
}

/// Logins by each mechanism, with the right password and with a wrong one, and again later.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let said = |kind: u8, number: u8, bytes: &[u8]| [&[kind, number], &piece(bytes)[..]].concat();
    let handshake = |mechanism: u8, version: u8| said(0, 2 * mechanism + version, b"");
    let token = |bytes: &[u8]| said(1, 0, bytes);
    let first = token(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    let last = token(
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    );
    let plain = [handshake(0, 1), token(b"\0user\0pencil"), said(3, 1, b"Fetch")].concat();
    vec![
        [&plain[..], &said(3, 5, b"Produce"), &plain].concat(),
        [handshake(0, 0), token(b"\0user\0pencil"), said(3, 31, b"Fetch")].concat(),
        [handshake(0, 1), token(b"user\0user\0eraser"), said(3, 0, b"")].concat(),
        [said(3, 0, b""), handshake(1, 1), first.clone(), last.clone(), said(3, 3, b"Fetch")].concat(),
        [handshake(2, 1), first, last].concat(),
        [said(0, 7, b"GSSAPI"), said(3, 0, b"")].concat(),
        [handshake(1, 0), token(b"n,a=us=2Cer,n=us=3Der,r=abc,tokenauth=true")].concat(),
    ]
}
