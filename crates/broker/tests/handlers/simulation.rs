//! A whole node in a simulated world: requests and tasks, some on their way when the power is cut or the process killed, the wall clock set
//! forwards and back, restarts. A seed run twice leaves the same trace. What was acknowledged with `flush.messages=1` is there after every
//! crash, once and in order; of what the function made of it readers of committed records see a beginning at any time, and in the end all,
//! once and in order; the connector skipped no line.

#[path = "simulation/model.rs"]
mod model;
#[path = "simulation/tasks.rs"]
mod tasks;

use crate::node::{Node, code, produce, sequenced, topic_name};
use futures::future::LocalBoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use kafka_protocol::messages::GroupId;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestTopic};
use millstream_partition::{Isolation, PartitionHandle, ReadRequest};
use millstream_record::{Batch, Limits};
use millstream_runtime::{Random, Runtime, SeededRandom, SimClock, SimDisk};
use millstream_task::SOURCE_POSITIONS_TOPIC;
use millstream_types::{Offset, PartitionIndex, TopicPartition};
use model::{Commits, Lane, Topics};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tasks::{INPUT, LINES, MADE};

const PARTITIONS: i32 = 3;
/// Crashes of one seed.
const CRASHES: u64 = 4;
const STEPS_MAX: u64 = 24;
const DURABLE: [(&str, &str); 4] = [
    ("flush.messages", "1"),
    ("segment.bytes", "4096"),
    ("retention.ms", "-1"),
    // Records keep their time while the clock is set back by hours.
    ("message.timestamp.after.max.ms", "9223372036854775807"),
];
/// Looks, 50 ms of virtual time apart, until the tasks must have done their work.
const LOOKS: u32 = 2_000;

/// FNV-1a over everything that was seen.
struct Trace(u64);

impl Trace {
    fn note(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }
}

/// How a life of the node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The process was killed: the page cache is still there.
    Kill,
    /// The power was cut: what was not synced may be gone, and the machine boots anew.
    PowerCut,
}

/// What a request on its way comes to.
enum Done {
    Produced { index: usize, code: i16, base: i64 },
    Committed { offset: i64, code: i16 },
    Made { name: String, code: i16 },
}

struct World {
    seed: u64,
    disk: Arc<SimDisk>,
    draw: SeededRandom,
    trace: Trace,
    lanes: Vec<Lane>,
    commits: Commits,
    topics: Topics,
    /// The highest line that was ever read back.
    line: Option<u64>,
    lives: u64,
    boots: u64,
    last: Option<End>,
    clock_ahead_ms: i64,
    ends: Ends,
}

