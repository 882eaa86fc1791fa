//! What deployments and their tasks are doing, as people are shown it, and where tasks note it down.

use crate::{Deployment, DeploymentKey, Error, Lag};
use millstream_types::{ErrorKind, Offset, TimestampMs};
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a deployment or a task is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is being prepared.
    Starting,
    /// It works, or waits for input.
    Running,
    /// It keeps its progress and does nothing.
    Paused,
    /// Something it needs is away; it tries again.
    Retrying,
    /// It stopped with an error and waits for someone to act.
    Failed,
    /// It read all there was, and there will be no more.
    Finished,
}

impl State {
    /// Every state, for a metric with one series each.
    pub const ALL: [Self; 6] =
        [Self::Starting, Self::Running, Self::Paused, Self::Retrying, Self::Failed, Self::Finished];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Retrying => "retrying",
            Self::Failed => "failed",
            Self::Finished => "finished",
        }
    }
}

/// The last thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// When.
    pub at: TimestampMs,
    /// What sort.
    pub kind: ErrorKind,
    /// For a person.
    pub message: String,
}

/// What has been done since the tasks were started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Records read.
    pub records_in: u64,
    /// Records written.
    pub records_out: u64,
    /// Records that could not be processed, whatever became of them.
    pub records_failed: u64,
    /// Records that an operator left out on purpose.
    pub records_dropped: u64,
    /// Records written to the dead-letter topic.
    pub dead_letters: u64,
    /// Times that something was tried again.
    pub retries: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.records_in += other.records_in;
        self.records_out += other.records_out;
        self.records_failed += other.records_failed;
        self.records_dropped += other.records_dropped;
        self.dead_letters += other.dead_letters;
        self.retries += other.retries;
    }
}

/// One task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskStatus {
    /// Its input partition ("flights-0"), or a source's own name for it.
    pub task: String,
    /// What it is doing.
    pub state: State,
    /// The last thing that went wrong, kept after it went well again.
    pub error: Option<LastError>,
    /// What it has done.
    #[serde(flatten)]
    pub counts: Counts,
    /// The next offset to read, as committed; none for a source.
    pub committed: Option<Offset>,
    /// Where its input ends, as last read; none for a source.
    pub end: Option<Offset>,
    /// A source's position, as stored.
    pub position: Option<serde_json::Value>,
    /// How much is left to do, what is done and not committed included.
    pub lag: Option<Lag>,
}

impl TaskStatus {
    /// What was done up to `offset` is committed.
    pub(crate) fn commit(&mut self, offset: Offset) {
        self.committed = Some(offset);
        self.count_lag();
    }

    /// The input ends at `offset`.
    pub(crate) fn see_end(&mut self, offset: Offset) {
        self.end = Some(offset);
        self.count_lag();
    }

    fn count_lag(&mut self) {
        if let (Some(committed), Some(end)) = (self.committed, self.end) {
            let amount = u64::try_from(end.0.saturating_sub(committed.0)).unwrap_or_default();
            self.lag = Some(Lag { amount, unit: "records".to_owned() });
        }
    }
}

/// One deployment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeploymentStatus {
    /// What names it.
    #[serde(flatten)]
    pub key: DeploymentKey,
    /// Which generation runs.
    pub generation: u32,
    /// What it is doing: the state of the task that needs most attention.
    pub state: State,
    /// The last thing that went wrong.
    pub error: Option<LastError>,
    /// The topics it reads.
    pub inputs: Vec<String>,
    /// The topics it writes.
    pub outputs: Vec<String>,
    /// Where its dead letters go.
    pub dead_letter_topic: Option<String>,
    /// What its tasks have done together.
    #[serde(flatten)]
    pub counts: Counts,
    /// How much is left to do, in all.
    pub lag: Option<Lag>,
    /// Its tasks.
    pub tasks: Vec<TaskStatus>,
}

/// Where one task notes what it does. Its lock is held for a few words only.
pub(crate) struct Progress(Mutex<TaskStatus>);

impl Progress {
    fn new(task: String) -> Self {
        Self(Mutex::new(TaskStatus {
            task,
            state: State::Starting,
            error: None,
            counts: Counts::default(),
            committed: None,
            end: None,
            position: None,
            lag: None,
        }))
    }

    pub fn note(&self, change: impl FnOnce(&mut TaskStatus)) {
        change(&mut self.0.lock());
    }

    pub fn state(&self, state: State) {
        self.note(|task| task.state = state);
    }

