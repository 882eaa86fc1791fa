//! Tests of decisions: tables of requests and answers, and properties over random histories.

mod brokers;
mod configs;
mod deployments;
mod history;
mod quotas;
mod records;
mod schemas;
mod scram;
mod topics;

use crate::brokers::tests::cluster;
use crate::topics::{Create, Layout};
use crate::{Decision, Error, Image};
use millstream_types::{BrokerId, TopicId};
use std::collections::BTreeMap;
use uuid::Uuid;

/// One broker, ready to lead.
fn one_broker() -> Image {
    cluster(&[(1, None, false)])
}

/// Makes a decision's records true and gives its answer.
fn commit<T>(image: &mut Image, decision: Result<Decision<T>, Error>) -> T {
    let decision = decision.unwrap();
    image.replay_all(&decision.records).unwrap();
    decision.answer
}

fn create(name: &str, id: u128) -> Create {
    Create {
        name: name.into(),
        id: TopicId(Uuid::from_u128(id)),
        layout: Layout::Counts { partitions: 3, replication_factor: 1, draw: 5 },
        configs: BTreeMap::new(),
        validate_only: false,
    }
}

fn assigned(partitions: &[&[i32]]) -> Layout {
    let replicas = |brokers: &&[i32]| brokers.iter().copied().map(BrokerId).collect();
    Layout::Assigned((0..).zip(partitions.iter().map(replicas)).collect())
}
