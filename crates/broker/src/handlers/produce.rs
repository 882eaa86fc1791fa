//! Produce: checks each batch at the door and hands it to its partition.
//!
//! One batch of one partition costs, besides the socket: the records are a slice of the frame from the decoder to the page cache, copied
//! once, by the one `pwritev` of the partition's writer. A request of one batch makes 20 allocations, the largest of them the future that
//! answers it: the decoder's and the response's lists, the writer's place in the queue, its answer and its drain, the batch's new head (12
//! bytes; 61 with LogAppendTime). `tests/handlers/costs.rs` holds both bounds. Nothing is done per record but the door's walk over
//! uncompressed ones.

use crate::codes::{Failure, record_index};
use crate::endpoints;
use crate::service::{Broker, Call};
use crate::topics;
use crate::transactions::{Joined, is_transactional};
use kafka_protocol::messages::BrokerId as WireBroker;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, ProduceResponse,
    TopicProduceResponse,
};
use millstream_metadata::{Image, Topic};
use millstream_partition::{AppendOptions, Appended, Appending, Origin, PartitionHandle};
use millstream_protocol::ResponseError;
use millstream_replica::Acks;
use millstream_telemetry::catalogue::INVALID_BATCHES;
use millstream_txn::Guard;
use millstream_types::{Offset, ProducerId, TimestampMs, TopicId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// Topics are named by id from this version on.
const TOPICS_BY_ID: i16 = 13;
/// Any codec may be used from this version on.
const TAKES_ZSTD: i16 = 7;
/// Answers name the current leader from this version on.
const TELLS_LEADER: i16 = 10;
/// Kafka's "no offset", "no time".
const NONE: i64 = -1;

/// What becomes of a produce request.
#[derive(Debug)]
pub(crate) enum Produced {
    /// It is answered.
    Answer(ProduceResponse),
    /// acks=0: it is not.
    Nothing,
    /// acks=0 and an error: closing the connection is the only way to say so.
    Close(String),
}

/// How a request's records are appended.
#[derive(Clone, Copy)]
struct How<'a> {
    options: Result<&'a AppendOptions, &'a Failure>,
    joined: &'a Joined,
}

/// A topic of a request, and what became of its partitions so far.
struct BegunTopic {
    name: TopicName,
    id: uuid::Uuid,
    partitions: Vec<(i32, Result<Appending, Refused>)>,
}

/// What one partition's records met.
struct Refused {
    failure: Failure,
    /// The record to blame.
    record: Option<usize>,
    /// Where the log begins, of a failure that Kafka tells it with.
    log_start: Option<Offset>,
}

impl<F: Into<Failure>> From<F> for Refused {
    fn from(failure: F) -> Self {
        Self { failure: failure.into(), record: None, log_start: None }
    }
}

impl Broker {
    /// Answers Produce. All its batches are begun before the first is waited for, and written side by side.
    pub(crate) async fn produce(&self, call: &Call<'_>, request: ProduceRequest) -> Produced {
        let image = self.image();
        let mut request = request;
        request.topic_data.retain(|topic| !topic.partition_data.is_empty());
        let options = options(request.acks, request.timeout_ms);
        if let Some(failure) = refusal(&request) {
            return refused(&request, &failure);
        }
        let joined = match &request.transactional_id {
            Some(id) => Box::pin(self.join_transaction(call, &image, id, &request.topic_data)).await,
            None => Joined::default(),
        };
        let how = How { options: options.as_ref(), joined: &joined };
        let mut begun: Vec<BegunTopic> =
            request.topic_data.into_iter().map(|topic| self.begin_topic(call, &image, topic, how)).collect();
        if call.more {
            others_come().await;
            let partitions = begun.iter_mut().flat_map(|topic| &mut topic.partitions);
            partitions.filter_map(|(_, found)| found.as_mut().ok()).for_each(Appending::write);
        }
        let mut responses = Vec::with_capacity(begun.len());
        for topic in begun {
            responses.push(finish(topic).await);
        }
        if request.acks == 0 {
            return without_answer(&responses);
        }
        let mut response = ProduceResponse::default().with_responses(responses);
        if call.version >= TELLS_LEADER {
            self.tell_leaders(call, &mut response);
        }
        Produced::Answer(response)
    }

    fn begin_topic(&self, call: &Call<'_>, image: &Image, data: TopicProduceData, how: How<'_>) -> BegunTopic {
        let topic = match call.version >= TOPICS_BY_ID {
            true => topics::of_id(image, TopicId(data.topic_id)),
            false => topics::named(image, &data.name),
        };
        let partitions = data.partition_data.into_iter().map(|partition| {
            let index = partition.index;
            let mut found = match (&topic, how.joined.of(&topic, index)) {
                (Err(failure), _) | (_, Err(failure)) => Err(Refused::from(failure.clone())),
                (Ok(topic), Ok(guard)) => self.begin_partition(call, topic, partition, (how.options, guard)),
            };
            if let (Ok(appending), false) = (&mut found, call.more) {
                // While its bytes are in the processor's cache, from being checked.
                appending.write();
            }
            (index, found)
        });
        BegunTopic { partitions: partitions.collect(), name: data.name, id: data.topic_id }
    }

