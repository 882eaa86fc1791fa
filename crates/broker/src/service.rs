//! The service: one frame in, one answer out. Dispatch only; what each API does is in its handler.

use crate::Error;
use crate::authentication::{Admission, Authentication};
use crate::client_metrics::instances::Instances;
use crate::config::{Config, Settings};
use crate::fetch::answer::Assembly;
use crate::fetch::session::Sessions;
use crate::handlers::produce::Produced;
use crate::handlers::sasl;
use crate::meters::Meters;
use crate::quotas::{Client, Mutations, Quotas, Used};
use crate::shares::{Around, Registry, ShareAssembly, ShareSessions, watch_locks};
use async_trait::async_trait;
use millstream_coordinator::Handle as Coordinator;
use millstream_metadata::Image;
use millstream_net::{Answer, ConnectionContext, Frame, Handler, Part};
use millstream_partition::Partitions;
use millstream_protocol::{RequestKind, ResponseKind};
use millstream_quorum::Handle as Quorum;
use millstream_runtime::Runtime;
use millstream_telemetry::Metrics;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// What the service works with.
pub struct Deps {
    /// The machine.
    pub runtime: Runtime,
    /// Where it is measured.
    pub metrics: Metrics,
    /// Metadata, and decisions about it.
    pub quorum: Quorum,
    /// The logs of this broker.
    pub partitions: Partitions,
    /// The groups of this broker.
    pub coordinator: Coordinator,
}

/// Answers Kafka's requests. Clones are the same service; one goes to each listener.
#[derive(Clone)]
pub struct Service(Arc<Broker>);

/// What the handlers share.
pub(crate) struct Broker {
    pub(crate) settings: Settings,
    pub(crate) runtime: Runtime,
    pub(crate) metrics: Metrics,
    pub(crate) quorum: Quorum,
    pub(crate) partitions: Partitions,
    pub(crate) coordinator: Coordinator,
    pub(crate) sessions: Mutex<Sessions>,
    pub(crate) share_sessions: Arc<Mutex<ShareSessions>>,
    pub(crate) shares: Arc<Registry>,
    pub(crate) quotas: Quotas,
    pub(crate) authentication: Authentication,
    pub(crate) client_instances: Mutex<Instances>,
    /// What the client of each connection runs on, where it said so.
    pub(crate) software: Mutex<HashMap<u64, Software>>,
    meters: Meters,
}

/// What a client runs on, as it says itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Software {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// One request's surroundings.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    /// The version it was sent in, and is answered in.
    pub(crate) version: i16,
    /// The number it is answered with.
    pub(crate) correlation_id: i32,
    /// The listener it came by: addresses are told as that listener's clients reach them.
    pub(crate) listener: &'a str,
    /// The client's name for itself.
    pub(crate) client_id: &'a str,
    /// Who the client is.
    pub(crate) user: &'a str,
    /// Where it comes from.
    pub(crate) peer: IpAddr,
    /// Whether another request of its connection is begun as soon as it waits.
    pub(crate) more: bool,
    /// The same with the port.
    pub(crate) source: SocketAddr,
    /// The connection's number.
    pub(crate) connection: u64,
    /// What it may change.
    pub(crate) mutations: &'a Mutations<'a>,
}

/// What a handler answers.
enum Reply {
    Kind(ResponseKind),
    /// An answer to a fetch, whose records are still in their files.
    Fetched(Assembly),
    /// The same of a share fetch.
    Shared(ShareAssembly),
    Nothing,
    Close(String),
}

impl<T: Into<ResponseKind>> From<T> for Reply {
    fn from(body: T) -> Self {
        Self::Kind(body.into())
    }
}

impl Reply {
    fn produced(outcome: Produced) -> Self {
        match outcome {
            Produced::Answer(response) => response.into(),
            Produced::Nothing => Self::Nothing,
            Produced::Close(reason) => Self::Close(reason),
        }
    }

    fn tell_throttle(&mut self, time: Duration) {
        let milliseconds = i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
        match self {
            Self::Kind(kind) => kind.set_throttle_time_ms(milliseconds),
            Self::Fetched(fetched) => fetched.answer.throttle_time_ms = milliseconds,
            Self::Shared(shared) => shared.answer.message.throttle_time_ms = milliseconds,
            Self::Nothing | Self::Close(_) => {}
        }
    }
}

