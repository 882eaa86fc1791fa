//! One member of a classic group.

use crate::layout::StoredMember;
use crate::request::{JoinRequest, Protocol};
use bytes::Bytes;
use millstream_types::Waiter;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A member, and the requests of it that wait.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: Arc<str>,
    pub(crate) instance: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) assignment: Bytes,
    /// Its join waits for the next generation. Set through `Classic`, which counts them.
    pub(crate) joining: Option<Waiter>,
    /// Its sync waits for the leader's assignment.
    pub(crate) syncing: Option<Waiter>,
    /// It has not been in a generation yet: it has no way to send heartbeats.
    pub(crate) is_new: bool,
}

impl Member {
    /// A member that joins for the first time, as `id`.
    pub(crate) fn joined(id: Arc<str>, request: &JoinRequest) -> Self {
        Self {
            id,
            instance: request.instance.clone(),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols: request.protocols.clone(),
            assignment: Bytes::new(),
            joining: None,
            syncing: None,
            is_new: true,
        }
    }

    /// A member that was stored in a generation of `protocol`.
    pub(crate) fn stored(stored: StoredMember, protocol: Option<&str>) -> Self {
        Self {
            id: stored.member.into(),
            instance: stored.instance,
            client_id: stored.client_id,
            client_host: stored.client_host,
            rebalance_timeout_ms: stored.rebalance_timeout_ms,
            session_timeout_ms: stored.session_timeout_ms,
            protocols: protocol
                .map(|name| Protocol { name: name.to_owned(), metadata: stored.subscription })
                .into_iter()
                .collect(),
            assignment: stored.assignment,
            joining: None,
            syncing: None,
            is_new: false,
        }
    }

    /// How it is stored in a generation of `protocol`, with `assignment`.
    pub(crate) fn to_stored(&self, protocol: Option<&str>, assignment: Bytes) -> StoredMember {
        StoredMember {
            member: self.id.to_string(),
            instance: self.instance.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: self.session_timeout_ms,
            subscription: self.metadata(protocol),
            assignment,
        }
    }

    /// Its subscription under `protocol`; empty when it does not support it.
    pub(crate) fn metadata(&self, protocol: Option<&str>) -> Bytes {
        self.protocols
            .iter()
            .find(|supported| Some(supported.name.as_str()) == protocol)
            .map(|supported| supported.metadata.clone())
            .unwrap_or_default()
    }

    /// Its subscription under the protocol it likes best; empty when it has none.
    pub(crate) fn first_metadata(&self) -> Bytes {
        self.protocols.first().map(|protocol| protocol.metadata.clone()).unwrap_or_default()
    }

    /// The protocol it likes best among `candidates`.
    pub(crate) fn vote<'a>(&'a self, candidates: &BTreeSet<&str>) -> Option<&'a str> {
        self.protocols.iter().map(|protocol| protocol.name.as_str()).find(|name| candidates.contains(name))
    }

    pub(crate) fn session_ms(&self) -> u64 {
        u64::try_from(self.session_timeout_ms).unwrap_or(0)
    }

    /// A member whose join or sync waits here is alive without heartbeats, once it has been in a generation.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.is_new && (self.joining.is_some() || self.syncing.is_some())
    }
}
