//! Fetch: sessions, the budget of bytes, and waiting for enough to answer.
//!
//! A batch of one partition costs: no copy here (the records are a range of a file until the socket, where `sendfile` moves them within
//! the kernel). Allocations: the decoder's two lists, the list of targets, of what was found and its one chunk, the answer's two lists, the
//! frame of its header (some 100 bytes) and the list of parts. Nothing is done per record, nor per batch of a chunk.
//!
//! A fetch that waits makes one waiter for each of its partitions, and reads them all again when one has moved.

use crate::codes::Failure;
use crate::endpoints;
use crate::fetch::answer::{Assembly, outcome};
use crate::fetch::pass::{self, Budget, Found, Target};
use crate::fetch::session::{Context, Key, Refused, Request, TopicKey, Wanted};
use crate::service::{Broker, Call};
use crate::topics;
use futures::future::select_all;
use kafka_protocol::messages::fetch_request::FetchRequest;
use millstream_partition::{Isolation, PartitionHandle};
use millstream_protocol::{FetchAnswer, NodeEndpoint, PartitionAnswer, ResponseError, TopicAnswer};
use millstream_telemetry::catalogue::{FETCH_SESSION_EVICTIONS, FETCH_SESSIONS};
use millstream_types::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Topics are named by id from this version on.
const TOPICS_BY_ID: i16 = 13;
/// Answers name the current leader from this version on, and where it is from [`TELLS_ENDPOINT`].
const TELLS_LEADER: i16 = 12;
const TELLS_ENDPOINT: i16 = 16;
// What a reader may see: the wire's numbers, never renumber.
const READ_UNCOMMITTED: i8 = 0;
const READ_COMMITTED: i8 = 1;

/// What a reader wants to see. Kafka has no code of its own for a number it does not know.
pub(crate) fn isolation(level: i8) -> Result<Isolation, Failure> {
    match level {
        READ_UNCOMMITTED => Ok(Isolation::ReadUncommitted),
        READ_COMMITTED => Ok(Isolation::ReadCommitted),
        other => {
            let message =
                format!("isolation level {other} is unknown; expected 0 read uncommitted or 1 read committed");
            Err(Failure::new(ResponseError::UnknownServerError, message))
        }
    }
}

/// A request that can't be read as one: versions that have no place for that tell every partition.
fn refused(call: &Call<'_>, request: &FetchRequest, code: i16) -> Assembly {
    let answer = FetchAnswer { error_code: code, ..FetchAnswer::default() };
    let mut assembly = Assembly::new(answer, Isolation::ReadUncommitted);
    if call.version < TOPICS_BY_ID {
        for topic in &request.topics {
            let partitions = topic.partitions.iter().map(|partition| {
                let index = PartitionIndex(partition.partition);
                let empty = PartitionAnswer::empty(index, code);
                PartitionAnswer { aborted_transactions: Some(Vec::new()), ..empty }
            });
            let partitions = partitions.collect();
            assembly.add_empty(TopicAnswer { name: topic.topic.0.clone(), id: TopicId::ZERO, partitions });
        }
    }
    assembly
}

impl Broker {
    /// Answers Fetch.
    pub(crate) async fn fetch(&self, call: &Call<'_>, request: FetchRequest) -> Assembly {
        let isolation = match isolation(request.isolation_level) {
            Ok(isolation) => isolation,
            // It is only looked at when something is read.
            Err(failure) if self.reads(call, &request) => return refused(call, &request, failure.code.code()),
            Err(_) => Isolation::ReadUncommitted,
        };
        let asked = Asked::new(&request, self.settings.fetch_max_bytes);
        let context = match self.session(call, request) {
            Ok(context) => context,
            Err(refused) => {
                let answer = FetchAnswer { error_code: code(refused).code(), ..FetchAnswer::default() };
                return Assembly::new(answer, isolation);
            }
        };
        let targets = self.targets(&asked, &context);
        let found = self.gather(&asked, &targets, isolation).await;
        let mut assembly =
            Assembly::new(FetchAnswer { session_id: context.session, ..FetchAnswer::default() }, isolation);
        self.assemble(&mut assembly, &context, &targets, found);
        self.tell_fetch_leaders(call, &mut assembly.answer);
        assembly
    }

