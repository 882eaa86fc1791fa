//! Replaying records into an image. A record states facts; nothing is decided here.

use super::{
    Broker, Deployment, DeploymentKey, Image, Partition, Schema, SchemaVersion, Subject, Topic, collision_key,
};
use crate::Error;
use crate::record::{
    BrokerConfigRecord, ClientMetricsRecord, ClientQuotaRecord, DeploymentRecord, GroupConfigRecord, PartitionChange,
    PartitionRecord, Record, SchemaRecord, ScramCredentialRecord, TopicConfigRecord, TopicRecord,
};
use millstream_sasl::Scram;
use millstream_types::{BrokerEpoch, BrokerId, TopicId};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Image {
    /// Makes `record` true.
    ///
    /// # Errors
    /// [`Error::Contradiction`] when the record speaks of what does not exist, which no decision brings about: the log is damaged.
    /// The image is then as it was.
    pub fn replay(&mut self, record: &Record) -> Result<(), Error> {
        match record {
            Record::Cluster { cluster_id, feature_level } => self.cluster = Some((*cluster_id, *feature_level)),
            Record::Controller { epoch } => self.controller_epoch = self.controller_epoch.max(*epoch),
            Record::Counters { broker_epoch, schema_id } => {
                self.broker_epoch = self.broker_epoch.max(*broker_epoch);
                self.schema_id = self.schema_id.max(*schema_id);
            }
            Record::RegisterBroker(record) => {
                self.broker_epoch = self.broker_epoch.max(record.epoch);
                self.brokers.insert(record.broker, Arc::new(Broker::from(record.clone())));
            }
            Record::FenceBroker { broker, epoch } => self.registered(*broker, *epoch)?.fenced = true,
            Record::UnfenceBroker { broker, epoch } => self.registered(*broker, *epoch)?.fenced = false,
            Record::UnregisterBroker { broker, epoch } => {
                self.registered(*broker, *epoch)?;
                self.brokers.remove(broker);
            }
            Record::Topic(record) => self.add_topic(record)?,
            Record::Partition(record) => self.add_partition(record)?,
            Record::PartitionChange(change) => self.change_partition(change)?,
            Record::TopicConfig(record) => self.set_topic_config(record)?,
            Record::BrokerConfig(record) => self.set_broker_config(record)?,
            Record::ClientMetrics(record) => self.set_client_metrics(record),
            Record::ClientQuota(record) => self.set_client_quota(record),
            Record::GroupConfig(record) => self.set_group_config(record),
            Record::UserScramCredential(record) => self.set_scram_credential(record),
            Record::RemoveUserScramCredential { user, mechanism } => self.remove_scram_credential(user, *mechanism)?,
            Record::RemoveTopic { topic } => self.remove_topic(*topic)?,
            Record::ProducerIdBlock { next, .. } => self.next_producer_id = self.next_producer_id.max(*next),
            Record::Deployment(record) => self.put_deployment(record),
            Record::RemoveDeployment { kind, name } => self.remove_deployment(kind, name)?,
            Record::Schema(record) => self.add_schema(record)?,
            Record::SchemaCompatibility { subject, level } => {
                self.set_compatibility(subject.as_deref(), level.as_deref())
            }
            Record::SchemaDeleted { subject, version, permanent } => {
                self.delete_schema(subject, *version, *permanent)?
            }
        }
        Ok(())
    }

    /// Makes every record true, in order.
    ///
    /// # Errors
    /// As [`Image::replay`], for the first such record.
    pub fn replay_all<'a>(&mut self, records: impl IntoIterator<Item = &'a Record>) -> Result<(), Error> {
        records.into_iter().try_for_each(|record| self.replay(record))
    }

    fn registered(&mut self, id: BrokerId, epoch: BrokerEpoch) -> Result<&mut Broker, Error> {
        match self.brokers.get_mut(&id) {
            Some(broker) if broker.epoch == epoch => Ok(Arc::make_mut(broker)),
            _ => Err(contradiction(format!("broker {id} is not registered with epoch {epoch}"))),
        }
    }

    fn add_topic(&mut self, record: &TopicRecord) -> Result<(), Error> {
        if self.names.contains_key(record.name.as_str()) || self.topics.contains_key(&record.id) {
            return Err(contradiction(format!("the topic {:?} ({}) exists already", record.name, record.id)));
        }
        let config = Arc::new(self.topic_config(&BTreeMap::new())?);
        let name: Arc<str> = record.name.as_str().into();
        self.names.insert(name.clone(), record.id);
        self.collisions.insert(collision_key(&name), record.id);
        let topic = Topic { id: record.id, name, partitions: Vec::new(), overrides: BTreeMap::new(), config };
        self.topics.insert(record.id, Arc::new(topic));
        Ok(())
    }

    fn topic_mut(&mut self, id: TopicId) -> Result<&mut Topic, Error> {
        let topic = self.topics.get_mut(&id).ok_or_else(|| contradiction(format!("there is no topic {id}")))?;
        Ok(Arc::make_mut(topic))
    }

    fn add_partition(&mut self, record: &PartitionRecord) -> Result<(), Error> {
        let topic = self.topic_mut(record.topic)?;
        if usize::try_from(record.partition.0) != Ok(topic.partitions.len()) {
            let (name, count) = (&topic.name, topic.partitions.len());
            return Err(contradiction(format!(
                "{name} has {count} partitions; the next one can't be {}",
                record.partition
            )));
        }
        topic.partitions.push(Partition {
            leader: record.leader,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
            replicas: record.replicas.clone(),
            isr: record.isr.clone(),
        });
        Ok(())
    }

    fn change_partition(&mut self, change: &PartitionChange) -> Result<(), Error> {
        let topic = self.topic_mut(change.topic)?;
        let place = usize::try_from(change.partition.0).ok();
        let Some(partition) = place.and_then(|place| topic.partitions.get_mut(place)) else {
            return Err(contradiction(format!("{} has no partition {}", topic.name, change.partition)));
        };
        partition.partition_epoch = change.partition_epoch;
        if let Some((leader, epoch)) = change.leader {
            partition.leader = leader;
            partition.leader_epoch = epoch;
        }
        if let Some(isr) = &change.isr {
            partition.isr.clone_from(isr);
        }
        if let Some(replicas) = &change.replicas {
            partition.replicas.clone_from(replicas);
        }
        Ok(())
    }

    fn set_topic_config(&mut self, record: &TopicConfigRecord) -> Result<(), Error> {
        let mut overrides = self.topic_mut(record.topic)?.overrides.clone();
        set(&mut overrides, &record.name, record.value.as_deref());
        let config = Arc::new(self.topic_config(&overrides)?);
        let topic = self.topic_mut(record.topic)?;
        topic.overrides = overrides;
        topic.config = config;
        Ok(())
    }

    fn set_broker_config(&mut self, record: &BrokerConfigRecord) -> Result<(), Error> {
        let mut options = self.broker_configs.get(&record.broker).map(|shared| (**shared).clone()).unwrap_or_default();
        set(&mut options, &record.name, record.value.as_deref());
        if options.is_empty() {
            self.broker_configs.remove(&record.broker);
        } else {
            self.broker_configs.insert(record.broker, Arc::new(options));
        }
        let is_topic_default =
            millstream_types::TOPIC_CONFIGS.iter().any(|def| def.inherited().any(|(name, _)| name == record.name));
        let is_of_this_node = record.broker.is_none() || record.broker == self.node;
        if !is_of_this_node || !is_topic_default {
            return Ok(());
        }
        self.resolve_topics()
    }

    fn set_client_metrics(&mut self, record: &ClientMetricsRecord) {
        let name: Arc<str> = record.name.as_str().into();
        let mut options = self.client_metrics.get(&name).map(|shared| (**shared).clone()).unwrap_or_default();
        set(&mut options, &record.option, record.value.as_deref());
        if options.is_empty() {
            self.client_metrics.remove(&name);
        } else {
            self.client_metrics.insert(name, Arc::new(options));
        }
    }

    fn set_client_quota(&mut self, record: &ClientQuotaRecord) {
        let mut limits = self.client_quotas.get(&record.entity).map(|shared| (**shared).clone()).unwrap_or_default();
        match record.value {
            Some(value) => limits.insert(record.key.clone(), value),
            None => limits.remove(&record.key),
        };
        if limits.is_empty() {
            self.client_quotas.remove(&record.entity);
        } else {
            self.client_quotas.insert(record.entity.clone(), Arc::new(limits));
        }
    }

    fn set_group_config(&mut self, record: &GroupConfigRecord) {
        let group: Arc<str> = record.group.as_str().into();
        let mut options = self.group_configs.get(&group).map(|shared| (**shared).clone()).unwrap_or_default();
        set(&mut options, &record.name, record.value.as_deref());
        if options.is_empty() {
            self.group_configs.remove(&group);
        } else {
            self.group_configs.insert(group, Arc::new(options));
        }
    }

    fn set_scram_credential(&mut self, record: &ScramCredentialRecord) {
        let whose = (record.user.clone(), record.mechanism);
        self.scram_credentials.insert(whose, Arc::new(record.credential.clone()));
    }

    fn remove_scram_credential(&mut self, user: &str, mechanism: Scram) -> Result<(), Error> {
        let removed = self.scram_credentials.remove(&(user.to_owned(), mechanism));
        let unknown = || contradiction(format!("the user {user:?} has no credential of {}", mechanism.name()));
        removed.map(|_| ()).ok_or_else(unknown)
    }

    /// Works out every topic's options anew, after what they inherit has changed.
    pub(super) fn resolve_topics(&mut self) -> Result<(), Error> {
        let ids: Vec<TopicId> = self.topics.keys().copied().collect();
        ids.into_iter().try_for_each(|id| {
            let overrides = self.topic_mut(id)?.overrides.clone();
            let config = Arc::new(self.topic_config(&overrides)?);
            self.topic_mut(id)?.config = config;
            Ok(())
        })
    }

    fn remove_topic(&mut self, id: TopicId) -> Result<(), Error> {
        let topic = self.topics.remove(&id).ok_or_else(|| contradiction(format!("there is no topic {id}")))?;
        self.names.remove(&*topic.name);
        self.collisions.remove(&*collision_key(&topic.name));
        Ok(())
    }

    fn put_deployment(&mut self, record: &DeploymentRecord) {
        let key = DeploymentKey { kind: record.kind.clone(), name: record.name.clone() };
        self.deployments
            .insert(key, Arc::new(Deployment { generation: record.generation, value: record.value.clone() }));
    }

    fn remove_deployment(&mut self, kind: &str, name: &str) -> Result<(), Error> {
        let key = DeploymentKey { kind: kind.to_owned(), name: name.to_owned() };
        self.deployments.remove(&key).map(|_| ()).ok_or_else(|| contradiction(format!("there is no {kind} {name:?}")))
    }

    fn add_schema(&mut self, record: &SchemaRecord) -> Result<(), Error> {
        let content = Schema {
            schema_type: record.schema_type,
            text: record.text.clone(),
            references: record.references.clone(),
        };
        let schema = match self.schemas.get(&record.id) {
            Some(stored) if **stored == content => stored.clone(),
            Some(_) => return Err(contradiction(format!("schema {} has another content already", record.id))),
            None => Arc::new(content),
        };
        self.schemas.insert(record.id, schema.clone());
        self.schema_ids.insert(schema, record.id);
        self.schema_id = self.schema_id.max(record.id);
        let mut subject = self.subjects.get(record.subject.as_str()).cloned().unwrap_or_default();
        Arc::make_mut(&mut subject).versions.insert(record.version, SchemaVersion { id: record.id, deleted: false });
        self.subjects.insert(record.subject.as_str().into(), subject);
        Ok(())
    }

    fn set_compatibility(&mut self, subject: Option<&str>, level: Option<&str>) {
        match (subject, level) {
            (None, level) => self.compatibility = level.map(str::to_owned),
            (Some(subject), Some(level)) => {
                self.subject_compatibility.insert(subject.into(), level.to_owned());
            }
            (Some(subject), None) => {
                self.subject_compatibility.remove(subject);
            }
        }
    }

    fn delete_schema(&mut self, name: &str, number: i32, permanent: bool) -> Result<(), Error> {
        let missing = || contradiction(format!("the subject {name:?} has no version {number}"));
        let subject: &mut Subject = Arc::make_mut(self.subjects.get_mut(name).ok_or_else(missing)?);
        let version = subject.versions.get_mut(&number).ok_or_else(missing)?;
        version.deleted = true;
        if !permanent {
            return Ok(());
        }
        let id = version.id;
        subject.versions.remove(&number);
        if subject.versions.is_empty() {
            self.subjects.remove(name);
        }
        let used = self.subjects.values().flat_map(|subject| subject.versions.values()).any(|version| version.id == id);
        if !used && let Some(schema) = self.schemas.remove(&id) {
            self.schema_ids.remove(&schema);
        }
        Ok(())
    }
}

fn set(options: &mut BTreeMap<String, String>, name: &str, value: Option<&str>) {
    match value {
        Some(value) => options.insert(name.to_owned(), value.to_owned()),
        None => options.remove(name),
    };
}

fn contradiction(reason: String) -> Error {
    Error::Contradiction { reason }
}
