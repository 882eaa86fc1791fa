//! The metrics of one deployment's tasks.

use crate::{DeploymentKey, DeploymentStatus, ErrorPolicy, State};
use millstream_telemetry::{Counter, Histogram, Metrics, catalogue};

/// Counters of one deployment, looked up once.
pub(crate) struct Instruments {
    pub records_in: Counter,
    pub records_out: Counter,
    pub records_failed: Counter,
    pub restarts: Counter,
    pub batch_time: Histogram,
}

impl Instruments {
    pub fn new(metrics: &Metrics, key: &DeploymentKey, policy: ErrorPolicy) -> Self {
        let labels = [key.kind.word(), key.name.as_str()];
        let action = match policy {
            ErrorPolicy::Fail => "fail",
            ErrorPolicy::Skip => "skip",
            ErrorPolicy::DeadLetter => "dead-letter",
        };
        Self {
            records_in: metrics.counter(&catalogue::TASK_RECORDS_IN, &labels),
            records_out: metrics.counter(&catalogue::TASK_RECORDS_OUT, &labels),
            records_failed: metrics.counter(&catalogue::TASK_RECORDS_FAILED, &[labels[0], labels[1], action]),
            restarts: metrics.counter(&catalogue::TASK_RESTARTS, &labels),
            batch_time: metrics.histogram(&catalogue::TASK_BATCH_TIME, &labels),
        }
    }
}

/// Sets the gauges of one deployment to what its status says.
pub(crate) fn show(metrics: &Metrics, status: &DeploymentStatus) {
    let (kind, name) = (status.key.kind.word(), status.key.name.as_str());
    for state in State::ALL {
        let count = status.tasks.iter().filter(|task| task.state == state).count();
        metrics.gauge(&catalogue::TASKS, &[kind, name, state.word()]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    for task in &status.tasks {
        let (topic, partition) = task.task.rsplit_once('-').unwrap_or((&task.task, ""));
        if let Some(lag) = &task.lag {
            let amount = i64::try_from(lag.amount).unwrap_or(i64::MAX);
            metrics.gauge(&catalogue::TASK_LAG, &[kind, name, topic, partition]).set(amount);
        }
    }
}

/// Takes the gauges of a deployment that is no more out of what is exported.
pub(crate) fn forget(metrics: &Metrics, status: &DeploymentStatus) {
    let (kind, name) = (status.key.kind.word(), status.key.name.as_str());
    for state in State::ALL {
        metrics.forget(catalogue::TASKS.definition(), &[kind, name, state.word()]);
    }
    for action in ["fail", "skip", "dead-letter"] {
        metrics.forget(catalogue::TASK_RECORDS_FAILED.definition(), &[kind, name, action]);
    }
    metrics.forget(catalogue::TASK_RECORDS_IN.definition(), &[kind, name]);
    metrics.forget(catalogue::TASK_RECORDS_OUT.definition(), &[kind, name]);
    metrics.forget(catalogue::TASK_RESTARTS.definition(), &[kind, name]);
    metrics.forget(catalogue::TASK_BATCH_TIME.definition(), &[kind, name]);
    for task in &status.tasks {
        let (topic, partition) = task.task.rsplit_once('-').unwrap_or((&task.task, ""));
        metrics.forget(catalogue::TASK_LAG.definition(), &[kind, name, topic, partition]);
    }
}
