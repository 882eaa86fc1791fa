//! Sources: positions after records, workers made anew after an error, policies, an end.

use crate::kit::{Node, state, until};
use async_trait::async_trait;
use bytes::Bytes;
use millstream_task::memory::Operation;
use millstream_task::{
    Deployment, DeploymentKey, DeploymentKind, Error, ErrorPolicy, Host, Kind, Lag, OperatorError, Plan, ResetTo,
    SourceBatch, SourceFailure, SourceOutput, SourcePlan, SourceWorker, State, Work,
};
use millstream_types::ErrorKind;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A source of numbers in twos. Spec: `{"end": n, "broken": k, "policy": ..}`.
#[derive(Default)]
struct Numbers {
    polls_to_fail: Arc<AtomicU32>,
    workers: Arc<AtomicU32>,
}

struct Counting {
    next: u64,
    end: u64,
    broken: Option<u64>,
    policy: ErrorPolicy,
    polls_to_fail: Arc<AtomicU32>,
}

#[async_trait]
impl Kind for Numbers {
    fn kind(&self) -> DeploymentKind {
        DeploymentKind::Connector
    }

    async fn validate(&self, _: &Deployment) -> Result<(), Error> {
        Ok(())
    }

    async fn plan(&self, _: &Deployment) -> Result<Plan, Error> {
        Err(Error::new(ErrorKind::Internal, "a source has no operator"))
    }

    async fn work(&self, deployment: &Deployment) -> Result<Work, Error> {
        let spec = deployment.spec.clone();
        let policy: ErrorPolicy =
            spec.get("policy").map_or(ErrorPolicy::Fail, |policy| serde_json::from_value(policy.clone()).unwrap());
        let (polls_to_fail, workers) = (self.polls_to_fail.clone(), self.workers.clone());
        Ok(Work::Source(SourcePlan {
            outputs: vec!["numbers".into()],
            partitions: 1,
            policy,
            dead_letter_topic: (policy == ErrorPolicy::DeadLetter).then(|| "dead".to_owned()),
            tasks: vec!["0".into()],
            worker: Box::new(move |_, position| {
                workers.fetch_add(1, Ordering::SeqCst);
                Ok(Box::new(Counting {
                    next: position.as_ref().and_then(Value::as_u64).unwrap_or(0),
                    end: spec["end"].as_u64().unwrap(),
                    broken: spec.get("broken").and_then(Value::as_u64),
                    policy,
                    polls_to_fail: polls_to_fail.clone(),
                }))
            }),
        }))
    }
}

#[async_trait]
impl SourceWorker for Counting {
    async fn poll(&mut self) -> Result<SourceBatch, OperatorError> {
        if self.polls_to_fail.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1)).is_ok() {
            return Err(OperatorError::new(ErrorKind::Unavailable, "the numbers are away"));
        }
        if self.next >= self.end {
            std::future::pending::<()>().await;
        }
        let mut batch = SourceBatch::default();
        let mut output = SourceOutput::default();
        for number in self.next..self.end.min(self.next + 2) {
            if self.broken == Some(number) {
                let raw = Bytes::from(number.to_string());
                batch.failures.push(SourceFailure {
                    place: format!("number {number}"),
                    message: "it is broken".into(),
                    raw,
                });
                if self.policy == ErrorPolicy::Fail {
                    break;
                }
            } else {
                output.records.push(-1, None, Some(number.to_string().as_bytes()), []);
            }
            self.next = number + 1;
        }
        batch.outputs.push(output);
        batch.position = Some(json!(self.next));
        batch.lag = Some(Lag { amount: self.end - self.next, unit: "numbers".into() });
        batch.finished = self.next == self.end && self.end.is_multiple_of(2);
        Ok(batch)
    }
}

fn connector() -> DeploymentKey {
    DeploymentKey { kind: DeploymentKind::Connector, name: "c".into() }
}

fn start(node: &Node, numbers: &Arc<Numbers>) -> Host {
    let host = node.start();
    host.register(numbers.clone());
    host
}

