//! The writing side of a task: what an operator made of a batch goes through the error policy to outputs and dead letters.

use crate::context::{Backoff, Context, Halt};
use crate::input::Input;
use crate::instruments::Instruments;
use crate::policy::{self, Origin, Verdict};
use crate::status::Progress;
use crate::transaction::Transaction;
use crate::writer::{Write, Writer};
use crate::{DeploymentKey, Error, ErrorPolicy, Failure, Outcome, Output, State};
use millstream_record::Columns;
use millstream_runtime::Shutdown;
use millstream_types::{ErrorKind, Offset};
use std::sync::Arc;
use std::time::Duration;

/// What the tasks of one deployment share.
pub(crate) struct Job {
    pub context: Arc<Context>,
    pub key: DeploymentKey,
    pub generation: u32,
    pub outputs: Vec<String>,
    pub policy: ErrorPolicy,
    pub dead_letter_topic: Option<String>,
    pub instruments: Instruments,
    pub commit_interval: Duration,
}

/// Everything of one task but its operator and its place.
pub(crate) struct Outlet {
    pub job: Arc<Job>,
    pub input: Arc<Input>,
    pub progress: Arc<Progress>,
    pub shutdown: Shutdown,
    /// What it writes in; none where every append counts at once.
    pub transaction: Option<Arc<Transaction>>,
}

impl Outlet {
    /// Waits before the next attempt at what may work later; anything else ends the task.
    pub async fn retry(&self, error: Error, backoff: &mut Backoff) -> Result<(), Halt> {
        if !error.kind.is_retriable() {
            return Err(Halt::Failed(error));
        }
        self.progress.error(State::Retrying, &error, self.job.context.runtime.clock.now());
        self.job.instruments.restarts.inc();
        backoff.wait(&self.job.context, &self.shutdown).await?;
        self.progress.state(State::Running);
        Ok(())
    }

    /// Writes what came of a batch. What it returns is where the task has to stop, and why; everything before it is written.
    pub async fn settle(&self, input: &Columns, outcome: Outcome) -> Result<Option<(Offset, Error)>, Halt> {
        let origin = Origin {
            topic: self.input.topic.clone(),
            partition: self.input.partition.partition.0,
            deployment: format!("{}/{}", self.job.key.kind.word(), self.job.key.name),
            generation: self.job.generation,
        };
        let verdict = policy::decide(input, outcome, self.job.policy, &origin);
        let mut refused = Vec::new();
        for output in &verdict.writes {
            refused.extend(self.write(input, output).await?);
        }
        self.write_dead_letters(&verdict).await?;
        refused.sort_by_key(|failure| failure.input);
        refused.dedup_by_key(|failure| failure.input);
        let late = policy::decide(input, Outcome { outputs: Vec::new(), failures: refused }, self.job.policy, &origin);
        self.write_dead_letters(&late).await?;
        let stop = [verdict.stop, late.stop].into_iter().flatten().min_by_key(|stop| stop.input);
        Ok(stop.map(|stop| self.stop_at(input, &stop)))
    }

    fn stop_at(&self, input: &Columns, stop: &Failure) -> (Offset, Error) {
        let at = Offset(input.offsets[stop.input as usize]);
        let (kind, name) = (self.job.key.kind.word(), &self.job.key.name);
        let message = format!(
            "the record at offset {at} of {} can't be processed: {}; nothing after it is read. Deploy a {kind} that can and resume {name:?}, or set its error policy to skip or dead-letter, or reset it to offset {}",
            self.input.name(),
            stop.message,
            at + 1
        );
        (at, Error::new(ErrorKind::Guest, message))
    }

    fn writer(&self) -> Writer<'_> {
        let transaction = self.transaction.as_deref();
        Writer { context: &self.job.context, progress: &self.progress, shutdown: &self.shutdown, transaction }
    }

    /// Writes one output and returns the inputs of what the log refused.
    async fn write(&self, input: &Columns, output: &Output) -> Result<Vec<Failure>, Halt> {
        let topic = &self.job.outputs[output.topic];
        let timestamp = |at: usize| input.timestamps[output.inputs[at] as usize];
        let keyless = self.input.partition.partition.0;
        let write = Write { topic, records: &output.records, keyless, timestamp: &timestamp };
        let refused = self.writer().write(&write).await?;
        let written = (output.records.len() - refused.len()) as u64;
        self.job.instruments.records_out.add(written);
        self.progress.note(|task| task.counts.records_out += written);
        let failure = |(at, message): (u32, String)| Failure {
            input: output.inputs[at as usize],
            message: format!("topic {topic:?} refused what came of it: {message}"),
        };
        Ok(refused.into_iter().map(failure).collect())
    }

    async fn write_dead_letters(&self, verdict: &Verdict) -> Result<(), Halt> {
        if verdict.failed > 0 {
            self.job.instruments.records_failed.add(verdict.failed);
            self.progress.note(|task| task.counts.records_failed += verdict.failed);
        }
        let letters = &verdict.dead_letters;
        if letters.is_empty() {
            return Ok(());
        }
        let Some(topic) = &self.job.dead_letter_topic else {
            return Err(Error::new(
                ErrorKind::Internal,
                "the error policy is dead-letter, but no dead-letter topic is set",
            )
            .into());
        };
        let keyless = self.input.partition.partition.0;
        let timestamp = |at: usize| letters.timestamps[at];
        let refused = self.writer().write(&Write { topic, records: letters, keyless, timestamp: &timestamp }).await?;
        if let Some((_, message)) = refused.into_iter().next() {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("the dead-letter topic {topic:?} refused a record: {message}"),
            )
            .into());
        }
        self.progress.note(|task| task.counts.dead_letters += letters.len() as u64);
        Ok(())
    }
}