/// How the function's transactions ended, in each partition that it wrote to.
#[derive(Debug, Default, Clone, Copy)]
struct Ends {
    committed: u64,
    aborted: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            disk: Arc::new(SimDisk::slow()),
            draw: SeededRandom::new(seed),
            trace: Trace(0xCBF2_9CE4_8422_2325),
            lanes: (0..PARTITIONS).map(|_| Lane::default()).collect(),
            commits: Commits::default(),
            topics: Topics::default(),
            line: None,
            lives: 0,
            boots: 0,
            last: None,
            clock_ahead_ms: 0,
            ends: Ends::default(),
        }
    }

    fn context(&self) -> String {
        format!("seed {} life {} after {:?}", self.seed, self.lives, self.last)
    }

    async fn start(&mut self) -> Node {
        let clock = SimClock::new();
        clock.jump(self.clock_ahead_ms);
        let machine = Runtime::simulated(self.seed.wrapping_mul(100) + self.lives, self.disk.clone());
        let node =
            Node::over(Runtime { clock: Arc::new(clock), ..machine }, &format!("boot-{}", self.boots), &[]).await;
        if self.lives == 0 {
            for (topic, partitions) in [(INPUT, PARTITIONS), (MADE, PARTITIONS), (LINES, 1)] {
                node.topic(topic, partitions, &DURABLE).await;
            }
            node.topic(SOURCE_POSITIONS_TOPIC, 1, &[("cleanup.policy", "compact")]).await;
            // What coordinators need of the metadata is there before anybody else changes those: of several that wait for the same news,
            // who hears it first is drawn by lot.
            node.coordinator.partition_of("any").await.unwrap();
            node.coordinator.init_as_admin("any", 1_000).await.unwrap();
        }
        while !node.is_coordinating() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        node
    }

    /// One life of the node: everything is held to the model, then requests come until it crashes with some on their way.
    async fn live(&mut self) {
        let node = self.start().await;
        self.check(&node).await;
        let _host = tasks::start(&node).await;
        let mut running: FuturesUnordered<LocalBoxFuture<'_, Done>> = FuturesUnordered::new();
        // What the last life left unanswered is sent again first.
        for index in (0..self.lanes.len()).filter(|index| self.lanes[*index].pending.is_some()) {
            running.push(send(&node, index, &self.lanes[index]));
        }
        for step in 0..self.draw.below(STEPS_MAX) {
            self.begin(&node, step, &mut running);
            for _ in 0..self.draw.below(3) {
                if let Some(done) = running.next().await {
                    self.note(done);
                }
            }
            if self.draw.below(3) == 0 {
                tokio::time::sleep(Duration::from_millis(self.draw.below(120))).await;
            }
        }
    }

    fn begin<'a>(&mut self, node: &'a Node, step: u64, running: &mut FuturesUnordered<LocalBoxFuture<'a, Done>>) {
        match self.draw.below(8) {
            0 if !self.commits.waiting => {
                self.commits.waiting = true;
                let offset = self.commits.tried.last().map_or(1, |last| last + 1);
                self.commits.tried.insert(offset);
                running.push(Box::pin(commit(node, offset)));
            }
            1 => {
                let name = format!("made-{}-{step}", self.lives);
                self.topics.tried.insert(name.clone());
                running.push(Box::pin(make(node, name)));
            }
            _ => {
                let index = usize::try_from(self.draw.below(self.lanes.len() as u64)).unwrap();
                if self.lanes[index].pending.is_none() {
                    let long = |draw: &SeededRandom| "x".repeat(usize::try_from(draw.below(400)).unwrap());
                    let value = |n: u64| format!("{}-{step}-{n}-{}", self.lives, long(&self.draw));
                    self.lanes[index].pending = Some((0..=self.draw.below(3)).map(value).collect());
                    running.push(send(node, index, &self.lanes[index]));
                }
            }
        }
    }

    fn note(&mut self, done: Done) {
        match done {
            Done::Produced { index, code, base } => {
                assert_eq!(code, 0, "{}", self.context());
                self.trace.note(&base.to_be_bytes());
                self.lanes[index].answered(base);
            }
            Done::Committed { offset, code } => {
                self.commits.waiting = false;
                // Any other code is of a group that is not loaded yet.
                if code == 0 {
                    self.commits.acked = Some(offset);
                }
            }
            Done::Made { name, code } => {
                assert_eq!(code, 0, "{}: {name}", self.context());
                self.topics.made.insert(name);
            }
        }
    }

    /// Holds the node to what it acknowledged.
    async fn check(&mut self, node: &Node) {
        for index in 0..PARTITIONS {
            let log = self.read(node, INPUT, index).await;
            let context = format!("{} partition {index}", self.context());
            self.lanes[usize::try_from(index).unwrap()].check(&log, &context);
            let made = self.read(node, MADE, index).await;
            let expected: Vec<String> = log.iter().map(|value| format!("marked {value}")).collect();
            assert!(expected.starts_with(&made), "{context}: {made:?} came of {expected:?}");
        }
        let image = node.quorum.image();
        for name in &self.topics.made {
            assert!(image.topic_named(name).is_some(), "{}: {name} was made", self.context());
        }
        if let Some(acked) = self.commits.acked {
            let found = committed(node).await;
            assert!(self.commits.tried.contains(&found), "{}: {found} committed", self.context());
            assert!(found >= acked, "{}: {found}, not {acked}", self.context());
            self.commits.acked = Some(found);
        }
        let lines = self.lines(node).await;
        assert!(lines.last().copied() >= self.line, "{}: a line is gone", self.context());
        self.line = lines.last().copied();
    }

    /// The committed values of a partition, from its start.
    async fn read(&mut self, node: &Node, topic: &str, index: i32) -> Vec<String> {
        let handle = partition(node, topic, index).await;
        let (mut values, mut from) = (Vec::new(), Offset::ZERO);
        while from < handle.bounds().last_stable {
            let (batches, _) = handle.read_committed(from, 1 << 20).await.unwrap();
            for batch in batches {
                self.trace.note(batch.bytes());
                from = batch.next_offset();
                if batch.is_control() {
                    continue;
                }
                let records = batch.records(&Limits::default()).unwrap();
                values.extend(records.values.iter().map(|value| String::from_utf8(value.unwrap().to_vec()).unwrap()));
            }
        }
        values
    }

    /// Counts the ends of the function's transactions.
    async fn count_ends(&mut self, node: &Node) {
        for index in 0..PARTITIONS {
            let handle = partition(node, MADE, index).await;
            let mut from = Offset::ZERO;
            while from < handle.bounds().log_end {
                let request = ReadRequest { isolation: Isolation::LogEnd, ..ReadRequest::new(from, 1 << 20) };
                let (bytes, _) = handle.read_bytes(request).await.unwrap();
                for batch in millstream_record::split(bytes).unwrap() {
                    from = batch.next_offset();
                    match commits(&batch) {
                        Some(true) => self.ends.committed += 1,
                        Some(false) => self.ends.aborted += 1,
                        None => {}
                    }
                }
            }
        }
    }

    /// The lines that were read, which have no gap.
    async fn lines(&mut self, node: &Node) -> BTreeSet<u64> {
        let lines: BTreeSet<u64> =
            self.read(node, LINES, 0).await.iter().map(|line| line.parse::<u64>().unwrap()).collect();
        let count = lines.last().map_or(0, |last| last + 1);
        assert_eq!(lines.len() as u64, count, "{}: the connector skipped a line", self.context());
        lines
    }

    /// The last life: nothing disturbs it, and the tasks catch up.
    async fn rest(&mut self) {
        let node = self.start().await;
        self.check(&node).await;
        let host = tasks::start(&node).await;
        for index in 0..self.lanes.len() {
            if self.lanes[index].pending.is_some() {
                let done = send(&node, index, &self.lanes[index]).await;
                self.note(done);
            }
        }
        let marked = |lane: &Lane| lane.acked.iter().map(|value| format!("marked {value}")).collect();
        let all: Vec<Vec<String>> = self.lanes.iter().map(marked).collect();
        let lines_before = self.line;
        for look in 0.. {
            let mut made = Vec::new();
            for index in 0..PARTITIONS {
                made.push(self.read(&node, MADE, index).await);
            }
            for (made, all) in made.iter().zip(&all) {
                assert!(all.starts_with(made), "{}: {made:?} came of {all:?}", self.context());
            }
            let lines = self.lines(&node).await;
            if made == all && lines.last().copied() > lines_before {
                break;
            }
            assert!(look < LOOKS, "{}: {made:?}, not {all:?}; {:?}", self.context(), host.status());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(host.stop().await);
        self.count_ends(&node).await;
    }

    /// Ends a life, whose tasks are gone already: every one of them where it waited.
    fn crash(&mut self) {
        let draw = &self.draw;
        let end = if draw.below(4) == 0 { End::Kill } else { End::PowerCut };
        if end == End::PowerCut {
            self.disk.crash(|most| draw.below(most + 1));
            self.boots += 1;
        }
        let ahead = [0, 0, 3_600_000, -3_600_000, 1, -1_000][usize::try_from(draw.below(6)).unwrap()];
        self.clock_ahead_ms += ahead;
        self.last = Some(end);
        self.commits.waiting = false;
        self.lives += 1;
        for (path, len) in self.disk.files() {
            self.trace.note(path.to_string_lossy().as_bytes());
            self.trace.note(&len.to_be_bytes());
        }
    }
}

