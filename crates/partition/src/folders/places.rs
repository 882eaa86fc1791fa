//! Which folder each replica is in, as decisions: no I/O.

use super::record::Record;
use millstream_types::{DirectoryId, TopicPartition};
use std::collections::BTreeMap;

/// Where a replica is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the folder of that number.
    In(usize),
    /// In a folder that this node was not started with.
    Gone(DirectoryId),
    /// In two folders: nobody knows which is right.
    Twice(usize, usize),
}

#[derive(Debug, Default)]
pub(crate) struct Places {
    at: BTreeMap<TopicPartition, Place>,
    /// Those that were found on a disk, and where.
    seen: BTreeMap<TopicPartition, usize>,
    /// How many replicas are in each folder.
    counts: Vec<usize>,
}

impl Places {
    /// What is known before any folder is looked into. `folder_of` is the number of the folder of an id.
    pub(crate) fn new(record: &Record, folders: usize, folder_of: impl Fn(DirectoryId) -> Option<usize>) -> Self {
        let mut places = Self { counts: vec![0; folders], ..Self::default() };
        for (replica, id) in &record.replicas {
            places.set(*replica, folder_of(*id).map_or(Place::Gone(*id), Place::In));
        }
        places
    }

    pub(crate) fn get(&self, replica: TopicPartition) -> Option<Place> {
        self.at.get(&replica).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (TopicPartition, Place)> {
        self.at.iter().map(|(replica, place)| (*replica, *place))
    }

    pub(crate) fn set(&mut self, replica: TopicPartition, place: Place) {
        self.forget_place(replica);
        if let Place::In(folder) = place {
            self.counts[folder] += 1;
        }
        self.at.insert(replica, place);
    }

    /// Notes that a replica was found in a folder. Returns the other folder in which it was found, if in one.
    pub(crate) fn found(&mut self, replica: TopicPartition, folder: usize) -> Option<usize> {
        match self.seen.get(&replica) {
            Some(other) if *other != folder => Some(*other),
            _ => {
                self.seen.insert(replica, folder);
                self.set(replica, Place::In(folder));
                None
            }
        }
    }

    /// Notes that a replica is in that folder and no other.
    pub(crate) fn settle(&mut self, replica: TopicPartition, folder: usize) {
        self.seen.insert(replica, folder);
        self.set(replica, Place::In(folder));
    }

    /// Finds a folder for a replica that is nowhere yet: of those that can be used the one with the fewest replicas, the first of several.
    pub(crate) fn choose(&mut self, replica: TopicPartition, can_be_used: &[bool]) -> usize {
        let usable = (0..self.counts.len()).filter(|folder| can_be_used[*folder]);
        let chosen = usable.min_by_key(|folder| self.counts[*folder]).unwrap_or(0);
        self.settle(replica, chosen);
        chosen
    }

    /// A replica is no longer here.
    pub(crate) fn forget(&mut self, replica: TopicPartition) {
        self.forget_place(replica);
        self.at.remove(&replica);
        self.seen.remove(&replica);
    }

    fn forget_place(&mut self, replica: TopicPartition) {
        if let Some(Place::In(folder)) = self.at.get(&replica) {
            self.counts[*folder] -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::{PartitionIndex, TopicId};
    use uuid::Uuid;

    fn replica(number: i32) -> TopicPartition {
        TopicPartition::new(TopicId(Uuid::from_u128(1)), PartitionIndex(number))
    }

    #[test]
    fn a_new_replica_goes_where_the_fewest_are() {
        let mut places = Places::new(&Record::default(), 3, |_| None);
        let chosen: Vec<usize> = (0..4).map(|number| places.choose(replica(number), &[true; 3])).collect();
        assert_eq!(chosen, [0, 1, 2, 0]);
        assert_eq!(places.choose(replica(4), &[true, false, true]), 2, "not where nothing can be written");
        places.forget(replica(0));
        places.forget(replica(3));
        assert_eq!(places.choose(replica(5), &[true; 3]), 0);
        assert_eq!(places.choose(replica(6), &[false; 3]), 0, "somewhere it has to be offline");
    }

    #[test]
    fn what_is_found_counts_more_than_what_was_known() {
        let (here, away) = (DirectoryId(Uuid::from_u128(8)), DirectoryId(Uuid::from_u128(9)));
        let record = Record {
            replicas: [(replica(0), here), (replica(1), away), (replica(2), here)].into(),
            ..Record::default()
        };
        let mut places = Places::new(&record, 3, |id| (id == here).then_some(1));
        assert_eq!(places.get(replica(1)), Some(Place::Gone(away)));
        assert_eq!(places.found(replica(0), 2), None, "it was moved by hand");
        assert_eq!(places.get(replica(0)), Some(Place::In(2)));
        assert_eq!(places.get(replica(2)), Some(Place::In(1)));
        assert_eq!(places.found(replica(0), 0), Some(2), "now it is in two");
    }
}
