//! The messages of SCRAM that a client sends, parsed (RFC 5802, section 7).
//!
//! ```text
//! first = gs2 "," ["a=" authzid] "," ["m=" ..] "n=" user "," "r=" nonce *("," attribute "=" value)
//! final = "c=" base64(gs2 header) "," "r=" nonce *("," extension) "," "p=" base64(proof)
//! ```

use crate::{Error, Mechanism, Scram};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The client's first message.
#[derive(Debug, PartialEq, Eq)]
pub struct First<'a> {
    /// `n,,` with whatever the client put in: what its final message must bind to.
    pub header: &'a str,
    /// The rest, which the proof is made over.
    pub bare: &'a str,
    /// Whom it wants to act for, where it says so.
    pub authorization: Option<String>,
    pub user: String,
    pub nonce: &'a str,
}

/// The client's final message.
#[derive(Debug, PartialEq, Eq)]
pub struct Final<'a> {
    /// The header of the first, as the client remembers it.
    pub header: Vec<u8>,
    pub nonce: &'a str,
    /// All but the proof, which the proof is made over.
    pub without_proof: &'a str,
    pub proof: Vec<u8>,
}

impl<'a> First<'a> {
    pub fn parse(scram: Scram, token: &'a [u8]) -> Result<Self, Error> {
        let wrong = |what| Error::Token { mechanism: Mechanism::Scram(scram), what };
        let text = std::str::from_utf8(token).map_err(|_| wrong("it is not UTF-8"))?;
        let mut parts = text.splitn(3, ',');
        let (Some(binding), Some(authorization), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong("expected n,[a=NAME],n=USER,r=NONCE"));
        };
        // Kafka takes nothing else either, not even `y`: a client that could bind to the channel and thinks that the server can't.
        if binding != "n" {
            return Err(wrong("it binds to a channel, or could: expected n"));
        }
        let authorization = match authorization.strip_prefix("a=") {
            Some(name) => Some(unescape(name).ok_or_else(|| wrong("a '=' in the name is neither =2C nor =3D"))?),
            None if authorization.is_empty() => None,
            None => return Err(wrong("expected a=NAME or nothing between the first two commas")),
        };
        let mut attributes = bare.split(',');
        let user = attributes.next().and_then(|user| user.strip_prefix("n=")).filter(|user| !user.is_empty());
        let user = user.ok_or_else(|| wrong("expected n=USER"))?;
        let user = unescape(user).ok_or_else(|| wrong("a '=' in the name is neither =2C nor =3D"))?;
        let nonce = attributes.next().and_then(|nonce| nonce.strip_prefix("r=")).filter(|nonce| is_nonce(nonce));
        let nonce = nonce.ok_or_else(|| wrong("expected r=NONCE, of printable ASCII"))?;
        // It would be let in as somebody else: a token stands for the user who made it.
        if attributes.any(|extension| extension.eq_ignore_ascii_case("tokenauth=true")) {
            return Err(wrong("tokenauth=true, and there are no delegation tokens here"));
        }
        Ok(Self { header: &text[..text.len() - bare.len()], bare, authorization, user, nonce })
    }
}

impl<'a> Final<'a> {
    pub fn parse(scram: Scram, token: &'a [u8]) -> Result<Self, Error> {
        let wrong = |what| Error::Token { mechanism: Mechanism::Scram(scram), what };
        let text = std::str::from_utf8(token).map_err(|_| wrong("it is not UTF-8"))?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or_else(|| wrong("expected p=PROOF at its end"))?;
        let proof = STANDARD.decode(proof).map_err(|_| wrong("the proof is not base64"))?;
        let mut attributes = without_proof.split(',');
        let header = attributes.next().and_then(|header| header.strip_prefix("c="));
        let header = header.and_then(|header| STANDARD.decode(header).ok());
        let header = header.ok_or_else(|| wrong("expected c=BASE64 at its start"))?;
        let nonce = attributes.next().and_then(|nonce| nonce.strip_prefix("r="));
        let nonce = nonce.ok_or_else(|| wrong("expected r=NONCE after c="))?;
        Ok(Self { header, nonce, without_proof, proof })
    }
}

fn is_nonce(nonce: &str) -> bool {
    !nonce.is_empty() && nonce.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b',')
}

/// A name as it is: `=2C` stands for a comma and `=3D` for an equals sign, and nothing else begins with one.
fn unescape(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (escaped, rest) = (part.get(..2)?, part.get(2..)?);
        plain.push(match escaped {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        plain.push_str(rest);
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_messages_are_parsed() {
        let first = First::parse(Scram::Sha256, b"n,a=b=3Dc,n=b=3Dc=2Cd,r=abc,color=red").unwrap();
        assert_eq!(first.header, "n,a=b=3Dc,");
        assert_eq!(first.bare, "n=b=3Dc=2Cd,r=abc,color=red");
        assert_eq!((first.authorization.as_deref(), first.user.as_str(), first.nonce), (Some("b=c"), "b=c,d", "abc"));
    }

    #[test]
    fn what_is_no_message_is_refused_without_a_panic() {
        for token in [
            &b""[..],
            b"n",
            b"n,,",
            b"n,,n=",
            b"n,,n=user",
            b"n,,n=user,r=",
            b"n,,n=us=er,r=a",
            b"n,,n=us=\xc3\xa9,r=a",
            b"n,,n=user=2,r=a",
            b"p=tls-unique,,n=user,r=a",
            b"y,,n=user,r=a",
            b"n,,n=user,r=a,tokenauth=true",
            b"n,b=x,n=user,r=a",
            b"n,,r=a,n=user",
            b"n,,n=user,r=\x07",
            b"\xff\xfe",
        ] {
            let error = First::parse(Scram::Sha512, token).unwrap_err();
            assert!(error.to_string().starts_with("a SCRAM-SHA-512 token can't be read: "), "{error}");
        }
        for token in [&b""[..], b"c=biws", b"c=biws,r=a", b"c=biws,r=a,p=!", b"r=a,c=biws,p=AA==", b"c=?,r=a,p=AA=="] {
            assert!(matches!(Final::parse(Scram::Sha256, token), Err(Error::Token { .. })));
        }
    }
}
