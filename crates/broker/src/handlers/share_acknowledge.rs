//! ShareAcknowledge (KIP-932): what a member says of records that it has. It is answered when that is stored.

use crate::codes::Failure;
use crate::endpoints;
use crate::service::{Broker, Call};
use crate::shares::{FINAL_EPOCH, Member, Partition, Refused};
use crate::topics;
use futures::future::join_all;
use kafka_protocol::messages::share_acknowledge_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionData, ShareAcknowledgeTopicResponse,
};
use millstream_group::share::{Acknowledgement, ShareKey};
use millstream_protocol::messages::{ShareAcknowledgeRequest, ShareAcknowledgeResponse, ShareFetchRequest};
use millstream_protocol::{ResponseError, StrBytes};
use millstream_types::TopicId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Members' ids are UUIDs in text, or shorter.
const MEMBER_ID_MAX: usize = 36;

/// First and last offset, and what is said of the records between them.
type SaidBatch = (i64, i64, Vec<i8>);

/// What is said of records, by partition.
#[derive(Debug, Default)]
pub(crate) struct Said(BTreeMap<Partition, Vec<SaidBatch>>);

impl Said {
    /// What is said on the way of a fetch.
    pub(crate) fn of_fetch(request: &ShareFetchRequest) -> Self {
        let mut said = Self::default();
        for topic in &request.topics {
            let spoken = topic.partitions.iter().filter(|partition| !partition.acknowledgement_batches.is_empty());
            for partition in spoken {
                let batches = partition.acknowledgement_batches.iter();
                let batches = batches.map(|one| (one.first_offset, one.last_offset, one.acknowledge_types.clone()));
                said.add((TopicId(topic.topic_id), partition.partition_index), batches);
            }
        }
        said
    }

    fn of_acknowledge(request: &ShareAcknowledgeRequest) -> Self {
        let mut said = Self::default();
        for topic in &request.topics {
            // Nothing is answered of what nothing is said of.
            let spoken = topic.partitions.iter().filter(|partition| !partition.acknowledgement_batches.is_empty());
            for partition in spoken {
                let batches = partition.acknowledgement_batches.iter();
                let batches = batches.map(|one| (one.first_offset, one.last_offset, one.acknowledge_types.clone()));
                said.add((TopicId(topic.topic_id), partition.partition_index), batches);
            }
        }
        said
    }

    fn add(&mut self, partition: Partition, batches: impl Iterator<Item = SaidBatch>) {
        self.0.entry(partition).or_default().extend(batches);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something is said of the partition.
    pub(crate) fn names(&self, partition: Partition) -> bool {
        self.0.contains_key(&partition)
    }
}

impl Member {
    /// Whose request it is.
    ///
    /// # Errors
    /// A group or member without a name, or with one that is no member's.
    pub(crate) fn of(group: Option<&str>, member: Option<&str>) -> Result<Self, Failure> {
        let invalid = |what: &str| Failure::new(ResponseError::InvalidRequest, what.to_owned());
        let group = group.ok_or_else(|| invalid("a share group has a name: set group.id"))?;
        let member = member.filter(|member| !member.is_empty() && member.len() <= MEMBER_ID_MAX);
        let member = member.ok_or_else(|| invalid("a member of a share group has an id of 1 to 36 characters"))?;
        Ok(Self { group: Arc::from(group), id: Arc::from(member) })
    }
}

/// Why a member's session does not go on, as Kafka says it.
pub(crate) fn session_refused(refused: Refused, member: &Member, epoch: i32) -> Failure {
    let Member { group, id } = member;
    let (code, message) = match refused {
        Refused::NotFound => (
            ResponseError::ShareSessionNotFound,
            format!("member {id:?} of share group {group:?} has no share session here: begin one with epoch 0"),
        ),
        Refused::Epoch => (
            ResponseError::InvalidShareSessionEpoch,
            format!("epoch {epoch} is not the next one of the share session of member {id:?} of share group {group:?}"),
        ),
        Refused::TooMany => (
            ResponseError::ShareSessionLimitReached,
            "there are as many share sessions as may be (group.share.max.share.sessions): try again later".to_owned(),
        ),
        Refused::AcknowledgesFirst => (
            ResponseError::InvalidRequest,
            "a share session that begins has no records yet: send no acknowledgements with epoch 0".to_owned(),
        ),
    };
    Failure::new(code, message)
}

impl Broker {
    /// Answers ShareAcknowledge.
    pub(crate) async fn share_acknowledge(
        &self,
        call: &Call<'_>,
        request: ShareAcknowledgeRequest,
    ) -> ShareAcknowledgeResponse {
        let refused = |failure: Failure| {
            let code = failure.code.code();
            let message = kafka_protocol::messages::ShareAcknowledgeResponse::default().with_error_code(code);
            ShareAcknowledgeResponse::from(message.with_error_message(failure.text()))
        };
        let member = match Member::of(request.group_id.as_ref().map(|group| &*group.0), request.member_id.as_deref()) {
            Ok(member) => member,
            Err(failure) => return refused(failure),
        };
        let epoch = request.share_session_epoch;
        if let Err(error) = self.share_sessions.lock().acknowledge(&member, epoch) {
            return refused(session_refused(error, &member, epoch));
        }
        let options = self.shares.options(&member.group);
        let renews = request.is_renew_ack && options.renews;
        let acknowledged = self.acknowledged(&member, Said::of_acknowledge(&request), renews).await;
        if epoch == FINAL_EPOCH {
            self.end_share_session(&member).await;
        }
        let acquisition_lock_timeout_ms = i32::try_from(options.limits.lock_ms).unwrap_or(i32::MAX);
        let message = self.told_acknowledged(call, acknowledged);
        ShareAcknowledgeResponse { message, acquisition_lock_timeout_ms }
    }

