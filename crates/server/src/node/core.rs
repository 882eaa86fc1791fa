//! The parts that make a broker: quorum, partitions, coordinator, and Kafka's APIs over them.

use crate::adapters::controller::{QuorumController, follow};
use crate::adapters::known_cluster::KnownCluster;
use crate::adapters::topics::LogTopics;
use crate::kinds::tier::Cold;
use crate::settings::{SettingsError, absolute};
use crate::{Error, Settings};
use millstream_coordinator::group::{ConsumerConfig, ShareConfig};
use millstream_coordinator::{
    Config as CoordinatorConfig, Handle as Coordinator, Ports as CoordinatorPorts, Service as CoordinatorService,
};
use millstream_metadata::Listener as Advertised;
use millstream_net::Handler;
use millstream_partition::{
    CleanerConfig, Config as PartitionConfig, Deps as PartitionDeps, Folders, Layout, Partitions, ScrubConfig, boot_id,
};
use millstream_quorum::{Config as QuorumConfig, Handle as Quorum, Service as QuorumService, Unfence};
use millstream_runtime::Runtime;
use millstream_telemetry::Metrics;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// A broker without its listeners.
pub struct Core {
    /// Metadata.
    pub quorum: Quorum,
    /// Records.
    pub partitions: Partitions,
    /// Groups.
    pub coordinator: Coordinator,
    /// Cold segments.
    pub cold: Cold,
}

impl Core {
    /// Starts metadata, partitions and groups. `addresses` are the listeners' names and ports, already bound.
    pub async fn start(
        runtime: &Runtime,
        metrics: &Metrics,
        settings: &Settings,
        addresses: &[(String, SocketAddr)],
    ) -> Result<Self, Error> {
        let mut config =
            QuorumConfig::new(settings.data_dir.clone(), settings.node_id, advertised(settings, addresses));
        config.rack.clone_from(&settings.rack);
        config.unfence = Unfence::WhenTold;
        config.static_configs.clone_from(&settings.broker);
        let quorum = QuorumService::start(runtime, config).await?;
        let cold = Cold::open(runtime, metrics, settings)?;
        cold.load(&quorum.image()).await;
        let layout = Layout {
            first: absolute(&settings.data_dir),
            others: settings.other_dirs.clone(),
            identity: quorum.identity(),
        };
        let folders = Folders::open(runtime, &layout, boot_id().as_deref()).await?;
        let deps = PartitionDeps {
            runtime: runtime.clone(),
            metrics: metrics.clone(),
            image: quorum.watch(),
            cold: Some(cold.reader()),
        };
        let mut config = PartitionConfig::new(settings.node_id);
        config.cleaner = cleaner_config(settings)?;
        config.scrub = ScrubConfig {
            interval: Duration::from_millis(settings.broker_number("log.scrub.interval.ms")?),
            bytes_per_second: settings.broker_number("log.scrub.max.bytes.per.second")?,
        };
        let partitions = Partitions::start(config, folders, deps).await?;
        cold.restore_lost(&partitions).await?;
        cold.follow(&quorum, &partitions);
        let controller = QuorumController {
            quorum: quorum.clone(),
            runtime: runtime.clone(),
            offsets_partitions: settings.broker_number("offsets.topic.num.partitions")?,
            transactions_partitions: settings.broker_number("transaction.state.log.num.partitions")?,
            share_states_partitions: settings.broker_number("share.coordinator.state.topic.num.partitions")?,
        };
        let ports = CoordinatorPorts {
            controller: Arc::new(controller),
            participants: Arc::new(partitions.clone()),
            cluster: Arc::new(KnownCluster::new(&quorum)),
        };
        let coordinator = CoordinatorService::start(runtime.clone(), coordinator_config(settings)?, ports, metrics);
        let following = follow(quorum.clone(), partitions.clone(), coordinator.clone());
        runtime.tasks.spawn_until_stopped("coordinator follows the partitions", following);
        Ok(Self { quorum, partitions, coordinator, cold })
    }

    /// The log as tasks see it.
    pub fn topics(&self, runtime: &Runtime) -> LogTopics {
        LogTopics {
            quorum: self.quorum.clone(),
            partitions: self.partitions.clone(),
            coordinator: self.coordinator.clone(),
            runtime: runtime.clone(),
        }
    }

    /// Kafka's APIs.
    pub fn broker(&self, runtime: &Runtime, metrics: &Metrics, settings: &Settings) -> Result<Arc<dyn Handler>, Error> {
        let rules = settings.listeners.iter().filter_map(|one| Some((one.name.clone(), one.sasl.clone()?)));
        let sasl = millstream_broker::Sasl { listeners: rules.collect(), users: settings.users.0.clone() };
        let (node, values, told) = (settings.node_id, settings.broker.clone(), settings.told.clone());
        let config = millstream_broker::Config { node, values, told, sasl };
        let deps = millstream_broker::Deps {
            runtime: runtime.clone(),
            metrics: metrics.clone(),
            quorum: self.quorum.clone(),
            partitions: self.partitions.clone(),
            coordinator: self.coordinator.clone(),
        };
        Ok(Arc::new(millstream_broker::Service::new(config, deps)?))
    }

