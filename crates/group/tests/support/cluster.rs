//! A cluster whose topics a test makes, grows and deletes.

#![allow(dead_code, reason = "each test file uses a part of it")]

use millstream_group::{Cluster, GroupTimes, Topic};
use millstream_types::TopicId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use uuid::Uuid;

#[derive(Default)]
struct Known {
    version: u64,
    made: u128,
    topics: BTreeMap<String, Topic>,
    times: BTreeMap<String, GroupTimes>,
}

/// See the module. Clones share it.
#[derive(Clone, Default)]
pub struct Town(Arc<Mutex<Known>>);

impl Town {
    /// A topic of that name with so many partitions, in place of the one that was there.
    pub fn make(&self, name: &str, partitions: i32) -> TopicId {
        let mut known = self.0.lock().unwrap();
        known.version += 1;
        known.made += 1;
        let id = TopicId(Uuid::from_u128(known.made));
        known.topics.insert(name.to_owned(), Topic { id, partitions });
        id
    }

    pub fn grow(&self, name: &str, partitions: i32) {
        let mut known = self.0.lock().unwrap();
        known.version += 1;
        known.topics.get_mut(name).unwrap().partitions = partitions;
    }

    pub fn delete(&self, name: &str) {
        let mut known = self.0.lock().unwrap();
        known.version += 1;
        known.topics.remove(name);
    }

    pub fn set_times(&self, group: &str, times: GroupTimes) {
        self.0.lock().unwrap().times.insert(group.to_owned(), times);
    }
}

impl Cluster for Town {
    fn version(&self) -> u64 {
        self.0.lock().unwrap().version
    }

    fn topic(&self, name: &str) -> Option<Topic> {
        self.0.lock().unwrap().topics.get(name).copied()
    }

    fn name_of(&self, id: TopicId) -> Option<String> {
        let known = self.0.lock().unwrap();
        known.topics.iter().find(|(_, topic)| topic.id == id).map(|(name, _)| name.clone())
    }

    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().topics.keys().cloned().collect()
    }

    fn times_of(&self, group: &str) -> GroupTimes {
        self.0.lock().unwrap().times.get(group).copied().unwrap_or_default()
    }
}
