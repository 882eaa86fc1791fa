//! Where new replicas go: over racks first, then over brokers, beginning at a place that a random number gives.
//!
//! As KRaft's striped placer: partitions walk round the racks, and round the brokers of each rack, so that leaders and replicas
//! spread evenly; a fenced broker gets replicas only where the living ones are too few, and never the leader.

use crate::{Error, Image};
use millstream_types::BrokerId;
use std::collections::BTreeMap;

/// A new partition's replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placement {
    /// All of them, the leader first.
    pub replicas: Vec<BrokerId>,
    /// Those that are alive.
    pub isr: Vec<BrokerId>,
}

pub(crate) struct Placer {
    /// Each rack's brokers that are alive. No rack is empty.
    alive: Vec<Vec<BrokerId>>,
    fenced: Vec<BrokerId>,
    replication_factor: usize,
}

impl Placer {
    /// A placer of `replication_factor` replicas over the brokers of `image`.
    pub(crate) fn new(image: &Image, replication_factor: i16) -> Result<Self, Error> {
        let brokers = image.brokers().count();
        let refuse = |reason: String| Err(Error::InvalidReplicationFactor { reason });
        let Some(factor) = usize::try_from(replication_factor).ok().filter(|factor| *factor > 0) else {
            return refuse(format!("the replication factor is {replication_factor}; expected 1 or more"));
        };
        if factor > brokers {
            return refuse(format!("the replication factor is {factor}, but only {brokers} broker(s) are registered"));
        }
        let mut racks: BTreeMap<Option<&str>, Vec<BrokerId>> = BTreeMap::new();
        for broker in image.brokers().filter(|broker| !broker.fenced) {
            racks.entry(broker.rack.as_deref()).or_default().push(broker.id);
        }
        if racks.is_empty() {
            return refuse("every broker is fenced; wait until one is ready".into());
        }
        let fenced = image.brokers().filter(|broker| broker.fenced).map(|broker| broker.id).collect();
        Ok(Self { alive: racks.into_values().collect(), fenced, replication_factor: factor })
    }

    /// Places partitions `first..first + count`, beginning where `draw` says.
    pub(crate) fn place(&self, first: i32, count: i32, draw: u64) -> Result<Vec<Placement>, Error> {
        (first..first.saturating_add(count)).map(|partition| self.place_one(wrapping_start(draw, partition))).collect()
    }

    fn place_one(&self, start: usize) -> Result<Placement, Error> {
        let racks = self.alive.len();
        let largest = self.alive.iter().map(Vec::len).max().unwrap_or(0);
        // The walk: one broker of each rack in turn, then the next of each. A rack's own turn advances once the racks are walked round.
        let walk = (0..largest).flat_map(|depth| (0..racks).map(move |step| (depth, step)));
        let alive = walk.filter_map(|(depth, step)| {
            let rack = &self.alive[(start + step) % racks];
            (depth < rack.len()).then(|| rack[(start / racks + depth) % rack.len()])
        });
        let isr: Vec<BrokerId> = alive.take(self.replication_factor).collect();
        let missing = self.replication_factor - isr.len();
        let spare = (0..self.fenced.len()).map(|step| self.fenced[(start + step) % self.fenced.len()]);
        let replicas: Vec<BrokerId> = isr.iter().copied().chain(spare.take(missing)).collect();
        Ok(Placement { replicas, isr })
    }
}

fn wrapping_start(draw: u64, partition: i32) -> usize {
    // Kept far from the type's end, so that the walk's additions can't overflow.
    usize::try_from(draw % (1 << 31)).unwrap_or(0) + usize::try_from(partition).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brokers::tests::cluster;
    use std::collections::BTreeSet;

    #[test]
    fn leaders_spread_evenly_over_brokers() {
        let image = cluster(&[(1, None, false), (2, None, false), (3, None, false)]);
        let placed = Placer::new(&image, 2).unwrap().place(0, 300, 7).unwrap();
        for broker in 1..=3 {
            assert_eq!(placed.iter().filter(|placement| placement.replicas[0] == BrokerId(broker)).count(), 100);
        }
        assert!(placed.iter().all(|placement| placement.replicas[0] != placement.replicas[1]));
    }

    #[test]
    fn replicas_of_one_partition_stand_in_different_racks() {
        let image =
            cluster(&[(1, Some("a"), false), (2, Some("a"), false), (3, Some("b"), false), (4, Some("c"), false)]);
        for placement in Placer::new(&image, 3).unwrap().place(0, 12, 0).unwrap() {
            let racks: BTreeSet<_> =
                placement.replicas.iter().map(|id| image.broker(*id).unwrap().rack.clone()).collect();
            assert_eq!(racks.len(), 3);
        }
    }

    #[test]
    fn a_fenced_broker_is_a_last_resort_and_never_in_sync() {
        let image = cluster(&[(1, None, false), (2, None, true), (3, None, false)]);
        for placement in Placer::new(&image, 2).unwrap().place(0, 6, 1).unwrap() {
            assert!(!placement.replicas.contains(&BrokerId(2)));
        }
        for placement in Placer::new(&image, 3).unwrap().place(0, 6, 1).unwrap() {
            assert_eq!(placement.replicas[2], BrokerId(2));
            assert_eq!(placement.isr, placement.replicas[..2]);
        }
    }

    #[test]
    fn more_replicas_than_brokers_are_refused() {
        let image = cluster(&[(1, None, false)]);
        for factor in [0, -1, 2] {
            assert!(matches!(Placer::new(&image, factor), Err(Error::InvalidReplicationFactor { .. })), "{factor}");
        }
        let fenced = cluster(&[(1, None, true)]);
        assert!(matches!(Placer::new(&fenced, 1), Err(Error::InvalidReplicationFactor { .. })));
    }
}
