//! What is to be stored of a share partition, in the order in which it was decided: dead letters first, then the state.

use crate::codes::Failure;
use crate::shares::bury;
use crate::shares::opened::{Opened, Outcome};
use crate::shares::registry::Registry;
use millstream_group::Error as GroupError;
use millstream_group::share::{StateWrite, WriteState};
use millstream_types::ErrorKind;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Writes that wait. There are no more than what the records in flight allow.
#[derive(Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    is_written: bool,
}

struct Waiting {
    write: StateWrite,
    answer: oneshot::Sender<Outcome>,
}

impl Queue {
    /// Whether nothing waits, and nothing is being written.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && !self.is_written
    }

    /// Puts a write behind the others. Whoever calls this calls [`Registry::write`] then.
    pub(super) fn push(&mut self, write: StateWrite) -> oneshot::Receiver<Outcome> {
        let (answer, outcome) = oneshot::channel();
        self.waiting.push_back(Waiting { write, answer });
        outcome
    }
}

impl Registry {
    /// Writes what waits, unless that is being done. It is done to the end, whoever gives up waiting for it.
    pub(super) fn write(self: &Arc<Self>, opened: &Arc<Opened>) {
        {
            let mut state = opened.state.lock();
            if state.queue.is_written || state.queue.waiting.is_empty() {
                return;
            }
            state.queue.is_written = true;
        }
        let (registry, opened) = (self.clone(), opened.clone());
        self.runtime.tasks.spawn("state of a share partition", async move { registry.write_all(&opened).await });
    }

    async fn write_all(&self, opened: &Arc<Opened>) {
        loop {
            let waiting: Vec<Waiting> = {
                let mut state = opened.state.lock();
                let waiting = state.queue.waiting.drain(..).collect::<Vec<_>>();
                state.queue.is_written = !waiting.is_empty();
                waiting
            };
            if waiting.is_empty() {
                return;
            }
            self.write_some(opened, waiting).await;
        }
    }

    /// Buries and stores, and tells of it.
    async fn write_some(&self, opened: &Arc<Opened>, waiting: Vec<Waiting>) {
        let mut sound = Vec::with_capacity(waiting.len());
        for one in waiting {
            match bury::bury(self, opened, &one.write.buried).await {
                Ok(()) => sound.push(one),
                Err(failure) => {
                    let (topic, partition, group) = (opened.log.topic(), opened.key.partition, &opened.key.group);
                    tracing::warn!(%group, topic, partition, failure = %failure.message, "dead letters were not written; their records are kept and tried again");
                    self.conclude(opened, vec![one], &Err(failure));
                }
            }
        }
        let Some(state) = together(opened, &sound) else { return };
        let stored = self.store(opened, &state).await;
        if let Err(failure) = &stored {
            let (topic, partition, group) = (opened.log.topic(), opened.key.partition, &opened.key.group);
            tracing::warn!(%group, topic, partition, failure = %failure.message, "the state of a share partition was not stored");
        }
        self.conclude(opened, sound, &stored);
    }

    async fn store(&self, opened: &Opened, write: &WriteState) -> Outcome {
        let key = &opened.key;
        let mut stored = self.coordinator.write_share(key, write).await;
        // Its coordinator is away for a moment: all that waits would only be decided anew.
        if stored.as_ref().is_err_and(|error| matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::NotLeader)) {
            stored = match self.coordinator.wait_for_share(key).await {
                Ok(()) => self.coordinator.write_share(key, write).await,
                Err(error) => Err(error),
            };
        }
        if let Err(millstream_coordinator::Error::Group(
            GroupError::FencedShareLeader { .. }
            | GroupError::FencedStateEpoch { .. }
            | GroupError::NoShareState { .. },
        )) = &stored
        {
            self.close(opened);
        }
        stored.map_err(super::registry::persister)
    }

    fn conclude(&self, opened: &Opened, waiting: Vec<Waiting>, outcome: &Result<(), Failure>) {
        let now_ms = self.now_ms();
        let mut is_moved = false;
        let deadline = {
            let mut state = opened.state.lock();
            state.has_start |= outcome.is_ok();
            for one in &waiting {
                is_moved |= state.partition.written(one.write.ticket, outcome.is_ok(), now_ms);
            }
            state.partition.next_deadline()
        };
        self.locked_until(deadline);
        for one in waiting {
            // Whoever gave up waiting needs no answer.
            let _ = one.answer.send(outcome.clone());
        }
        if is_moved {
            opened.tell();
        }
    }
}

/// All writes as one: they were decided one after another.
fn together(opened: &Opened, writes: &[Waiting]) -> Option<WriteState> {
    let last = &writes.last()?.write;
    Some(WriteState {
        state_epoch: opened.state_epoch,
        leader_epoch: opened.leader_epoch.0,
        start: last.start,
        complete: i32::try_from(last.complete).unwrap_or(i32::MAX),
        batches: writes.iter().flat_map(|one| one.write.batches.iter().copied()).collect(),
    })
}
