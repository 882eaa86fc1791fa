//! What other members of the quorum ask of this one.

use crate::raft_types::{Snapshot, TypeConfig, Vote};
use crate::state_machine::StateMachine;
use openraft::Raft;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};

/// The receiving end of [`crate::Peers`]. An error says in words why there is no answer.
#[derive(Clone)]
pub struct Inbound(pub(crate) Raft<TypeConfig, StateMachine>);

impl Inbound {
    /// Takes log entries, or a heartbeat.
    ///
    /// # Errors
    /// This member has stopped.
    pub async fn append_entries(
        &self,
        request: AppendEntriesRequest<TypeConfig>,
    ) -> Result<AppendEntriesResponse<TypeConfig>, String> {
        self.0.append_entries(request).await.map_err(|error| error.to_string())
    }

    /// Gives or refuses a vote.
    ///
    /// # Errors
    /// This member has stopped.
    pub async fn vote(&self, request: VoteRequest<TypeConfig>) -> Result<VoteResponse<TypeConfig>, String> {
        self.0.vote(request).await.map_err(|error| error.to_string())
    }

    /// Says whether a vote would be given.
    ///
    /// # Errors
    /// This member has stopped.
    pub async fn pre_vote(&self, request: VoteRequest<TypeConfig>) -> Result<VoteResponse<TypeConfig>, String> {
        self.0.pre_vote(request).await.map_err(|error| error.to_string())
    }

    /// Takes a whole snapshot in place of the entries it is of.
    ///
    /// # Errors
    /// This member has stopped, or the snapshot is damaged.
    pub async fn snapshot(&self, vote: Vote, snapshot: Snapshot) -> Result<SnapshotResponse<TypeConfig>, String> {
        self.0.install_full_snapshot(vote, snapshot).await.map_err(|error| error.to_string())
    }
}