    fn begin_partition(
        &self,
        call: &Call<'_>,
        topic: &Arc<Topic>,
        data: PartitionProduceData,
        (options, guard): (Result<&AppendOptions, &Failure>, Option<Guard>),
    ) -> Result<Appending, Refused> {
        let handle = self.partition_of(topic, data.index)?;
        handle.meter().produce_requests.inc();
        let records = data.records.unwrap_or_default();
        let checked = millstream_record::check(records, &handle.door_rules());
        let refuse_batch = |error: millstream_record::Error| {
            self.metrics.counter(&INVALID_BATCHES, &[&topic.name]).inc();
            refuse(&handle, error.clone().into(), record_index(&error))
        };
        // What is not one batch is refused before anything else is looked at, as in Kafka.
        if let Err(error) = &checked
            && !is_one_batch(error, call.version)
        {
            return Err(Refused { log_start: None, ..refuse_batch(error.clone()) });
        }
        let options = AppendOptions { guard, ..*options.map_err(Clone::clone)? };
        if topics::is_internal(&topic.name) {
            let message = format!("{:?} is written by the brokers only", topic.name);
            return Err(Failure::new(ResponseError::InvalidTopicException, message).into());
        }
        let batches = checked.map_err(refuse_batch)?;
        if batches.iter().any(|batch| batch.is_transactional() && batch.producer_id() == ProducerId::NONE) {
            let message = "the batch is part of a transaction, and of no producer";
            return Err(Failure::new(ResponseError::InvalidTxnState, message).into());
        }
        handle.begin_append(batches, options).map_err(|error| refuse(&handle, error.into(), None))
    }

    /// Tells a producer that asked the wrong broker whom to ask (KIP-951).
    fn tell_leaders(&self, call: &Call<'_>, response: &mut ProduceResponse) {
        let image = self.image();
        let mut endpoints = BTreeMap::new();
        for topic in &mut response.responses {
            let known = match call.version >= TOPICS_BY_ID {
                true => image.topic(TopicId(topic.topic_id)),
                false => image.topic_named(&topic.name),
            };
            for partition in &mut topic.partition_responses {
                if partition.error_code != ResponseError::NotLeaderOrFollower.code() {
                    continue;
                }
                let index = millstream_types::PartitionIndex(partition.index);
                let Some(state) = known.and_then(|topic| topic.partition(index)) else { continue };
                partition.current_leader = LeaderIdAndEpoch::default()
                    .with_leader_id(WireBroker(state.leader.0))
                    .with_leader_epoch(state.leader_epoch.0);
                if let Some(endpoint) = endpoints::of(&image, call.listener, state.leader) {
                    endpoints.insert(state.leader, endpoint);
                }
            }
        }
        let told = endpoints.into_values().map(|endpoint| {
            NodeEndpoint::default()
                .with_node_id(WireBroker(endpoint.broker.0))
                .with_host(endpoint.host.to_owned().into())
                .with_port(i32::from(endpoint.port))
                .with_rack(endpoint.rack.map(|rack| rack.to_owned().into()))
        });
        response.node_endpoints = told.collect();
    }
}

