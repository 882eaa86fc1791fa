//! ConsumerGroupDescribe, and whether offsets may be committed, fetched or deleted.

use super::Consumer;
use super::member::without_epochs;
use crate::Error;
use crate::GroupState;
use crate::cluster::Cluster;
use crate::request::{ConsumerDescription, DescribedConsumer, GroupType};
use std::sync::Arc;

/// The only assignor of share groups.
const SHARE_ASSIGNOR: &str = "simple";

impl Consumer {
    /// What an administrator sees.
    pub(crate) fn describe(&self) -> ConsumerDescription {
        let members = self.stored.members().map(|(id, metadata)| {
            let current = self.stored.current(id);
            DescribedConsumer {
                member: id.to_string(),
                metadata: (**metadata).clone(),
                epoch: current.epoch,
                assignment: without_epochs(&current.assigned),
                target: (*self.stored.target(id)).clone(),
            }
        });
        ConsumerDescription {
            group: self.id.to_string(),
            state: match self.kind {
                GroupType::Share if self.is_empty() => GroupState::Empty,
                GroupType::Share => GroupState::Stable,
                GroupType::Classic | GroupType::Consumer => self.stored.state(),
            },
            epoch: self.stored.epoch(),
            target_epoch: self.stored.target_epoch(),
            assignor: match self.kind {
                GroupType::Share => SHARE_ASSIGNOR,
                GroupType::Classic | GroupType::Consumer => self.assignor().name(),
            },
            members: members.collect(),
        }
    }

    /// Whether it reads `topic`.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        self.stored.subscribed_names().contains(topic)
    }

    /// That a member of that epoch may commit offsets. One that is behind may still commit those of partitions that it has had since: the
    /// answer tells of each (KIP-1251).
    pub(crate) fn check_commit(&self, member: &str, epoch: i32, speaks_epochs: bool) -> Result<Committer<'_>, Error> {
        let (id, metadata) = self.stored.member(member).ok_or_else(|| self.unknown(member))?;
        let current = self.stored.current(&id);
        if metadata.classic.is_none() && !speaks_epochs {
            return Err(Error::UnsupportedVersion { group: self.id.to_string() });
        }
        let is_behind = epoch < current.epoch && epoch >= 0;
        if epoch == current.epoch || is_behind {
            let oldest = is_behind.then_some(epoch);
            return Ok(Committer {
                group: self,
                id,
                oldest,
                is_classic: metadata.classic.is_some(),
                current: current.epoch,
            });
        }
        Err(self.stale(metadata.classic.is_some(), epoch, current.epoch))
    }

    fn stale(&self, is_classic: bool, sent: i32, current: i32) -> Error {
        let group = self.id.to_string();
        if is_classic {
            Error::IllegalGeneration { group, sent, current }
        } else {
            Error::StaleMemberEpoch { group, sent, current }
        }
    }

    /// That a member of that epoch may see what is committed.
    pub(crate) fn check_fetch(&self, member: &str, epoch: i32) -> Result<(), Error> {
        let (id, metadata) = self.stored.member(member).ok_or_else(|| self.unknown(member))?;
        let current = self.stored.current(&id).epoch;
        if epoch == current {
            return Ok(());
        }
        Err(self.stale(metadata.classic.is_some(), epoch, current))
    }
}

/// Who commits.
pub(crate) struct Committer<'a> {
    group: &'a Consumer,
    id: Arc<str>,
    /// The epoch of who is behind.
    oldest: Option<i32>,
    is_classic: bool,
    current: i32,
}

impl Committer<'_> {
    /// That the offset of this partition may be committed.
    pub(crate) fn check(&self, topic: &str, partition: i32, cluster: &dyn Cluster) -> Result<(), Error> {
        let Some(epoch) = self.oldest else { return Ok(()) };
        let topic = cluster.topic(topic);
        let given = topic.and_then(|topic| self.group.stored.current(&self.id).given_at(topic.id, partition));
        match given {
            Some(given) if given <= epoch => Ok(()),
            _ => Err(self.group.stale(self.is_classic, epoch, self.current)),
        }
    }
}
