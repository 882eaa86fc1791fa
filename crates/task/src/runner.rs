//! Runs one deployment: plans it, makes its topics, starts its tasks, and watches over them until it is told to stop.

use crate::context::{Backoff, Context, Halt};
use crate::input::Input;
use crate::instruments::Instruments;
use crate::ledger::{Ends, ends};
use crate::outlet::{Job, Outlet};
use crate::positions::Positions;
use crate::source_task::{SourceJob, SourceTask};
use crate::start;
use crate::status::{Board, Progress};
use crate::task::Task;
use crate::transaction::Transaction;
use crate::{Deployment, Error, Kind, Plan, SourcePlan, State, TopicView, Work};
use futures::FutureExt;
use millstream_runtime::{Shutdown, Tasks};
use millstream_types::{ErrorKind, LeaderEpoch, TopicPartition};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How much longer than a task's own grace its deployment waits for it.
const STOP_SLACK: Duration = Duration::from_secs(1);

/// One run of one generation of one deployment.
pub(crate) struct Runner {
    pub context: Arc<Context>,
    pub positions: Arc<Positions>,
    pub kind: Arc<dyn Kind>,
    pub deployment: Deployment,
    pub board: Arc<Board>,
    pub shutdown: Shutdown,
}

/// The tasks of a run, and what they notify when one of them ends.
struct Crew {
    tasks: Tasks,
    ended: Arc<Notify>,
}

/// What starts a task that reads the log.
struct Operation<'a> {
    job: Arc<Job>,
    plan: &'a Plan,
    inputs: &'a [TopicView],
    crew: &'a Crew,
    transaction: Option<Arc<Transaction>>,
}

impl Crew {
    fn new() -> Self {
        Self { tasks: Tasks::new(), ended: Arc::new(Notify::new()) }
    }
}

impl Runner {
    /// Runs until it is told to stop, it is finished, or it can't go on. The board says which.
    pub async fn run(self) {
        match self.work().await {
            Ok(()) => self.board.note(|head| head.state = State::Finished),
            Err(Halt::Stopped) => {}
            Err(Halt::Failed(error) | Halt::Again(error)) => {
                tracing::error!(kind = self.deployment.key.kind.word(), name = %self.deployment.key.name, %error, "a deployment failed");
                self.board.error(State::Failed, &error, self.context.runtime.clock.now());
            }
        }
    }

    async fn work(&self) -> Result<(), Halt> {
        match self.retry(|| self.kind.work(&self.deployment)).await? {
            Work::Operator(plan) => self.run_operator(plan).await,
            Work::Source(plan) => {
                let crew = Crew::new();
                let ended = self.run_source(plan, &crew).await;
                self.disband(&crew).await;
                ended
            }
        }
    }

    async fn disband(&self, crew: &Crew) {
        if !crew.tasks.stop_and_wait(self.context.config.stop_grace + STOP_SLACK).await {
            tracing::error!(deployment = %self.deployment.key.name, "tasks of a deployment did not stop in time");
        }
    }

