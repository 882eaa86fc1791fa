//! One task: reads its partition, applies its operator, writes what comes out, and says how far it is: to the transaction that it writes in,
//! or in a commit of its own. Nothing is skipped.
//!
//! ```text
//! committed <= settled (by the operator) <= position (everything before it is written) <= end of the batch read ahead
//! ```

use crate::context::{Backoff, Halt};
use crate::input::Batch;
use crate::ledger::Place;
use crate::outlet::Outlet;
use crate::policy;
use crate::{Error, ErrorPolicy, Failure, Operator, OperatorError, Outcome, State};
use millstream_record::Columns;
use millstream_types::{ErrorKind, LeaderEpoch, Offset};
use std::convert::Infallible;
use std::ops::Range;
use std::time::Duration;

/// Longest time between two ticks of an operator that has nothing to do.
const TICK_MAX: Duration = Duration::from_secs(1);
/// Attempts at the last commit of a task that stops.
const LAST_COMMITS: u32 = 3;

/// One input partition's task.
pub(crate) struct Task {
    pub outlet: Outlet,
    pub operator: Box<dyn Operator>,
    /// Everything before it is processed and written.
    pub position: Offset,
    /// The epoch of the last batch that was read.
    pub epoch: LeaderEpoch,
    /// As the task itself committed it: what a transaction commits is noted there.
    pub committed: Offset,
}

impl Task {
    /// Works until it is told to stop (`Ok`) or can't go on (`Err`). Either way its progress is committed.
    pub async fn run(mut self) -> Result<(), Error> {
        self.outlet.progress.state(State::Running);
        let Err(halt) = self.work().await;
        if halt == Halt::Stopped
            && let Err(error) = self.operator.close().await
        {
            tracing::warn!(task = %self.outlet.input.name(), %error, "a task could not close its operator; its records are read again");
        }
        self.commit_last().await;
        match halt {
            Halt::Stopped => Ok(()),
            Halt::Again(error) => {
                self.outlet.progress.error(State::Retrying, &error, self.outlet.job.context.runtime.clock.now());
                Ok(())
            }
            Halt::Failed(error) => Err(error),
        }
    }

    async fn work(&mut self) -> Result<Infallible, Halt> {
        let context = self.outlet.job.context.clone();
        let input = self.outlet.input.clone();
        let mut last_commit = context.runtime.clock.elapsed();
        let mut ahead: Option<Batch> = None;
        loop {
            if self.outlet.shutdown.is_requested() {
                return Err(Halt::Stopped);
            }
            let batch = match ahead.take() {
                Some(batch) => batch,
                None => self.read().await?,
            };
            self.outlet.progress.note(|task| task.see_end(batch.bounds.high_watermark));
            if batch.next == self.position {
                self.idle(&batch).await?;
            } else {
                let next = batch.next;
                let (done, more) = tokio::join!(self.process_batch(&batch), input.read(&context, next));
                done?;
                // An error is met again, and dealt with, by the next read.
                ahead = more.ok();
            }
            if context.runtime.clock.elapsed().saturating_sub(last_commit) >= self.outlet.job.commit_interval {
                self.tick().await?;
                self.commit().await?;
                last_commit = context.runtime.clock.elapsed();
            }
        }
    }

    /// Reads at the position, as often as it takes.
    async fn read(&mut self) -> Result<Batch, Halt> {
        let mut backoff = Backoff::default();
        loop {
            match self.outlet.input.read(&self.outlet.job.context, self.position).await {
                Ok(batch) => return Ok(batch),
                Err(error) => self.outlet.retry(error, &mut backoff).await?,
            }
        }
    }

    /// Waits for input, for the next tick, or for the end.
    async fn idle(&mut self, seen: &Batch) -> Result<(), Halt> {
        let unsettled = self.outlet.transaction.is_none() && self.operator.settled(self.position) > self.committed;
        let (outlet, position) = (&self.outlet, self.position);
        let (context, interval) = (&outlet.job.context, outlet.job.commit_interval);
        let wait = if unsettled { interval } else { interval.max(TICK_MAX) };
        let readable = async {
            let readable = context.topics.readable(outlet.input.partition, position).await;
            if seen.bounds.high_watermark > position {
                // There is something that can't be read yet: don't ask for it at full speed.
                context.runtime.clock.sleep(interval).await;
            }
            readable
        };
        let woken = tokio::select! {
            biased;
            () = outlet.shutdown.requested() => return Err(Halt::Stopped),
            woken = readable => woken,
            () = context.runtime.clock.sleep(wait) => Ok(()),
        };
        match woken {
            Ok(()) => Ok(()),
            Err(error) => {
                let error = outlet.input.explain(error);
                outlet.retry(error, &mut Backoff::default()).await
            }
        }
    }

    async fn process_batch(&mut self, batch: &Batch) -> Result<(), Halt> {
        let records = &batch.records;
        if records.is_empty() {
            return self.settle(batch, Outcome::default()).await;
        }
        let clock = self.outlet.job.context.runtime.clock.clone();
        let started = clock.elapsed();
        let outcome = self.process(records).await?;
        self.outlet.job.instruments.batch_time.observe(clock.elapsed().saturating_sub(started));
        let count = records.len() as u64;
        let dropped = if self.outlet.job.outputs.is_empty() { 0 } else { policy::dropped(records.len(), &outcome) };
        self.settle(batch, outcome).await?;
        self.outlet.job.instruments.records_in.add(count);
        self.outlet.progress.note(|task| {
            task.counts.records_in += count;
            task.counts.records_dropped += dropped;
        });
        Ok(())
    }

