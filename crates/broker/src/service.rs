//! The service: one frame in, one answer out. Dispatch only; what each API does is in its handler.

use crate::Error;
use crate::config::{Config, Settings};
use crate::fetch::session::Sessions;
use crate::handlers::produce::Produced;
use crate::meters::Meters;
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
use std::net::IpAddr;
use std::sync::Arc;

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
    meters: Meters,
}

/// One request's surroundings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// The version it was sent in, and is answered in.
    pub(crate) version: i16,
    /// The number it is answered with.
    pub(crate) correlation_id: i32,
    /// The listener it came by: addresses are told as that listener's clients reach them.
    pub(crate) listener: &'a str,
    /// The client's name for itself.
    pub(crate) client_id: &'a str,
    /// Where it comes from.
    pub(crate) peer: IpAddr,
    /// Whether another request of its connection is begun as soon as it waits.
    pub(crate) more: bool,
}

/// What a handler answers.
enum Reply {
    Kind(ResponseKind),
    /// A whole frame.
    Parts(Vec<Part>),
    Nothing,
    Close(String),
}

impl<T: Into<ResponseKind>> From<T> for Reply {
    fn from(body: T) -> Self {
        Self::Kind(body.into())
    }
}

impl Service {
    /// A service of these settings.
    ///
    /// # Errors
    /// An option that is unknown or out of range.
    pub fn new(config: Config, deps: Deps) -> Result<Self, Error> {
        let settings = Settings::new(config)?;
        let Deps { runtime, metrics, quorum, partitions, coordinator } = deps;
        let sessions = Mutex::new(Sessions::new(settings.fetch_session_slots));
        let meters = Meters::new(&metrics);
        Ok(Self(Arc::new(Broker { settings, runtime, metrics, quorum, partitions, coordinator, sessions, meters })))
    }
}

#[async_trait]
impl Handler for Service {
    async fn handle(&self, connection: &ConnectionContext, frame: Frame) -> Answer {
        let broker = &*self.0;
        let (begun, bytes) = (broker.runtime.clock.elapsed(), frame.bytes.len());
        let request = match millstream_protocol::decode(frame.bytes) {
            Ok(request) => request,
            Err(refused) => {
                return match refused.answer() {
                    Some(answer) => Answer::Reply(vec![Part::Bytes(answer)]),
                    None => Answer::Close(refused.to_string()),
                };
            }
        };
        let call = Call {
            version: request.version,
            correlation_id: request.correlation_id,
            listener: &connection.listener,
            client_id: request.client_id.as_deref().unwrap_or_default(),
            peer: connection.peer.ip(),
            more: frame.more,
        };
        let answer = match broker.dispatch(&call, request.body).await {
            Reply::Parts(parts) => Answer::Reply(parts),
            Reply::Kind(kind) => match millstream_protocol::encode_kind(&kind, call.version, call.correlation_id) {
                Ok(frame) => Answer::Reply(vec![Part::Bytes(frame)]),
                Err(error) => Answer::Close(error.to_string()),
            },
            Reply::Nothing => Answer::NoReply,
            Reply::Close(reason) => Answer::Close(reason),
        };
        let took = broker.runtime.clock.elapsed().saturating_sub(begun);
        broker.meters.answered(request.api, took, bytes, &answer);
        answer
    }

    fn overlaps(&self, frame: &[u8]) -> bool {
        // Its batches have their places in their partitions' queues before it first waits. In a transaction its coordinator is asked before.
        millstream_protocol::is_plain_produce(frame)
    }
}

impl Broker {
    /// The metadata as far as this broker knows it.
    pub(crate) fn image(&self) -> Arc<Image> {
        self.quorum.image()
    }

    async fn dispatch(&self, call: &Call<'_>, body: RequestKind) -> Reply {
        use RequestKind as R;
        match body {
            R::ApiVersions(request) => self.api_versions(call, &request).into(),
            R::Metadata(request) => self.metadata(call, request).await.into(),
            R::Produce(request) => match self.produce(call, request).await {
                Produced::Answer(response) => response.into(),
                Produced::Nothing => Reply::Nothing,
                Produced::Close(reason) => Reply::Close(reason),
            },
            R::Fetch(request) => match self.fetch(call, request).await {
                Ok(parts) => Reply::Parts(parts),
                Err(error) => Reply::Close(error.to_string()),
            },
            R::ListOffsets(request) => self.list_offsets(call, request).await.into(),
            R::OffsetForLeaderEpoch(request) => self.offset_for_leader_epoch(request).into(),
            R::FindCoordinator(request) => self.find_coordinator(call, request).await.into(),
            R::JoinGroup(request) => self.join_group(call, request).await.into(),
            R::SyncGroup(request) => self.sync_group(request).await.into(),
            R::Heartbeat(request) => self.heartbeat(&request).into(),
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
            R::CreateTopics(request) => self.create_topics(request).await.into(),
            R::DeleteTopics(request) => self.delete_topics(request).await.into(),
            R::CreatePartitions(request) => self.create_partitions(request).await.into(),
            R::DeleteRecords(request) => self.delete_records(request).await.into(),
            R::DescribeConfigs(request) => self.describe_configs(request).into(),
            R::AlterConfigs(request) => self.alter_configs(request).await.into(),
            R::IncrementalAlterConfigs(request) => self.incremental_alter_configs(request).await.into(),
            R::DescribeCluster(request) => self.describe_cluster(call, &request).into(),
            R::DescribeLogDirs(request) => self.describe_log_dirs(request).await.into(),
        }
    }
}
