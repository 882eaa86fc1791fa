//! An image as the records that bring it about: what a snapshot stores.

use super::{Broker, Image, Topic};
use crate::record::{
    BrokerConfigRecord, BrokerRecord, ClientMetricsRecord, ClientQuotaRecord, DeploymentRecord, GroupConfigRecord,
    PartitionRecord, Record, SchemaRecord, ScramCredentialRecord, TopicConfigRecord, TopicRecord,
};
use millstream_types::BrokerId;

impl Image {
    /// Records that bring this image about from an empty one.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let cluster = self.cluster.map(|(cluster_id, feature_level)| Record::Cluster { cluster_id, feature_level });
        let head = [
            Record::Controller { epoch: self.controller_epoch },
            Record::Counters { broker_epoch: self.broker_epoch, schema_id: self.schema_id },
            Record::ProducerIdBlock { broker: BrokerId::NONE, next: self.next_producer_id },
        ];
        cluster
            .into_iter()
            .chain(head)
            .chain(self.broker_records())
            .chain(self.client_metrics_records())
            .chain(self.quota_records())
            .chain(self.scram_records())
            .chain(self.topic_records())
            .chain(self.deployment_records())
            .chain(self.schema_records())
    }

    fn broker_records(&self) -> impl Iterator<Item = Record> {
        let brokers = self.brokers.values().map(|broker| Record::RegisterBroker(broker_record(broker)));
        let configs = self.broker_configs.iter().flat_map(|(broker, options)| {
            options.iter().map(|(name, value)| {
                Record::BrokerConfig(BrokerConfigRecord {
                    broker: *broker,
                    name: name.clone(),
                    value: Some(value.clone()),
                })
            })
        });
        let of_groups = self.group_configs.iter().flat_map(|(group, options)| {
            options.iter().map(|(name, value)| {
                let (group, name, value) = (group.to_string(), name.clone(), Some(value.clone()));
                Record::GroupConfig(GroupConfigRecord { group, name, value })
            })
        });
        brokers.chain(configs).chain(of_groups)
    }

    fn client_metrics_records(&self) -> impl Iterator<Item = Record> {
        self.client_metrics.iter().flat_map(|(name, options)| {
            options.iter().map(|(option, value)| {
                let (name, option, value) = (name.to_string(), option.clone(), Some(value.clone()));
                Record::ClientMetrics(ClientMetricsRecord { name, option, value })
            })
        })
    }

    fn quota_records(&self) -> impl Iterator<Item = Record> {
        self.client_quotas.iter().flat_map(|(entity, limits)| {
            limits.iter().map(|(key, value)| {
                let record = ClientQuotaRecord { entity: entity.clone(), key: key.clone(), value: Some(*value) };
                Record::ClientQuota(record)
            })
        })
    }

    fn scram_records(&self) -> impl Iterator<Item = Record> {
        self.scram_credentials.iter().map(|((user, mechanism), credential)| {
            let (user, mechanism, credential) = (user.clone(), *mechanism, (**credential).clone());
            Record::UserScramCredential(ScramCredentialRecord { user, mechanism, credential })
        })
    }

    fn topic_records(&self) -> impl Iterator<Item = Record> {
        self.topics.values().flat_map(|topic| {
            let head = Record::Topic(TopicRecord { id: topic.id, name: topic.name.to_string() });
            std::iter::once(head).chain(partition_records(topic)).chain(config_records(topic))
        })
    }

    fn deployment_records(&self) -> impl Iterator<Item = Record> {
        self.deployments.iter().map(|(key, deployment)| {
            Record::Deployment(DeploymentRecord {
                kind: key.kind.clone(),
                name: key.name.clone(),
                generation: deployment.generation,
                value: deployment.value.clone(),
            })
        })
    }

    fn schema_records(&self) -> impl Iterator<Item = Record> {
        let versions = self.subjects.iter().flat_map(move |(name, subject)| {
            subject.versions.iter().flat_map(move |(number, version)| {
                let live = self.schema(version.id).map(|schema| {
                    Record::Schema(SchemaRecord {
                        subject: name.to_string(),
                        version: *number,
                        id: version.id,
                        schema_type: schema.schema_type,
                        text: schema.text.clone(),
                        references: schema.references.clone(),
                    })
                });
                let deleted = version.deleted.then(|| Record::SchemaDeleted {
                    subject: name.to_string(),
                    version: *number,
                    permanent: false,
                });
                live.into_iter().chain(deleted)
            })
        });
        let all = self.compatibility.iter().map(|level| (None, level));
        let own = self.subject_compatibility.iter().map(|(subject, level)| (Some(subject.to_string()), level));
        let levels =
            all.chain(own).map(|(subject, level)| Record::SchemaCompatibility { subject, level: Some(level.clone()) });
        versions.chain(levels)
    }
}

fn broker_record(broker: &Broker) -> BrokerRecord {
    BrokerRecord {
        broker: broker.id,
        incarnation: broker.incarnation,
        directory: broker.directory,
        epoch: broker.epoch,
        listeners: broker.listeners.clone(),
        rack: broker.rack.clone(),
        fenced: broker.fenced,
    }
}

fn partition_records(topic: &Topic) -> impl Iterator<Item = Record> {
    topic.partitions().map(|(index, partition)| {
        Record::Partition(PartitionRecord {
            topic: topic.id,
            partition: index,
            leader: partition.leader,
            leader_epoch: partition.leader_epoch,
            partition_epoch: partition.partition_epoch,
            replicas: partition.replicas.clone(),
            isr: partition.isr.clone(),
        })
    })
}

fn config_records(topic: &Topic) -> impl Iterator<Item = Record> {
    topic.overrides.iter().map(|(name, value)| {
        Record::TopicConfig(TopicConfigRecord { topic: topic.id, name: name.clone(), value: Some(value.clone()) })
    })
}
