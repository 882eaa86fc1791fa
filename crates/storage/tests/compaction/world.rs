//! A log on a disk that stops, the model beside it, and the operations.

use crate::model::{Fate, Marker, Model, Seen, Sight, Written};
use crate::stopping_disk::StoppingDisk;
use millstream_record::{Batch, BatchBuilder, Codec, Limits, split};
use millstream_runtime::{Disk, Random, Runtime, SeededRandom, SimDisk};
use millstream_storage::{AbortedTxn, Cleaned, CleaningBudget, Log, LogId, Pace, Recovery};
use millstream_types::{
    LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs, TopicConfig, TopicId, TopicPartition,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Producers that write transactions; those below only number their batches, and -1 not even that.
const TRANSACTIONAL: std::ops::Range<i64> = 10..13;
const EPOCH: LeaderEpoch = LeaderEpoch(0);

pub struct World {
    seed: u64,
    random: SeededRandom,
    sim: Arc<SimDisk>,
    disk: Arc<StoppingDisk>,
    runtime: Runtime,
    config: Arc<TopicConfig>,
    log: Log,
    model: Model,
    cleaned_to: i64,
    done: BTreeMap<&'static str, u64>,
}

fn id() -> LogId {
    let topic: TopicId = "KIi5gVZMTOuxI9qTbIoNWA".parse().unwrap();
    LogId { dir: PathBuf::from("data"), topic: "t".into(), partition: TopicPartition::new(topic, PartitionIndex(0)) }
}

fn machine(seed: u64, sim: &Arc<SimDisk>) -> (Arc<StoppingDisk>, Runtime) {
    let disk = Arc::new(StoppingDisk::new(sim.clone()));
    let mut runtime = Runtime::simulated(seed, sim.clone());
    runtime.disk = disk.clone();
    (disk, runtime)
}

impl World {
    pub async fn new(seed: u64) -> Self {
        let random = SeededRandom::new(seed);
        let config = Arc::new(TopicConfig {
            compact: true,
            delete: false,
            segment_bytes: 700 + i32::try_from(random.below(3000)).unwrap(),
            index_interval_bytes: i32::try_from(random.below(600)).unwrap(),
            segment_index_bytes: 60 + i32::try_from(random.below(1000)).unwrap(),
            delete_retention_ms: [0, 2_000, i64::MAX / 2][usize::try_from(random.below(3)).unwrap()],
            ..TopicConfig::default()
        });
        let sim = Arc::new(SimDisk::new());
        let (disk, runtime) = machine(seed, &sim);
        disk.create_dir_durable(&id().dir).await.unwrap();
        let log = Log::open(runtime.clone(), id(), config.clone(), Recovery::CLEAN).await.unwrap();
        let (model, done) = (Model::default(), BTreeMap::new());
        let mut world = Self { seed, random, sim, disk, runtime, config, log, model, cleaned_to: 0, done };
        // Before its first checkpoint a compacted log may be another program's, whose gaps are rightful.
        world.append().await;
        world.log.flush().await.unwrap();
        world.log.checkpoint().await.unwrap();
        world
    }

    pub fn done(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.done.iter().map(|(name, count)| (*name, *count))
    }

    fn did(&mut self, name: &'static str) {
        *self.done.entry(name).or_default() += 1;
    }

    fn below(&self, bound: i64) -> i64 {
        i64::try_from(self.random.below(bound.unsigned_abs())).unwrap()
    }

    pub async fn step(&mut self) {
        match self.random.below(100) {
            0..62 => self.append().await,
            62..74 => self.end_transaction().await,
            74..78 => self.runtime.clock.sleep(Duration::from_millis(1000)).await,
            78..88 => {
                self.clean(None).await;
                self.look().await;
            }
            88..94 => self.stop_in_a_compaction().await,
            94..97 => self.stop(false).await,
            _ => self.stop(true).await,
        }
    }

    /// Ends every transaction, compacts to the end, and looks once more.
    pub async fn finish(&mut self) {
        while let Some(producer) = self.model.open.keys().next().copied() {
            self.end(producer, self.below(2) == 0).await;
        }
        self.log.roll().await.unwrap();
        while self.log.dirty(Offset(self.model.end)).await.unwrap().is_some() {
            self.clean(None).await;
        }
        assert_eq!(self.cleaned_to, self.model.end, "seed {}", self.seed);
        self.did("cleaned to the end");
        self.look().await;
        self.stop(false).await;
    }

    async fn append(&mut self) {
        let producer = [-1, 1, 2, 10, 11, 12][usize::try_from(self.random.below(6)).unwrap()];
        let codec = Codec::ALL[usize::try_from(self.random.below(5)).unwrap()];
        let mut builder = BatchBuilder::new(codec);
        let is_transactional = TRANSACTIONAL.contains(&producer);
        if producer >= 0 {
            builder = builder.producer(ProducerId(producer), ProducerEpoch(0), 0);
        }
        if is_transactional {
            builder = builder.transactional();
        }
        let base = self.model.end;
        for at in 0..1 + self.below(6) {
            let time = self.runtime.clock.now().0 - self.below(50);
            let key = (self.below(40) > 0).then(|| self.below(14).to_string().into_bytes());
            let value = (self.below(5) > 0).then(|| vec![b'v'; usize::try_from(self.random.below(60)).unwrap()]);
            builder.push(TimestampMs(time), key.as_deref(), value.as_deref(), [("h", None)]);
            let fate = if is_transactional { Fate::Open } else { Fate::Committed };
            self.model.records.insert(base + at, Written { time, key, value, producer, fate, is_gone: false });
        }
        let batch = builder.build(Offset(0), EPOCH).unwrap();
        let appended = self.log.append(&[batch], EPOCH).await.unwrap();
        assert_eq!(appended.base_offset.0, base, "seed {}", self.seed);
        self.model.end = appended.next_offset.0;
        self.model.last.insert(producer, self.model.end - 1);
        if is_transactional {
            self.model.open.entry(producer).or_insert(base);
        }
    }

    async fn end_transaction(&mut self) {
        let open: Vec<i64> = self.model.open.keys().copied().collect();
        if open.is_empty() {
            return;
        }
        let producer = open[usize::try_from(self.random.below(open.len() as u64)).unwrap()];
        self.end(producer, self.below(2) == 0).await;
    }

    async fn end(&mut self, producer: i64, commits: bool) {
        let mut builder = BatchBuilder::new(Codec::None)
            .producer(ProducerId(producer), ProducerEpoch(0), -1)
            .transactional()
            .control();
        let key = [0, 0, 0, u8::from(commits)];
        builder.push(self.runtime.clock.now(), Some(&key), Some(&[0; 6]), []);
        let marker = self.model.end;
        self.log.append(&[builder.build(Offset(0), EPOCH).unwrap()], EPOCH).await.unwrap();
        self.model.end += 1;
        self.model.markers.insert(marker, Marker { producer, is_gone: false });
        let first = self.model.open.remove(&producer).unwrap();
        let fate = if commits { Fate::Committed } else { Fate::Aborted };
        for (_, record) in self.model.records.range_mut(first..marker) {
            if record.producer == producer {
                record.fate = fate;
            }
        }
        self.did(if commits { "committed" } else { "aborted" });
        if !commits {
            self.model.aborted.push((producer, first, marker));
            let last_stable = Offset(self.model.last_stable());
            let (first_offset, last_offset) = (Offset(first), Offset(marker));
            let entry = AbortedTxn { producer: ProducerId(producer), first_offset, last_offset, last_stable };
            self.log.add_aborted(&[entry]).await.unwrap();
        }
    }

    fn budget(&self) -> CleaningBudget {
        // Sometimes so little that several rounds are needed.
        let memory_bytes = [1 << 20, 24 * 8][usize::from(self.random.below(3) == 0)];
        CleaningBudget { memory_bytes, load: 0.9, io_bytes: 100 + usize::try_from(self.random.below(2000)).unwrap() }
    }

    /// Compacts once, if there is anything; `stop_after` so many changes of the disk everything stops. Returns whether it did.
    async fn clean(&mut self, stop_after: Option<i64>) -> bool {
        let Some(dirty) = self.log.dirty(Offset(self.model.last_stable())).await.unwrap() else { return false };
        assert!(dirty.until.0 <= self.model.last_stable());
        let (budget, producers) = (self.budget(), self.model.last_records());
        let pace = Pace::new(&self.runtime, self.runtime.tasks.shutdown(), 1e6);
        let segments = self.log.segment_count();
        if let Some(changes) = stop_after {
            self.disk.stop_after(changes);
        }
        let fuse = self.disk.fuse.clone();
        let cleaned: Option<Cleaned> = tokio::select! {
            biased;
            cleaned = self.log.clean(&dirty, &producers, budget, &pace) => cleaned.unwrap(),
            () = fuse.blown.notified() => return true,
        };
        self.disk.stop_no_more();
        let cleaned = cleaned.unwrap_or_else(|| panic!("seed {}: nothing stood in its way", self.seed));
        assert!(
            cleaned.to > dirty.first_dirty && cleaned.to <= dirty.until,
            "seed {}: {cleaned:?} {dirty:?}",
            self.seed
        );
        assert_eq!(self.log.cleaned_to(), Some(cleaned.to));
        if cleaned.to < dirty.until {
            self.did("full map");
        }
        if self.log.segment_count() < segments {
            self.did("joined segments");
        }
        self.cleaned_to = cleaned.to.0;
        self.did("cleaned");
        false
    }

    /// Looks at everything through a reader that began before a compaction too: it ends in peace.
    async fn look(&mut self) {
        let sight = self.sight().await;
        let context = format!("seed {} {:?}", self.seed, self.done);
        if std::env::var_os("MODEL_TRACE").is_some() {
            let (model, log) = (&self.model, &self.log);
            println!("{context} cleaned to {} stable {} end {}", self.cleaned_to, model.last_stable(), model.end);
            println!("  log {}..{} {:?}", log.log_start(), log.log_end(), log.segment_bases(Offset(0)));
            println!("  seen {:?} markers {:?}", sight.records.keys(), sight.markers);
            println!("  open {:?} markers {:?}", model.open, model.markers.keys());
            for (offset, record) in &model.records {
                println!("    {offset} {record:?}");
            }
        }
        for what in self.model.check(&sight, self.cleaned_to, &context) {
            self.did(what);
        }
        assert!(self.log.offset_of_max_timestamp().await.is_ok());
    }

    async fn sight(&self) -> Sight {
        let mut sight = Sight::default();
        let (mut from, below) = (self.log.log_start(), Offset(self.model.last_stable()));
        let mut aborted_now: BTreeSet<ProducerId> = BTreeSet::new();
        let mut last_batch = -1;
        while from < self.log.log_end() {
            let to = if from < below { below } else { self.log.log_end() };
            let (slice, mut aborted) = self.log.read_committed(from, to, 700, true).await.unwrap();
            let Some(range) = slice.records else {
                assert!(slice.next_offset >= from);
                if from >= below {
                    break;
                }
                from = below;
                continue;
            };
            aborted.sort_by_key(|txn| txn.first_offset);
            let mut aborted = aborted.into_iter().peekable();
            for batch in split(range.read().await.unwrap()).unwrap() {
                batch.check_crc().unwrap();
                assert!(batch.base_offset().0 > last_batch, "seed {}: order", self.seed);
                last_batch = batch.last_offset().0;
                while let Some(txn) = aborted.next_if(|txn| txn.first_offset <= batch.last_offset()) {
                    aborted_now.insert(txn.producer);
                }
                self.see(&batch, &mut aborted_now, from >= below, &mut sight);
            }
            assert!(slice.next_offset > from, "seed {}: no progress at {from}", self.seed);
            from = slice.next_offset;
        }
        sight
    }

    /// As a client reads: a transaction's records are not given out from its entry in the list on, to its marker.
    fn see(&self, batch: &Batch, aborted: &mut BTreeSet<ProducerId>, is_unstable: bool, sight: &mut Sight) {
        sight.batch_ends.insert((batch.producer_id().0, batch.last_offset().0));
        let is_hidden = is_unstable || batch.is_transactional() && aborted.contains(&batch.producer_id());
        let mut marker = None;
        batch
            .each(&Limits::default(), |record| {
                if batch.is_control() {
                    marker = Some((record.offset.0, record.key.unwrap()[3]));
                    return;
                }
                assert_eq!(record.headers.count(), 1);
                let (key, value) = (record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec));
                sight.records.insert(record.offset.0, Seen { time: record.timestamp.0, key, value });
                let is_open = self.model.records.get(&record.offset.0).is_some_and(|known| known.fate == Fate::Open);
                if !is_hidden || is_unstable && !is_open && !self.is_aborted(record.offset.0) {
                    sight.committed.insert(record.offset.0);
                }
            })
            .unwrap();
        if let Some((offset, kind)) = marker {
            sight.markers.insert(offset);
            if kind == 0 {
                aborted.remove(&batch.producer_id());
            }
        }
    }

    fn is_aborted(&self, offset: i64) -> bool {
        self.model.records.get(&offset).is_some_and(|known| known.fate == Fate::Aborted)
    }

    async fn stop_in_a_compaction(&mut self) {
        let changes = self.below(40);
        if !self.clean(Some(changes)).await {
            self.look().await;
            return;
        }
        let names = self.sim.files();
        let has = |ending: &str| names.iter().any(|(path, _)| path.to_str().unwrap().ends_with(ending));
        if has(".log.swap") {
            self.did("kill in a swap");
        }
        let is_power_cut = self.below(3) == 0;
        self.did(if is_power_cut { "power cut in a compaction" } else { "kill in a compaction" });
        self.stop(is_power_cut).await;
    }

    async fn stop(&mut self, is_power_cut: bool) {
        self.did(if is_power_cut { "power cut" } else { "kill" });
        assert!(self.runtime.tasks.stop_and_wait(Duration::from_secs(10)).await, "seed {}", self.seed);
        let settled = self.log.recovery_point().0;
        if is_power_cut {
            let random = &self.random;
            self.sim.crash(|bound| random.below(bound.saturating_add(1)).min(bound));
        }
        let now = self.runtime.clock.elapsed();
        let (disk, runtime) = machine(self.seed, &self.sim);
        (self.disk, self.runtime) = (disk, runtime);
        // The new machine's clock starts where every simulation does: it goes on from where the old one was.
        self.runtime.clock.sleep(now).await;
        let recovery = if is_power_cut { Recovery::POWER_LOST } else { Recovery::KILLED };
        let opened = Log::open(self.runtime.clone(), id(), self.config.clone(), recovery).await;
        self.log = opened.unwrap_or_else(|error| panic!("seed {} {:?}: {error}", self.seed, self.done));
        let leftover = |path: &PathBuf| [".cleaned", ".swap"].iter().any(|end| path.to_str().unwrap().ends_with(end));
        let mut files = self.sim.files().into_iter().map(|(path, _)| path);
        assert!(!files.any(|path| leftover(&path) && !path.ends_with("millstream.swap")), "seed {}", self.seed);
        let end = self.log.log_end().0;
        assert!(end >= settled.min(self.model.end) && end <= self.model.end, "seed {}: ends at {end}", self.seed);
        if is_power_cut {
            self.model.cut(end);
            self.note_aborted_again().await;
        } else {
            assert_eq!(end, self.model.end, "seed {}", self.seed);
        }
        self.cleaned_to = self.cleaned_to.min(end);
        self.log.set_cleaned_to(Offset(self.cleaned_to));
        self.look().await;
    }

    /// What the owner of the producers' state does after a power cut without a snapshot: reads the log again.
    async fn note_aborted_again(&mut self) {
        assert!(self.log.forget_aborted_from(self.log.log_start()).await.unwrap());
        let mut open: BTreeMap<i64, i64> = BTreeMap::new();
        let mut from = self.log.log_start();
        while from < self.log.log_end() {
            let slice = self.log.read(from, self.log.log_end(), 1 << 20, true).await.unwrap();
            let Some(range) = slice.records else { break };
            for batch in split(range.read().await.unwrap()).unwrap().iter().filter(|batch| batch.is_transactional()) {
                let producer = batch.producer_id();
                if !batch.is_control() {
                    open.entry(producer.0).or_insert(batch.base_offset().0);
                    continue;
                }
                let mut aborts = false;
                batch.each(&Limits::default(), |record| aborts = record.key.unwrap()[3] == 0).unwrap();
                let Some(first) = open.remove(&producer.0).filter(|_| aborts) else { continue };
                let last_offset = batch.base_offset();
                let last_stable = Offset(open.values().min().copied().unwrap_or(last_offset.0 + 1));
                let entry = AbortedTxn { producer, first_offset: Offset(first), last_offset, last_stable };
                self.log.add_aborted(&[entry]).await.unwrap();
            }
            from = slice.next_offset;
        }
    }
}
