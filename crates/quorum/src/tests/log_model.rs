//! The log against a model: appended, voided, purged and voted in any order, with a power cut after each few steps.

use super::life;
use crate::log_store::LogStore;
use crate::raft_types::{Entry, Payload, Proposal, ReplicaId, Vote, log_id};
use millstream_metadata::Record;
use millstream_runtime::{Random, SeededRandom, SimDisk, Tasks};
use millstream_types::ControllerEpoch;
use openraft::RaftLogReader;
use openraft::entry::RaftEntry;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

#[derive(Debug, Clone)]
enum Step {
    Append {
        count: u8,
        records: u8,
    },
    /// Voids the last `share` 255ths of what is not purged.
    Truncate {
        share: u8,
    },
    /// Purges the first `share` 255ths.
    Purge {
        share: u8,
    },
    /// A snapshot of entries that the log never had: everything goes, and the log goes on behind it.
    Skip {
        ahead: u8,
    },
    Vote,
    Crash {
        seed: u64,
    },
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u8..6, 0u8..40).prop_map(|(count, records)| Step::Append { count, records }),
        1 => any::<u8>().prop_map(|share| Step::Truncate { share }),
        1 => any::<u8>().prop_map(|share| Step::Purge { share }),
        1 => (1u8..9).prop_map(|ahead| Step::Skip { ahead }),
        1 => Just(Step::Vote),
        2 => any::<u64>().prop_map(|seed| Step::Crash { seed }),
    ]
}

/// What must be in the log.
#[derive(Default)]
struct Model {
    entries: BTreeMap<u64, Entry>,
    purged: Option<u64>,
    term: u64,
}

impl Model {
    fn next(&self) -> u64 {
        let last = self.entries.keys().next_back().copied().or(self.purged);
        last.map_or(0, |last| last + 1)
    }

    /// The index at `share` 255ths of the entries.
    fn at(&self, share: u8) -> Option<u64> {
        self.entries.keys().nth(self.entries.len().saturating_sub(1) * usize::from(share) / 255).copied()
    }

    async fn check(&self, log: &mut LogStore) {
        let mut reader = log.get_log_reader().await;
        let entries = reader.try_get_log_entries(..).await.unwrap();
        assert_eq!(entries, self.entries.values().cloned().collect::<Vec<_>>());
        assert_eq!(log.get_log_state().await.unwrap().last_purged_log_id.map(|id| id.index), self.purged);
        assert_eq!(reader.read_vote().await.unwrap().map_or(0, |vote| vote.leader_id.term), self.term);
    }

    async fn step(&mut self, log: &mut LogStore, step: &Step) {
        match step {
            Step::Append { count, records } => {
                let epoch = |number| Record::Controller { epoch: ControllerEpoch(number) };
                let records = Arc::new((0..i32::from(*records)).map(epoch).collect::<Vec<_>>());
                let payload = || Payload::Normal(Proposal { term: self.term, records: records.clone() });
                let first = self.next();
                let entries: Vec<Entry> = (first..first + u64::from(*count))
                    .map(|index| Entry::new(log_id(self.term, index), payload()))
                    .collect();
                log.blocking_append(entries.clone()).await.unwrap();
                self.entries.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
            }
            Step::Truncate { share } => {
                let Some(void) = self.at(*share) else { return };
                let kept = void.checked_sub(1).map(|kept| log_id(0, kept));
                log.truncate_after(kept).await.unwrap();
                self.entries.split_off(&void);
            }
            Step::Purge { share } => {
                let Some(upto) = self.at(*share) else { return };
                log.purge(log_id(self.term, upto)).await.unwrap();
                self.entries = self.entries.split_off(&(upto + 1));
                self.purged = Some(upto);
            }
            Step::Skip { ahead } => {
                let upto = self.next() + u64::from(*ahead);
                log.purge(log_id(self.term, upto)).await.unwrap();
                self.entries.clear();
                self.purged = Some(upto);
            }
            Step::Vote => {
                self.term += 1;
                log.save_vote(&Vote::new(self.term, ReplicaId::from(1))).await.unwrap();
            }
            Step::Crash { .. } => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn the_log_holds_what_it_was_told_to_hold(steps in prop::collection::vec(steps(), 1..40)) {
        let disk = Arc::new(SimDisk::new());
        let mut model = Model::default();
        let crashes = |step: &Step| matches!(step, Step::Crash { .. });
        for (number, steps) in (0..).zip(steps.split_inclusive(crashes)) {
            life(number, &disk, async |runtime| {
                let dir = Path::new("/metadata");
                runtime.disk.create_dir_durable(dir).await.unwrap();
                let mut log = LogStore::open(&runtime, &Tasks::new(), dir, 600).await.unwrap();
                model.check(&mut log).await;
                for step in steps {
                    model.step(&mut log, step).await;
                }
                model.check(&mut log).await;
            });
            if let Some(Step::Crash { seed }) = steps.last() {
                let random = SeededRandom::new(*seed);
                disk.crash(|bytes| random.below(bytes + 1));
            }
        }
    }
}
