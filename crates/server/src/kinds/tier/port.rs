//! Cold storage as the HTTP API shows and commands it.

use super::Cold;
use crate::adapters::topics::{LogTopics, failed};
use async_trait::async_trait;
use millstream_admin::{TierRow, Tiering};
use millstream_metadata::topics::{Create, Layout};
use millstream_metadata::{Decision, Error as MetadataError, Record};
use millstream_partition::PartitionHandle;
use millstream_task::{Error, Topics};
use millstream_tier::{Error as TierError, RecoveredPartition, RecoveredTopic};
use millstream_types::{ErrorKind, Offset, TopicPartition};
use std::sync::Arc;

impl Cold {
    /// The API's port, over `log`.
    pub fn into_port(self, log: LogTopics) -> Arc<dyn Tiering> {
        Arc::new(Port { cold: self, log })
    }
}

struct Port {
    cold: Cold,
    log: LogTopics,
}

fn refused(error: &TierError) -> Error {
    Error::new(error.kind(), error.to_string())
}

impl Port {
    fn row(&self, handle: &PartitionHandle) -> TierRow {
        let (bounds, status) = (handle.bounds(), self.cold.tier.status_of(handle.id()));
        TierRow {
            topic: handle.topic().to_owned(),
            partition: handle.id().partition.0,
            log_start: bounds.log_start.0,
            local_start: bounds.local_start.0,
            high_watermark: bounds.high_watermark.0,
            bytes_hot: handle.size(),
            bytes_cold: status.as_ref().map_or(0, |status| status.bytes),
            segments_cold: status.as_ref().map_or(0, |status| status.segments),
            error: status.and_then(|status| status.error),
        }
    }

    /// Puts a partition's log where the store's ends. Refused where the log holds records of its own.
    async fn restore(&self, partition: TopicPartition, recovered: &RecoveredPartition) -> Result<(), Error> {
        let handle = self.log.partition(partition).await?;
        if handle.bounds().log_end > Offset::ZERO {
            let message = format!("{} holds records already; it is left as it is", handle.folder().display());
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let restored = super::begin_where_the_store_ends(&handle, recovered).await;
        restored.map_err(|error| Error::new(error.kind(), error.to_string()))
    }
}

/// Lets each partition be led in an epoch newer than all that wrote its records and manifests, or its next offload would be fenced.
fn led_anew<T>(mut created: Decision<T>, recovered: &RecoveredTopic) -> Result<Decision<T>, MetadataError> {
    for record in &mut created.records {
        if let Record::Partition(partition) = record {
            let known = recovered.partitions.iter().find(|known| known.partition == partition.partition);
            partition.leader_epoch =
                known.map_or(partition.leader_epoch, |known| known.leader_epoch.max(partition.leader_epoch));
        }
    }
    Ok(created)
}

#[async_trait]
impl Tiering for Port {
    async fn status(&self) -> Vec<TierRow> {
        let cold = self.log.partitions.all().into_iter().filter(|handle| handle.config().remote_storage_enable);
        let mut rows: Vec<TierRow> = cold.map(|handle| self.row(&handle)).collect();
        rows.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        rows
    }

    async fn offload(&self, topic: &str, drop_local: bool) -> Result<(usize, u64, u64), Error> {
        let missing = || Error::new(ErrorKind::NotFound, format!("there is no topic {topic:?}"));
        let view = self.log.topic(topic).ok_or_else(missing)?;
        let (mut segments, mut bytes, mut dropped) = (0, 0, 0);
        for partition in view.topic_partitions() {
            let handle = self.log.partition(partition).await?;
            if !handle.config().remote_storage_enable {
                let message = format!(
                    "topic {topic:?} has no remote storage; `millstream topic alter {topic} --config remote.storage.enable=true` gives it one"
                );
                return Err(Error::new(ErrorKind::Invalid, message));
            }
            handle.roll().await.map_err(|error| failed(&error))?;
            let source = self.cold.source(&self.log.quorum, &handle);
            let done = self.cold.tier.offload(&source).await.map_err(|error| refused(&error))?;
            segments += done.segments;
            bytes += done.bytes;
            if drop_local {
                dropped += self.cold.tier.drop_local(&source).await.map_err(|error| refused(&error))?;
            }
        }
        Ok((segments, bytes, dropped))
    }

    async fn recover(&self, topic: &str) -> Result<i32, Error> {
        let recovered = self.cold.tier.recover(topic).await.map_err(|error| refused(&error))?;
        let partitions = i32::try_from(recovered.partitions.len()).unwrap_or(i32::MAX);
        let create = Create {
            name: recovered.name.clone(),
            id: recovered.id,
            layout: Layout::Counts { partitions, replication_factor: 1, draw: 0 },
            configs: recovered.configs.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect(),
            validate_only: false,
        };
        let created = self
            .log
            .quorum
            .decide(|image| led_anew(millstream_metadata::topics::create(image, &create)?, &recovered))
            .await;
        created.map_err(|error| Error::new(error.kind(), error.to_string()))?;
        for partition in &recovered.partitions {
            self.restore(TopicPartition::new(recovered.id, partition.partition), partition).await?;
        }
        Ok(partitions)
    }
}