    pub fn error(&self, state: State, error: &Error, at: TimestampMs) {
        self.note(|task| {
            task.state = state;
            task.error = Some(LastError { at, kind: error.kind, message: error.message.clone() });
            task.counts.retries += u64::from(state == State::Retrying);
        });
    }

    pub fn status(&self) -> TaskStatus {
        self.0.lock().clone()
    }
}

/// Where one run of a deployment notes what it does.
pub(crate) struct Board {
    head: Mutex<DeploymentStatus>,
    tasks: Mutex<BTreeMap<String, Arc<Progress>>>,
}

impl Board {
    pub fn new(deployment: &Deployment, state: State) -> Self {
        let head = DeploymentStatus {
            key: deployment.key.clone(),
            generation: deployment.generation,
            state,
            error: None,
            inputs: Vec::new(),
            outputs: Vec::new(),
            dead_letter_topic: None,
            counts: Counts::default(),
            lag: None,
            tasks: Vec::new(),
        };
        Self { head: Mutex::new(head), tasks: Mutex::default() }
    }

    pub fn note(&self, change: impl FnOnce(&mut DeploymentStatus)) {
        change(&mut self.head.lock());
    }

    pub fn error(&self, state: State, error: &Error, at: TimestampMs) {
        self.note(|head| {
            head.state = state;
            head.error = Some(LastError { at, kind: error.kind, message: error.message.clone() });
        });
    }

    /// Shows a run that was stopped for a pause: what it has done stays to be seen.
    pub fn pause(&self, generation: u32) {
        self.note(|head| {
            head.state = State::Paused;
            head.generation = generation;
        });
        self.tasks.lock().values().for_each(|task| task.state(State::Paused));
    }

    /// The task's notes, made where there are none.
    pub fn task(&self, name: &str) -> Arc<Progress> {
        self.tasks.lock().entry(name.to_owned()).or_insert_with(|| Arc::new(Progress::new(name.to_owned()))).clone()
    }

    pub fn status(&self) -> DeploymentStatus {
        let mut status = self.head.lock().clone();
        status.tasks = self.tasks.lock().values().map(|task| task.status()).collect();
        for task in &status.tasks {
            status.counts.add(&task.counts);
            status.error = [status.error.take(), task.error.clone()].into_iter().flatten().max_by_key(|error| error.at);
        }
        if status.state == State::Running {
            status.state = worst(status.tasks.iter().map(|task| task.state)).unwrap_or(State::Running);
        }
        status.lag = total(status.tasks.iter().filter_map(|task| task.lag.as_ref()));
        status
    }
}

/// The state that needs most attention.
fn worst(states: impl Iterator<Item = State>) -> Option<State> {
    states.max_by_key(|state| match state {
        State::Finished => 0,
        State::Paused => 1,
        State::Running => 2,
        State::Starting => 3,
        State::Retrying => 4,
        State::Failed => 5,
    })
}

/// Lags of one unit, added up; none where units differ or nothing is known.
fn total<'a>(lags: impl Iterator<Item = &'a Lag>) -> Option<Lag> {
    lags.cloned().map(Some).reduce(|left, right| {
        let (left, right) = (left?, right?);
        (left.unit == right.unit).then(|| Lag { amount: left.amount.saturating_add(right.amount), unit: left.unit })
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_deployment_is_that_of_its_worst_task() {
        assert_eq!(worst([State::Running, State::Retrying, State::Finished].into_iter()), Some(State::Retrying));
        assert_eq!(worst([State::Finished, State::Finished].into_iter()), Some(State::Finished));
        assert_eq!(worst(std::iter::empty()), None);
    }

    #[test]
    fn what_is_done_and_not_committed_is_still_to_do() {
        let progress = Progress::new("orders-0".into());
        let lag = || progress.status().lag.map(|lag| lag.amount);
        progress.note(|task| task.commit(Offset(3)));
        assert_eq!(lag(), None, "the end of the input is not known yet");
        progress.note(|task| task.see_end(Offset(10)));
        assert_eq!(lag(), Some(7));
        progress.note(|task| task.commit(Offset(10)));
        assert_eq!(lag(), Some(0));
    }

    #[test]
    fn lags_add_up_in_one_unit_only() {
        let lag = |amount, unit: &str| Lag { amount, unit: unit.into() };
        assert_eq!(total([&lag(1, "records"), &lag(2, "records")].into_iter()), Some(lag(3, "records")));
        assert_eq!(total([&lag(1, "records"), &lag(2, "bytes")].into_iter()), None);
        assert_eq!(total(std::iter::empty()), None);
    }
}
