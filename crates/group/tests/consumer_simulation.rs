//! Many members of the new protocol from a seed: heartbeats are lost on the way there or back, come twice or late, members die, are silent and
//! leave, topics grow, writes are late or fail, the coordinator crashes. What KIP-848 promises is checked after every step.

#![cfg(test)]

#[path = "support/desk.rs"]
mod desk;
#[path = "support/dice.rs"]
mod dice;

use desk::{Desk, GROUP};
use dice::Dice;
use millstream_group::{
    Beaten, ByTopic, CommitRequest, Config, ConsumerConfig, ConsumerHeartbeatRequest, Error, FetchRequest, GroupState,
    OffsetCommit, Partitions, Waiter, WriteError,
};
use millstream_types::{LeaderEpoch, Offset, TopicId};
use std::collections::{BTreeMap, BTreeSet};

const TOPICS: [&str; 2] = ["t", "u"];

/// A consumer, as far as it knows itself.
struct Client {
    member: String,
    instance: Option<String>,
    by_pattern: bool,
    epoch: i32,
    owned: Partitions,
    /// What it is to have; it gives back what is not in it when it gets to it.
    assigned: Partitions,
    /// The answer to its last heartbeat did not come, or it joins: it says everything again.
    says_all: bool,
    asked: Option<Waiter>,
    /// The answer will not reach it.
    loses_answer: bool,
    committing: Option<(Waiter, TopicId, i32, i64)>,
    is_alive: bool,
}

#[derive(Debug, Default)]
struct Seen {
    heartbeats: usize,
    lost: usize,
    fenced: usize,
    commits: usize,
    refused_commits: usize,
    reloads: usize,
    failed_writes: usize,
    revocations: usize,
    died: usize,
}

