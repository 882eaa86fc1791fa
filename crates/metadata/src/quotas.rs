//! Quotas of clients by Kafka's rules (KIP-546): what a user, a client or an address may use, and whose limit holds for whom.

use crate::record::ClientQuotaRecord;
use crate::{Decision, Error, Image, Record};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Bytes a second that may be produced.
pub const PRODUCER_BYTE_RATE: &str = "producer_byte_rate";
/// Bytes a second that may be fetched.
pub const CONSUMER_BYTE_RATE: &str = "consumer_byte_rate";
/// Percent of one thread's time that requests may take.
pub const REQUEST_PERCENTAGE: &str = "request_percentage";
/// Partitions a second that may be made or deleted.
pub const CONTROLLER_MUTATION_RATE: &str = "controller_mutation_rate";
/// Connections a second that may be opened.
pub const CONNECTION_CREATION_RATE: &str = "connection_creation_rate";

const OF_CLIENTS: [&str; 4] = [PRODUCER_BYTE_RATE, CONSUMER_BYTE_RATE, REQUEST_PERCENTAGE, CONTROLLER_MUTATION_RATE];
const OF_ADDRESSES: [&str; 1] = [CONNECTION_CREATION_RATE];
/// Limits that are whole numbers.
const WHOLE: [&str; 3] = [PRODUCER_BYTE_RATE, CONSUMER_BYTE_RATE, CONNECTION_CREATION_RATE];

/// What an entity is named by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EntityKind {
    /// A client by the name it gives itself.
    #[serde(rename = "client-id")]
    ClientId,
    /// An address.
    #[serde(rename = "ip")]
    Ip,
    /// A user, by the principal's name.
    #[serde(rename = "user")]
    User,
}

impl EntityKind {
    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::ClientId, Self::Ip, Self::User].into_iter().find(|kind| kind.name() == name)
    }

    /// Kafka's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientId => "client-id",
            Self::Ip => "ip",
            Self::User => "user",
        }
    }
}

/// Whose quota: each part by its name, or the default of its kind (none).
pub type Entity = BTreeMap<EntityKind, Option<String>>;

/// A limit and who shares it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// The limit.
    pub value: f64,
    /// Every user has one of its own.
    pub per_user: bool,
    /// Every client id has one of its own.
    pub per_client: bool,
}

/// Sets (or, without a value, takes away) limits of one entity, whose parts are as a client names them.
///
/// # Errors
/// [`Error::InvalidRequest`] says which part of it makes no sense.
pub fn alter(
    image: &Image,
    parts: &BTreeMap<String, Option<String>>,
    changes: &[(String, Option<f64>)],
    validate_only: bool,
) -> Result<Decision<()>, Error> {
    let entity = entity(parts)?;
    let mut seen = BTreeSet::new();
    for (key, value) in changes {
        if !seen.insert(key) {
            return Err(refused(format!("the quota {key} is named twice for one entity")));
        }
        if let Some(value) = value {
            check(&entity, key, *value)?;
        }
    }
    if validate_only {
        return Ok(Decision::unchanged(()));
    }
    let before = image.client_quota(&entity);
    let changed = changes.iter().filter(|(key, value)| before.and_then(|limits| limits.get(key)) != value.as_ref());
    let records = changed.map(|(key, value)| {
        Record::ClientQuota(ClientQuotaRecord { entity: entity.clone(), key: key.clone(), value: *value })
    });
    Ok(Decision::new(records.collect(), ()))
}

/// The limit that holds for a user's client: the most exact one that is set.
#[must_use]
pub fn limit(image: &Image, user: &str, client_id: &str, key: &str) -> Option<Limit> {
    let (user, client) = (Some(user.to_owned()), Some(client_id.to_owned()));
    let (any, none) = (Some(None), None);
    let by_exactness = [
        (Some(user.clone()), Some(client.clone())),
        (Some(user.clone()), any.clone()),
        (Some(user), none.clone()),
        (any.clone(), Some(client.clone())),
        (any.clone(), any.clone()),
        (any.clone(), none.clone()),
        (none.clone(), Some(client)),
        (none, any),
    ];
    by_exactness.into_iter().find_map(|(user, client)| {
        let (per_user, per_client) = (user.is_some(), client.is_some());
        let user = user.map(|user| (EntityKind::User, user));
        let entity: Entity = user.into_iter().chain(client.map(|client| (EntityKind::ClientId, client))).collect();
        let value = *image.client_quota(&entity)?.get(key)?;
        Some(Limit { value, per_user, per_client })
    })
}

fn entity(parts: &BTreeMap<String, Option<String>>) -> Result<Entity, Error> {
    if parts.is_empty() {
        return Err(refused("the entity of a quota names nobody; name a user, a client-id or an ip".to_owned()));
    }
    let mut entity = Entity::new();
    for (kind, name) in parts {
        let unknown = || refused(format!("{kind:?} is no kind of entity; expected user, client-id or ip"));
        let kind = EntityKind::named(kind).ok_or_else(unknown)?;
        match name.as_deref() {
            Some("") => {
                return Err(refused(format!("the {} of a quota is empty; name none for the default", kind.name())));
            }
            Some(ip) if kind == EntityKind::Ip && ip.parse::<IpAddr>().is_err() => {
                return Err(refused(format!("{ip:?} is not an IP address")));
            }
            Some(_) | None => entity.insert(kind, name.clone()),
        };
    }
    if entity.contains_key(&EntityKind::Ip) && entity.len() > 1 {
        return Err(refused("an ip has quotas of its own, without a user or a client-id beside it".to_owned()));
    }
    Ok(entity)
}

fn check(entity: &Entity, key: &str, value: f64) -> Result<(), Error> {
    let known: &[&str] = if entity.contains_key(&EntityKind::Ip) { &OF_ADDRESSES } else { &OF_CLIENTS };
    if !known.contains(&key) {
        return Err(refused(format!("{key:?} is no quota of such an entity; expected one of {}", known.join(", "))));
    }
    if value.is_nan() || value <= 0.0 {
        return Err(refused(format!("{key} is {value}; expected a number greater than 0")));
    }
    #[expect(clippy::cast_precision_loss, reason = "the nearest double is what a too large number is held against")]
    let largest = if key == CONNECTION_CREATION_RATE { f64::from(i32::MAX) } else { i64::MAX as f64 };
    let is_whole = WHOLE.contains(&key);
    if is_whole && value > largest {
        return Err(refused(format!("{key} is {value}; expected at most {largest}")));
    }
    if is_whole && value.fract().abs() > 1e-6 {
        return Err(refused(format!("{key} is {value}; expected a whole number")));
    }
    Ok(())
}

fn refused(reason: String) -> Error {
    Error::InvalidRequest { reason }
}
