//! One task of a source: polls its worker, writes what it brought, and then stores where it is. At least once, nothing skipped.

use crate::context::{Backoff, Context, Halt};
use crate::instruments::Instruments;
use crate::positions::Positions;
use crate::status::Progress;
use crate::writer::{Write, Writer};
use crate::{DeploymentKey, Error, ErrorPolicy, Refused, SourceBatch, SourceFailure, SourcePlan, SourceWorker, State};
use millstream_record::Columns;
use millstream_runtime::Shutdown;
use millstream_types::ErrorKind;
use serde_json::Value;
use std::sync::Arc;

/// What the tasks of one source share.
pub(crate) struct SourceJob {
    pub context: Arc<Context>,
    pub key: DeploymentKey,
    pub generation: u32,
    pub plan: SourcePlan,
    pub positions: Arc<Positions>,
    pub instruments: Instruments,
}

/// One task of a source.
pub(crate) struct SourceTask {
    pub job: Arc<SourceJob>,
    pub task: String,
    pub progress: Arc<Progress>,
    pub shutdown: Shutdown,
    /// Everything before it is in the log.
    pub position: Option<Value>,
    /// Whether it is not stored yet.
    pub unstored: bool,
    /// Counts batches, so that records without a key go round the partitions.
    pub batches: i32,
}

impl SourceTask {
    pub fn new(job: Arc<SourceJob>, task: String, progress: Arc<Progress>, shutdown: Shutdown) -> Self {
        Self { job, task, progress, shutdown, position: None, unstored: false, batches: 0 }
    }

    /// Works until it is told to stop or there is no more (`Ok`), or can't go on (`Err`).
    pub async fn run(mut self) -> Result<(), Error> {
        let halt = self.work().await;
        if self.unstored
            && let Err(error) = self.store_position().await
        {
            tracing::warn!(task = %self.task, %error, "a source could not store its position before it stopped; it will repeat some records");
        }
        match halt {
            Ok(()) => {
                self.progress.state(State::Finished);
                Ok(())
            }
            Err(Halt::Stopped) => Ok(()),
            Err(Halt::Failed(error) | Halt::Again(error)) => Err(error),
        }
    }

    /// Makes workers until one is finished: after an error that may pass, a new one begins where the log is.
    async fn work(&mut self) -> Result<(), Halt> {
        let mut backoff = Backoff::default();
        self.load_position(&mut backoff).await?;
        loop {
            let before = self.batches;
            let error = match (self.job.plan.worker)(&self.task, self.position.clone()) {
                Err(error) => error,
                Ok(mut worker) => {
                    self.progress.state(State::Running);
                    let driven = self.drive(worker.as_mut()).await;
                    worker.close().await;
                    match driven {
                        Err(Halt::Failed(error)) => error,
                        ended => return ended,
                    }
                }
            };
            if self.batches != before {
                backoff.reset();
            }
            self.retry(error, &mut backoff).await?;
        }
    }

    async fn load_position(&mut self, backoff: &mut Backoff) -> Result<(), Halt> {
        loop {
            match self.job.positions.load(&self.job.key, &self.task).await {
                Ok(position) => {
                    self.progress.note(|task| task.position.clone_from(&position));
                    self.position = position;
                    return Ok(());
                }
                Err(error) => self.retry(error, backoff).await?,
            }
        }
    }

    async fn retry(&self, error: Error, backoff: &mut Backoff) -> Result<(), Halt> {
        if !error.kind.is_retriable() {
            return Err(Halt::Failed(error));
        }
        self.progress.error(State::Retrying, &error, self.job.context.runtime.clock.now());
        self.job.instruments.restarts.inc();
        backoff.wait(&self.job.context, &self.shutdown).await
    }

    /// Polls a worker until it is finished (`Ok`), fails, or the task is told to stop.
    async fn drive(&mut self, worker: &mut dyn SourceWorker) -> Result<(), Halt> {
        let clock = self.job.context.runtime.clock.clone();
        let interval = self.job.context.config.position_interval;
        let mut stored_at = clock.elapsed();
        loop {
            let batch = self.poll(worker).await?;
            let finished = batch.finished;
            self.take(batch, worker).await?;
            if finished {
                return self.store_finally().await;
            }
            if self.unstored && clock.elapsed().saturating_sub(stored_at) >= interval {
                self.store_or_note().await?;
                stored_at = clock.elapsed();
            }
        }
    }

