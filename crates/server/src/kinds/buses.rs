//! Event buses over this node.

use async_trait::async_trait;
use bytes::Bytes;
use millstream_admin::Buses as Port;
use millstream_bus::{Buses, Config, Rules};
use millstream_runtime::Runtime;
use millstream_task::{Error, Host, Topics};
use serde_json::Value;
use std::sync::Arc;

/// Adds rules to the host and gives the API its buses.
pub fn start(runtime: &Runtime, topics: Arc<dyn Topics>, host: &Host) -> Arc<dyn Port> {
    host.register(Arc::new(Rules::new(runtime.clone(), topics.clone())));
    Arc::new(NodeBuses(Buses::new(runtime.clone(), topics, Config::default())))
}

struct NodeBuses(Buses);

#[async_trait]
impl Port for NodeBuses {
    async fn put(&self, bus: &str, headers: &[(String, String)], body: Bytes) -> Result<(usize, usize), Error> {
        let accepted = self.0.put(bus, headers, body).await?;
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
