//! FindCoordinator: which broker coordinates a group or a transactional id.

use crate::codes::Failure;
use crate::endpoints;
use crate::service::{Broker, Call};
use crate::topics::{OFFSETS_TOPIC, TRANSACTIONS_TOPIC};
use kafka_protocol::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use kafka_protocol::messages::{BrokerId as WireBroker, FindCoordinatorRequest};
use kafka_protocol::protocol::StrBytes;
use millstream_coordinator::SHARE_STATE_TOPIC;
use millstream_group::share::{NoShareKey, ShareKey};
use millstream_protocol::ResponseError;
use millstream_types::BrokerId;

/// Several keys may be asked for from this version on.
const BATCHED: i16 = 4;
// Kafka's numbers of what is coordinated.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

/// Share partitions have coordinators from this version on.
const KNOWS_SHARES: i16 = 6;

/// Where a coordinator is.
struct Found {
    broker: BrokerId,
    host: StrBytes,
    port: i32,
}

impl Broker {
    /// Answers FindCoordinator.
    pub(crate) async fn find_coordinator(
        &self,
        call: &Call<'_>,
        request: FindCoordinatorRequest,
    ) -> FindCoordinatorResponse {
        if call.version < BATCHED {
            return single(self.coordinator_of(call, request.key_type, &request.key).await);
        }
        let mut coordinators = Vec::with_capacity(request.coordinator_keys.len());
        for key in request.coordinator_keys {
            let found = self.coordinator_of(call, request.key_type, &key).await;
            coordinators.push(one_of_many(key, found));
        }
        FindCoordinatorResponse::default().with_coordinators(coordinators)
    }

    async fn coordinator_of(&self, call: &Call<'_>, kind: i8, key: &str) -> Result<Found, Failure> {
        let unavailable = |message: String| Failure::new(ResponseError::CoordinatorNotAvailable, message);
        let (topic, partition) = match kind {
            GROUP => (OFFSETS_TOPIC, self.coordinator.partition_of(key).await?),
            TRANSACTION => (TRANSACTIONS_TOPIC, self.coordinator.txn_partition_of(key).await?),
            SHARE => (SHARE_STATE_TOPIC, self.coordinator.share_partition_of(&share_key(call, key)?).await?),
            other => {
                let message =
                    format!("the coordinator type {other} is unknown; expected 0 group, 1 transaction or 2 share");
                return Err(Failure::new(ResponseError::InvalidRequest, message));
            }
        };
        let image = self.image();
        let leader = image.topic_named(topic).and_then(|topic| topic.partition(partition)).map(|found| found.leader);
        let endpoint = leader.and_then(|leader| endpoints::of(&image, call.listener, leader));
        let endpoint = endpoint.ok_or_else(|| {
            unavailable(format!("partition {partition} of {topic} has no leader on this listener: try again"))
        })?;
        // A client that is sent here too early is told NOT_COORDINATOR, which not every client takes for "try again".
        let is_ours = leader == Some(self.settings.node);
        let is_ready = match kind {
            GROUP => self.coordinator.coordinates(partition),
            SHARE => self.coordinator.share_coordinates(partition),
            _ => self.coordinator.txn_coordinates(partition),
        };
        if is_ours && !is_ready {
            return Err(unavailable(format!("partition {partition} of {topic} is being taken over: try again")));
        }
        let host = StrBytes::from_string(endpoint.host.to_owned());
        Ok(Found { broker: endpoint.broker, host, port: i32::from(endpoint.port) })
    }
}

/// A share partition by its name: the group's, the topic's id and the partition with colons between them.
fn share_key(call: &Call<'_>, name: &str) -> Result<ShareKey, Failure> {
    let invalid = |why: &str| Err(Failure::new(ResponseError::InvalidRequest, format!("the key {name:?} {why}")));
    if call.version < KNOWS_SHARES {
        return invalid("is of a share partition, which version 6 and later may ask for");
    }
    match name.parse() {
        Ok(key) => Ok(key),
        Err(NoShareKey) => invalid("names no share partition: expected group:topicId:partition"),
    }
}

fn single(found: Result<Found, Failure>) -> FindCoordinatorResponse {
    match found {
        Ok(Found { broker, host, port }) => {
            FindCoordinatorResponse::default().with_node_id(WireBroker(broker.0)).with_host(host).with_port(port)
        }
        Err(failure) => FindCoordinatorResponse::default()
            .with_error_code(failure.code.code())
            .with_error_message(failure.text())
            .with_node_id(WireBroker(BrokerId::NONE.0))
            .with_port(-1),
    }
}

fn one_of_many(key: StrBytes, found: Result<Found, Failure>) -> Coordinator {
    let coordinator = Coordinator::default().with_key(key);
    match found {
        Ok(Found { broker, host, port }) => {
            coordinator.with_node_id(WireBroker(broker.0)).with_host(host).with_port(port)
        }
        Err(failure) => coordinator
            .with_error_code(failure.code.code())
            .with_error_message(failure.text())
            .with_node_id(WireBroker(BrokerId::NONE.0))
            .with_port(-1),
    }
}
