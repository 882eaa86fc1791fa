//! The world of the simulation: the network, the coordinator with its log, the partitions, and what is known to have been promised.

use crate::client::{Client, Doing, Learned};
use millstream_txn::{
    AddRequest, Change, Config, Effects, EndRequest, Error, Guard, Identity, InitRequest, Marker, Now, Outcome,
    Partition, Producers, Sequenced, Shard, StoredRecord, Transaction, TransactionState, Unverified, Verdict, Version,
    Waiter, Write, WriteError,
};
use millstream_types::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub const PARTITIONS: usize = 3;
const IDS: [&str; 2] = ["one", "two"];
const TIMEOUT_MS: i32 = 5_000;
/// The timeout and the pause between two looks for it.
const LONG_MS: u64 = 16_000;

/// SplitMix64.
pub struct Dice(u64);

impl Dice {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }
}

/// One transaction of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(pub u64);

/// What is on its way.
#[derive(Debug, Clone)]
pub enum Message {
    Init {
        client: usize,
        call: u64,
        expected: Option<Identity>,
    },
    Produce {
        client: usize,
        call: u64,
        tag: Tag,
        identity: Identity,
        sequence: i32,
        partition: usize,
    },
    /// A produce whose transaction's coordinator was asked.
    Append {
        client: usize,
        call: u64,
        tag: Tag,
        batch: Sequenced,
        partition: usize,
        guard: Option<Guard>,
    },
    End {
        client: usize,
        call: u64,
        tag: Tag,
        identity: Identity,
        outcome: Outcome,
    },
    Mark {
        id: Arc<str>,
        marker: Marker,
        version: Version,
        partition: Partition,
    },
    Marked {
        id: Arc<str>,
        marker: Marker,
        partition: Partition,
    },
    Answer {
        client: usize,
        call: u64,
        answer: Result<Identity, Error>,
    },
}

/// Who gets an answer of the coordinator.
enum Asker {
    Client(usize, u64),
    Append(Message),
}

/// One thing in a partition's log.
#[derive(Debug, Clone, PartialEq)]
enum Stored {
    Record(ProducerId, Tag, u64),
    Marker(Marker),
}

#[derive(Default)]
struct Log {
    producers: Producers,
    stored: Vec<Stored>,
}

/// What a client was told of a transaction.
#[derive(Default)]
struct Promised {
    asked_commit: bool,
    answered: Option<Outcome>,
    acked: BTreeSet<u64>,
}

