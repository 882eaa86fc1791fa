//! What administrators ask: describe, list and delete groups, delete offsets; and what follows a topic's deletion.

use crate::error::Error;
use crate::handle::Handle;
use millstream_group::{
    ByTopic, ConsumerDescription, Description, ListFilter, Listed, OffsetDeleteRequest, PartitionResult, Reply,
};
use std::collections::BTreeMap;

impl Handle {
    /// DescribeGroups, of one group.
    ///
    /// # Errors
    /// `GroupIdNotFound` (requests before version 6 show it as a dead group), or where the group is not served here.
    pub fn describe(&self, group: &str) -> Result<Description, Error> {
        Ok(self.inner.groups.slot_of(group)?.ask(group, |shard, _| shard.describe(group))??)
    }

    /// ConsumerGroupDescribe, of one group.
    ///
    /// # Errors
    /// `GroupIdNotFound`, also of a classic group, or where the group is not served here.
    pub fn describe_consumer(&self, group: &str) -> Result<ConsumerDescription, Error> {
        Ok(self.inner.groups.slot_of(group)?.ask(group, |shard, _| shard.describe_consumer(group))??)
    }

    /// ListGroups: those that this node coordinates, by id.
    ///
    /// # Errors
    /// `LoadInProgress` while any partition is being loaded: a part would look like the whole.
    pub fn list(&self, filter: &ListFilter) -> Result<Vec<Listed>, Error> {
        let mut listed = Vec::new();
        for slot in self.inner.groups.slots() {
            listed.extend(slot.ask("", |shard, _| shard.list(filter))?);
        }
        listed.sort_unstable_by(|one, other| one.group.cmp(&other.group));
        Ok(listed)
    }

    /// Brings the metric of groups by state up to date: call it before metrics are read. Partitions that are being loaded count nothing.
    pub fn refresh_metrics(&self) {
        let mut counts = BTreeMap::new();
        for slot in self.inner.groups.slots() {
            let listed = slot.ask("", |shard, _| shard.list(&ListFilter::default())).unwrap_or_default();
            for group in listed {
                *counts.entry(group.state).or_insert(0i64) += 1;
            }
        }
        for (state, gauge) in &self.inner.states {
            gauge.set(counts.get(state).copied().unwrap_or(0));
        }
    }

    /// DeleteGroups: each with its result, in the order asked. Returns when it is stored.
    pub async fn delete(&self, groups: &[String]) -> Vec<(String, Result<(), Error>)> {
        let mut kept = BTreeMap::new();
        for group in groups {
            if let Err(error) = self.delete_shares_of(group).await {
                kept.insert(group.as_str(), error);
            }
        }
        // All are begun before the first is awaited, so that they are written together.
        let begun: Vec<_> = groups
            .iter()
            .map(|group| {
                if let Some(error) = kept.remove(group.as_str()) {
                    return Err(error);
                }
                let one = std::slice::from_ref(group);
                self.inner.groups.slot_of(group)?.begin(group, |shard, waiter, now| shard.delete(one, waiter, now))
            })
            .collect();
        let mut answers = Vec::with_capacity(groups.len());
        for (group, begun) in groups.iter().zip(begun) {
            let answer = match begun {
                Ok(begun) => self.deleted(group, begun).await,
                Err(error) => Err(error),
            };
            answers.push((group.clone(), answer));
        }
        answers
    }

    async fn deleted(&self, group: &str, begun: tokio::sync::oneshot::Receiver<Reply>) -> Result<(), Error> {
        match self.answer(group, begun).await? {
            Reply::Deleted(results) => Ok(results.into_iter().try_for_each(|(_, result)| result)?),
            _ => Err(Error::WrongReply { expected: "a deletion" }),
        }
    }

    /// OffsetDelete. Returns when it is stored.
    ///
    /// # Errors
    /// As Kafka's; each partition has a result of its own besides.
    pub async fn delete_offsets(&self, request: OffsetDeleteRequest) -> Result<Vec<ByTopic<PartitionResult>>, Error> {
        let group = request.group.as_str();
        let begun = self
            .inner
            .groups
            .slot_of(group)?
            .begin(group, |shard, waiter, now| shard.delete_offsets(&request, waiter, now))?;
        self.offsets_answer(group, begun).await
    }

    /// The topic named so is deleted: its offsets are removed from every group coordinated here, or a topic made again under its name
    /// would be read from them. Returns when it is stored.
    ///
    /// # Errors
    /// The first of any partition; the others are done all the same. The call can be made again.
    pub async fn topic_deleted(&self, topic: &str) -> Result<(), Error> {
        let begun: Vec<_> = self
            .inner
            .groups
            .slots()
            .iter()
            .map(|slot| slot.begin("", |shard, waiter, now| shard.topic_deleted(topic, waiter, now)))
            .collect();
        let mut outcome = Ok(());
        for begun in begun {
            let done = match begun {
                Ok(begun) => self.deleted("", begun).await,
                Err(error) => Err(error),
            };
            outcome = outcome.and(done);
        }
        outcome
    }
}
