//! Folders that fail, vanish, come back, and nodes that are killed or lose power at any time: from seeds.
//!
//! What is promised: a partition whose folder is well takes records and has all that it acknowledged; no acknowledged record is lost by a
//! kill or by a folder that failed or was away, and none that was flushed by a power cut; nothing is there twice or out of order.

use super::*;
use millstream_runtime::{Random, SeededRandom};

const STEPS: u64 = 60;

#[derive(Debug, Default)]
struct Counts {
    appends: u64,
    refused: u64,
    faults: u64,
    returns: u64,
    kills: u64,
    power_cuts: u64,
    topics: u64,
}

struct World {
    random: SeededRandom,
    disk: Arc<SimDisk>,
    boots: u64,
    image: Image,
    node: Option<Node>,
    faults: BTreeMap<&'static str, Fault>,
    /// The acknowledged records of each topic, and how many of them were flushed.
    acked: BTreeMap<u128, (Vec<String>, usize)>,
    counts: Counts,
}

impl World {
    async fn new(seed: u64) -> Self {
        let mut world = Self {
            random: SeededRandom::new(seed),
            disk: Arc::new(SimDisk::new()),
            boots: 0,
            image: topics(0),
            node: None,
            faults: BTreeMap::new(),
            acked: BTreeMap::new(),
            counts: Counts::default(),
        };
        world.start().await;
        world
    }

    async fn start(&mut self) {
        let runtime = Runtime::simulated(self.random.next_u64(), self.disk.clone());
        let boot = format!("boot {}", self.boots);
        self.node = Some(Node::laid_out((&boot, runtime), &layout(&FOLDERS), self.image.clone(), None).await.unwrap());
    }

    fn node(&self) -> &Node {
        self.node.as_ref().unwrap()
    }

    fn draw(&mut self, below: usize) -> usize {
        usize::try_from(self.random.below(below as u64)).unwrap()
    }

    async fn step(&mut self) {
        match self.draw(20) {
            0 | 1 if self.acked.len() < 12 => self.add_topic().await,
            2 => self.fail_one().await,
            3 | 4 => self.mend_one().await,
            5 => self.kill().await,
            6 => self.cut_power().await,
            7 | 8 => self.flush().await,
            _ => self.append().await,
        }
    }

    async fn add_topic(&mut self) {
        let number = self.acked.len() as u128;
        let records = new_topic(number);
        self.image.replay_all(&records).unwrap();
        self.node().decide(&records).await;
        self.acked.insert(number, (Vec::new(), 0));
        self.counts.topics += 1;
    }

    async fn fail_one(&mut self) {
        let folder = FOLDERS[1 + self.draw(2)];
        let fault = [Fault::WriteError, Fault::Missing, Fault::Full][self.draw(3)];
        self.disk.set_fault_in(Path::new(folder), Some(fault));
        self.faults.insert(folder, fault);
        self.counts.faults += 1;
        if self.draw(2) == 0 {
            self.node().partitions.revive_now().await;
        }
    }

    async fn mend_one(&mut self) {
        let Some(folder) = self.faults.keys().next().copied() else { return };
        self.faults.remove(folder);
        self.disk.set_fault_in(Path::new(folder), None);
        self.node().partitions.revive_now().await;
        assert!(!self.node().failed().iter().any(|failed| failed == folder), "{folder} can be used again");
        self.counts.returns += 1;
    }

    async fn kill(&mut self) {
        self.node.take().unwrap().kill().await;
        self.start().await;
        self.check().await;
        self.counts.kills += 1;
    }

    async fn cut_power(&mut self) {
        self.node.take().unwrap().kill().await;
        let random = &self.random;
        self.disk.crash(|most| random.below(most + 1));
        self.faults.clear();
        self.boots += 1;
        self.start().await;
        for (number, (acked, flushed)) in &mut self.acked {
            let left = self.node.as_ref().unwrap().read(*number).await;
            assert!(left.len() >= *flushed, "of topic {number} {} of {flushed} flushed records are left", left.len());
            assert_eq!(left, acked[..left.len()], "topic {number}");
            acked.truncate(left.len());
        }
        self.counts.power_cuts += 1;
    }

    async fn flush(&mut self) {
        self.node().partitions.flush_now().await;
        for (number, (acked, flushed)) in &mut self.acked {
            let Ok(handle) = self.node.as_ref().unwrap().of(*number) else { continue };
            if handle.log().failure().is_none() && handle.log().unflushed_records() == 0 {
                *flushed = acked.len();
            }
        }
    }

    async fn append(&mut self) {
        if self.acked.is_empty() {
            return;
        }
        let number = self.draw(self.acked.len()) as u128;
        let value = format!("{number}:{}", self.random.next_u64());
        let folder = self.node().of(number).ok().map(|handle| handle.data_folder().to_owned());
        let is_well =
            folder.as_ref().is_some_and(|folder| !self.faults.keys().any(|failed| Path::new(failed) == folder));
        match self.node().write(number, &value).await {
            Ok(_) => {
                // What goes to a disk that was taken away, and of which nobody knows yet, goes into the void: not here, where it comes back.
                self.acked.get_mut(&number).unwrap().0.push(value);
                self.counts.appends += 1;
            }
            Err(error) => {
                assert!(!is_well, "a partition in a folder that is well was refused: {error}");
                assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Exhausted), "{error}");
                self.counts.refused += 1;
            }
        }
    }

    /// Every partition that is served has what was acknowledged.
    async fn check(&self) {
        for (number, (acked, _)) in &self.acked {
            if self.node().of(*number).is_ok() {
                assert_eq!(&self.node().read(*number).await, acked, "topic {number}");
            }
        }
    }

    async fn finish(mut self) -> Counts {
        while !self.faults.is_empty() {
            self.mend_one().await;
        }
        self.node().partitions.revive_now().await;
        self.check().await;
        for number in 0..self.acked.len() as u128 {
            self.node().write(number, "last").await.unwrap();
        }
        self.node.take().unwrap().stop().await;
        self.counts
    }
}

#[tokio::test(start_paused = true)]
async fn folders_fail_and_come_back_and_nothing_acknowledged_is_lost() {
    let seeds = std::env::var("SIMULATION_SEEDS").map_or(40, |seeds| seeds.parse().unwrap());
    let mut sums = Counts::default();
    for seed in 0..seeds {
        let mut world = World::new(seed).await;
        for _ in 0..STEPS {
            world.step().await;
        }
        let counts = world.finish().await;
        sums.appends += counts.appends;
        sums.refused += counts.refused;
        sums.faults += counts.faults;
        sums.returns += counts.returns;
        sums.kills += counts.kills;
        sums.power_cuts += counts.power_cuts;
        sums.topics += counts.topics;
    }
    println!("{seeds} seeds: {sums:?}");
    assert!(sums.appends > 10 * seeds && sums.refused > seeds / 2 && sums.faults > seeds, "{sums:?}");
    assert!(
        sums.returns > seeds && sums.kills > seeds && sums.power_cuts > seeds && sums.topics > 4 * seeds,
        "{sums:?}"
    );
}
