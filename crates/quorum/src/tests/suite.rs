//! The Raft library's own suite for storage, run on ours.

use crate::log_store::LogStore;
use crate::raft_types::TypeConfig;
use crate::state_machine::{Progress, Published, StateMachine};
use millstream_metadata::Image;
use millstream_runtime::{Runtime, SimDisk, Tasks};
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, Tasks> for Builder {
    async fn build(&self) -> Result<(Tasks, LogStore, StateMachine), StorageError<TypeConfig>> {
        let runtime = Runtime::simulated(1, Arc::new(SimDisk::new()));
        let dir = Path::new("/metadata");
        runtime.disk.create_dir_all(dir).await.unwrap();
        let published = Published {
            image: watch::Sender::new(Arc::new(Image::default())),
            progress: watch::Sender::new(Progress::default()),
        };
        let tasks = Tasks::new();
        let log = LogStore::open(&runtime, &tasks, dir, 1 << 10).await.unwrap();
        let machine = StateMachine::open(&runtime, dir, published).await.unwrap();
        Ok((tasks, log, machine))
    }
}

#[tokio::test]
async fn our_storage_passes_the_librarys_suite() {
    Suite::test_all(Builder).await.unwrap();
}