struct World {
    desk: Desk,
    dice: Dice,
    clients: Vec<Client>,
    names: usize,
    /// The newest offset that was committed, by partition.
    committed: BTreeMap<(TopicId, i32), i64>,
    /// Commits whose fate is not known.
    unsure: BTreeMap<Waiter, ((TopicId, i32), i64)>,
    seen: Seen,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let members_max = if dice.below(5) == 0 { 3 } else { 100 };
        let consumer = ConsumerConfig { members_max, ..ConsumerConfig::default() };
        let mut desk = Desk::new(Config { consumer, ..Config::default() });
        desk.writes_at_once = false;
        for name in TOPICS {
            desk.town.make(name, i32::try_from(1 + dice.below(6)).unwrap());
        }
        let count = 2 + dice.below(4);
        let (committed, unsure) = (BTreeMap::new(), BTreeMap::new());
        let mut world = Self { desk, dice, clients: Vec::new(), names: 0, committed, unsure, seen: Seen::default() };
        for index in 0..count {
            let instance = (world.dice.below(3) == 0).then(|| format!("i{index}"));
            let client = world.born(instance);
            world.clients.push(client);
        }
        world
    }

    /// A process that starts.
    fn born(&mut self, instance: Option<String>) -> Client {
        self.names += 1;
        Client {
            member: format!("m{}", self.names),
            instance,
            by_pattern: self.dice.below(3) == 0,
            epoch: 0,
            owned: Partitions::new(),
            assigned: Partitions::new(),
            says_all: true,
            asked: None,
            loses_answer: false,
            committing: None,
            is_alive: true,
        }
    }

    fn step(&mut self) {
        match self.dice.below(100) {
            0..=59 => {
                let index = usize::try_from(self.dice.below(self.clients.len() as u64)).unwrap();
                self.act(index);
            }
            60..=69 => {
                let ms = self.dice.below(4_000);
                self.desk.advance(ms);
            }
            70 => {
                let ms = self.dice.below(60_000);
                self.desk.advance(ms);
            }
            71 => self.reload(),
            72 => {
                let name = TOPICS[usize::try_from(self.dice.below(2)).unwrap()];
                let now = self.desk.partitions_of(name);
                self.desk.town.grow(name, now + 1);
            }
            73..=75 if !self.desk.held.is_empty() => {
                self.seen.failed_writes += 1;
                self.desk.settle(Err(WriteError::NotAvailable));
            }
            76 => self.desk.match_patterns(),
            _ if !self.desk.held.is_empty() => self.desk.settle(Ok(())),
            _ => {}
        }
        self.collect();
        self.check_owners();
    }

    fn act(&mut self, index: usize) {
        if !self.clients[index].is_alive {
            if self.dice.below(20) == 0 {
                let instance = self.clients[index].instance.clone();
                self.clients[index] = self.born(instance);
            }
            return;
        }
        match self.dice.below(40) {
            0 => self.die(index, 0),
            1 => self.die(index, -1),
            2 if self.clients[index].instance.is_some() => self.die(index, -2),
            3..=12 => self.commit(index),
            13..=22 => self.give_back(index),
            _ if self.clients[index].asked.is_none() => self.beat(index),
            // It has waited long enough, and comes with a new connection.
            23 => {
                self.clients[index].asked = None;
                self.clients[index].says_all = true;
            }
            _ => {}
        }
    }

    /// The process ends: without a word, or with a heartbeat that says so.
    fn die(&mut self, index: usize, epoch: i32) {
        self.seen.died += 1;
        if epoch < 0 && self.clients[index].epoch > 0 {
            let request = ConsumerHeartbeatRequest { epoch, ..self.request(index) };
            self.desk.beat_later(request);
        }
        self.clients[index].is_alive = false;
    }

    fn request(&self, index: usize) -> ConsumerHeartbeatRequest {
        let client = &self.clients[index];
        let mut request = ConsumerHeartbeatRequest {
            group: GROUP.into(),
            member: client.member.clone(),
            epoch: client.epoch,
            instance: client.instance.clone(),
            client_id: "c".into(),
            client_host: "/h".into(),
            makes_ids: true,
            owned: Some(client.owned.clone()),
            ..ConsumerHeartbeatRequest::default()
        };
        if client.says_all {
            request.rebalance_timeout_ms = Some(30_000);
            let names = if client.by_pattern { &TOPICS[..1] } else { &TOPICS[..] };
            request.topics = Some(names.iter().map(|name| (*name).to_owned()).collect());
            request.regex = client.by_pattern.then(|| "u".to_owned());
        }
        request
    }

    fn beat(&mut self, index: usize) {
        self.seen.heartbeats += 1;
        let request = self.request(index);
        let fate = self.dice.below(20);
        if fate == 0 {
            // It never came.
            self.seen.lost += 1;
            self.clients[index].says_all = true;
            return;
        }
        // One that says everything is sent again on a new connection, and both come; others are never repeated as they are.
        if fate <= 3 && self.clients[index].says_all {
            self.desk.beat_later(request.clone());
        }
        let waiter = self.desk.beat_later(request);
        self.clients[index].asked = Some(waiter);
        self.clients[index].loses_answer = self.dice.below(12) == 0;
    }

    fn collect(&mut self) {
        for index in 0..self.clients.len() {
            let answered = self.clients[index].asked.filter(|waiter| !self.desk.is_waiting(*waiter));
            if let Some(waiter) = answered {
                let answer = self.desk.beaten(waiter);
                self.clients[index].asked = None;
                if self.clients[index].loses_answer {
                    self.seen.lost += 1;
                    self.clients[index].says_all = true;
                } else {
                    self.learn(index, answer);
                }
            }
        }
        let settled: Vec<Waiter> =
            self.unsure.keys().copied().filter(|waiter| !self.desk.is_waiting(*waiter)).collect();
        for waiter in settled {
            let (partition, offset) = self.unsure.remove(&waiter).unwrap();
            let is_committed = self.desk.offsets(waiter).is_ok_and(|topics| topics[0].partitions[0].result.is_ok());
            if is_committed {
                self.seen.commits += 1;
                let newest = self.committed.entry(partition).or_insert(offset);
                assert!(*newest <= offset, "the offset of {partition:?} goes back from {newest} to {offset}");
                *newest = offset;
            } else {
                self.seen.refused_commits += 1;
            }
        }
    }

    fn learn(&mut self, index: usize, answer: Result<Beaten, Error>) {
        let client = &mut self.clients[index];
        match answer {
            Ok(beaten) => {
                client.epoch = beaten.epoch;
                client.says_all = false;
                if let Some(assigned) = beaten.assignment {
                    // What is new it has from now on; what is not there any more it gives back when it gets to it.
                    for (topic, partitions) in &assigned {
                        client.owned.entry(*topic).or_default().extend(partitions);
                    }
                    client.assigned = assigned;
                }
            }
            Err(Error::FencedMemberEpoch { .. } | Error::UnknownMemberId { .. } | Error::GroupIdNotFound { .. }) => {
                self.seen.fenced += 1;
                client.epoch = 0;
                client.owned.clear();
                client.assigned.clear();
                client.says_all = true;
                client.committing = None;
            }
            Err(Error::FencedInstanceId { .. }) => client.is_alive = false,
            Err(_) => client.says_all = true,
        }
    }

    fn give_back(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let kept = within(&client.owned, &client.assigned);
        // It gives back what it can see from its position, which a commit under way may still change.
        if client.committing.is_none() && kept != client.owned {
            self.seen.revocations += 1;
            client.owned = kept;
        }
    }

    /// Reads on from what is committed in one of its partitions, and commits that.
    fn commit(&mut self, index: usize) {
        if let Some((waiter, ..)) = self.clients[index].committing {
            if !self.desk.is_waiting(waiter) {
                self.clients[index].committing = None;
            }
            return;
        }
        let all: Vec<(TopicId, i32)> =
            self.clients[index].owned.iter().flat_map(|(topic, of)| of.iter().map(|one| (*topic, *one))).collect();
        if all.is_empty() || self.clients[index].epoch <= 0 {
            return;
        }
        let (topic, partition) = all[usize::try_from(self.dice.below(all.len() as u64)).unwrap()];
        let (member, epoch) = (self.clients[index].member.clone(), self.clients[index].epoch);
        let Some(name) = self.desk.name_of(topic) else { return };
        let wanted = Some(vec![ByTopic { topic: name.clone(), partitions: vec![partition] }]);
        let fetch = FetchRequest {
            group: GROUP.into(),
            member: Some((member.clone(), epoch)),
            topics: wanted,
            require_stable: false,
        };
        let Ok(fetched) = self.desk.shard.fetch(&fetch) else { return };
        let offset = fetched[0].partitions[0].offset.0.max(0) + 1;
        let commit = OffsetCommit {
            partition,
            offset: Offset(offset),
            leader_epoch: LeaderEpoch(0),
            metadata: String::new(),
            topic_id: topic,
        };
        let request = CommitRequest {
            group: GROUP.into(),
            member,
            instance: None,
            generation: epoch,
            speaks_epochs: true,
            retention_ms: None,
            topics: vec![ByTopic { topic: name, partitions: vec![commit] }],
        };
        let waiter = self.desk.commit(request);
        self.unsure.insert(waiter, ((topic, partition), offset));
        self.clients[index].committing = Some((waiter, topic, partition, offset));
    }

    fn reload(&mut self) {
        self.seen.reloads += 1;
        let is_settled = self.desk.held.is_empty();
        let before = self.desk.shard.describe_consumer(GROUP);
        self.desk.reload();
        if is_settled {
            assert_eq!(self.desk.shard.describe_consumer(GROUP).ok(), before.ok(), "what is read back is what was");
        }
        // Every connection is gone with the node.
        for client in &mut self.clients {
            if client.asked.take().is_some() {
                client.says_all = true;
            }
            client.committing = None;
        }
        self.unsure.clear();
    }

    /// No two members have the same partition, and none has what the coordinator takes for another's.
    fn check_owners(&self) {
        let Ok(group) = self.desk.shard.describe_consumer(GROUP) else { return };
        let known: BTreeSet<&str> = group.members.iter().map(|member| member.member.as_str()).collect();
        let mut owners: BTreeMap<(TopicId, i32), &str> = BTreeMap::new();
        // Who is not a member any more does not know yet, and whatever it commits is refused.
        for client in self.clients.iter().filter(|client| client.is_alive && known.contains(client.member.as_str())) {
            for (topic, partitions) in &client.owned {
                for one in partitions {
                    let before = owners.insert((*topic, *one), &client.member);
                    assert_eq!(before, None, "partition {one} of {topic:?} has two owners: {}", client.member);
                }
            }
        }
        let mut assigned = BTreeSet::new();
        for (topic, partitions) in group.members.iter().flat_map(|member| &member.assignment) {
            for one in partitions {
                assert!(assigned.insert((*topic, *one)), "partition {one} of {topic:?} is assigned twice");
            }
        }
    }

    /// Nothing is lost any more: everybody who lives comes to have its share, and everything is read.
    fn calm_down(&mut self) {
        for index in 0..self.clients.len() {
            if !self.clients[index].is_alive {
                self.clients[index].instance = None;
            }
        }
        for _ in 0..60 {
            while !self.desk.held.is_empty() {
                self.desk.settle(Ok(()));
            }
            self.collect();
            self.desk.match_patterns();
            for index in 0..self.clients.len() {
                if !self.clients[index].is_alive {
                    continue;
                }
                self.clients[index].committing = None;
                self.give_back(index);
                self.clients[index].asked = None;
                let request = self.request(index);
                let waiter = self.desk.beat_later(request);
                self.clients[index].asked = Some(waiter);
                self.clients[index].loses_answer = false;
                while !self.desk.held.is_empty() {
                    self.desk.settle(Ok(()));
                }
                self.collect();
                self.check_owners();
            }
            self.desk.advance(4_000);
        }
    }

    fn check_converged(&self) {
        let max = self.desk.config.consumer.members_max;
        let Ok(group) = self.desk.shard.describe_consumer(GROUP) else {
            assert!(self.clients.iter().all(|client| !client.is_alive), "somebody lives, and there is no group");
            return;
        };
        let alive = self.clients.iter().filter(|client| client.is_alive).count().min(max);
        assert_eq!(group.members.len(), alive);
        if alive == 0 {
            assert_eq!(group.state, GroupState::Empty);
            return;
        }
        assert_eq!(group.state, GroupState::Stable);
        let given: usize = group.members.iter().flat_map(|member| member.assignment.values()).map(BTreeSet::len).sum();
        let all: i32 = TOPICS.iter().map(|name| self.desk.partitions_of(name)).sum();
        assert_eq!(given, usize::try_from(all).unwrap(), "every partition is somebody's");
        for member in &group.members {
            let client = self.clients.iter().find(|client| client.member == member.member && client.is_alive).unwrap();
            assert_eq!((client.epoch, &client.owned), (member.epoch, &member.assignment), "client and server agree");
        }
    }
}