impl Service {
    /// A service of these settings.
    ///
    /// # Errors
    /// An option that is unknown or out of range.
    pub fn new(config: Config, deps: Deps) -> Result<Self, Error> {
        let settings = Settings::new(&config)?;
        let authentication = Authentication::new(config.sasl)?;
        let Deps { runtime, metrics, quorum, partitions, coordinator } = deps;
        let sessions = Mutex::new(Sessions::new(settings.fetch_session_slots));
        let share_sessions = Arc::new(Mutex::new(ShareSessions::new(settings.share_sessions)));
        let shares = Registry::new(Around {
            runtime: runtime.clone(),
            metrics: metrics.clone(),
            coordinator: coordinator.clone(),
            partitions: partitions.clone(),
            quorum: quorum.clone(),
            settings: settings.clone(),
        });
        let locks = watch_locks(shares.clone(), share_sessions.clone());
        runtime.tasks.spawn_until_stopped("locks of share partitions", locks);
        let meters = Meters::new(&metrics);
        let quotas = Quotas::default();
        Ok(Self(Arc::new(Broker {
            settings,
            runtime,
            metrics,
            quorum,
            partitions,
            coordinator,
            sessions,
            share_sessions,
            shares,
            quotas,
            authentication,
            client_instances: Mutex::default(),
            software: Mutex::default(),
            meters,
        })))
    }
}

#[async_trait]
impl Handler for Service {
    async fn handle(&self, connection: &ConnectionContext, frame: Frame) -> Answer {
        let broker = &*self.0;
        broker.wait_while_muted(connection.id).await;
        let (begun, bytes) = (broker.runtime.clock.elapsed(), frame.bytes.len());
        if connection.authentication.is_needed()
            && let Some(answer) = broker.before_decoding(connection, &frame.bytes)
        {
            return Box::pin(answer).await;
        }
        let request = match millstream_protocol::decode(frame.bytes) {
            Ok(request) => request,
            Err(refused) => {
                return match refused.answer() {
                    Some(answer) => Answer::Reply(vec![Part::Bytes(answer)]),
                    None => Answer::Close(refused.to_string()),
                };
            }
        };
        let user = match connection.authentication.is_needed() {
            false => None,
            true => match broker.admit(connection, &request) {
                Admission::In(user) => user,
                Admission::Answer(answer) => return Box::pin(answer).await,
            },
        };
        let user = user
            .as_deref()
            .unwrap_or_else(|| connection.principal.strip_prefix("User:").unwrap_or(&connection.principal));
        let client_id = request.client_id.as_deref().unwrap_or_default();
        let client = Client { user, id: client_id };
        let mutations = Mutations::new(&broker.quotas, client, &*broker.runtime.clock);
        let call = Call {
            version: request.version,
            correlation_id: request.correlation_id,
            listener: &connection.listener,
            client_id,
            peer: connection.peer.ip(),
            more: frame.more,
            user,
            source: connection.peer,
            connection: connection.id,
            mutations: &mutations,
        };
        let (mut reply, throttle) = broker.throttled(&call, request.body, bytes).await;
        if !throttle.is_zero() {
            broker.quotas.mute(connection.id, broker.runtime.clock.elapsed() + throttle);
            reply.tell_throttle(throttle);
        }
        let answer = encoded(reply, call.version, call.correlation_id);
        let took = broker.runtime.clock.elapsed().saturating_sub(begun);
        broker.meters.answered(request.api, took, bytes, &answer);
        answer
    }

    fn overlaps(&self, frame: &[u8]) -> bool {
        // Its batches have their places in their partitions' queues before it first waits. In a transaction its coordinator is asked before,
        // and a client above its quota waits before: their requests stay in order because each is answered before the next is begun.
        millstream_protocol::is_plain_produce(frame) && self.0.image().client_quotas().is_empty()
    }

    fn lingers(&self, frame: &[u8]) -> bool {
        millstream_protocol::may_wait(frame)
    }

    fn closed(&self, connection: &ConnectionContext) {
        let _ = self.0.quotas.take_muted(connection.id);
        self.0.software.lock().remove(&connection.id);
        self.0.share_disconnected(connection.id);
        if connection.authentication.is_needed() {
            self.0.authentication.forget(connection.id);
        }
    }
}

fn encoded(reply: Reply, version: i16, correlation_id: i32) -> Answer {
    match reply {
        Reply::Fetched(fetched) => in_parts(fetched.encode(version, correlation_id)),
        Reply::Shared(shared) => in_parts(shared.encode(version, correlation_id)),
        Reply::Kind(kind) => match millstream_protocol::encode_kind(&kind, version, correlation_id) {
            Ok(frame) => Answer::Reply(vec![Part::Bytes(frame)]),
            Err(error) => Answer::Close(error.to_string()),
        },
        Reply::Nothing => Answer::NoReply,
        Reply::Close(reason) => Answer::Close(reason),
    }
}

fn in_parts(encoded: Result<Vec<Part>, millstream_protocol::Error>) -> Answer {
    match encoded {
        Ok(parts) => Answer::Reply(parts),
        Err(error) => Answer::Close(error.to_string()),
    }
}