#[tokio::test(start_paused = true)]
async fn a_source_writes_all_and_is_finished() {
    let (node, numbers) = (Node::new(), Arc::new(Numbers::default()));
    let host = start(&node, &numbers);
    host.deploy(connector(), json!({"end": 4})).await.unwrap();
    let status = state(&host, &connector(), State::Finished).await;
    assert_eq!(node.values("numbers", 0), ["0", "1", "2", "3"]);
    assert!(node.topics.records("numbers", 0).timestamps.iter().all(|timestamp| *timestamp > 1_700_000_000_000));
    assert_eq!(
        (status.counts.records_out, status.lag, &status.tasks[0].position),
        (4, Some(Lag { amount: 0, unit: "numbers".into() }), &Some(json!(4)))
    );
    assert!(host.stop().await);
    let host = start(&node, &numbers);
    until("it looked again", || numbers.workers.load(Ordering::SeqCst) == 2).await;
    assert_eq!(node.values("numbers", 0).len(), 4, "nothing is repeated");
    drop(host);
}

#[tokio::test(start_paused = true)]
async fn a_source_goes_on_where_its_records_are_in_the_log() {
    let (node, numbers) = (Node::new(), Arc::new(Numbers::default()));
    let host = start(&node, &numbers);
    host.deploy(connector(), json!({"end": 3})).await.unwrap();
    until("all are written", || node.values("numbers", 0).len() == 3).await;
    assert!(host.stop().await);
    let host = start(&node, &numbers);
    host.deploy(connector(), json!({"end": 6})).await.unwrap();
    state(&host, &connector(), State::Finished).await;
    assert_eq!(node.values("numbers", 0), ["0", "1", "2", "3", "4", "5"]);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_may_pass_makes_a_new_worker_where_the_log_is() {
    let (node, numbers) = (Node::new(), Arc::new(Numbers::default()));
    numbers.polls_to_fail.store(2, Ordering::SeqCst);
    node.topics.fail_next(Operation::Append, 3, ErrorKind::Unavailable);
    let host = start(&node, &numbers);
    host.deploy(connector(), json!({"end": 4})).await.unwrap();
    let retrying = state(&host, &connector(), State::Retrying).await;
    assert_eq!(retrying.error.unwrap().message, "the numbers are away");
    state(&host, &connector(), State::Finished).await;
    assert_eq!(node.values("numbers", 0), ["0", "1", "2", "3"]);
    assert_eq!(numbers.workers.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn under_fail_a_broken_piece_stops_the_source_before_it() {
    let (node, numbers) = (Node::new(), Arc::new(Numbers::default()));
    let host = start(&node, &numbers);
    host.deploy(connector(), json!({"end": 4, "broken": 1})).await.unwrap();
    let error = state(&host, &connector(), State::Failed).await.error.unwrap();
    assert!(error.message.starts_with("number 1: it is broken;"), "{}", error.message);
    assert_eq!(node.values("numbers", 0), ["0"]);
    host.deploy(connector(), json!({"end": 4})).await.unwrap();
    state(&host, &connector(), State::Finished).await;
    assert_eq!(node.values("numbers", 0), ["0", "1", "2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn a_broken_piece_becomes_a_dead_letter_that_names_its_place() {
    let (node, numbers) = (Node::new(), Arc::new(Numbers::default()));
    let host = start(&node, &numbers);
    host.deploy(connector(), json!({"end": 4, "broken": 1, "policy": "dead-letter"})).await.unwrap();
    state(&host, &connector(), State::Finished).await;
    assert_eq!(
        (node.values("numbers", 0), node.values("dead", 0)),
        (vec!["0".into(), "2".into(), "3".into()], vec!["1".into()])
    );
    let letters = node.topics.records("dead", 0);
    let place = letters.headers.get(0).find(|(name, _)| *name == "millstream.source.place").unwrap();
    assert_eq!(place.1, Some(&b"number 1"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_source_reset_reads_everything_again_and_a_deleted_one_leaves_nothing() {
    let (node, numbers) = (Node::new(), Arc::new(Numbers::default()));
    let host = start(&node, &numbers);
    host.deploy(connector(), json!({"end": 2})).await.unwrap();
    state(&host, &connector(), State::Finished).await;
    assert_eq!(host.reset(&connector(), ResetTo::Latest).await.unwrap_err().kind, ErrorKind::Invalid);
    host.reset(&connector(), ResetTo::Earliest).await.unwrap();
    until("they came again", || node.values("numbers", 0).len() == 4).await;
    state(&host, &connector(), State::Finished).await;
    host.delete(&connector()).await.unwrap();
    host.deploy(connector(), json!({"end": 2})).await.unwrap();
    until("a new one begins at the start", || node.values("numbers", 0).len() == 6).await;
}
