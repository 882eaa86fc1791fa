//! `uniform`: counts of partitions differ by as little as subscriptions allow, and what a member had it keeps where that allows.

use super::{Question, give};
use crate::consumer::member::Partitions;
use millstream_types::TopicId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type One = (TopicId, i32);

pub(super) fn assign(question: &Question<'_>, assigned: &mut BTreeMap<Arc<str>, Partitions>) {
    let mut subscriptions = question.members.values().map(|member| &member.topics);
    let Some(first) = subscriptions.next() else { return };
    if subscriptions.all(|topics| topics == first) {
        assign_alike(question, first, assigned);
    } else {
        Unlike::new(question).assign(assigned);
    }
}

/// Everybody subscribes to the same: each has its share, and the first have one more.
fn assign_alike(question: &Question<'_>, topics: &BTreeSet<TopicId>, assigned: &mut BTreeMap<Arc<str>, Partitions>) {
    let mut free: BTreeSet<One> = question
        .topics
        .iter()
        .filter(|(topic, _)| topics.contains(topic))
        .flat_map(|(topic, partitions)| (0..*partitions).map(|partition| (*topic, partition)))
        .collect();
    let members = question.members.len();
    let (each, mut more) = (free.len() / members, free.len() % members);
    let mut kept: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
    for member in question.members.keys() {
        let before: Vec<One> =
            ones(question.before.get(member).map(Arc::as_ref)).filter(|one| free.contains(one)).collect();
        let mut quota = each;
        if before.len() > each && more > 0 {
            more -= 1;
            quota += 1;
        }
        let keeps = before.len().min(quota);
        for one in before.into_iter().take(keeps) {
            free.remove(&one);
            give(assigned, member, one);
        }
        kept.insert(member, keeps);
    }
    let mut free = free.into_iter();
    for (member, count) in &mut kept {
        while *count < each {
            let Some(one) = free.next() else { return };
            give(assigned, member, one);
            *count += 1;
        }
    }
    // Whoever has just its share may have one more.
    for (member, count) in kept {
        if count == each
            && let Some(one) = free.next()
        {
            give(assigned, member, one);
        }
    }
}

fn ones(partitions: Option<&Partitions>) -> impl Iterator<Item = One> {
    partitions.into_iter().flatten().flat_map(|(topic, partitions)| partitions.iter().map(|one| (*topic, *one)))
}

/// Members subscribe to different topics.
struct Unlike<'a> {
    /// Who may have a topic's partitions.
    subscribers: BTreeMap<TopicId, Vec<&'a Arc<str>>>,
    question: &'a Question<'a>,
    owners: BTreeMap<One, &'a Arc<str>>,
    loads: BTreeMap<&'a Arc<str>, usize>,
}

/// Times that all partitions are looked at for a better place. Each move makes the loads more even, so that it ends by itself; this is how
/// long a request may take at most.
const PASSES_MAX: usize = 50;

impl<'a> Unlike<'a> {
    fn new(question: &'a Question<'a>) -> Self {
        let mut subscribers: BTreeMap<TopicId, Vec<&Arc<str>>> = BTreeMap::new();
        for (id, member) in question.members {
            for topic in member.topics.iter().filter(|topic| question.topics.contains_key(topic)) {
                subscribers.entry(*topic).or_default().push(id);
            }
        }
        let loads = question.members.keys().map(|member| (member, 0)).collect();
        Self { subscribers, question, owners: BTreeMap::new(), loads }
    }

    fn assign(mut self, assigned: &mut BTreeMap<Arc<str>, Partitions>) {
        for (member, subscriber) in &self.question.members.iter().collect::<Vec<_>>() {
            for one in ones(self.question.before.get(*member).map(Arc::as_ref)) {
                let exists = self.question.topics.get(&one.0).is_some_and(|partitions| one.1 < *partitions);
                if exists && subscriber.topics.contains(&one.0) && !self.owners.contains_key(&one) {
                    self.put(one, member);
                }
            }
        }
        // Topics that few may have come first: the others make up for them.
        let mut topics: Vec<TopicId> = self.subscribers.keys().copied().collect();
        topics.sort_by_key(|topic| (self.subscribers.get(topic).map_or(0, Vec::len), *topic));
        for topic in topics {
            for partition in 0..self.question.topics.get(&topic).copied().unwrap_or(0) {
                if !self.owners.contains_key(&(topic, partition))
                    && let Some((member, _)) = self.least_loaded(topic)
                {
                    self.put((topic, partition), member);
                }
            }
        }
        for _ in 0..PASSES_MAX {
            if !self.even_out() {
                break;
            }
        }
        for (one, member) in self.owners {
            give(assigned, member, one);
        }
    }

    fn put(&mut self, one: One, member: &'a Arc<str>) {
        if let Some(before) = self.owners.insert(one, member) {
            self.loads.entry(before).and_modify(|load| *load -= 1);
        }
        *self.loads.entry(member).or_default() += 1;
    }

    fn least_loaded(&self, topic: TopicId) -> Option<(&'a Arc<str>, usize)> {
        let load = |member: &'a Arc<str>| self.loads.get(member).copied().unwrap_or(0);
        let members = self.subscribers.get(&topic)?.iter().map(|member| (*member, load(member)));
        members.min_by_key(|(member, load)| (*load, *member))
    }

    /// Moves partitions from members to ones that have fewer by two at least. Whether it moved any.
    fn even_out(&mut self) -> bool {
        let mut moved = false;
        for one in self.owners.keys().copied().collect::<Vec<_>>() {
            let Some(owner) = self.owners.get(&one).copied() else { continue };
            let load = self.loads.get(owner).copied().unwrap_or(0);
            if let Some((member, least)) = self.least_loaded(one.0)
                && load >= least + 2
            {
                self.put(one, member);
                moved = true;
            }
        }
        moved
    }
}
