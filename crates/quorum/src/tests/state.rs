//! The state machine by itself: what enters the log in another term than it was decided in changes nothing.

use super::life;
use crate::raft_types::{Entry, Payload, Proposal, log_id};
use crate::state_machine::{Progress, Published, StateMachine};
use millstream_metadata::{Image, Record};
use millstream_runtime::{Runtime, SimDisk};
use millstream_types::{ProducerId, TopicId};
use openraft::entry::RaftEntry;
use openraft::storage::RaftStateMachine;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

async fn machine(runtime: &Runtime) -> (StateMachine, Published) {
    let dir = Path::new("/metadata");
    runtime.disk.create_dir_all(dir).await.unwrap();
    let published = Published {
        image: watch::Sender::new(Arc::new(Image::default())),
        progress: watch::Sender::new(Progress::default()),
    };
    (StateMachine::open(runtime, dir, published.clone()).await.unwrap(), published)
}

fn entry(term: u64, index: u64, decided_in: u64, record: Record) -> Entry {
    Entry::new(log_id(term, index), Payload::Normal(Proposal { term: decided_in, records: Arc::new(vec![record]) }))
}

fn block(next: i64) -> Record {
    Record::ProducerIdBlock { broker: millstream_types::BrokerId(1), next: ProducerId(next) }
}

async fn apply(machine: &mut StateMachine, entries: Vec<Entry>) -> std::io::Result<()> {
    machine.apply(futures::stream::iter(entries.into_iter().map(|entry| Ok((entry, None))))).await
}

#[test]
fn what_was_decided_in_another_term_changes_nothing() {
    life(1, &Arc::new(SimDisk::new()), async |runtime| {
        let (mut machine, published) = machine(&runtime).await;
        let entries = vec![entry(2, 0, 2, block(1000)), entry(2, 1, 1, block(9000)), entry(3, 2, 3, block(2000))];
        apply(&mut machine, entries).await.unwrap();
        let image = published.image.borrow().clone();
        assert_eq!((image.next_producer_id().0, image.controller_epoch().0), (2000, 3));
        assert_eq!(*published.progress.borrow(), Progress { term: 3, proposals: 1 });
    });
}

#[test]
fn an_entry_that_contradicts_is_an_error_and_changes_nothing() {
    life(1, &Arc::new(SimDisk::new()), async |runtime| {
        let (mut machine, published) = machine(&runtime).await;
        apply(&mut machine, vec![entry(1, 0, 1, block(1000))]).await.unwrap();
        let error =
            apply(&mut machine, vec![entry(1, 1, 1, Record::RemoveTopic { topic: TopicId::ZERO })]).await.unwrap_err();
        assert!(error.to_string().contains("entry 1.1 of the metadata log can't be applied"), "{error}");
        assert_eq!(machine.applied_state().await.unwrap().0, Some(log_id(1, 0)));
        assert_eq!(published.image.borrow().next_producer_id().0, 1000);
    });
}