    /// Decides all that is said, and returns when it is stored.
    pub(crate) async fn acknowledged(
        &self,
        member: &Member,
        said: Said,
        renews: bool,
    ) -> BTreeMap<Partition, Result<(), Failure>> {
        // All are begun before the first is awaited, so that they are written together.
        let begun: Vec<_> = said
            .0
            .into_iter()
            .map(|(partition, batches)| {
                let begun = self.acknowledge(member, partition, &batches, renews);
                async move {
                    let outcome = match begun {
                        Ok(None) => Ok(()),
                        Ok(Some(outcome)) => outcome.await.unwrap_or_else(|_| Err(stopped())),
                        Err(failure) => Err(failure),
                    };
                    (partition, outcome)
                }
            })
            .collect();
        join_all(begun).await.into_iter().collect()
    }

    fn acknowledge(
        &self,
        member: &Member,
        (topic, index): Partition,
        batches: &[SaidBatch],
        renews: bool,
    ) -> Result<Option<tokio::sync::oneshot::Receiver<Result<(), Failure>>>, Failure> {
        topics::of_id(&self.image(), topic)?;
        let said = Acknowledgement::parse(batches, renews)?;
        let key = ShareKey { group: member.group.clone(), topic, partition: index };
        let unknown = || {
            let message = format!("partition {index} of topic {topic} is not shared by group {:?} here", member.group);
            Failure::new(ResponseError::UnknownTopicOrPartition, message)
        };
        let opened = self.shares.get(&key).ok_or_else(unknown)?;
        self.shares.acknowledge(&opened, &member.id, &said)
    }

    /// Ends a member's session, and gives back what it has. Returns when that is stored.
    pub(crate) async fn end_share_session(&self, member: &Member) {
        if self.share_sessions.lock().end(member).is_some() {
            // What could not be stored is given back when its locks end.
            join_all(self.shares.release(member)).await;
        }
    }

    /// The connection is closed: so are the sessions on it.
    pub(crate) fn share_disconnected(&self, connection: u64) {
        let ended = self.share_sessions.lock().disconnected(connection);
        // Nobody waits for it.
        ended.iter().for_each(|member| drop(self.shares.release(member)));
    }

    fn told_acknowledged(
        &self,
        call: &Call<'_>,
        acknowledged: BTreeMap<Partition, Result<(), Failure>>,
    ) -> kafka_protocol::messages::ShareAcknowledgeResponse {
        let image = self.image();
        let (mut topics, mut endpoints) = (Vec::<ShareAcknowledgeTopicResponse>::new(), BTreeMap::new());
        for ((topic, index), outcome) in acknowledged {
            let mut data = PartitionData::default().with_partition_index(index);
            if let Err(failure) = outcome {
                let found = endpoints::new_leader(&image, topic, index, &[failure.code.code()]);
                if let Some((broker, epoch)) = found {
                    data.current_leader =
                        LeaderIdAndEpoch::default().with_leader_id(broker.0).with_leader_epoch(epoch.0);
                    if let Some(found) = endpoints::of(&image, call.listener, broker) {
                        endpoints.insert(broker, node(&found));
                    }
                }
                data.error_code = failure.code.code();
                data.error_message = failure.text();
            }
            if topics.last().is_none_or(|last| last.topic_id != topic.0) {
                topics.push(ShareAcknowledgeTopicResponse::default().with_topic_id(topic.0));
            }
            if let Some(last) = topics.last_mut() {
                last.partitions.push(data);
            }
        }
        let endpoints = endpoints.into_values().collect();
        kafka_protocol::messages::ShareAcknowledgeResponse::default()
            .with_responses(topics)
            .with_node_endpoints(endpoints)
    }
}

fn node(found: &endpoints::Endpoint<'_>) -> NodeEndpoint {
    NodeEndpoint::default()
        .with_node_id(kafka_protocol::messages::BrokerId(found.broker.0))
        .with_host(StrBytes::from_string(found.host.to_owned()))
        .with_port(i32::from(found.port))
        .with_rack(found.rack.map(|rack| StrBytes::from_string(rack.to_owned())))
}

/// The node stopped before it was written.
fn stopped() -> Failure {
    Failure::new(ResponseError::UnknownServerError, "the node stops: it is unknown whether that was stored")
}
