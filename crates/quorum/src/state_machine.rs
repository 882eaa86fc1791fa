//! The state machine: committed records are replayed into the image, which is then published.

use crate::Error;
use crate::raft_types::{LogId, Outcome, Payload, Snapshot, SnapshotMeta, StoredMembership, TypeConfig};
use crate::snapshot_file;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use millstream_metadata::{Image, Record};
use millstream_runtime::Runtime;
use millstream_types::ControllerEpoch;
use openraft::OptionalSend;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use parking_lot::Mutex;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// How far the log has been applied, told to whoever waits for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The term of the last applied entry.
    pub term: u64,
    /// Proposals applied in that term. A controller's proposals are all those of its term, in order: its n-th is the n-th here.
    pub proposals: u64,
}

/// Where applied records become visible: first the image, then the progress.
#[derive(Clone)]
pub(crate) struct Published {
    pub image: watch::Sender<Arc<Image>>,
    pub progress: watch::Sender<Progress>,
}

/// The newest snapshot, shared with the builder of the next one.
type Newest = Arc<Mutex<Option<(SnapshotMeta, Bytes)>>>;

/// The image and how it came to be.
pub(crate) struct StateMachine {
    runtime: Runtime,
    dir: PathBuf,
    image: Image,
    applied: Option<LogId>,
    membership: StoredMembership,
    progress: Progress,
    published: Published,
    newest: Newest,
}

impl StateMachine {
    /// Begins with the newest snapshot in `dir`, or with what is published: nothing but the options this node was started with.
    pub(crate) async fn open(runtime: &Runtime, dir: &Path, published: Published) -> Result<Self, Error> {
        let image = Image::clone(&published.image.borrow());
        let mut machine = Self {
            runtime: runtime.clone(),
            dir: dir.to_owned(),
            image,
            applied: None,
            membership: StoredMembership::default(),
            progress: Progress::default(),
            published,
            newest: Arc::default(),
        };
        if let Some((meta, image, file)) = snapshot_file::load(&*runtime.disk, dir).await? {
            machine.adopt(meta, image, file)?;
        }
        Ok(machine)
    }

    /// Goes on from a snapshot, as the node that was started with these options.
    fn adopt(&mut self, meta: SnapshotMeta, image: Image, file: Bytes) -> Result<(), millstream_metadata::Error> {
        self.image = image.on_node(self.image.node(), self.image.static_configs().clone())?;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.progress = Progress { term: meta.last_log_id.map_or(0, |id| id.leader_id.term), proposals: 0 };
        *self.newest.lock() = Some((meta, file));
        self.publish();
        Ok(())
    }

    fn publish(&self) {
        self.published.image.send_replace(Arc::new(self.image.clone()));
        self.published.progress.send_replace(self.progress);
    }

    /// Applies one entry. An error leaves everything as it was before the entry.
    fn apply_entry(&mut self, id: LogId, payload: &Payload) -> Result<Outcome, millstream_metadata::Error> {
        let term = id.leader_id.term;
        let mut next = self.image.clone();
        let mut progress = self.progress;
        if progress.term != term {
            progress = Progress { term, proposals: 0 };
            next.replay(&Record::Controller { epoch: controller_epoch(term) })?;
        }
        let mut outcome = Outcome::Applied;
        match payload {
            Payload::Blank => {}
            Payload::Membership(members) => self.membership = StoredMembership::new(Some(id), members.clone()),
            Payload::Normal(proposal) => {
                progress.proposals += 1;
                if proposal.term == term {
                    next.replay_all(proposal.records.iter())?;
                } else {
                    outcome = Outcome::Stale;
                }
            }
        }
        (self.image, self.progress, self.applied) = (next, progress, Some(id));
        Ok(outcome)
    }
}

/// The controller's epoch is the Raft term, which would take centuries to outgrow Kafka's 31 bits.
pub(crate) fn controller_epoch(term: u64) -> ControllerEpoch {
    ControllerEpoch(i32::try_from(term).unwrap_or(i32::MAX))
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let mut answers = Vec::new();
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            let outcome = self.apply_entry(entry.log_id, &entry.payload).map_err(|error| {
                let message = format!("entry {} of the metadata log can't be applied: {error}", entry.log_id);
                io::Error::new(io::ErrorKind::InvalidData, message)
            })?;
            answers.extend(responder.map(|responder| (responder, outcome)));
        }
        // Published before anybody is answered, so that who is answered reads what was decided.
        self.publish();
        for (responder, outcome) in answers {
            responder.send(outcome);
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder {
            runtime: self.runtime.clone(),
            dir: self.dir.clone(),
            meta: SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() },
            image: self.image.clone(),
            newest: self.newest.clone(),
        }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Bytes) -> io::Result<()> {
        let (stored_meta, image) = snapshot_file::from_bytes(Path::new("the snapshot that the leader sent"), &snapshot)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        if stored_meta != *meta {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a snapshot is not of the entry it was announced for",
            ));
        }
        snapshot_file::store(&*self.runtime.disk, &self.dir, meta, snapshot.clone()).await?;
        self.adopt(meta.clone(), image, snapshot).map_err(io::Error::other)
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let newest = self.newest.lock().clone();
        Ok(newest.map(|(meta, snapshot)| Snapshot { meta, snapshot }))
    }
}

/// Builds a snapshot of the image as it was when the builder was made, while the state machine goes on.
pub(crate) struct SnapshotBuilder {
    runtime: Runtime,
    dir: PathBuf,
    meta: SnapshotMeta,
    image: Image,
    newest: Newest,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let (meta, image) = (self.meta.clone(), self.image.clone());
        let encoded = self.runtime.compute.run(async move { snapshot_file::to_bytes(&meta, &image) }).await;
        let file = encoded.map_err(io::Error::other)??;
        snapshot_file::store(&*self.runtime.disk, &self.dir, &self.meta, file.clone()).await?;
        let mut newest = self.newest.lock();
        let is_newer = newest.as_ref().is_none_or(|(meta, _)| meta.last_log_id <= self.meta.last_log_id);
        if is_newer {
            *newest = Some((self.meta.clone(), file.clone()));
        }
        Ok(Snapshot { meta: self.meta.clone(), snapshot: file })
    }
}
