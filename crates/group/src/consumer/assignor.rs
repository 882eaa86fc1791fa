//! The server's assignors: which member is to have which partitions. Pure functions of who subscribes to what, and of what was before.

mod range;
mod uniform;

use super::member::Partitions;
use millstream_types::TopicId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An assignor by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assignor {
    /// As even as can be, with as little moved as can be.
    Uniform,
    /// By topic: neighbouring partitions to one member, the same ones of topics of the same size.
    Range,
}

/// What one member subscribes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// Its static name.
    pub instance: Option<String>,
    /// The topics.
    pub topics: BTreeSet<TopicId>,
}

/// What is to be assigned, and to whom.
pub struct Question<'a> {
    /// Who subscribes.
    pub members: &'a BTreeMap<Arc<str>, Subscriber>,
    /// The topics that exist, with their partitions.
    pub topics: &'a BTreeMap<TopicId, i32>,
    /// The assignment before.
    pub before: &'a BTreeMap<Arc<str>, Arc<Partitions>>,
}

impl Assignor {
    /// Every assignor; the first is the one of groups whose members don't ask for any.
    pub const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    /// Kafka's name of it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// The assignor of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    /// What each member is to have: every partition of a topic that somebody subscribes to has exactly one owner.
    #[must_use]
    pub fn assign(self, question: &Question<'_>) -> BTreeMap<Arc<str>, Partitions> {
        let mut assigned: BTreeMap<Arc<str>, Partitions> =
            question.members.keys().map(|member| (member.clone(), Partitions::new())).collect();
        match self {
            Self::Uniform => uniform::assign(question, &mut assigned),
            Self::Range => range::assign(question, &mut assigned),
        }
        assigned
    }
}

fn give(assigned: &mut BTreeMap<Arc<str>, Partitions>, member: &Arc<str>, (topic, partition): (TopicId, i32)) {
    if let Some(partitions) = assigned.get_mut(member) {
        partitions.entry(topic).or_default().insert(partition);
    }
}

#[cfg(test)]
#[path = "assignor_tests.rs"]
mod tests;