    /// Whether any of the partitions that are named is there.
    fn reads(&self, call: &Call<'_>, request: &FetchRequest) -> bool {
        let image = self.image();
        request.topics.iter().any(|topic| {
            let found = match call.version >= TOPICS_BY_ID {
                true => image.topic(TopicId(topic.topic_id)),
                false => image.topic_named(&topic.topic),
            };
            let is_there = |index| found.is_some_and(|topic| topic.partition(PartitionIndex(index)).is_some());
            topic.partitions.iter().any(|partition| is_there(partition.partition))
        })
    }

    fn session(&self, call: &Call<'_>, request: FetchRequest) -> Result<Context, Refused> {
        let by_id = call.version >= TOPICS_BY_ID;
        let key = |name: &str, id| if by_id { TopicKey::Id(TopicId(id)) } else { TopicKey::Name(Arc::from(name)) };
        let mut wanted: Vec<(Key, Wanted)> =
            Vec::with_capacity(request.topics.iter().map(|topic| topic.partitions.len()).sum());
        for topic in request.topics {
            let key = key(&topic.topic, topic.topic_id);
            wanted.extend(topic.partitions.into_iter().map(|partition| {
                let wanted = Wanted {
                    offset: Offset(partition.fetch_offset),
                    max_bytes: partition.partition_max_bytes,
                    leader_epoch: LeaderEpoch(partition.current_leader_epoch),
                    last_fetched_epoch: LeaderEpoch(partition.last_fetched_epoch),
                };
                ((key.clone(), partition.partition), wanted)
            }));
        }
        let forgotten = request.forgotten_topics_data.into_iter().flat_map(|topic| {
            let key = key(&topic.topic, topic.topic_id);
            topic.partitions.into_iter().map(move |partition| (key.clone(), partition))
        });
        let forgotten = forgotten.collect();
        let request = Request { id: request.session_id, epoch: request.session_epoch, by_id, wanted, forgotten };
        // A session id is any positive number that is not taken.
        let candidate = i32::try_from(self.runtime.random.below(i32::MAX.unsigned_abs().into())).unwrap_or(0) + 1;
        let mut sessions = self.sessions.lock();
        let context = sessions.open(request, candidate, self.runtime.clock.elapsed());
        self.metrics.gauge(&FETCH_SESSIONS, &[]).set(i64::try_from(sessions.len()).unwrap_or(i64::MAX));
        self.metrics.counter(&FETCH_SESSION_EVICTIONS, &[]).add(sessions.take_evicted());
        context
    }

    fn targets(&self, asked: &Asked, context: &Context) -> Vec<Target> {
        let image = self.image();
        let mut last: Option<(TopicKey, _)> = None;
        let mut targets = Vec::with_capacity(context.partitions.len());
        for (key, wanted) in &context.partitions {
            let topic = match &last {
                Some((known, topic)) if *known == key.0 => topic,
                _ => {
                    let topic = match &key.0 {
                        TopicKey::Id(id) => topics::of_id(&image, *id),
                        TopicKey::Name(name) => topics::named(&image, name),
                    };
                    &last.insert((key.0.clone(), topic)).1
                }
            };
            let handle = match topic {
                Ok(topic) => self.partition_of(topic, key.1),
                Err(failure) => Err(failure.clone()),
            };
            targets.push(Target { key: key.clone(), wanted: *wanted, handle: asked.allowed(handle) });
        }
        targets
    }

    /// Reads until there is enough, or time is up.
    async fn gather(&self, asked: &Asked, targets: &[Target], isolation: Isolation) -> Vec<Found> {
        let deadline = self.runtime.clock.elapsed() + asked.max_wait;
        let budget = Budget { max_bytes: asked.max_bytes, isolation };
        let mut found = pass::run(targets, budget).await;
        while !targets.is_empty() && !pass::is_enough(&found, asked.min_bytes) {
            let left = deadline.saturating_sub(self.runtime.clock.elapsed());
            if left.is_zero() || !self.moved(targets, &found, left).await {
                break;
            }
            found = pass::run(targets, budget).await;
        }
        found
    }