    /// Writes what came of a batch, and moves past it or to the record that stops the task.
    async fn settle(&mut self, batch: &Batch, outcome: Outcome) -> Result<(), Halt> {
        let transaction = self.outlet.transaction.clone();
        let writing = match &transaction {
            Some(transaction) => Some(transaction.write().await),
            None => None,
        };
        let stop = self.outlet.settle(&batch.records, outcome).await?;
        self.position = stop.as_ref().map_or(batch.next, |(at, _)| *at);
        self.epoch = batch.epoch;
        if let Some(writing) = writing {
            writing.done(self.outlet.input.partition, Place { offset: self.position, epoch: self.epoch });
        }
        stop.map_or(Ok(()), |(_, error)| Err(Halt::Failed(error)))
    }

    /// Puts records through the operator. Where it can't say which one it choked on, halves find out.
    async fn process(&mut self, input: &Columns) -> Result<Outcome, Halt> {
        let mut merged = Outcome::default();
        let mut ranges: Vec<Range<usize>> = std::iter::once(0..input.len()).collect();
        while let Some(range) = ranges.pop() {
            let attempt = if range.len() == input.len() {
                self.attempt(input).await?
            } else {
                self.attempt(&slice(input, &range)).await?
            };
            match attempt {
                Ok(outcome) => merge(&mut merged, outcome, range.start),
                Err(error) if range.len() == 1 => {
                    merged.failures.push(Failure { input: place(range.start), message: error.message });
                    if self.outlet.job.policy == ErrorPolicy::Fail {
                        break;
                    }
                }
                Err(_) => {
                    let middle = range.start + range.len() / 2;
                    ranges.push(middle..range.end);
                    ranges.push(range.start..middle);
                }
            }
        }
        Ok(merged)
    }

    /// One call of the operator, as often as it takes. The inner error blames the records.
    async fn attempt(&mut self, input: &Columns) -> Result<Result<Outcome, OperatorError>, Halt> {
        let mut backoff = Backoff::default();
        loop {
            let outcome = self.operator.process(input).await;
            let outcome = outcome.and_then(|outcome| {
                policy::check(input.len(), self.outlet.job.outputs.len(), &outcome)?;
                Ok(outcome)
            });
            match outcome {
                Ok(outcome) => return Ok(Ok(outcome)),
                Err(error) if error.kind == ErrorKind::Guest => return Ok(Err(error)),
                Err(error) => self.outlet.retry(error.into(), &mut backoff).await?,
            }
        }
    }

    async fn tick(&mut self) -> Result<(), Halt> {
        match self.operator.tick().await {
            Ok(()) => Ok(()),
            Err(error) => self.outlet.retry(error.into(), &mut Backoff::default()).await,
        }
    }

    /// Commits how far the task is, where no transaction does. What may work later is left to the next commit.
    async fn commit(&mut self) -> Result<(), Halt> {
        if self.outlet.transaction.is_some() {
            return Ok(());
        }
        let settled = self.operator.settled(self.position).min(self.position);
        if settled <= self.committed {
            return Ok(());
        }
        let offset = Place { offset: settled, epoch: self.epoch }.of(self.outlet.input.partition);
        let context = &self.outlet.job.context;
        match context.topics.commit(&self.outlet.job.key.group(), &[offset]).await {
            Ok(()) => {
                self.committed = settled;
                self.outlet.progress.note(|task| {
                    task.commit(settled);
                    task.state = State::Running;
                });
                Ok(())
            }
            // The input topic is what can be missing here.
            Err(error) if error.kind == ErrorKind::NotFound => Err(Halt::Failed(self.outlet.input.explain(error))),
            Err(error) => {
                let error = Error::new(
                    error.kind,
                    format!("could not commit offset {settled} of {}: {error}", self.outlet.input.name()),
                );
                if !error.kind.is_retriable() {
                    return Err(Halt::Failed(error));
                }
                self.outlet.progress.error(State::Retrying, &error, context.runtime.clock.now());
                Ok(())
            }
        }
    }

    async fn commit_last(&mut self) {
        if self.outlet.transaction.is_some() {
            return;
        }
        for attempt in 1..=LAST_COMMITS {
            let settled = self.operator.settled(self.position).min(self.position);
            match self.commit().await {
                Ok(()) if settled <= self.committed => return,
                Ok(()) if attempt < LAST_COMMITS => {
                    self.outlet.job.context.runtime.clock.sleep(self.outlet.job.context.config.retry_min).await;
                }
                Ok(()) | Err(_) => {
                    tracing::warn!(task = %self.outlet.input.name(), "a task could not commit before it stopped; it will repeat some records");
                    return;
                }
            }
        }
    }
}

fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn slice(records: &Columns, range: &Range<usize>) -> Columns {
    let mut part = Columns::default();
    range.clone().for_each(|at| part.push_from(records, at));
    part
}

/// Adds the outcome of a part that began at input `start`.
fn merge(merged: &mut Outcome, mut outcome: Outcome, start: usize) {
    let start = place(start);
    for output in &mut outcome.outputs {
        output.inputs.iter_mut().for_each(|input| *input += start);
    }
    outcome.failures.iter_mut().for_each(|failure| failure.input += start);
    merged.outputs.append(&mut outcome.outputs);
    merged.failures.append(&mut outcome.failures);
}