fn within(owned: &Partitions, assigned: &Partitions) -> Partitions {
    let kept = owned.iter().map(|(topic, partitions)| {
        let wanted = assigned.get(topic);
        (*topic, partitions.iter().copied().filter(|one| wanted.is_some_and(|of| of.contains(one))).collect())
    });
    kept.filter(|(_, partitions): &(TopicId, BTreeSet<i32>)| !partitions.is_empty()).collect()
}

fn run(seed: u64) -> (Seen, usize) {
    let mut world = World::new(seed);
    for _ in 0..500 {
        world.step();
    }
    world.calm_down();
    world.check_converged();
    (world.seen, world.desk.log.len())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how many seeds is the caller's to say, not the crate's to decide by")]
fn promises_hold_for_many_seeds() {
    let seeds = std::env::var("MILLSTREAM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let mut total = Seen::default();
    for seed in 0..seeds {
        let (seen, _) = run(seed);
        total.heartbeats += seen.heartbeats;
        total.lost += seen.lost;
        total.fenced += seen.fenced;
        total.commits += seen.commits;
        total.refused_commits += seen.refused_commits;
        total.reloads += seen.reloads;
        total.failed_writes += seen.failed_writes;
        total.revocations += seen.revocations;
        total.died += seen.died;
    }
    // A simulation in which nothing happens proves nothing: floors by seed.
    let by_seed = |count: usize, floor: usize| count * 10 >= floor * usize::try_from(seeds).unwrap();
    let enough = by_seed(total.heartbeats, 300) && by_seed(total.lost, 20) && by_seed(total.commits, 50);
    let faults = by_seed(total.fenced, 5) && by_seed(total.reloads, 20) && by_seed(total.failed_writes, 5);
    assert!(enough && faults && total.revocations > 0 && total.died > 0 && total.refused_commits > 0, "{total:?}");
}

#[test]
fn a_seed_gives_the_same_run_again() {
    assert_eq!(run(7).1, run(7).1);
}