    /// Waits until one of the partitions has moved beyond what was found, at most `limit`. Returns whether one has.
    async fn moved(&self, targets: &[Target], found: &[Found], limit: Duration) -> bool {
        let waits = targets.iter().zip(found).filter_map(|(target, found)| match (&target.handle, found) {
            (Ok(handle), Found::Read(read)) => Some(Box::pin(beyond(handle, read.bounds.high_watermark))),
            _ => None,
        });
        let waits: Vec<_> = waits.collect();
        if waits.is_empty() {
            return false;
        }
        let shutdown = self.runtime.tasks.shutdown();
        tokio::select! {
            biased;
            _ = select_all(waits) => true,
            () = self.runtime.clock.sleep(limit) => false,
            () = shutdown.requested() => false,
        }
    }

    fn assemble(&self, assembly: &mut Assembly, context: &Context, targets: &[Target], found: Vec<Found>) {
        let mut sessions = self.sessions.lock();
        for (target, found) in targets.iter().zip(found) {
            if let Ok(handle) = &target.handle {
                handle.meter().bytes_out.add(found.bytes() as u64);
            }
            if sessions.answered(context, &target.key, outcome(&found)) {
                assembly.add(target, found);
            }
        }
    }

    /// Tells a consumer that asked the wrong broker, or knows an old epoch, whom to ask (KIP-951).
    fn tell_fetch_leaders(&self, call: &Call<'_>, answer: &mut FetchAnswer) {
        let stale = [ResponseError::NotLeaderOrFollower.code(), ResponseError::FencedLeaderEpoch.code()];
        if call.version < TELLS_LEADER {
            return;
        }
        let image = self.image();
        let mut endpoints = BTreeMap::new();
        for topic in &mut answer.topics {
            let known = image.topic(topic.id).or_else(|| image.topic_named(&topic.name));
            for partition in topic.partitions.iter_mut().filter(|partition| stale.contains(&partition.error_code)) {
                let Some(state) = known.and_then(|topic| topic.partition(PartitionIndex(partition.partition.0))) else {
                    continue;
                };
                partition.current_leader = Some((state.leader, state.leader_epoch));
                if let Some(endpoint) = endpoints::of(&image, call.listener, state.leader) {
                    endpoints.insert(state.leader, endpoint);
                }
            }
        }
        if call.version >= TELLS_ENDPOINT {
            let told = endpoints.into_values().map(|endpoint| NodeEndpoint {
                node: endpoint.broker,
                host: endpoint.host.to_owned().into(),
                port: i32::from(endpoint.port),
                rack: endpoint.rack.map(|rack| rack.to_owned().into()),
            });
            answer.node_endpoints = told.collect();
        }
    }
}

/// The limits of a request.
struct Asked {
    max_wait: Duration,
    min_bytes: usize,
    max_bytes: usize,
    /// A broker that asks as a replica.
    replica: Option<i32>,
}

impl Asked {
    fn new(request: &FetchRequest, max_bytes: usize) -> Self {
        let replica = request.replica_id.0.max(request.replica_state.replica_id.0);
        let positive = |number: i32| usize::try_from(number).unwrap_or(0);
        Self {
            max_wait: Duration::from_millis(positive(request.max_wait_ms) as u64),
            min_bytes: positive(request.min_bytes),
            max_bytes: positive(request.max_bytes).min(max_bytes),
            replica: (replica >= 0).then_some(replica),
        }
    }

    /// Replicas see more than consumers do: until there are any, whoever says it is one is refused.
    fn allowed(&self, handle: Result<PartitionHandle, Failure>) -> Result<PartitionHandle, Failure> {
        match (self.replica, handle) {
            (Some(broker), Ok(handle)) => {
                let message =
                    format!("broker {broker} is not a replica of {}-{}", handle.topic(), handle.id().partition);
                Err(Failure::new(ResponseError::NotLeaderOrFollower, message))
            }
            (_, handle) => handle,
        }
    }
}

/// Returns when the high watermark is not `known` any more, or the partition has gone.
async fn beyond(handle: &PartitionHandle, known: Offset) {
    let mut high_watermark = handle.high_watermark();
    // An error says that the partition is gone, which the next read tells better.
    let _ = high_watermark.wait_for(|now| *now != known).await;
}

const fn code(refused: Refused) -> ResponseError {
    match refused {
        Refused::NotFound => ResponseError::FetchSessionIdNotFound,
        Refused::Epoch => ResponseError::InvalidFetchSessionEpoch,
        Refused::TopicIds => ResponseError::FetchSessionTopicIdError,
    }
}
