//! What an administrator asks: describe, list, delete; and what follows a topic's deletion.

use super::Shard;
use crate::effects::{Effects, Reply, WriteError};
use crate::group::{Ask, Group, Membership};
use crate::layout::Change;
use crate::offsets;
use crate::request::{DescribedMember, Description, GroupType, ListFilter, Listed};
use crate::state::ClassicState;
use crate::subscription::CONSUMER;
use crate::turn::{Then, Turn, not_written};
use crate::{Error, GroupState};
use millstream_types::{Now, Waiter};

impl Shard {
    /// DescribeGroups, of one group.
    ///
    /// # Errors
    /// `GroupIdNotFound` when there is none: older versions of the request show it as a dead group.
    pub fn describe(&self, group: &str) -> Result<Description, Error> {
        let found = self.groups.get(group).ok_or_else(|| Error::GroupIdNotFound { group: group.to_owned() })?;
        let Membership::Classic(classic) = &found.membership else {
            return Err(Error::OtherProtocol { group: group.to_owned(), wanted: GroupType::Classic.name() });
        };
        let is_stable = classic.state() == ClassicState::Stable;
        let protocol = classic.protocol().filter(|_| is_stable);
        Ok(Description {
            group: group.to_owned(),
            state: classic.state().into(),
            protocol_type: classic.protocol_type().unwrap_or_default().to_owned(),
            protocol: protocol.unwrap_or_default().to_owned(),
            generation: classic.generation(),
            members: classic
                .members()
                .map(|member| DescribedMember {
                    member: member.id.to_string(),
                    instance: member.instance.clone(),
                    client_id: member.client_id.clone(),
                    client_host: member.client_host.clone(),
                    metadata: member.metadata(protocol),
                    assignment: if is_stable { member.assignment.clone() } else { bytes::Bytes::new() },
                })
                .collect(),
        })
    }

    /// ListGroups, by id.
    #[must_use]
    pub fn list(&self, filter: &ListFilter) -> Vec<Listed> {
        let passes = |allowed: &[String], name: &str| {
            allowed.is_empty() || allowed.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
        };
        self.groups
            .values()
            .filter(|group| passes(&filter.types, group.group_type().name()))
            .map(|group| Listed {
                group: group.id.to_string(),
                protocol_type: match &group.membership {
                    Membership::Classic(classic) => classic.protocol_type().unwrap_or_default().to_owned(),
                    Membership::Consumer(_) => CONSUMER.to_owned(),
                    Membership::Share(_) => GroupType::Share.name().to_owned(),
                },
                state: group.state(),
                group_type: group.group_type(),
            })
            .filter(|listed| passes(&filter.states, listed.state.name()))
            .collect()
    }

    /// How many groups there are.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// How many offsets are committed or about to be.
    #[must_use]
    pub fn offset_count(&self) -> usize {
        self.groups.values().map(|group| group.offsets.len()).sum()
    }

    /// DeleteGroups, of those of this shard.
    pub fn delete(&mut self, groups: &[String], waiter: Waiter, now: Now) -> Effects {
        self.turn(now, |known, turn| {
            let answers = groups
                .iter()
                .map(|id| {
                    let result = match known.get_mut(id.as_str()) {
                        Some(group) => group.delete(turn),
                        None => Err(Error::GroupIdNotFound { group: id.clone() }),
                    };
                    (id.clone(), result)
                })
                .collect();
            turn.reply_when_written(waiter, Reply::Deleted(answers));
        })
    }

    /// A topic is gone: so are all offsets committed for it.
    pub fn topic_deleted(&mut self, topic: &str, waiter: Waiter, now: Now) -> Effects {
        self.turn(now, |known, turn| {
            let mut answers = Vec::new();
            for group in known.values_mut() {
                if group.share_mut().is_some() {
                    group.ask(Ask::TopicDeleted(topic.to_owned()), turn);
                }
                let id = group.id.clone();
                let changes: Vec<Change> = group
                    .offsets
                    .partitions_of(topic)
                    .into_iter()
                    .map(|partition| offsets::tombstone(&id, topic, partition))
                    .collect();
                if !changes.is_empty() {
                    answers.push((id.to_string(), group.try_write_offsets(changes, turn)));
                }
            }
            turn.reply_when_written(waiter, Reply::Deleted(answers));
        })
    }
}

impl Group {
    /// Removes the group with all its offsets. Until that is written nobody can join it or commit to it.
    pub(super) fn delete(&mut self, turn: &mut Turn<'_>) -> Result<(), Error> {
        let (id, state) = (self.id.clone(), self.state());
        match state {
            GroupState::Dead => return Err(Error::GroupIdNotFound { group: id.to_string() }),
            GroupState::Empty => {}
            active => return Err(Error::NonEmptyGroup { group: id.to_string(), state: active }),
        }
        if self.is_closed() {
            return Err(Error::CoordinatorNotAvailable { group: id.to_string() });
        }
        let names = self.offsets.tombstones(&id);
        let mut changes = names.clone();
        match &mut self.membership {
            // What waits for a state to be made would leave it behind.
            Membership::Share(share) if share.is_at_work() => {
                return Err(Error::CoordinatorNotAvailable { group: id.to_string() });
            }
            Membership::Consumer(modern) | Membership::Share(modern) => {
                modern.delete(changes);
                modern.flush(turn);
                if !modern.is_closed() {
                    return Err(not_written(&id, WriteError::TooLarge));
                }
            }
            Membership::Classic(classic) => {
                changes.push(Change::Group { group: id.to_string(), stored: None });
                turn.write(changes, Then::Nothing).map_err(|_| not_written(&id, WriteError::TooLarge))?;
                classic.kill(turn.now);
            }
        }
        for change in names {
            if let Change::Offset { topic, partition, .. } = change {
                self.offsets.begin(&topic, partition);
            }
        }
        Ok(())
    }
}
