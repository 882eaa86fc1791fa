//! DescribeClientQuotas and AlterClientQuotas: what clients may use (KIP-546).

use crate::codes::Failure;
use crate::service::Broker;
use kafka_protocol::messages::alter_client_quotas_request::EntryData as Wish;
use kafka_protocol::messages::alter_client_quotas_response::{EntityData as Altered, EntryData as Done};
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::describe_client_quotas_response::{EntityData, EntryData, ValueData};
use kafka_protocol::messages::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, DescribeClientQuotasRequest, DescribeClientQuotasResponse,
};
use millstream_metadata::quotas::{self, Entity, EntityKind};
use millstream_protocol::{ResponseError, StrBytes};
use std::collections::{BTreeMap, BTreeSet};

// How a part of an entity is matched: the wire's numbers, never renumber.
const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const SPECIFIED: i8 = 2;

/// What a part of an entity must be.
enum Match {
    Name(String),
    Default,
    Any,
}

impl Broker {
    /// Answers DescribeClientQuotas.
    pub(crate) fn describe_client_quotas(&self, request: DescribeClientQuotasRequest) -> DescribeClientQuotasResponse {
        let wanted = match filter(&request.components) {
            Ok(wanted) => wanted,
            Err(failure) => {
                return DescribeClientQuotasResponse::default()
                    .with_error_code(failure.code.code())
                    .with_error_message(failure.text())
                    .with_entries(None);
            }
        };
        let image = self.image();
        let found = image.client_quotas().iter().filter(|(entity, _)| is_wanted(entity, &wanted, request.strict));
        let entries = found.map(|(entity, limits)| {
            let parts = entity.iter().map(|(kind, name)| {
                let name = name.clone().map(StrBytes::from_string);
                EntityData::default().with_entity_type(kind.name().into()).with_entity_name(name)
            });
            let values = limits.iter().map(|(key, value)| {
                ValueData::default().with_key(StrBytes::from_string(key.clone())).with_value(*value)
            });
            EntryData::default().with_entity(parts.collect()).with_values(values.collect())
        });
        DescribeClientQuotasResponse::default().with_entries(Some(entries.collect()))
    }

    /// Answers AlterClientQuotas: each entity is a decision of its own.
    pub(crate) async fn alter_client_quotas(&self, request: AlterClientQuotasRequest) -> AlterClientQuotasResponse {
        let twice = named_twice(&request.entries);
        let mut answered = BTreeSet::new();
        let mut entries = Vec::with_capacity(request.entries.len());
        for wish in request.entries {
            let parts = parts(&wish);
            if !answered.insert(parts.clone()) {
                continue;
            }
            let done = match twice.contains(&parts) {
                true => Err(Failure::new(ResponseError::InvalidRequest, "the entity is named twice in one request")),
                false => self.alter_client_quota(&parts, &wish, request.validate_only).await,
            };
            let entity = parts.into_iter().map(|(kind, name)| {
                let name = name.map(StrBytes::from_string);
                Altered::default().with_entity_type(StrBytes::from_string(kind)).with_entity_name(name)
            });
            let entry = Done::default().with_entity(entity.collect());
            entries.push(match done {
                Ok(()) => entry.with_error_message(None),
                Err(failure) => entry.with_error_code(failure.code.code()).with_error_message(failure.text()),
            });
        }
        AlterClientQuotasResponse::default().with_entries(entries)
    }

    async fn alter_client_quota(
        &self,
        parts: &BTreeMap<String, Option<String>>,
        wish: &Wish,
        validate_only: bool,
    ) -> Result<(), Failure> {
        let changes = wish.ops.iter().map(|op| (op.key.to_string(), (!op.remove).then_some(op.value)));
        let changes: Vec<(String, Option<f64>)> = changes.collect();
        Ok(self.quorum.decide(move |image| quotas::alter(image, parts, &changes, validate_only)).await?)
    }
}

/// The parts of an entity; of two of one kind the last is meant, as in Kafka.
fn parts(wish: &Wish) -> BTreeMap<String, Option<String>> {
    let parts = wish.entity.iter();
    parts.map(|part| (part.entity_type.to_string(), part.entity_name.as_ref().map(ToString::to_string))).collect()
}

fn named_twice(wishes: &[Wish]) -> BTreeSet<BTreeMap<String, Option<String>>> {
    let mut seen = BTreeSet::new();
    wishes.iter().map(parts).filter(|parts| !seen.insert(parts.clone())).collect()
}

fn filter(components: &[ComponentData]) -> Result<BTreeMap<EntityKind, Match>, Failure> {
    let refuse = |message: String| Err(Failure::new(ResponseError::InvalidRequest, message));
    let mut wanted = BTreeMap::new();
    for component in components {
        let name = component.entity_type.as_str();
        if name.is_empty() {
            return refuse("a kind of entity is empty".to_owned());
        }
        let Some(kind) = EntityKind::named(name) else {
            let message = format!("{name:?} is no kind of entity; expected user, client-id or ip");
            return Err(Failure::new(ResponseError::UnsupportedVersion, message));
        };
        let matched = match (component.match_type, &component._match) {
            (EXACT, Some(name)) => Match::Name(name.to_string()),
            (DEFAULT, None) => Match::Default,
            (SPECIFIED, None) => Match::Any,
            (EXACT, None) => return refuse(format!("an exact match of the {name} names none; name one")),
            (DEFAULT | SPECIFIED, Some(_)) => {
                return refuse(format!("only an exact match (type {EXACT}) of the {name} can name one"));
            }
            (other, _) => {
                return refuse(format!("match type {other} is unknown; expected 0 exact, 1 default or 2 any"));
            }
        };
        if wanted.insert(kind, matched).is_some() {
            return refuse(format!("the {name} is matched twice; match each kind once"));
        }
    }
    if wanted.contains_key(&EntityKind::Ip) && wanted.len() > 1 {
        return refuse("an ip has quotas of its own, without a user or a client-id beside it".to_owned());
    }
    Ok(wanted)
}

fn is_wanted(entity: &Entity, wanted: &BTreeMap<EntityKind, Match>, strict: bool) -> bool {
    let has_all = wanted.iter().all(|(kind, matched)| match (entity.get(kind), matched) {
        (None, _) => false,
        (Some(_), Match::Any) | (Some(None), Match::Default) => true,
        (Some(Some(name)), Match::Name(wanted)) => name == wanted,
        (Some(None), Match::Name(_)) | (Some(Some(_)), Match::Default) => false,
    });
    has_all && (!strict || entity.len() == wanted.len())
}
