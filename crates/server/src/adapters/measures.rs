//! What of this node is measured when somebody looks: groups by state, how far each is behind, and what the controller counts.

use super::groups::CoordinatorGroups;
use super::topics::LogTopics;
use async_trait::async_trait;
use millstream_admin::Measures;
use millstream_coordinator::group::ListFilter;
use millstream_telemetry::{GaugeDef, Metrics, catalogue};
use millstream_types::BrokerId;
use std::collections::BTreeSet;
use tokio::sync::Mutex;

/// Group, topic and partition.
type Series = [String; 3];

/// The measures of a node.
pub struct NodeMeasures {
    log: LogTopics,
    metrics: Metrics,
    /// The lags that were told last: what is no more among them is forgotten. Held over a round, so that two of them do not mix.
    told: Mutex<BTreeSet<Series>>,
}

impl NodeMeasures {
    /// The measures of the node behind `log`, which starts now.
    pub fn new(log: LogTopics, metrics: Metrics) -> Self {
        metrics.gauge(&catalogue::START_TIME, &[]).set(log.runtime.clock.now().0 / 1000);
        Self { log, metrics, told: Mutex::default() }
    }

    fn set(&self, gauge: &GaugeDef, value: usize) {
        self.metrics.gauge(gauge, &[]).set(i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// What the metadata comes to. The counts of the cluster are the controller's alone, as in Kafka.
    fn controller(&self) {
        let image = self.log.quorum.image();
        let active = self.log.quorum.controller() == Some(self.log.quorum.node_id());
        self.set(&catalogue::ACTIVE_CONTROLLERS, usize::from(active));
        let partitions = || image.topics().flat_map(|topic| topic.partitions.iter());
        let counts = [
            (&catalogue::GLOBAL_TOPICS, image.topic_count()),
            (&catalogue::GLOBAL_PARTITIONS, partitions().count()),
            (&catalogue::OFFLINE_PARTITIONS, partitions().filter(|one| one.leader == BrokerId::NONE).count()),
        ];
        for (gauge, count) in counts {
            self.set(gauge, if active { count } else { 0 });
        }
    }

    async fn lags(&self) {
        let groups = CoordinatorGroups(self.log.clone());
        // A partition of the offsets topic that is still being loaded: what was told stands until it is there.
        let Ok(listed) = self.log.coordinator.list(&ListFilter::default()) else { return };
        let mut told = self.told.lock().await;
        let mut now = BTreeSet::new();
        for group in listed {
            let Ok(offsets) = groups.offsets(&group.group).await else { continue };
            for one in offsets {
                let Some(lag) = one.lag else { continue };
                let series = [group.group.clone(), one.topic, one.partition.to_string()];
                self.metrics.gauge(&catalogue::GROUP_LAG, &series.each_ref().map(String::as_str)).set(lag);
                now.insert(series);
            }
        }
        for gone in told.difference(&now) {
            self.metrics.forget(catalogue::GROUP_LAG.definition(), &gone.each_ref().map(String::as_str));
        }
        *told = now;
    }
}

#[async_trait]
impl Measures for NodeMeasures {
    async fn refresh(&self) {
        self.log.coordinator.refresh_metrics();
        self.controller();
        self.lags().await;
    }
}
