//! The port to the other members of the quorum, and the Raft library's view of it.

use crate::raft_types::{Peer, ReplicaId, Snapshot, TypeConfig, Vote};
use async_trait::async_trait;
use bytes::Bytes;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use std::future::Future;
use std::sync::Arc;

/// Calls to other members, each bounded in time by whoever implements this. An error means that nothing is known of what became of
/// the call; its words say why.
#[async_trait]
pub trait Peers: Send + Sync + 'static {
    /// Sends log entries, or a heartbeat.
    async fn append_entries(
        &self,
        target: &Target,
        request: AppendEntriesRequest<TypeConfig>,
    ) -> Result<AppendEntriesResponse<TypeConfig>, String>;

    /// Asks for a vote.
    async fn vote(&self, target: &Target, request: VoteRequest<TypeConfig>)
    -> Result<VoteResponse<TypeConfig>, String>;

    /// Asks whether a vote would be given, so that a member that can't win disturbs nobody.
    async fn pre_vote(
        &self,
        target: &Target,
        request: VoteRequest<TypeConfig>,
    ) -> Result<VoteResponse<TypeConfig>, String>;

    /// Sends a whole snapshot.
    async fn snapshot(
        &self,
        target: &Target,
        vote: Vote,
        snapshot: Snapshot,
    ) -> Result<SnapshotResponse<TypeConfig>, String>;
}

/// Another member and where it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The member.
    pub id: ReplicaId,
    /// Where it is reached.
    pub peer: Peer,
}

/// No way to anybody: a quorum of one needs none.
pub struct NoPeers;

impl NoPeers {
    fn unreachable<T>(target: &Target) -> Result<T, String> {
        Err(format!("there is no way to member {}: this node has no peers", target.id))
    }
}

#[async_trait]
impl Peers for NoPeers {
    async fn append_entries(
        &self,
        target: &Target,
        _request: AppendEntriesRequest<TypeConfig>,
    ) -> Result<AppendEntriesResponse<TypeConfig>, String> {
        Self::unreachable(target)
    }

    async fn vote(
        &self,
        target: &Target,
        _request: VoteRequest<TypeConfig>,
    ) -> Result<VoteResponse<TypeConfig>, String> {
        Self::unreachable(target)
    }

    async fn pre_vote(
        &self,
        target: &Target,
        _request: VoteRequest<TypeConfig>,
    ) -> Result<VoteResponse<TypeConfig>, String> {
        Self::unreachable(target)
    }

    async fn snapshot(
        &self,
        target: &Target,
        _vote: Vote,
        _snapshot: Snapshot,
    ) -> Result<SnapshotResponse<TypeConfig>, String> {
        Self::unreachable(target)
    }
}

/// Makes the library's connections over a [`Peers`].
pub(crate) struct Network(pub Arc<dyn Peers>);

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Connection;

    async fn new_client(&mut self, target: ReplicaId, node: &Peer) -> Connection {
        Connection { peers: self.0.clone(), target: Target { id: target, peer: node.clone() } }
    }
}

pub(crate) struct Connection {
    peers: Arc<dyn Peers>,
    target: Target,
}

fn unreachable(reason: String) -> RPCError<TypeConfig> {
    RPCError::Unreachable(Unreachable::from_string(reason))
}

impl RaftNetworkV2<TypeConfig> for Connection {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.peers.append_entries(&self.target, rpc).await.map_err(unreachable)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.peers.vote(&self.target, rpc).await.map_err(unreachable)
    }

    // The library's default grants every pre-vote, which would undo its purpose.
    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.peers.pre_vote(&self.target, rpc).await.map_err(unreachable)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            answer = self.peers.snapshot(&self.target, vote, snapshot) => answer.map_err(|reason| Unreachable::from_string(reason).into()),
        }
    }
}