impl Broker {
    /// The metadata as far as this broker knows it.
    pub(crate) fn image(&self) -> Arc<Image> {
        self.quorum.image()
    }

    /// A throttled client's next request waits here: its connection is not read from meanwhile.
    async fn wait_while_muted(&self, connection: u64) {
        let Some(until) = self.quotas.take_muted(connection) else { return };
        let left = until.saturating_sub(self.runtime.clock.elapsed());
        let shutdown = self.runtime.tasks.shutdown();
        tokio::select! {
            biased;
            () = shutdown.requested() => {}
            () = self.runtime.clock.sleep(left) => {}
        }
    }

    /// Answers, and says how long the client is throttled for it.
    async fn throttled(&self, call: &Call<'_>, body: RequestKind, bytes: usize) -> (Reply, Duration) {
        let image = self.image();
        match image.client_quotas().is_empty() {
            true => (self.dispatch(call, body).await, Duration::ZERO),
            false => Box::pin(self.charged(call, &image, body, bytes)).await,
        }
    }

    /// Answers, and measures what that used.
    async fn charged(&self, call: &Call<'_>, image: &Image, body: RequestKind, bytes: usize) -> (Reply, Duration) {
        let client = Client { user: call.user, id: call.client_id };
        let is_produce = matches!(body, RequestKind::Produce(_));
        let (reply, time) = match Quotas::is_limited(image, client, Used::Time) {
            true => self.timed(self.dispatch(call, body)).await,
            false => (self.dispatch(call, body).await, Duration::ZERO),
        };
        let percent_seconds = time.as_secs_f64() * 100.0;
        #[expect(clippy::cast_precision_loss, reason = "sizes of requests and answers are far below 2^52")]
        let moved = match &reply {
            Reply::Fetched(fetched) => Some((Used::Fetched, fetched.records_len() as f64)),
            Reply::Shared(shared) => Some((Used::Fetched, shared.records_len() as f64)),
            _ if is_produce => Some((Used::Produced, bytes as f64)),
            _ => None,
        };
        let charges = moved.into_iter().chain([(Used::Time, percent_seconds)]);
        let now = self.runtime.clock.elapsed();
        let waits = charges.map(|what| self.quotas.charge(image, client, what, now).counted(&self.metrics, what.0));
        let changed = call.mutations.charge().counted(&self.metrics, Used::Mutations);
        (reply, waits.max().unwrap_or_default().max(changed))
    }

    /// The time that a future spends on its thread, without what it waits.
    async fn timed<T>(&self, future: impl Future<Output = T>) -> (T, Duration) {
        let (mut future, mut spent) = (std::pin::pin!(future), Duration::ZERO);
        let output = std::future::poll_fn(|context| {
            let begun = self.runtime.clock.elapsed();
            let polled = future.as_mut().poll(context);
            spent += self.runtime.clock.elapsed().saturating_sub(begun);
            polled
        })
        .await;
        (output, spent)
    }

    /// Answers a produce request itself, and all else in a future of its own: the largest of all would be the room that each of the many
    /// small produce requests takes and fills.
    async fn dispatch(&self, call: &Call<'_>, body: RequestKind) -> Reply {
        match body {
            RequestKind::Produce(request) => Reply::produced(self.produce(call, request).await),
            RequestKind::Fetch(request) => Reply::Fetched(Box::pin(self.fetch(call, request)).await),
            other => Box::pin(self.dispatch_other(call, other)).await,
        }
    }