/// See the module.
pub struct World {
    dice: Dice,
    shard: Shard,
    records: Vec<StoredRecord>,
    writes: VecDeque<Write>,
    coordinator_epoch: i32,
    now_ms: u64,
    logs: [Log; PARTITIONS],
    network: Vec<Message>,
    clients: Vec<Client>,
    askers: BTreeMap<Waiter, Asker>,
    promised: BTreeMap<Tag, Promised>,
    drawn: u64,
    pub counts: BTreeMap<&'static str, u64>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut world = Self {
            dice: Dice(seed),
            shard: Shard::new(Config::default(), 0),
            records: vec![nearly_used_up()],
            writes: VecDeque::new(),
            coordinator_epoch: 0,
            now_ms: 0,
            logs: Default::default(),
            network: Vec::new(),
            clients: [0, 0, 1].into_iter().enumerate().map(|(number, id)| Client::new(number, id)).collect(),
            askers: BTreeMap::new(),
            promised: BTreeMap::new(),
            drawn: 1_000,
            counts: BTreeMap::new(),
        };
        world.load();
        world
    }

    /// Everything that was decided and stored, as text.
    pub fn trace(&self) -> String {
        let logs: Vec<_> = self.logs.iter().map(|log| &log.stored).collect();
        format!("{:?} {logs:?} {:?}", self.records, self.counts)
    }

    fn count(&mut self, event: &'static str) {
        *self.counts.entry(event).or_default() += 1;
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.drawn
    }

    fn now(&self) -> Now {
        Now { wall: TimestampMs(i64::try_from(self.now_ms).unwrap()), elapsed_ms: self.now_ms }
    }

    /// Whatever may happen next.
    pub fn step(&mut self) {
        self.now_ms += self.dice.below(20);
        match self.dice.below(1_000) {
            0..2 => self.crash(),
            2 => {
                self.count("time passed");
                self.now_ms += LONG_MS;
            }
            3..250 => self.act(),
            250..500 => self.write(),
            _ => self.deliver(),
        }
        self.tick();
    }

    /// Everything that is on its way arrives, nobody begins anything, and what hangs times out.
    pub fn heal(&mut self) {
        self.dice = Dice(0);
        for _ in 0..50 {
            while !self.network.is_empty() || !self.writes.is_empty() {
                self.settle_first(Ok(()));
                if !self.network.is_empty() {
                    let message = self.network.remove(0);
                    self.arrive(message);
                }
            }
            self.now_ms += LONG_MS;
            self.tick();
        }
    }

    fn tick(&mut self) {
        let before = self.writes.len();
        let effects = self.shard.tick(self.now());
        self.run(effects);
        if self.writes.len() > before {
            self.count("timed out");
        }
    }

    fn crash(&mut self) {
        self.count("crash");
        // Some of what was being written was written, and nobody was told.
        let written = self.dice.index(self.writes.len() + 1);
        self.records.extend(self.writes.drain(..).take(written).map(|write| write.record));
        self.askers.clear();
        self.coordinator_epoch += 1;
        self.load();
    }

    fn load(&mut self) {
        self.writes.clear();
        self.shard = Shard::new(Config::default(), self.coordinator_epoch);
        for record in &self.records {
            self.shard.replay(Change::decode(&record.key, record.value.as_deref()).unwrap());
        }
        let effects = self.shard.loaded(self.now());
        self.run(effects);
    }

    fn act(&mut self) {
        let call = self.draw();
        // The second client of an id comes seldom: two that take turns would only fence each other.
        let client = if self.dice.below(100) == 0 { 1 } else { 2 * self.dice.index(2) };
        let client = &mut self.clients[client];
        if client.doing != Doing::Nothing && client.is_sent && self.dice.below(10) != 0 {
            return;
        }
        client.is_sent = true;
        client.choose(&mut self.dice, call);
        let request = client.request();
        if let Message::End { tag, outcome: Outcome::Commit, .. } = request {
            self.promised.entry(tag).or_default().asked_commit = true;
        }
        self.network.push(request);
    }

    fn write(&mut self) {
        let outcome = if self.dice.below(20) == 0 { Err(WriteError::NotAvailable) } else { Ok(()) };
        self.settle_first(outcome);
    }

    fn settle_first(&mut self, outcome: Result<(), WriteError>) {
        let Some(write) = self.writes.pop_front() else { return };
        match outcome {
            Ok(()) => self.records.push(write.record),
            Err(_) => self.count("write failed"),
        }
        let effects = self.shard.written(write.ticket, outcome, self.now());
        self.run(effects);
    }

    fn deliver(&mut self) {
        if self.network.is_empty() {
            return;
        }
        let index = self.dice.index(self.network.len());
        let message = match self.dice.below(10) {
            // Comes again later.
            0 => self.network[index].clone(),
            // Never comes; what the coordinator itself sends it sends until it is answered.
            1 if !matches!(self.network[index], Message::Mark { .. } | Message::Marked { .. }) => {
                self.network.swap_remove(index);
                return;
            }
            _ => self.network.swap_remove(index),
        };
        self.arrive(message);
    }

    fn arrive(&mut self, message: Message) {
        let now = self.now();
        match message {
            Message::Init { client, call, expected } => {
                let fresh = Some(ProducerId(i64::try_from(self.draw()).unwrap()));
                let id = IDS[self.clients[client].id].to_owned();
                let request = InitRequest { id, timeout_ms: TIMEOUT_MS, expected, fresh };
                let waiter = self.asker(Asker::Client(client, call));
                let effects = self.shard.init(&request, waiter, now);
                self.run(effects);
            }
            Message::Produce { client, call, tag, identity, sequence, partition } => {
                self.produce((client, call, tag), identity, sequence, partition);
            }
            Message::Append { client, call, tag, batch, partition, guard } => {
                let answer = self.append((tag, call), &batch, partition, guard);
                self.network.push(Message::Answer { client, call, answer });
            }
            Message::End { client, call, identity, outcome, .. } => {
                let fresh = Some(ProducerId(i64::try_from(self.draw()).unwrap()));
                let id = IDS[self.clients[client].id].to_owned();
                let request = EndRequest { id, identity, outcome, version: Version::Bumping, fresh };
                let waiter = self.asker(Asker::Client(client, call));
                let effects = self.shard.end(&request, waiter, now);
                self.run(effects);
            }
            Message::Mark { id, marker, version, partition } => self.mark(id, marker, version, partition),
            Message::Marked { id, marker, partition } => {
                let effects = self.shard.marked(&id, &marker, &partition, now);
                self.run(effects);
            }
            Message::Answer { client, call, answer } => self.answer(client, call, answer),
        }
    }

    fn asker(&mut self, asker: Asker) -> Waiter {
        let waiter = Waiter(self.draw());
        self.askers.insert(waiter, asker);
        waiter
    }

    fn produce(&mut self, (client, call, tag): (usize, u64, Tag), identity: Identity, sequence: i32, partition: usize) {
        let Identity { producer, epoch } = identity;
        let batch = Sequenced { producer, epoch, first_sequence: sequence, records: 1, is_transactional: true };
        let asked = Unverified { producer, epoch, first_sequence: sequence, bumps: true };
        let now = self.now();
        let guard = self.logs[partition].producers.verify(&asked, now.wall);
        let append = Message::Append { client, call, tag, batch, partition, guard };
        if guard.is_none() {
            return self.arrive(append);
        }
        let id = IDS[self.clients[client].id].to_owned();
        let partitions = [named(partition)].into_iter().collect();
        let waiter = self.asker(Asker::Append(append));
        let effects = self.shard.add(&AddRequest { id, identity, partitions, version: Version::Bumping }, waiter, now);
        self.run(effects);
    }

    fn append(
        &mut self,
        (tag, call): (Tag, u64),
        batch: &Sequenced,
        partition: usize,
        guard: Option<Guard>,
    ) -> Result<Identity, Error> {
        let log = &mut self.logs[partition];
        let verdict = log.producers.check(batch, guard).inspect_err(|_| {
            *self.counts.entry("late append refused").or_default() += u64::from(guard.is_some());
        })?;
        if verdict == Verdict::Accept {
            let base = Offset(i64::try_from(log.stored.len()).unwrap());
            log.producers.apply(batch, base, TimestampMs(0));
            log.stored.push(Stored::Record(batch.producer, tag, call));
        }
        Ok(Identity { producer: batch.producer, epoch: batch.epoch })
    }

    fn mark(&mut self, id: Arc<str>, marker: Marker, version: Version, partition: Partition) {
        let log = &mut self.logs[usize::try_from(partition.index).unwrap()];
        if let Err(error) = log.producers.check_marker(&marker, version) {
            // Only a marker that came late may be stale: of a coordinator that crashed, or after another with the same news.
            let is_known = |stored: &Stored| matches!(stored, Stored::Marker(known) if (known.producer, known.epoch) == (marker.producer, marker.epoch));
            let is_late = marker.coordinator_epoch < self.coordinator_epoch || log.stored.iter().any(is_known);
            assert!(is_late, "{error}: {marker:?}");
            return;
        }
        let offset = Offset(i64::try_from(log.stored.len()).unwrap());
        log.producers.end(&marker, offset, TimestampMs(0));
        log.stored.push(Stored::Marker(marker));
        log.producers.replicated_to(offset + 1);
        self.network.push(Message::Marked { id, marker, partition });
    }

    fn answer(&mut self, client: usize, call: u64, answer: Result<Identity, Error>) {
        let (tag, next_call) = (Tag(self.draw()), self.draw());
        let client = &mut self.clients[client];
        if client.call != call || client.doing == Doing::Nothing {
            return;
        }
        let (before, of) = (client.identity, client.tag);
        let learned = client.answered(answer, tag, next_call, &mut self.dice);
        let is_rotated = client.identity.producer != before.producer && before != Identity::NONE;
        let promised = self.promised.entry(of).or_default();
        let event = match learned {
            Learned::Nothing => None,
            Learned::Acked => {
                promised.acked.insert(call);
                None
            }
            Learned::Ended(outcome) => {
                promised.answered = Some(outcome);
                Some(if outcome == Outcome::Commit { "commit answered" } else { "abort answered" })
            }
            Learned::Fenced => Some("fenced"),
        };
        event.into_iter().for_each(|event| self.count(event));
        if is_rotated {
            self.count("producer id changed");
        }
    }

    fn run(&mut self, effects: Effects) {
        self.writes.extend(effects.writes);
        for (waiter, answer) in effects.replies {
            match (self.askers.remove(&waiter), answer) {
                (None, _) => {}
                (Some(Asker::Client(client, call)), answer) => {
                    self.network.push(Message::Answer { client, call, answer });
                }
                (Some(Asker::Append(append)), Ok(_)) => self.network.push(append),
                (Some(Asker::Append(Message::Append { client, call, .. })), Err(error)) => {
                    self.network.push(Message::Answer { client, call, answer: Err(error) });
                }
                (Some(Asker::Append(_)), Err(_)) => unreachable!("only an append asks for partitions"),
            }
        }
        for ending in effects.endings {
            let (id, marker, version) = (ending.id, ending.marker, ending.version);
            self.network.extend(ending.partitions.into_iter().map(|partition| Message::Mark {
                id: id.clone(),
                marker,
                version,
                partition,
            }));
        }
    }

    /// What was promised, held against what is in the logs.
    pub fn check(&mut self) {
        let mut fates: BTreeMap<Tag, BTreeSet<Outcome>> = BTreeMap::new();
        let mut present: BTreeMap<Tag, BTreeSet<u64>> = BTreeMap::new();
        let mut ended = Vec::new();
        for (number, log) in self.logs.iter().enumerate() {
            assert_eq!(log.producers.first_unstable(), None, "a transaction hangs in partition {number}");
            for (offset, stored) in log.stored.iter().enumerate() {
                let Stored::Record(producer, tag, call) = stored else { continue };
                let end = log.stored[offset..].iter().find_map(|later| match later {
                    Stored::Marker(marker) if marker.producer == *producer => Some(marker.outcome),
                    Stored::Marker(_) | Stored::Record(..) => None,
                });
                let end = end.expect("no record is left without a marker");
                ended.push(end);
                fates.entry(*tag).or_default().insert(end);
                assert!(present.entry(*tag).or_default().insert(*call), "{tag:?}: call {call} is there twice");
            }
        }
        for (tag, promised) in &self.promised {
            let fate = fates.remove(tag).unwrap_or_default();
            assert!(fate.len() <= 1, "{tag:?} was committed here and aborted there");
            let committed = fate.contains(&Outcome::Commit);
            assert!(!committed || promised.asked_commit, "{tag:?} was committed, and nobody asked for that");
            assert!(promised.acked.is_subset(&present.remove(tag).unwrap_or_default()), "{tag:?}: records are missing");
            if let (Some(answered), false) = (promised.answered, promised.acked.is_empty()) {
                assert_eq!(fate, [answered].into_iter().collect(), "{tag:?}");
            }
        }
        assert!(fates.values().all(|fate| !fate.contains(&Outcome::Commit)), "of nobody who asked: {fates:?}");
        for outcome in ended {
            self.count(if outcome == Outcome::Commit { "records committed" } else { "records aborted" });
        }
    }
}

fn named(partition: usize) -> Partition {
    Partition { topic: "t".to_owned(), index: i32::try_from(partition).unwrap() }
}

/// The second id has few epochs left.
fn nearly_used_up() -> StoredRecord {
    let transaction = Transaction {
        producer: ProducerId(500),
        previous_producer: ProducerId::NONE,
        next_producer: ProducerId::NONE,
        epoch: ProducerEpoch(i16::MAX - 5),
        last_epoch: ProducerEpoch::NONE,
        timeout_ms: TIMEOUT_MS,
        state: TransactionState::Empty,
        partitions: BTreeSet::new(),
        started_at: TimestampMs::NONE,
        updated_at: TimestampMs(0),
        version: Version::Bumping,
    };
    Change::Transaction(IDS[1].to_owned(), Some(transaction)).encode().unwrap()
}
