//! Event buses over this node.

use async_trait::async_trait;
use bytes::Bytes;
use millstream_admin::Buses as Port;
use millstream_bus::{Buses, Config, Rules};
use millstream_runtime::Runtime;
use millstream_task::{Error, Host, Topics};
use millstream_telemetry::{Metrics, catalogue};
use serde_json::Value;
use std::sync::Arc;

/// Adds rules to the host and gives the API its buses.
pub fn start(runtime: &Runtime, metrics: &Metrics, topics: Arc<dyn Topics>, host: &Host) -> Arc<dyn Port> {
    host.register(Arc::new(Rules::new(runtime.clone(), topics.clone())));
    Arc::new(NodeBuses { buses: Buses::new(runtime.clone(), topics, Config::default()), metrics: metrics.clone() })
}

struct NodeBuses {
    buses: Buses,
    metrics: Metrics,
}

#[async_trait]
impl Port for NodeBuses {
    async fn put(&self, bus: &str, headers: &[(String, String)], body: Bytes) -> Result<(usize, usize), Error> {
        let accepted = self.buses.put(bus, headers, body).await?;
        // Only now: a bus that does not exist gets no series.
        self.metrics.counter(&catalogue::EVENTS_IN, &[bus]).add(accepted.accepted as u64);
        self.metrics.counter(&catalogue::EVENTS_DUPLICATE, &[bus]).add(accepted.duplicates as u64);
        Ok((accepted.accepted, accepted.duplicates))
    }

    fn topic(&self, bus: &str) -> String {
        Buses::topic(bus)
    }

    fn bus_of(&self, topic: &str) -> Option<String> {
        Buses::bus_of(topic).map(str::to_owned)
    }

    fn test(&self, event: &Value, rules: &[(String, Value)]) -> Result<Vec<bool>, Error> {
        Ok(millstream_bus::test(event, rules)?)
    }
}
