//! Users' SCRAM credentials by Kafka's rules (KIP-554).

use crate::record::ScramCredentialRecord;
use crate::{Decision, Error, Image, Record};
use millstream_sasl::{Credential, Scram};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// A credential that somebody wants to be no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// The user.
    pub user: String,
    /// Kafka's number of the mechanism.
    pub mechanism: i8,
}

/// A credential that somebody wants a user to have.
#[derive(Clone, PartialEq, Eq)]
pub struct Upsertion {
    /// The user.
    pub user: String,
    /// Kafka's number of the mechanism.
    pub mechanism: i8,
    /// How often the password was mixed with the salt.
    pub iterations: i32,
    /// What it was mixed with.
    pub salt: Vec<u8>,
    /// What came out.
    pub salted_password: Vec<u8>,
}

/// What became of a user's wish.
pub type Outcome = (String, Result<(), Error>);

/// Takes away and sets credentials: all that are acceptable together. Each user is answered for once.
///
/// # Errors
/// None: what is refused is refused of one user.
pub fn alter(image: &Image, deletions: &[Deletion], upsertions: &[Upsertion]) -> Result<Decision<Vec<Outcome>>, Error> {
    let mut outcomes: BTreeMap<&str, Result<Record, Error>> = BTreeMap::new();
    let wishes = deletions
        .iter()
        .map(|wish| (&*wish.user, delete(image, wish)))
        .chain(upsertions.iter().map(|wish| (&*wish.user, upsert(wish))));
    for (user, outcome) in wishes {
        // A user that is refused already stays refused for that reason.
        let twice = || Error::CredentialTwice { user: user.to_owned() };
        outcomes
            .entry(user)
            .and_modify(|before| {
                if before.is_ok() {
                    *before = Err(twice());
                }
            })
            .or_insert(outcome);
    }
    let records = outcomes.values().filter_map(|outcome| outcome.as_ref().ok().cloned()).collect();
    let answer = outcomes.into_iter().map(|(user, outcome)| (user.to_owned(), outcome.map(|_| ())));
    Ok(Decision::new(records, answer.collect()))
}

fn delete(image: &Image, wish: &Deletion) -> Result<Record, Error> {
    let (user, mechanism) = (wish.user.clone(), mechanism(&wish.user, wish.mechanism)?);
    if image.scram_credential(&user, mechanism).is_none() {
        return Err(Error::UnknownCredential { user, mechanism: mechanism.name() });
    }
    Ok(Record::RemoveUserScramCredential { user, mechanism })
}

fn upsert(wish: &Upsertion) -> Result<Record, Error> {
    let (user, mechanism) = (wish.user.clone(), mechanism(&wish.user, wish.mechanism)?);
    let allowed = Credential::ITERATIONS_MIN..=Credential::ITERATIONS_MAX;
    let iterations = u32::try_from(wish.iterations).ok().and_then(NonZeroU32::new);
    let Some(iterations) = iterations.filter(|iterations| allowed.contains(iterations)) else {
        let (min, max) = (allowed.start(), allowed.end());
        let reason = format!("it has {} iterations; expected {min} to {max}", wish.iterations);
        return Err(Error::UnacceptableCredential { user, reason });
    };
    let credential = Credential::of_salted_password(mechanism, &wish.salted_password, wish.salt.clone(), iterations);
    Ok(Record::UserScramCredential(ScramCredentialRecord { user, mechanism, credential }))
}

fn mechanism(user: &str, number: i8) -> Result<Scram, Error> {
    if user.is_empty() {
        let reason = "the user's name is empty".to_owned();
        return Err(Error::UnacceptableCredential { user: String::new(), reason });
    }
    Scram::numbered(number).ok_or(Error::UnknownScram { number })
}