    /// Waits for the next batch; a position that is not stored yet is stored meanwhile.
    async fn poll(&mut self, worker: &mut dyn SourceWorker) -> Result<SourceBatch, Halt> {
        let context = self.job.context.clone();
        let mut poll = worker.poll();
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.requested() => return Err(Halt::Stopped),
                polled = &mut poll => return polled.map_err(|error| Halt::Failed(error.into())),
                () = context.runtime.clock.sleep(context.config.position_interval), if self.unstored => {
                    self.store_or_note().await?;
                }
            }
        }
    }

    /// Writes one batch, and only then moves the position.
    async fn take(&mut self, batch: SourceBatch, worker: &mut dyn SourceWorker) -> Result<(), Halt> {
        let reads = batch.position.is_some();
        let refused = self.write(&batch).await?;
        worker.appended(&refused).await;
        let failures: Vec<SourceFailure> = if reads {
            let lost = refused.iter().map(|refused| self.explain(&batch, refused));
            batch.failures.iter().cloned().chain(lost).collect()
        } else {
            // Whoever sent the record has been told.
            batch.failures
        };
        self.progress.note(|task| task.lag.clone_from(&batch.lag));
        let refused_stops = reads && !refused.is_empty() && self.job.plan.policy == ErrorPolicy::Fail;
        if let Some(position) = batch.position.filter(|_| !refused_stops) {
            self.unstored |= self.position.as_ref() != Some(&position);
            self.position = Some(position);
        }
        self.apply_policy(&failures).await
    }

    async fn write(&mut self, batch: &SourceBatch) -> Result<Vec<Refused>, Halt> {
        let now = self.job.context.runtime.clock.now().0;
        self.batches = self.batches.wrapping_add(1) & i32::MAX;
        let mut all = Vec::new();
        for (output, written) in batch.outputs.iter().enumerate() {
            let topic = self.job.plan.outputs.get(written.topic).ok_or_else(|| {
                let message =
                    format!("the connector wrote to output {}; it has {}", written.topic, self.job.plan.outputs.len());
                Error::new(ErrorKind::Internal, message)
            })?;
            let write = Write { topic, records: &written.records, keyless: self.batches, timestamp: &|_| now };
            let refused = self.writer().write(&write).await?;
            let (read, kept) = (written.records.len() as u64, (written.records.len() - refused.len()) as u64);
            self.job.instruments.records_in.add(read);
            self.job.instruments.records_out.add(kept);
            self.progress.note(|task| {
                task.counts.records_in += read;
                task.counts.records_out += kept;
            });
            all.extend(refused.into_iter().map(|(record, message)| Refused {
                output,
                record: record as usize,
                message,
            }));
        }
        Ok(all)
    }

    fn writer(&self) -> Writer<'_> {
        Writer { context: &self.job.context, progress: &self.progress, shutdown: &self.shutdown, transaction: None }
    }

    fn explain(&self, batch: &SourceBatch, refused: &Refused) -> SourceFailure {
        let output = &batch.outputs[refused.output];
        let topic = &self.job.plan.outputs[output.topic];
        SourceFailure {
            place: format!("record {} of a batch", refused.record),
            message: format!("topic {topic:?} refused it: {}", refused.message),
            raw: output.records.values.get(refused.record).map(bytes::Bytes::copy_from_slice).unwrap_or_default(),
        }
    }

    async fn apply_policy(&self, failures: &[SourceFailure]) -> Result<(), Halt> {
        let Some(first) = failures.first() else { return Ok(()) };
        let failed = failures.len() as u64;
        self.job.instruments.records_failed.add(failed);
        self.progress.note(|task| task.counts.records_failed += failed);
        match self.job.plan.policy {
            ErrorPolicy::Fail => {
                let name = &self.job.key.name;
                let message = format!(
                    "{}: {}; nothing after it is read. Correct it and resume {name:?}, or set the connector's error policy to skip or dead-letter",
                    first.place, first.message
                );
                Err(Error::new(ErrorKind::Invalid, message).into())
            }
            ErrorPolicy::Skip => {
                tracing::info!(connector = %self.job.key.name, place = %first.place, error = %first.message, count = failed, "skipped what is not a record");
                Ok(())
            }
            ErrorPolicy::DeadLetter => self.write_dead_letters(failures).await,
        }
    }

    async fn write_dead_letters(&self, failures: &[SourceFailure]) -> Result<(), Halt> {
        let Some(topic) = &self.job.plan.dead_letter_topic else {
            return Err(Error::new(
                ErrorKind::Internal,
                "the error policy is dead-letter, but no dead-letter topic is set",
            )
            .into());
        };
        let now = self.job.context.runtime.clock.now().0;
        let deployment = format!("{}/{}", self.job.key.kind.word(), self.job.key.name);
        let generation = self.job.generation.to_string();
        let mut letters = Columns::default();
        for failure in failures {
            let causes = [
                ("millstream.error", failure.message.as_str()),
                ("millstream.deployment", &deployment),
                ("millstream.generation", &generation),
                ("millstream.source.place", &failure.place),
            ];
            letters.push(now, None, Some(&failure.raw), causes.map(|(name, value)| (name, Some(value.as_bytes()))));
        }
        let write = Write { topic, records: &letters, keyless: self.batches, timestamp: &|_| now };
        let refused = self.writer().write(&write).await?;
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

    async fn store_position(&mut self) -> Result<(), Error> {
        let now = self.job.context.runtime.clock.now();
        self.job.positions.store(&self.job.key, &self.task, self.position.as_ref(), now).await?;
        self.unstored = false;
        let stored = self.position.clone();
        self.progress.note(|task| task.position = stored);
        Ok(())
    }

    /// Stores the position; what may work later is left to the next time.
    async fn store_or_note(&mut self) -> Result<(), Halt> {
        match self.store_position().await {
            Ok(()) => {
                self.progress.state(State::Running);
                Ok(())
            }
            Err(error) if error.kind.is_retriable() => {
                self.progress.error(State::Retrying, &error, self.job.context.runtime.clock.now());
                Ok(())
            }
            Err(error) => Err(Halt::Failed(error)),
        }
    }

    async fn store_finally(&mut self) -> Result<(), Halt> {
        let mut backoff = Backoff::default();
        while self.unstored {
            if let Err(error) = self.store_position().await {
                self.retry(error, &mut backoff).await?;
            }
        }
        Ok(())
    }
}
