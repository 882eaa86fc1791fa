//! Online upgrade and downgrade: a classic group becomes one of the new protocol when a member of it joins, and a classic group again when the
//! last such member has gone (`group.consumer.migration.policy`).

use super::member::{ClassicMember, Current, MemberMetadata, MemberState, Owned, without_epochs};
use super::stored::{ConsumerChange, GroupEpoch, TargetEpoch};
use super::{Consumer, Next};
use crate::Error;
use crate::classic::Classic;
use crate::layout::{Change, StoredGroup, StoredMember};
use crate::request::GroupType;
use crate::subscription::{CONSUMER, Named, Subscription, read_assignment, write_assignment};
use crate::turn::Turn;
use bytes::Bytes;
use millstream_types::TimestampMs;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Consumer {
    /// The group of the new protocol that a classic one becomes: with its members, generation and assignment.
    pub(crate) fn from_classic(classic: &Classic, turn: &mut Turn<'_>) -> Result<Self, Error> {
        let mut group = Self::new(classic.id.clone(), GroupType::Consumer);
        group.removes_classic = classic.is_stored;
        if !classic.has_members() {
            return Ok(group);
        }
        group.check_upgrade(classic, turn)?;
        group.is_upgraded = true;
        let epoch = classic.generation();
        let mut members = Vec::new();
        for member in classic.members() {
            members.push((member.id.clone(), group.upgraded(classic, member, turn)?));
        }
        for (id, (metadata, _)) in &members {
            group.change(ConsumerChange::Member(id.clone(), Some(Arc::new(metadata.clone()))));
        }
        let metadata_hash = group.stored.hash_of_topics(turn.cluster);
        group.change(ConsumerChange::Group(Some(GroupEpoch { epoch, metadata_hash })));
        for (id, (_, assigned)) in &members {
            group.change(ConsumerChange::Target(id.clone(), Some(Arc::new(without_epochs(assigned)))));
        }
        group.change(ConsumerChange::TargetEpoch(Some(TargetEpoch { epoch, at: turn.now.wall })));
        for (id, (_, assigned)) in members {
            let current =
                Current { epoch, previous_epoch: epoch, state: MemberState::Stable, assigned, revoking: Owned::new() };
            group.change(ConsumerChange::Current(id.clone(), Some(Arc::new(current))));
            group.renew_session(&id, turn);
        }
        Ok(group)
    }

    fn check_upgrade(&self, classic: &Classic, turn: &Turn<'_>) -> Result<(), Error> {
        let config = &turn.config.consumer;
        if !config.migration.upgrades() {
            return Err(self.not_migratable("its group.consumer.migration.policy forbids the upgrade"));
        }
        if !classic.is_consumer() {
            return Err(self.not_migratable("its members are not consumers"));
        }
        if classic.members().count() > config.members_max {
            return Err(self.not_migratable("it has more members than group.consumer.max.size"));
        }
        Ok(())
    }

    fn not_migratable(&self, why: &'static str) -> Error {
        Error::NotMigratable { group: self.id.to_string(), why }
    }

    fn upgraded(
        &self,
        classic: &Classic,
        member: &crate::member::Member,
        turn: &Turn<'_>,
    ) -> Result<(MemberMetadata, Owned), Error> {
        let unreadable = || self.not_migratable("a member's subscription or assignment can't be read");
        let metadata = member.metadata(classic.protocol());
        let metadata = if metadata.is_empty() { member.first_metadata() } else { metadata };
        let subscription = Subscription::read(&metadata).map_err(|_| unreadable())?;
        let (named, has_user_data) = read_assignment(&member.assignment).map_err(|_| unreadable())?;
        if has_user_data {
            return Err(self.not_migratable("a member's assignment has data of an assignor of its own"));
        }
        let epoch = classic.generation();
        let assigned = named.into_iter().filter_map(|(name, partitions)| {
            let topic = turn.cluster.topic(&name)?;
            let partitions: BTreeMap<i32, i32> = partitions.into_iter().map(|one| (one, epoch)).collect();
            Some((topic.id, partitions)).filter(|(_, partitions)| !partitions.is_empty())
        });
        let metadata = MemberMetadata {
            instance: member.instance.clone(),
            rack: subscription.rack,
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            topics: subscription.topics,
            regex: None,
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            assignor: None,
            classic: Some(ClassicMember {
                session_timeout_ms: member.session_timeout_ms,
                protocols: member.protocols.clone(),
            }),
        };
        Ok((metadata, assigned.collect()))
    }

    /// Turns the group into a classic one without these members, where all others speak the classic protocol. Whether it does.
    pub(super) fn downgrade_without(&mut self, leaving: &BTreeSet<Arc<str>>, turn: &mut Turn<'_>) -> bool {
        let stay: Vec<(Arc<str>, Arc<MemberMetadata>)> = self
            .stored
            .members()
            .filter(|(id, _)| !leaving.contains(*id))
            .map(|(id, metadata)| (id.clone(), metadata.clone()))
            .collect();
        let config = turn.config;
        if stay.is_empty()
            || stay.iter().any(|(_, metadata)| metadata.classic.is_none())
            || !config.consumer.migration.downgrades()
            || stay.len() > config.members_max
        {
            return false;
        }
        let Some(stored) = self.downgraded(&stay, turn) else { return false };
        let (all, _): (Vec<Arc<str>>, Vec<_>) =
            self.stored.members().map(|(id, metadata)| (id.clone(), metadata)).unzip();
        all.iter().for_each(|id| self.cancel_timers(id, turn));
        let group = self.id.to_string();
        let of = |change| Change::Consumer { group: group.clone(), change };
        let mut last: Vec<Change> = self.stored.removals().into_iter().map(of).collect();
        last.push(Change::Group { group: group.clone(), stored: Some(stored.clone()) });
        self.next = Some((Next::Classic(Box::new(stored)), last));
        true
    }

    /// The group as the classic protocol stores it; none where a member's subscription can't be read any more.
    fn downgraded(&self, stay: &[(Arc<str>, Arc<MemberMetadata>)], turn: &Turn<'_>) -> Option<StoredGroup> {
        let mut supported: BTreeMap<&str, usize> = BTreeMap::new();
        let classics = || stay.iter().filter_map(|(_, metadata)| metadata.classic.as_ref());
        for protocol in classics().flat_map(|classic| &classic.protocols) {
            *supported.entry(protocol.name.as_str()).or_default() += 1;
        }
        let first = classics().next()?;
        let common = first.protocols.iter().find(|one| supported.get(one.name.as_str()) == Some(&stay.len()))?;
        let protocol = common.name.clone();
        let mut members = Vec::new();
        for (id, metadata) in stay {
            members.push(self.downgraded_member(id, metadata, &protocol, turn)?);
        }
        Some(StoredGroup {
            protocol_type: CONSUMER.to_owned(),
            generation: self.stored.epoch(),
            protocol: Some(protocol),
            leader: stay.first().map(|(id, _)| id.to_string()),
            state_since: Some(TimestampMs(turn.now.wall.0)),
            members,
        })
    }

    fn downgraded_member(
        &self,
        id: &Arc<str>,
        metadata: &MemberMetadata,
        protocol: &str,
        turn: &Turn<'_>,
    ) -> Option<StoredMember> {
        let classic = metadata.classic.as_ref()?;
        let subscription: Bytes = classic.protocols.iter().find(|one| one.name == protocol)?.metadata.clone();
        let version = Subscription::read(&subscription).ok()?.version;
        let target = self.stored.target(id);
        let named: Named = target
            .iter()
            .filter_map(|(topic, partitions)| Some((turn.cluster.name_of(*topic)?, partitions.clone())))
            .collect();
        Some(StoredMember {
            member: id.to_string(),
            instance: metadata.instance.clone(),
            client_id: metadata.client_id.clone(),
            client_host: metadata.client_host.clone(),
            rebalance_timeout_ms: metadata.rebalance_timeout_ms,
            session_timeout_ms: classic.session_timeout_ms,
            subscription,
            assignment: write_assignment(version, &named)?,
        })
    }
}