    /// Answers what is neither produced nor fetched.
    async fn dispatch_other(&self, call: &Call<'_>, body: RequestKind) -> Reply {
        use RequestKind as R;
        match body {
            R::ApiVersions(request) => self.api_versions(call, &request).into(),
            R::Metadata(request) => self.metadata(call, request).await.into(),
            R::ListOffsets(request) => self.list_offsets(call, request).await.into(),
            R::OffsetForLeaderEpoch(request) => self.offset_for_leader_epoch(request).into(),
            R::FindCoordinator(request) => self.find_coordinator(call, request).await.into(),
            R::JoinGroup(request) => self.join_group(call, request).await.into(),
            R::SyncGroup(request) => self.sync_group(call, request).await.into(),
            R::Heartbeat(request) => self.heartbeat(&request).into(),
            R::ConsumerGroupHeartbeat(request) => self.consumer_group_heartbeat(call, request).await.into(),
            R::ConsumerGroupDescribe(request) => self.consumer_group_describe(call, request).into(),
            R::LeaveGroup(request) => self.leave_group(call, request).await.into(),
            R::OffsetCommit(request) => self.offset_commit(call, request).await.into(),
            R::OffsetFetch(request) => self.offset_fetch(call, request).into(),
            R::OffsetDelete(request) => self.offset_delete(request).await.into(),
            R::DescribeGroups(request) => self.describe_groups(call, request).into(),
            R::ListGroups(request) => self.list_groups(&request).into(),
            R::DeleteGroups(request) => self.delete_groups(request).await.into(),
            R::InitProducerId(request) => self.init_producer_id(call, request).await.into(),
            R::AddPartitionsToTxn(request) => self.add_partitions_to_txn(call, request).await.into(),
            R::AddOffsetsToTxn(request) => self.add_offsets_to_txn(call, request).await.into(),
            R::TxnOffsetCommit(request) => self.txn_offset_commit(call, request).await.into(),
            R::EndTxn(request) => self.end_txn(call, request).await.into(),
            R::DescribeTransactions(request) => self.describe_transactions(request).into(),
            R::ListTransactions(request) => self.list_transactions(request).into(),
            R::DescribeProducers(request) => self.describe_producers(request).into(),
            R::WriteTxnMarkers(request) => self.write_txn_markers(request).await.into(),
            R::CreateTopics(request) => self.create_topics(call, request).await.into(),
            R::DeleteTopics(request) => self.delete_topics(call, request).await.into(),
            R::CreatePartitions(request) => self.create_partitions(call, request).await.into(),
            R::DeleteRecords(request) => self.delete_records(request).await.into(),
            R::DescribeConfigs(request) => self.describe_configs(request).into(),
            R::AlterConfigs(request) => self.alter_configs(request).await.into(),
            R::IncrementalAlterConfigs(request) => self.incremental_alter_configs(request).await.into(),
            R::DescribeCluster(request) => self.describe_cluster(call, &request).into(),
            R::DescribeLogDirs(request) => self.describe_log_dirs(request).await.into(),
            R::AlterReplicaLogDirs(request) => self.alter_replica_log_dirs(request).into(),
            R::ElectLeaders(request) => self.elect_leaders(request).into(),
            R::AlterPartitionReassignments(request) => self.alter_partition_reassignments(request).into(),
            R::ListPartitionReassignments(request) => self.list_partition_reassignments(&request).into(),
            R::DescribeClientQuotas(request) => self.describe_client_quotas(request).into(),
            R::AlterClientQuotas(request) => self.alter_client_quotas(request).await.into(),
            R::DescribeQuorum(request) => self.describe_quorum(call, request).into(),
            R::UpdateFeatures(request) => self.update_features(call, request).into(),
            R::UnregisterBroker(request) => self.unregister_broker(request).await.into(),
            R::GetTelemetrySubscriptions(request) => self.get_telemetry_subscriptions(call, &request).into(),
            R::PushTelemetry(request) => self.push_telemetry(call, &request).into(),
            R::SaslHandshake(_) => sasl::handshake_needless().into(),
            R::SaslAuthenticate(_) => sasl::authenticate_needless().into(),
            R::DescribeUserScramCredentials(request) => self.describe_user_scram_credentials(request).into(),
            R::AlterUserScramCredentials(request) => self.alter_user_scram_credentials(request).await.into(),
            R::ListConfigResources(request) => self.list_config_resources(call, &request).into(),
            R::DescribeTopicPartitions(request) => self.describe_topic_partitions(call, request).into(),
            shares => self.dispatch_shares(call, shares).await,
        }
    }

    /// Answers what is about share groups: what is left. A test sends every API that is served.
    async fn dispatch_shares(&self, call: &Call<'_>, body: RequestKind) -> Reply {
        use RequestKind as R;
        match body {
            R::ShareFetch(request) => Reply::Shared(self.share_fetch(call, request).await),
            R::ShareAcknowledge(request) => self.share_acknowledge(call, request).await.into(),
            R::InitializeShareGroupState(request) => self.initialize_share_states(request).await.into(),
            R::ReadShareGroupState(request) => self.read_share_states(request).await.into(),
            R::WriteShareGroupState(request) => self.write_share_states(request).await.into(),
            R::DeleteShareGroupState(request) => self.delete_share_states(request).await.into(),
            R::ReadShareGroupStateSummary(request) => self.share_state_summaries(request).await.into(),
            R::ShareGroupHeartbeat(request) => self.share_group_heartbeat(call, request).await.into(),
            R::ShareGroupDescribe(request) => self.share_group_describe(request).into(),
            R::DescribeShareGroupOffsets(request) => self.describe_share_group_offsets(request.message).await.into(),
            R::AlterShareGroupOffsets(request) => self.alter_share_group_offsets(request).await.into(),
            R::DeleteShareGroupOffsets(request) => self.delete_share_group_offsets(request).await.into(),
            other => Reply::Close(format!("{:?} is not about share groups; this is a bug in Millstream", other.api())),
        }
    }
}