    /// Tells the controller that this broker may lead.
    pub async fn announce(&self) -> Result<(), Error> {
        self.quorum.heartbeat(false).await?;
        Ok(())
    }

    /// Closes logs and metadata.
    pub async fn close(&self) -> Result<(), Error> {
        let partitions = self.partitions.close().await;
        self.quorum.stop().await?;
        Ok(partitions?)
    }
}

/// What clients are told to connect to.
fn advertised(settings: &Settings, addresses: &[(String, SocketAddr)]) -> Vec<Advertised> {
    let told =
        |name: &str| settings.listeners.iter().find(|one| one.name == name).and_then(|one| one.advertised.clone());
    let one = |(name, bound): &(String, SocketAddr)| {
        // A listener on every address is reached by the machine's own name for itself.
        let host = if bound.ip().is_unspecified() { "localhost".to_owned() } else { bound.ip().to_string() };
        let (host, port) = told(name).unwrap_or((host, bound.port()));
        Advertised { name: name.clone(), host, port }
    };
    addresses.iter().map(one).collect()
}

pub(super) fn cleaner_config(settings: &Settings) -> Result<CleanerConfig, SettingsError> {
    Ok(CleanerConfig {
        enabled: settings.broker_number("log.cleaner.enable")?,
        threads: settings.broker_number("log.cleaner.threads")?,
        dedupe_buffer_bytes: settings.broker_number("log.cleaner.dedupe.buffer.size")?,
        load_factor: settings.broker_number("log.cleaner.io.buffer.load.factor")?,
        io_buffer_bytes: settings.broker_number("log.cleaner.io.buffer.size")?,
        io_bytes_per_second: settings.broker_number("log.cleaner.io.max.bytes.per.second")?,
        backoff: Duration::from_millis(settings.broker_number("log.cleaner.backoff.ms")?),
    })
}

fn consumer_config(settings: &Settings) -> Result<ConsumerConfig, Error> {
    let range = |min, max| -> Result<RangeInclusive<i32>, Error> {
        Ok(settings.broker_number(min)?..=settings.broker_number(max)?)
    };
    Ok(ConsumerConfig {
        session_timeout_ms: settings.broker_number("group.consumer.session.timeout.ms")?,
        session_timeout_ms_range: range(
            "group.consumer.min.session.timeout.ms",
            "group.consumer.max.session.timeout.ms",
        )?,
        heartbeat_interval_ms: settings.broker_number("group.consumer.heartbeat.interval.ms")?,
        heartbeat_interval_ms_range: range(
            "group.consumer.min.heartbeat.interval.ms",
            "group.consumer.max.heartbeat.interval.ms",
        )?,
        members_max: settings.broker_number("group.consumer.max.size")?,
        migration: settings.broker_number("group.consumer.migration.policy")?,
        regex_refresh_interval_ms: settings.broker_number("group.consumer.regex.refresh.interval.ms")?,
    })
}

fn share_config(settings: &Settings) -> Result<ShareConfig, Error> {
    let number = |name| settings.broker_number::<i32>(name);
    Ok(ShareConfig {
        session_timeout_ms: number("group.share.session.timeout.ms")?,
        session_timeout_ms_range: number("group.share.min.session.timeout.ms")?
            ..=number("group.share.max.session.timeout.ms")?,
        heartbeat_interval_ms: number("group.share.heartbeat.interval.ms")?,
        heartbeat_interval_ms_range: number("group.share.min.heartbeat.interval.ms")?
            ..=number("group.share.max.heartbeat.interval.ms")?,
        members_max: settings.broker_number("group.share.max.size")?,
    })
}

fn coordinator_config(settings: &Settings) -> Result<CoordinatorConfig, Error> {
    let minutes: i64 = settings.broker_number("offsets.retention.minutes")?;
    let group = millstream_coordinator::group::Config {
        initial_rebalance_delay_ms: settings.broker_number("group.initial.rebalance.delay.ms")?,
        session_timeout_ms_min: settings.broker_number("group.min.session.timeout.ms")?,
        session_timeout_ms_max: settings.broker_number("group.max.session.timeout.ms")?,
        members_max: settings.broker_number("group.max.size")?,
        offset_metadata_bytes_max: settings.broker_number("offset.metadata.max.bytes")?,
        offsets_retention_check_interval_ms: settings.broker_number("offsets.retention.check.interval.ms")?,
        offsets_retention_ms: minutes.saturating_mul(60_000),
        consumer: consumer_config(settings)?,
        share: share_config(settings)?,
    };
    let transactions = millstream_txn::Config {
        timeout_ms_max: settings.broker_number("transaction.max.timeout.ms")?,
        timeout_check_interval_ms: settings
            .broker_number("transaction.abort.timed.out.transaction.cleanup.interval.ms")?,
        id_expiration_ms: settings.broker_number("transactional.id.expiration.ms")?,
        ..millstream_txn::Config::default()
    };
    let shares = millstream_coordinator::group::share::StateConfig {
        updates_per_snapshot: settings.broker_number("share.coordinator.snapshot.update.records.per.snapshot")?,
        prune_interval_ms: settings.broker_number("share.coordinator.state.topic.prune.interval.ms")?,
    };
    Ok(CoordinatorConfig { group, transactions, shares })
}