    /// Does something until it works; the board says what is missing meanwhile.
    async fn retry<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, Halt>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut backoff = Backoff::default();
        loop {
            let done = tokio::select! {
                biased;
                () = self.shutdown.requested() => return Err(Halt::Stopped),
                done = attempt() => done,
            };
            match done {
                Ok(done) => return Ok(done),
                Err(error) if error.kind.is_retriable() => {
                    self.board.error(State::Retrying, &error, self.context.runtime.clock.now());
                    backoff.wait(&self.context, &self.shutdown).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn run_operator(&self, plan: Plan) -> Result<(), Halt> {
        start::check_topics(&plan)?;
        self.board.note(|head| {
            head.inputs.clone_from(&plan.inputs);
            head.outputs.clone_from(&plan.outputs);
            head.dead_letter_topic.clone_from(&plan.dead_letter_topic);
        });
        let inputs = self.retry(|| async { start::inputs(self.context.topics.as_ref(), &plan.inputs) }).await?;
        let partitions = inputs.iter().map(|topic| topic.partitions).max().unwrap_or(1);
        let made: Vec<String> = plan.outputs.iter().chain(&plan.dead_letter_topic).cloned().collect();
        self.retry(|| start::make_topics(self.context.topics.as_ref(), &made, partitions)).await?;
        let job = Arc::new(Job {
            context: self.context.clone(),
            key: self.deployment.key.clone(),
            generation: self.deployment.generation,
            outputs: plan.outputs.clone(),
            policy: plan.policy,
            dead_letter_topic: plan.dead_letter_topic.clone(),
            instruments: Instruments::new(&self.context.metrics, &self.deployment.key, plan.policy),
            commit_interval: plan.commit_interval.unwrap_or(self.context.config.commit_interval),
        });
        let mut backoff = Backoff::default();
        loop {
            let crew = Crew::new();
            let transaction = self.transaction(&plan, &job, &crew).await?;
            let operation = Operation {
                job: job.clone(),
                plan: &plan,
                inputs: &inputs,
                crew: &crew,
                transaction: transaction.clone(),
            };
            let Err(ended) = self.attempt(&operation).await;
            self.disband(&crew).await;
            if let Some(transaction) = &transaction {
                transaction.finish().await;
                if transaction.commits() > 0 {
                    backoff.reset();
                }
            }
            // Of tasks that ended together, the one that can't go on is heard.
            let error = match (ended, self.failed()) {
                (Halt::Again(error), None) if ends(error.kind) == Ends::Attempt => error,
                (Halt::Again(error), failed) => return Err(failed.unwrap_or(error).into()),
                (ended, _) => return Err(ended),
            };
            self.board.error(State::Retrying, &error, self.context.runtime.clock.now());
            job.instruments.restarts.inc();
            backoff.wait(&self.context, &self.shutdown).await?;
        }
    }

    /// The transaction of the next attempt, where the plan has outputs that are to be there exactly once. What an earlier run left open is
    /// undone either way, or its offsets would come after those that are read now.
    async fn transaction(&self, plan: &Plan, job: &Job, crew: &Crew) -> Result<Option<Arc<Transaction>>, Halt> {
        if !plan.is_transactional() {
            self.retry(|| async { self.context.topics.abort(&job.key.group()).await }).await?;
            return Ok(None);
        }
        let begin = || Transaction::begin(self.context.clone(), job, crew.ended.clone());
        Ok(Some(Arc::new(self.retry(begin).await?)))
    }

    /// Runs tasks from the last commit on, until they are told to stop or can't go on.
    async fn attempt(&self, operation: &Operation<'_>) -> Result<Infallible, Halt> {
        let Operation { job, inputs, crew, transaction, .. } = operation;
        let mut started = BTreeSet::new();
        self.start_tasks(operation, inputs, &mut started).await?;
        if let Some(transaction) = transaction.clone() {
            let (interval, shutdown) = (job.commit_interval, crew.tasks.shutdown());
            crew.tasks.spawn("commits", async move { transaction.keep(interval, &shutdown).await });
        }
        self.board.note(|head| head.state = State::Running);
        loop {
            self.watch(crew).await?;
            if let Some(error) = transaction.as_ref().and_then(|transaction| transaction.broken()) {
                return Err(Halt::Again(error));
            }
            let now = start::known(self.context.topics.as_ref(), inputs);
            self.start_tasks(operation, &now, &mut started).await?;
        }
    }

    /// Starts a task for each partition that has none.
    async fn start_tasks(
        &self,
        operation: &Operation<'_>,
        inputs: &[TopicView],
        started: &mut BTreeSet<TopicPartition>,
    ) -> Result<(), Halt> {
        let Operation { job, plan, crew, transaction, .. } = operation;
        let all = inputs.iter().flat_map(|topic| topic.topic_partitions().map(move |partition| (topic, partition)));
        let new: Vec<(&TopicView, TopicPartition)> =
            all.filter(|(_, partition)| !started.contains(partition)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let partitions: Vec<TopicPartition> = new.iter().map(|(_, partition)| *partition).collect();
        // A partition that came later holds nothing that was there at the deploy: it is read from its start.
        let from_earliest = plan.from_earliest || !started.is_empty();
        let group = self.deployment.key.group();
        let topics = self.context.topics.as_ref();
        let positions = self.retry(|| start::positions(topics, &group, &partitions, from_earliest)).await?;
        for ((topic, partition), position) in new.into_iter().zip(positions) {
            let input = Input { topic: topic.name.clone(), partition, bytes_max: plan.batch_bytes_max };
            let operator = self.retry(|| async { (plan.operator)(partition) }).await?;
            let progress = self.board.task(&input.name());
            progress.note(|task| task.commit(position));
            let shutdown = crew.tasks.shutdown();
            if let Some(transaction) = transaction {
                transaction.watch(partition, progress.clone());
            }
            let (input, transaction) = (Arc::new(input), transaction.clone());
            let outlet = Outlet { job: job.clone(), input, progress: progress.clone(), shutdown, transaction };
            let task = Task { outlet, operator, position, epoch: LeaderEpoch::NONE, committed: position };
            self.spawn(crew, progress, task.run());
            started.insert(partition);
        }
        Ok(())
    }

    async fn run_source(&self, plan: SourcePlan, crew: &Crew) -> Result<(), Halt> {
        self.board.note(|head| {
            head.outputs.clone_from(&plan.outputs);
            head.dead_letter_topic.clone_from(&plan.dead_letter_topic);
        });
        let made: Vec<String> = plan.outputs.iter().chain(&plan.dead_letter_topic).cloned().collect();
        let partitions = plan.partitions;
        self.retry(|| start::make_topics(self.context.topics.as_ref(), &made, partitions)).await?;
        let job = Arc::new(SourceJob {
            context: self.context.clone(),
            key: self.deployment.key.clone(),
            generation: self.deployment.generation,
            instruments: Instruments::new(&self.context.metrics, &self.deployment.key, plan.policy),
            positions: self.positions.clone(),
            plan,
        });
        for name in job.plan.tasks.clone() {
            let progress = self.board.task(&name);
            let task = SourceTask::new(job.clone(), name, progress.clone(), crew.tasks.shutdown());
            self.spawn(crew, progress, task.run());
        }
        self.board.note(|head| head.state = State::Running);
        loop {
            self.watch(crew).await?;
            if self.board.status().tasks.iter().all(|task| task.state == State::Finished) {
                return Ok(());
            }
        }
    }

    /// Runs a task that notes how it ended. One that does not stop in time is dropped where it waits; so nothing more is committed.
    fn spawn(
        &self,
        crew: &Crew,
        progress: Arc<Progress>,
        run: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) {
        let (clock, ended, shutdown) = (self.context.runtime.clock.clone(), crew.ended.clone(), crew.tasks.shutdown());
        let grace = self.context.config.stop_grace;
        crew.tasks.spawn("task", async move {
            let overdue = async {
                shutdown.requested().await;
                clock.sleep(grace).await;
            };
            let outcome = tokio::select! {
                biased;
                outcome = AssertUnwindSafe(run).catch_unwind() => outcome,
                () = overdue => Ok(Ok(())),
            };
            let panicked = || {
                Error::new(
                    ErrorKind::Internal,
                    "the task panicked; this is a bug in Millstream: report it with the log, then resume",
                )
            };
            if let Err(error) = outcome.unwrap_or_else(|_| Err(panicked())) {
                progress.error(State::Failed, &error, clock.now());
            }
            ended.notify_one();
        });
    }

    /// Waits until a task has ended or it is time to look at the inputs; an error when one failed.
    async fn watch(&self, crew: &Crew) -> Result<(), Halt> {
        tokio::select! {
            biased;
            () = self.shutdown.requested() => return Err(Halt::Stopped),
            () = crew.ended.notified() => {}
            () = self.context.runtime.clock.sleep(self.context.config.topology_interval) => {}
        }
        self.failed().map_or(Ok(()), |error| Err(error.into()))
    }

    /// Why a task can't go on.
    fn failed(&self) -> Option<Error> {
        let failed = self.board.status().tasks.into_iter().find(|task| task.state == State::Failed);
        failed.and_then(|task| task.error).map(|error| Error::new(error.kind, error.message))
    }
}
