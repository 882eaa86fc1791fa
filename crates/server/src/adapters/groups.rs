//! Consumer groups as the HTTP API shows and changes them.

use super::topics::{LogTopics, refused};
use async_trait::async_trait;
use millstream_admin::{From, GroupDetail, GroupMember, GroupOffset, GroupRow, Groups};
use millstream_coordinator::Error as CoordinatorError;
use millstream_coordinator::group::{DescribedConsumer, Error as GroupError, GroupType, ListFilter};
use millstream_task::{CommittedOffset, Error, Topics};
use millstream_types::{ErrorKind, LeaderEpoch, Offset, PartitionIndex, TopicPartition};

/// The groups that this node coordinates.
pub struct CoordinatorGroups(pub LogTopics);

fn no_group(group: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no group {group:?}; `millstream group list` shows what there is"))
}

impl CoordinatorGroups {
    /// How far the group is in each partition that it has committed an offset of.
    pub async fn offsets(&self, group: &str) -> Result<Vec<GroupOffset>, Error> {
        let log = &self.0;
        let image = log.quorum.image();
        let fetched = log.coordinator.fetch_as_admin(group, None).await.map_err(|error| refused(&error))?;
        let mut rows = Vec::new();
        for topic in fetched {
            let id = image.topic_named(&topic.topic).map(|known| known.id);
            for one in topic.partitions.iter().filter(|one| one.offset >= Offset::ZERO) {
                let handle =
                    id.and_then(|id| log.partitions.get(TopicPartition::new(id, PartitionIndex(one.partition))).ok());
                let end = handle.map(|handle| handle.bounds().high_watermark.0);
                rows.push(GroupOffset {
                    topic: topic.topic.clone(),
                    partition: one.partition,
                    offset: one.offset.0,
                    high_watermark: end,
                    lag: end.map(|end| (end - one.offset.0).max(0)),
                });
            }
        }
        Ok(rows)
    }

    async fn detail(&self, group: &str) -> Result<GroupDetail, Error> {
        let described = match self.0.coordinator.describe(group) {
            Err(CoordinatorError::Group(GroupError::OtherProtocol { .. })) => return self.consumer_detail(group).await,
            described => described.map_err(|error| refused(&error))?,
        };
        let offsets = self.offsets(group).await?;
        let member = |one: &millstream_coordinator::group::DescribedMember| GroupMember {
            member_id: one.member.clone(),
            client_id: one.client_id.clone(),
            client_host: one.client_host.clone(),
        };
        Ok(GroupDetail {
            row: GroupRow {
                group: group.to_owned(),
                state: described.state.to_string(),
                protocol_type: described.protocol_type.clone(),
                group_type: GroupType::Classic.name().to_owned(),
                members: described.members.len(),
                lag: offsets.iter().filter_map(|one| one.lag).sum(),
            },
            member_details: described.members.iter().map(member).collect(),
            offsets,
        })
    }

    /// The same of a group of the new protocol.
    async fn consumer_detail(&self, group: &str) -> Result<GroupDetail, Error> {
        let described = self.0.coordinator.describe_consumer(group).map_err(|error| refused(&error))?;
        let offsets = self.offsets(group).await?;
        let member = |one: &DescribedConsumer| GroupMember {
            member_id: one.member.clone(),
            client_id: one.metadata.client_id.clone(),
            client_host: one.metadata.client_host.clone(),
        };
        Ok(GroupDetail {
            row: GroupRow {
                group: group.to_owned(),
                state: described.state.to_string(),
                protocol_type: "consumer".to_owned(),
                group_type: GroupType::Consumer.name().to_owned(),
                members: described.members.len(),
                lag: offsets.iter().filter_map(|one| one.lag).sum(),
            },
            member_details: described.members.iter().map(member).collect(),
            offsets,
        })
    }
}

#[async_trait]
impl Groups for CoordinatorGroups {
    async fn list(&self) -> Result<Vec<GroupRow>, Error> {
        let listed = match self.0.coordinator.list(&ListFilter::default()) {
            Ok(listed) => listed,
            // Without the offsets topic there is no group.
            Err(CoordinatorError::NoOffsetsTopic { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(refused(&error)),
        };
        let mut rows = Vec::new();
        for one in listed {
            rows.push(self.detail(&one.group).await?.row);
        }
        rows.sort_by(|a, b| a.group.cmp(&b.group));
        Ok(rows)
    }

    async fn describe(&self, group: &str) -> Result<GroupDetail, Error> {
        let known = self.list().await?.iter().any(|row| row.group == group);
        if !known {
            return Err(no_group(group));
        }
        self.detail(group).await
    }

    async fn delete(&self, group: &str) -> Result<(), Error> {
        for (_, outcome) in self.0.coordinator.delete(&[group.to_owned()]).await {
            match outcome {
                // Without the offsets topic there is no group.
                Err(CoordinatorError::NoOffsetsTopic { .. }) => return Err(no_group(group)),
                outcome => outcome.map_err(|error| refused(&error))?,
            }
        }
        Ok(())
    }

    async fn reset(&self, group: &str, topic: &str, to: From) -> Result<(), Error> {
        let missing = || Error::new(ErrorKind::NotFound, format!("there is no topic {topic:?}"));
        let view = self.0.topic(topic).ok_or_else(missing)?;
        let partitions: Vec<TopicPartition> = view.topic_partitions().collect();
        let begin = to.offsets(&self.0, topic, &partitions).await?;
        let one = |(partition, offset): (TopicPartition, Offset)| CommittedOffset {
            partition,
            offset,
            leader_epoch: LeaderEpoch::NONE,
            metadata: String::new(),
        };
        let offsets: Vec<CommittedOffset> = partitions.into_iter().zip(begin).map(one).collect();
        self.0.commit(group, &offsets).await
    }
}
