//! The controller: decides one thing after another against a speculative image, which has what was decided but is not committed yet.
//!
//! What it decides enters the log in the same order, since each decision leaves for the log's queue before the next one begins. The
//! speculative image lives for one term: with another term it begins again from what is committed.

use crate::raft_types::{Outcome, Proposal, TypeConfig};
use millstream_metadata::{Decision, Error as Refusal, Image};
use openraft::impls::ProgressResponder;
use openraft::raft::ClientWriteResult;
use openraft::type_config::alias::OneshotReceiverOf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Decisions that may wait for the log at once; more callers wait for their turn.
pub(crate) const QUEUE_LEN: usize = 1024;

/// What becomes of a proposal.
pub(crate) type Reply = OneshotReceiverOf<TypeConfig, ClientWriteResult<TypeConfig>>;

/// A proposal on its way to the log.
pub(crate) struct Job {
    pub proposal: Proposal,
    pub responder: ProgressResponder<TypeConfig, ClientWriteResult<TypeConfig>>,
}

/// The state between decisions. Locked for one decision at a time, never over I/O.
#[derive(Default)]
pub(crate) struct Controller {
    speculative: Option<Speculative>,
}

struct Speculative {
    term: u64,
    image: Image,
    /// Proposals of this term.
    proposed: u64,
}

/// What a decision waits for before its answer is true.
pub(crate) enum Wait {
    /// Its records to be applied.
    Applied(Reply),
    /// It changed nothing, but may rest on proposals that are not applied yet: so many of its term.
    Proposals(u64),
}

impl Controller {
    /// Decides as the controller of `term`, in which `committed` is applied up to the term's beginning at least.
    pub(crate) fn decide<T>(
        &mut self,
        term: u64,
        committed: &Arc<Image>,
        decide: impl FnOnce(&Image) -> Result<Decision<T>, Refusal>,
        queue: mpsc::Permit<'_, Job>,
    ) -> Result<(T, Wait), Refusal> {
        let speculative = match &mut self.speculative {
            Some(speculative) if speculative.term == term => speculative,
            outdated => outdated.insert(Speculative { term, image: (**committed).clone(), proposed: 0 }),
        };
        let Decision { records, answer } = decide(&speculative.image)?;
        if records.is_empty() {
            return Ok((answer, Wait::Proposals(speculative.proposed)));
        }
        let mut next = speculative.image.clone();
        next.replay_all(&records)?;
        speculative.image = next;
        speculative.proposed += 1;
        let (responder, reply) = ProgressResponder::complete_only();
        queue.send(Job { proposal: Proposal { term, records: Arc::new(records) }, responder });
        Ok((answer, Wait::Applied(reply)))
    }

    /// Forgets what was decided in `term` and never came to be.
    pub(crate) fn abandon(&mut self, term: u64) {
        if self.speculative.as_ref().is_some_and(|speculative| speculative.term <= term) {
            self.speculative = None;
        }
    }
}

/// Whether the outcome is that the records are in the image.
pub(crate) const fn is_applied(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Applied => true,
        Outcome::Stale => false,
    }
}
