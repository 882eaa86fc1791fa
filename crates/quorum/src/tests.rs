//! Tests of the whole quorum: one node, its disk, and its restarts.

mod cluster;
mod concurrent;
mod faults;
mod log_model;
mod restart;
mod state;
mod suite;

use crate::{Config, Error, Handle, Service};
use millstream_metadata::{Decision, Image, Listener, topics};
use millstream_runtime::{Runtime, SimDisk};
use millstream_types::{BrokerId, TopicId};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use uuid::Uuid;

/// The data folder on simulated disks.
const DATA: &str = "/data";

fn config(data_dir: impl Into<PathBuf>) -> Config {
    let listener = Listener { name: "PLAINTEXT".into(), host: "127.0.0.1".into(), port: 9092 };
    Config::new(data_dir.into(), BrokerId(1), vec![listener])
}

/// One life of a node on `disk`: everything it runs is gone when this returns, as after `kill -9`.
fn life<T>(seed: u64, disk: &Arc<SimDisk>, live: impl AsyncFnOnce(Runtime) -> T) -> T {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    tokio.block_on(async { live(Runtime::simulated(seed, disk.clone())).await })
}

async fn start(runtime: &Runtime) -> Handle {
    Service::start(runtime, config(DATA)).await.unwrap()
}

/// The error of a start that must fail.
fn start_error(disk: &Arc<SimDisk>) -> Error {
    life(99, disk, async |runtime| {
        Service::start(&runtime, config(DATA)).await.err().expect("the start must be refused")
    })
}

fn topic(name: &str, id: u128) -> topics::Create {
    topics::Create {
        name: name.to_owned(),
        id: TopicId(Uuid::from_u128(id + 1)),
        layout: topics::Layout::Counts { partitions: 2, replication_factor: 1, draw: 0 },
        configs: BTreeMap::new(),
        validate_only: false,
    }
}

async fn create(handle: &Handle, name: &str, id: u128) -> Result<topics::Created, Error> {
    let request = topic(name, id);
    handle.decide(|image| topics::create(image, &request)).await
}

fn topic_names(image: &Image) -> Vec<String> {
    image.topics().map(|topic| topic.name.to_string()).collect()
}

/// A decision that changes nothing and looks at everything.
fn look(image: &Image) -> Result<Decision<Vec<String>>, millstream_metadata::Error> {
    Ok(Decision::unchanged(topic_names(image)))
}