fn send<'a>(node: &'a Node, index: usize, lane: &Lane) -> LocalBoxFuture<'a, Done> {
    let values = lane.pending.as_ref().unwrap();
    let texts: Vec<&str> = values.iter().map(String::as_str).collect();
    let (partition, producer) = (i32::try_from(index).unwrap(), i64::try_from(index).unwrap() + 1);
    let request = produce(INPUT, partition, Some(sequenced(producer, lane.sequence(), &texts)), -1);
    Box::pin(async move {
        let response = node.ask(9, &request).await;
        let base = response.responses[0].partition_responses[0].base_offset;
        Done::Produced { index, code: code(&response), base }
    })
}

async fn partition(node: &Node, topic: &str, index: i32) -> PartitionHandle {
    let id = TopicPartition::new(node.quorum.image().topic_id(topic).unwrap(), PartitionIndex(index));
    node.partitions.ready(id, Duration::from_secs(10)).await.unwrap()
}

/// Of the end of a transaction, whether it commits.
fn commits(batch: &Batch) -> Option<bool> {
    let mut commits = None;
    if batch.is_control() {
        // version i16 | type i16: 0 abort, 1 commit
        batch.each(&Limits::default(), |record| commits = Some(record.key.unwrap()[3] == 1)).unwrap();
    }
    commits
}

