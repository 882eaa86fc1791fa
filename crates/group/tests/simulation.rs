//! Many members with random behaviour, from a seed: they join, sync, commit, crash, go silent and leave, writes are late or fail, the
//! coordinator crashes. What Kafka promises is checked after every step.

#![cfg(test)]

#[path = "support/desk.rs"]
mod desk;
#[path = "support/dice.rs"]
mod dice;

use desk::{Desk, GROUP, commit_of, join_of};
use dice::Dice;
use millstream_group::{
    CommitRequest, Config, Error, JoinRequest, Joined, Protocol, Reply, SyncRequest, Synced, Waiter, WriteError,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a client is doing.
#[derive(Debug, Clone)]
enum Doing {
    Nothing,
    Joining(Waiter),
    Joined(Joined),
    Syncing(Joined, Waiter),
    Working(Joined),
}

struct Client {
    member: String,
    instance: Option<String>,
    doing: Doing,
    committing: Option<(Waiter, i64)>,
}

#[derive(Default, Debug)]
struct Seen {
    generations: BTreeMap<i32, (String, String)>,
    assigned: BTreeMap<(i32, String), Vec<u8>>,
    /// What the leader of each generation has sent, possibly more than once.
    sent: BTreeMap<(i32, String), BTreeSet<Vec<u8>>>,
    joins: usize,
    syncs: usize,
    commits: usize,
    reloads: usize,
    failed_writes: usize,
    fenced: usize,
    rebalances: usize,
    crashes: usize,
}

impl Seen {
    fn counts(&self) -> [(&'static str, usize); 8] {
        [
            ("joins", self.joins),
            ("syncs", self.syncs),
            ("rebalances", self.rebalances),
            ("commits", self.commits),
            ("crashes of members", self.crashes),
            ("crashes of the coordinator", self.reloads),
            ("failed writes", self.failed_writes),
            ("fenced", self.fenced),
        ]
    }
}

struct World {
    desk: Desk,
    dice: Dice,
    clients: Vec<Client>,
    seen: Seen,
    next_offset: i64,
    acknowledged: i64,
    /// Offsets whose commit was sent and not answered, or answered with an error.
    unsure: BTreeSet<i64>,
    abandoned: BTreeSet<Waiter>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let config = Config {
            initial_rebalance_delay_ms: dice.below(2) * 3_000,
            members_max: if dice.below(4) == 0 { 4 } else { 100 },
            ..Config::default()
        };
        let mut desk = Desk::new(config);
        desk.writes_at_once = false;
        let clients = (0..3 + dice.below(6))
            .map(|index| Client {
                member: String::new(),
                instance: (dice.below(3) == 0).then(|| format!("i{}", index % 4)),
                doing: Doing::Nothing,
                committing: None,
            })
            .collect();
        let (seen, unsure, abandoned) = (Seen::default(), BTreeSet::new(), BTreeSet::new());
        Self { desk, dice, clients, seen, next_offset: 0, acknowledged: -1, unsure, abandoned }
    }

    fn step(&mut self) {
        match self.dice.below(100) {
            0..=54 => {
                let index = usize::try_from(self.dice.below(self.clients.len() as u64)).unwrap();
                self.act(index);
            }
            55..=69 => {
                let ms = self.dice.below(4_000);
                self.desk.advance(ms);
            }
            70..=71 => {
                let ms = self.dice.below(90_000);
                self.desk.advance(ms);
            }
            72 => self.reload(),
            73..=75 if !self.desk.held.is_empty() => {
                self.seen.failed_writes += 1;
                let cause =
                    [WriteError::NotAvailable, WriteError::TooLarge][usize::try_from(self.dice.below(2)).unwrap()];
                self.desk.settle(Err(cause));
            }
            _ if !self.desk.held.is_empty() => self.desk.settle(Ok(())),
            _ => {}
        }
        self.collect();
        self.forget_generations();
        self.check();
    }

    /// Generations begin anew when an empty group without offsets is tidied away, and one whose assignment was not stored is given
    /// again after a crash: both as in Kafka.
    fn forget_generations(&mut self) {
        let current = self.desk.shard.describe(GROUP).map_or(0, |described| described.generation);
        self.seen.generations.retain(|generation, _| *generation <= current);
        self.seen.assigned.retain(|(generation, _), _| *generation <= current);
    }

    fn act(&mut self, index: usize) {
        let doing = self.clients[index].doing.clone();
        match doing {
            Doing::Nothing => self.join(index),
            Doing::Joining(_) | Doing::Syncing(..) if self.dice.below(30) == 0 => self.crash(index),
            Doing::Joining(_) | Doing::Syncing(..) => {}
            Doing::Joined(joined) => self.sync(index, joined),
            Doing::Working(joined) => self.work(index, &joined),
        }
    }

    /// The process dies, and another starts: a static one under the same name.
    fn crash(&mut self, index: usize) {
        self.seen.crashes += 1;
        let client = &mut self.clients[index];
        if let Doing::Joining(waiter) | Doing::Syncing(_, waiter) = client.doing {
            self.abandoned.insert(waiter);
        }
        if let Some((waiter, _)) = client.committing.take() {
            self.abandoned.insert(waiter);
        }
        client.member = String::new();
        client.doing = Doing::Nothing;
    }

    fn join(&mut self, index: usize) {
        let protocols = self.protocols();
        let client = &self.clients[index];
        let request = JoinRequest {
            instance: client.instance.clone(),
            requires_known_member: self.dice.below(4) != 0,
            supports_skipping_assignment: self.dice.below(2) == 0,
            rebalance_timeout_ms: 20_000,
            protocols,
            ..join_of(&client.member)
        };
        let waiter = self.desk.join(request);
        self.clients[index].doing = Doing::Joining(waiter);
    }

    /// The same two protocols, preferred in any order.
    fn protocols(&mut self) -> Vec<Protocol> {
        let names = if self.dice.below(4) == 0 { ["sticky", "range"] } else { ["range", "sticky"] };
        names.map(|name| Protocol { name: name.into(), metadata: desk::subscription(&["t"]) }).to_vec()
    }

    fn sync(&mut self, index: usize, joined: Joined) {
        let mut assignments = Vec::new();
        if joined.leader == joined.member && !joined.skip_assignment {
            for member in &joined.members {
                let plan = format!("{}/{}/{}", joined.generation, member.member, self.dice.below(1_000)).into_bytes();
                self.seen.sent.entry((joined.generation, member.member.clone())).or_default().insert(plan.clone());
                assignments.push((member.member.clone(), plan.into()));
            }
        }
        let request = SyncRequest {
            group: GROUP.into(),
            member: joined.member.clone(),
            instance: self.clients[index].instance.clone(),
            generation: joined.generation,
            protocol_type: joined.protocol_type.clone(),
            protocol: joined.protocol.clone(),
            assignments,
        };
        let waiter = self.desk.sync_with(request);
        self.clients[index].doing = Doing::Syncing(joined, waiter);
    }

    fn work(&mut self, index: usize, joined: &Joined) {
        match self.dice.below(20) {
            0 => self.crash(index),
            1 => {
                let member = joined.member.clone();
                let leaving = self.desk.leave_later(&[(&member, self.clients[index].instance.clone().as_deref())]);
                self.abandoned.insert(leaving);
                self.crash(index);
            }
            2 => self.clients[index].doing = Doing::Nothing,
            3..=9 if self.clients[index].committing.is_none() => {
                let offset = self.next_offset;
                self.next_offset += 1;
                self.unsure.insert(offset);
                let waiter = self.desk.commit(CommitRequest {
                    member: joined.member.clone(),
                    instance: self.clients[index].instance.clone(),
                    generation: joined.generation,
                    ..commit_of("t", offset)
                });
                self.clients[index].committing = Some((waiter, offset));
            }
            _ => match self.desk.heartbeat(&joined.member, joined.generation) {
                Ok(()) => {}
                Err(error) => self.lost(index, &error),
            },
        }
    }

    /// What a client does after an error: with its id it joins again, without it begins anew.
    fn lost(&mut self, index: usize, error: &Error) {
        let client = &mut self.clients[index];
        client.doing = Doing::Nothing;
        match error {
            Error::MemberIdRequired { member, .. } => client.member.clone_from(member),
            Error::RebalanceInProgress { .. } => {}
            Error::FencedInstanceId { .. } => {
                self.seen.fenced += 1;
                client.member = String::new();
            }
            _ => client.member = String::new(),
        }
    }

    fn collect(&mut self) {
        for index in 0..self.clients.len() {
            let doing = self.clients[index].doing.clone();
            match doing {
                Doing::Joining(waiter) if !self.desk.is_waiting(waiter) => match self.desk.join_answer(waiter) {
                    Ok(joined) => self.saw_join(index, joined),
                    Err(refused) => self.lost(index, &refused.error),
                },
                Doing::Syncing(joined, waiter) if !self.desk.is_waiting(waiter) => match self.desk.synced(waiter) {
                    Ok(synced) => self.saw_sync(index, joined, &synced),
                    Err(error) => self.lost(index, &error),
                },
                _ => {}
            }
            let answered = self.clients[index].committing.filter(|(waiter, _)| !self.desk.is_waiting(*waiter));
            if let Some((waiter, offset)) = answered {
                self.clients[index].committing = None;
                if self.desk.offsets(waiter).is_ok() {
                    self.seen.commits += 1;
                    self.unsure.remove(&offset);
                    self.acknowledged = self.acknowledged.max(offset);
                }
            }
        }
    }

    fn saw_join(&mut self, index: usize, joined: Joined) {
        self.seen.joins += 1;
        let protocol = joined.protocol.clone().unwrap_or_default();
        // A static leader that came back is told of its older self, or of its newer: the generation's protocol is the same.
        self.seen.rebalances += usize::from(!self.seen.generations.contains_key(&joined.generation));
        let first = self.seen.generations.entry(joined.generation).or_insert((protocol.clone(), joined.leader.clone()));
        assert_eq!(first.0, protocol, "one generation has one protocol");
        self.clients[index].member.clone_from(&joined.member);
        self.clients[index].doing = Doing::Joined(joined);
    }

    fn saw_sync(&mut self, index: usize, joined: Joined, synced: &Synced) {
        self.seen.syncs += 1;
        let plan = synced.assignment.to_vec();
        if !plan.is_empty() {
            let text = String::from_utf8(plan.clone()).unwrap();
            let generation: i32 = text.split('/').next().unwrap().parse().unwrap();
            let owner = text.split('/').nth(1).unwrap().to_owned();
            assert_eq!(generation, joined.generation, "an assignment is of the generation it was made for");
            assert!(self.seen.sent[&(generation, owner)].contains(&plan), "an assignment is what a leader sent");
        }
        let known =
            self.seen.assigned.entry((joined.generation, joined.member.clone())).or_insert_with(|| plan.clone());
        assert_eq!(*known, plan, "a member has one assignment in a generation");
        self.clients[index].doing = Doing::Working(joined);
    }

    fn reload(&mut self) {
        self.seen.reloads += 1;
        self.desk.reload();
        self.forget_generations();
        // Every connection is gone with the node.
        for client in &mut self.clients {
            if let Doing::Joining(_) | Doing::Syncing(..) = client.doing {
                client.doing = Doing::Nothing;
            }
            client.committing = None;
        }
        self.abandoned.clear();
    }

    fn check(&mut self) {
        let stored = self.desk.fetched("t");
        // Later commits are of later offsets here, but a late write of an older one may have come last.
        assert!(
            stored == self.acknowledged || self.unsure.contains(&stored) || stored >= 0 && stored < self.acknowledged,
            "{stored} was never committed"
        );
        assert!(stored >= 0 || self.acknowledged < 0, "an acknowledged commit is gone");
    }

    /// Everything is written and time passes: whoever waits must be answered.
    fn finish(&mut self) {
        for _ in 0..20 {
            while !self.desk.held.is_empty() {
                self.desk.settle(Ok(()));
            }
            self.desk.advance(60_000);
        }
        self.collect();
        for waiter in &self.abandoned {
            assert!(!self.desk.is_waiting(*waiter), "{waiter:?} is lost, though its client is gone too");
        }
        for client in &self.clients {
            assert!(
                !matches!(client.doing, Doing::Joining(_) | Doing::Syncing(..)),
                "a lost waiter: {:?}",
                client.doing
            );
            assert!(client.committing.is_none(), "a lost commit");
        }
        self.check();
        let before = self.desk.fetched("t");
        self.desk.reload();
        assert_eq!(self.desk.fetched("t"), before, "memory and log agree");
        // A group that is left alone ends empty, and takes new members.
        self.desk.advance(60_000);
        self.desk.writes_at_once = true;
        while !self.desk.held.is_empty() {
            self.desk.settle(Ok(()));
        }
        let generation = self.desk.shard.describe(GROUP).map_or(0, |described| described.generation);
        let join = self.desk.join(join_of(""));
        self.desk.advance(10_000);
        assert_eq!(self.desk.joined(join).generation, generation + 1);
    }
}

fn run(seed: u64) -> (Seen, Vec<(Waiter, Reply)>) {
    let mut world = World::new(seed);
    for _ in 0..600 {
        world.step();
    }
    world.finish();
    (world.seen, world.desk.replies.into_iter().collect())
}

/// More by `SIMULATION_SEEDS`, from `SIMULATION_FIRST` on.
const SEEDS: u64 = 400;
/// How often each thing happens at least: in every seed, and in a hundred seeds together.
const FLOORS: [(&str, usize, usize); 8] = [
    ("joins", 20, 5_000),
    ("syncs", 0, 1_200),
    ("rebalances", 5, 1_900),
    ("commits", 0, 550),
    ("crashes of members", 0, 550),
    ("crashes of the coordinator", 0, 480),
    ("failed writes", 0, 220),
    ("fenced", 0, 300),
];

#[expect(clippy::disallowed_methods, reason = "how many seeds is the caller's to say, not the crate's to decide by")]
fn seeds() -> std::ops::Range<u64> {
    let number = |name, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let first = number("SIMULATION_FIRST", 0);
    first..first + number("SIMULATION_SEEDS", SEEDS)
}

#[test]
fn promises_hold_for_many_seeds() {
    let mut totals: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let seeds = seeds();
    for seed in seeds.clone() {
        let (seen, _) = run(seed);
        for (name, count) in seen.counts() {
            let (least, total) = totals.entry(name).or_insert((usize::MAX, 0));
            (*least, *total) = ((*least).min(count), *total + count);
        }
    }
    println!("{} seeds, the least in one and the total: {totals:?}", seeds.end - seeds.start);
    // A simulation in which nothing happens proves nothing.
    for (name, each, of_hundred) in FLOORS {
        let (least, total) = totals[name];
        let floor = of_hundred * usize::try_from(seeds.end - seeds.start).unwrap() / 100;
        assert!(least >= each && total >= floor, "{name}: {least} in a seed, {total} of at least {floor} in all");
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in seeds().step_by(100) {
        assert_eq!(run(seed).1, run(seed).1, "seed {seed}");
    }
}