/// Waits once, and is polled again at once: what came together with this request is begun meanwhile, to be written with it.
async fn others_come() {
    let mut has_waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What a topic's partitions have come to.
async fn finish(topic: BegunTopic) -> TopicProduceResponse {
    let mut responses = Vec::with_capacity(topic.partitions.len());
    for (index, found) in topic.partitions {
        let found = match found {
            Ok(appending) => {
                let handle = appending.partition();
                appending.done().await.map_err(|error| refuse(&handle, error.into(), None))
            }
            Err(refused) => Err(refused),
        };
        responses.push(answer(index, found));
    }
    TopicProduceResponse::default().with_name(topic.name).with_topic_id(topic.id).with_partition_responses(responses)
}

/// Counts a refusal, and tells where the log begins where Kafka does.
fn refuse(handle: &PartitionHandle, failure: Failure, record: Option<usize>) -> Refused {
    handle.meter().failed_produce_requests.inc();
    let log_start = tells_log_start(failure.code).then(|| handle.bounds().log_start);
    Refused { failure, record, log_start }
}

/// Whether a topic's records are part of a transaction.
fn has_transactional(topic: &TopicProduceData) -> bool {
    topic.partition_data.iter().any(|partition| partition.records.as_ref().is_some_and(is_transactional))
}

/// Why nothing of a request is written: it holds what can't be a batch, or records of a transaction that it does not name.
fn refusal(request: &ProduceRequest) -> Option<Failure> {
    let mut records =
        request.topic_data.iter().flat_map(|topic| &topic.partition_data).filter_map(|one| one.records.as_ref());
    if let Some(problem) = records.find_map(|records| unreadable(records)) {
        return Some(Failure::new(ResponseError::CorruptMessage, problem));
    }
    let lacks_id = request.transactional_id.is_none() && request.topic_data.iter().any(has_transactional);
    lacks_id.then(|| {
        let message = "the request has records of a transaction and names none; set its transactional id";
        Failure::new(ResponseError::TransactionalIdAuthorizationFailed, message)
    })
}

/// What the first batch says of itself that no batch of any format can be.
fn unreadable(records: &[u8]) -> Option<String> {
    /// Bytes after a batch's length that it has at least, in the oldest format.
    const SIZE_MIN: i32 = 14;
    const MAGIC_MAX: u8 = 2;
    let size = records.get(8..12).and_then(|bytes| bytes.try_into().ok()).map(i32::from_be_bytes)?;
    if size < SIZE_MIN {
        return Some(format!(
            "a batch says that {size} bytes follow its length; there are at least {SIZE_MIN} in any format"
        ));
    }
    let magic = *records.get(16)?;
    (magic > MAGIC_MAX)
        .then(|| format!("a batch has magic {magic}; expected {MAGIC_MAX}, as clients since Kafka 0.11 send"))
}

/// Whether what is wrong with a partition's records is wrong within one batch of the format that this version has.
const fn is_one_batch(error: &millstream_record::Error, version: i16) -> bool {
    use millstream_record::Error as E;
    match error {
        E::Truncated { .. } | E::Length { .. } | E::Magic { .. } | E::BatchCount { .. } => false,
        E::UnknownCodec { .. } => version >= TAKES_ZSTD,
        _ => true,
    }
}

/// Whether Kafka tells where the log begins beside the failure: of all but those that say that there is no log, or nothing to put in it.
const fn tells_log_start(code: ResponseError) -> bool {
    !matches!(
        code,
        ResponseError::UnknownTopicOrPartition
            | ResponseError::NotLeaderOrFollower
            | ResponseError::MessageTooLarge
            | ResponseError::RecordListTooLarge
            | ResponseError::CorruptMessage
            | ResponseError::KafkaStorageError
    )
}

/// The same failure for every partition.
fn refused(request: &ProduceRequest, failure: &Failure) -> Produced {
    let responses = request.topic_data.iter().map(|topic| {
        let partitions =
            topic.partition_data.iter().map(|partition| answer(partition.index, Err(failure.clone().into())));
        TopicProduceResponse::default()
            .with_name(topic.name.clone())
            .with_topic_id(topic.topic_id)
            .with_partition_responses(partitions.collect())
    });
    let responses: Vec<TopicProduceResponse> = responses.collect();
    match request.acks {
        0 => without_answer(&responses),
        _ => Produced::Answer(ProduceResponse::default().with_responses(responses)),
    }
}

fn options(acks: i16, timeout_ms: i32) -> Result<AppendOptions, Failure> {
    let acks = match acks {
        -1 => Acks::All,
        0 => Acks::None,
        1 => Acks::Leader,
        other => {
            let message = format!("acks {other} is unknown; expected -1 all, 0 none or 1 leader");
            return Err(Failure::new(ResponseError::InvalidRequiredAcks, message));
        }
    };
    let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
    Ok(AppendOptions { acks, timeout, ..AppendOptions::new(Origin::Client) })
}

fn answer(index: i32, found: Result<Appended, Refused>) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(index);
    match found {
        Ok(appended) => response
            .with_base_offset(appended.base_offset.0)
            .with_log_append_time_ms(appended.append_time.unwrap_or(TimestampMs::NONE).0)
            .with_log_start_offset(appended.log_start.0),
        Err(Refused { failure, record, log_start }) => {
            let blamed = record.and_then(|record| i32::try_from(record).ok()).map(|record| {
                let message = Some(failure.message.clone().into());
                BatchIndexAndErrorMessage::default().with_batch_index(record).with_batch_index_error_message(message)
            });
            response
                .with_error_code(failure.code.code())
                .with_base_offset(NONE)
                .with_log_append_time_ms(NONE)
                .with_log_start_offset(log_start.map_or(NONE, |offset| offset.0))
                .with_record_errors(blamed.into_iter().collect())
                .with_error_message(failure.text())
        }
    }
}

fn without_answer(responses: &[TopicProduceResponse]) -> Produced {
    let partitions = responses.iter().flat_map(|topic| &topic.partition_responses);
    match partitions.into_iter().find(|partition| partition.error_code != 0) {
        None => Produced::Nothing,
        Some(failed) => {
            let message = failed.error_message.as_ref().map(ToString::to_string).unwrap_or_default();
            Produced::Close(format!(
                "a produce request with acks=0 failed, which only a closed connection can tell: {message}"
            ))
        }
    }
}