fn group() -> GroupId {
    GroupId("simulated".into())
}

async fn commit(node: &Node, offset: i64) -> Done {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
    let topic = OffsetCommitRequestTopic::default().with_name(topic_name(INPUT)).with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(group())
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    let response = node.ask(8, &request).await;
    Done::Committed { offset, code: response.topics[0].partitions[0].error_code }
}

/// The group's offset, as soon as the group is loaded.
async fn committed(node: &Node) -> i64 {
    let topic = OffsetFetchRequestTopic::default().with_name(topic_name(INPUT)).with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default().with_group_id(group()).with_topics(Some(vec![topic]));
    for _ in 0..LOOKS {
        let response = node.ask(5, &request).await;
        if response.error_code == 0 {
            return response.topics[0].partitions[0].committed_offset;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the group was never loaded");
}

async fn make(node: &Node, name: String) -> Done {
    let topic =
        CreatableTopic::default().with_name(topic_name(&name)).with_num_partitions(1).with_replication_factor(1);
    let response = node.ask(7, &CreateTopicsRequest::default().with_topics(vec![topic])).await;
    Done::Made { code: response.topics[0].error_code, name }
}

/// A life in a process of its own: when it ends, all its tasks end where they are.
fn life(live: impl AsyncFnOnce()) {
    let process = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    process.block_on(live());
}

fn world(seed: u64) -> (u64, Ends) {
    let mut world = World::new(seed);
    for _ in 0..CRASHES {
        life(async || world.live().await);
        world.crash();
    }
    life(async || world.rest().await);
    (world.trace.0, world.ends)
}

/// `MILLSTREAM_SEEDS` runs more of them: 250 are a thousand crashes.
fn seeds() -> u64 {
    std::env::var("MILLSTREAM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12)
}

#[test]
fn what_was_acknowledged_survives_every_crash_and_what_came_of_it_is_there_once() {
    let (next, seeds) = (AtomicU64::new(0), seeds());
    let (committed, aborted) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    let (_, ends) = world(seed);
                    committed.fetch_add(ends.committed, Ordering::Relaxed);
                    aborted.fetch_add(ends.aborted, Ordering::Relaxed);
                }
            });
        }
    });
    let (committed, aborted) = (committed.into_inner(), aborted.into_inner());
    println!(
        "{} simulated crashes; transactions by partition: {committed} committed, {aborted} aborted",
        seeds * CRASHES
    );
    // Or the crashes came where nothing was open.
    assert!(committed >= seeds * 4 && aborted >= seeds / 4, "{committed} committed, {aborted} aborted");
}

#[test]
fn a_seed_leaves_the_same_trace_again() {
    for seed in 0..3 {
        assert_eq!(world(seed).0, world(seed).0, "seed {seed}");
    }
}
