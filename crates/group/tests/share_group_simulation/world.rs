//! The world of a share group: its members, and what happens to them and to the node.

use crate::desk::{Desk, GROUP};
use crate::dice::Dice;
use crate::keeper::Keeper;
use crate::partition::{LOCK_MS, Shared};
use crate::state::{Errand, Opening, Writing};
use millstream_group::share::Wish;
use millstream_group::{
    Beaten, Cluster, Config, Error, GroupState, Partitions, ShareConfig, ShareHeartbeatRequest, Waiter, WriteError,
};
use millstream_types::TopicId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const TOPICS: [&str; 2] = ["t", "u"];
pub type Place = (TopicId, i32);

/// What happened.
macro_rules! seen {
    ($($name:ident: $floor:expr),* $(,)?) => {
        #[derive(Debug, Default)]
        pub struct Seen { $(pub $name: usize),* }

        impl Seen {
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            /// What there was too little of, by what ten seeds have at least.
            pub fn below(&self, seeds: usize) -> Vec<&'static str> {
                let floors = [$((stringify!($name), self.$name, $floor)),*];
                floors.iter().filter(|(_, count, floor)| count * 10 < floor * seeds).map(|(name, ..)| *name).collect()
            }
        }
    };
}

seen! {
    heartbeats: 100, lost: 10, late: 5, fenced: 5, pruned: 5, died: 10, left: 5, reassigned: 20,
    acquired: 100, again: 20, accepted: 50, released: 20, rejected: 20, renewed: 10, gaps: 1, refused: 10, expired: 10,
    letters: 10, group_crashes: 10, state_crashes: 10, leader_changes: 20, fenced_leaders: 1, failed_writes: 20,
    prunes: 1, compacted: 5, cut: 5, limited: 20,
}

/// A member, as far as it knows itself.
struct Client {
    id: String,
    topics: BTreeSet<String>,
    epoch: i32,
    assigned: Partitions,
    /// It joins, or an answer did not come: it says everything again.
    says_all: bool,
    asked: Option<Waiter>,
    loses_answer: bool,
    /// What it was given and has said nothing of.
    held: BTreeMap<Place, BTreeSet<i64>>,
    is_alive: bool,
}

/// See the module.
pub struct World {
    pub desk: Desk,
    pub keeper: Keeper,
    pub dice: Dice,
    clients: Vec<Client>,
    names: usize,
    /// Heartbeats on their way, for whose answers nobody waits.
    late: Vec<ShareHeartbeatRequest>,
    pub shared: BTreeMap<Place, Shared>,
    pub errands: Vec<Errand>,
    pub openings: BTreeMap<Place, Opening>,
    pub writings: BTreeMap<Place, Writing>,
    /// What leaders of before still ask to be written.
    pub stale: Vec<(Place, millstream_group::share::WriteState)>,
    pub stale_asked: Vec<Waiter>,
    pub seen: Seen,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let members_max = if dice.below(5) == 0 { 3 } else { 100 };
        let share = ShareConfig { members_max, ..ShareConfig::default() };
        let mut desk = Desk::new(Config { share, ..Config::default() });
        desk.writes_at_once = false;
        for name in TOPICS {
            desk.town.make(name, i32::try_from(1 + dice.below(3)).unwrap());
        }
        let keeper = Keeper::new(desk.now());
        let mut world = Self {
            desk,
            keeper,
            dice,
            clients: Vec::new(),
            names: 0,
            late: Vec::new(),
            shared: BTreeMap::new(),
            errands: Vec::new(),
            openings: BTreeMap::new(),
            writings: BTreeMap::new(),
            stale: Vec::new(),
            stale_asked: Vec::new(),
            seen: Seen::default(),
        };
        for _ in 0..2 + world.dice.below(4) {
            let client = world.born();
            world.clients.push(client);
        }
        world.make_partitions();
        world
    }

    fn pick(&mut self, count: usize) -> usize {
        usize::try_from(self.dice.below(count as u64)).unwrap()
    }

    /// A process that starts.
    fn born(&mut self) -> Client {
        self.names += 1;
        let names = if self.dice.below(4) == 0 { &TOPICS[..1] } else { &TOPICS[..] };
        Client {
            id: format!("m{}", self.names),
            topics: names.iter().map(|name| (*name).to_owned()).collect(),
            epoch: 0,
            assigned: Partitions::new(),
            says_all: true,
            asked: None,
            loses_answer: false,
            held: BTreeMap::new(),
            is_alive: true,
        }
    }

    pub fn step(&mut self) {
        match self.dice.below(100) {
            0..=54 => {
                let index = self.pick(self.clients.len());
                self.act(index);
            }
            55..=60 => {
                let ms = self.dice.below(4_000);
                self.advance(ms);
            }
            61 => {
                let ms = self.dice.below(50_000);
                self.advance(ms);
            }
            62..=66 => self.change_logs(),
            67..=69 => self.fail(),
            70 => self.crash_somewhere(),
            71..=74 if !self.late.is_empty() => {
                let index = self.pick(self.late.len());
                let request = self.late.remove(index);
                self.desk.share_beat_later(request);
            }
            75 => self.send_stale(),
            76..=85 => self.settle_group(Ok(())),
            _ => self.settle_states(Ok(())),
        }
        self.collect();
    }

    fn fail(&mut self) {
        let outcome = Err(WriteError::NotAvailable);
        if self.dice.below(3) == 0 { self.settle_group(outcome) } else { self.settle_states(outcome) }
    }

    pub fn settle_group(&mut self, outcome: Result<(), WriteError>) {
        if !self.desk.held.is_empty() {
            self.seen.failed_writes += usize::from(outcome.is_err());
            self.desk.settle(outcome);
        }
    }

    pub fn settle_states(&mut self, outcome: Result<(), WriteError>) {
        self.seen.failed_writes += usize::from(outcome.is_err() && !self.keeper.held.is_empty());
        for change in self.keeper.settle(outcome) {
            let key = change.key().unwrap();
            self.shared.get_mut(&(key.topic, key.partition)).unwrap().stored(&change);
        }
        self.seen.prunes += std::mem::take(&mut self.keeper.prunes);
    }

    fn advance(&mut self, ms: u64) {
        let before = self.members();
        self.desk.advance(ms);
        self.seen.pruned += before.saturating_sub(self.members());
        self.keeper.tick(self.desk.now());
        for shared in self.shared.values_mut() {
            self.seen.expired += shared.expire(self.desk.now_ms);
        }
    }

    fn members(&self) -> usize {
        self.desk.shard.describe_share(GROUP).map_or(0, |group| group.members.len())
    }

    fn change_logs(&mut self) {
        let places: Vec<Place> = self.shared.keys().copied().collect();
        let place = places[self.pick(places.len())];
        let (what, count, is_aborted) = (self.dice.below(20), self.dice.below(12), self.dice.below(8) == 0);
        let records = &mut self.shared.get_mut(&place).unwrap().records;
        match what {
            0 => {
                let name = TOPICS[self.pick(TOPICS.len())];
                let now = self.desk.partitions_of(name);
                if now < 5 {
                    self.desk.town.grow(name, now + 1);
                    self.make_partitions();
                }
            }
            // A batch is gone, whoever has records of it. The last one never is.
            1..=3 if records.batches.len() > 1 => {
                let at = usize::try_from(count).unwrap() % (records.batches.len() - 1);
                records.batches.remove(at);
                self.seen.compacted += 1;
            }
            4 => {
                records.cut(records.start + i64::try_from(count).unwrap() * 2);
                self.seen.cut += 1;
            }
            _ => records.append(1 + i64::try_from(count).unwrap(), is_aborted),
        }
    }

    fn act(&mut self, index: usize) {
        if !self.clients[index].is_alive {
            if self.dice.below(15) == 0 {
                self.clients[index] = self.born();
            }
            return;
        }
        match self.dice.below(80) {
            0 => self.die(index, false),
            1 => self.die(index, true),
            2 => {
                // It has waited long enough, and comes with a new connection.
                self.clients[index].asked = None;
                self.clients[index].says_all = true;
            }
            3..=24 => self.beat(index),
            25..=49 => self.fetch(index),
            _ => self.acknowledge(index),
        }
    }

    /// The process ends: without a word, or with a heartbeat that says so. Its connection's end may be seen late.
    fn die(&mut self, index: usize, leaves: bool) {
        if leaves && self.clients[index].epoch > 0 {
            self.seen.left += 1;
            let request = ShareHeartbeatRequest { epoch: -1, topics: None, ..self.request(index) };
            self.desk.share_beat_later(request);
        }
        self.seen.died += usize::from(!leaves);
        if leaves || self.dice.below(2) == 0 {
            let id = self.clients[index].id.clone();
            self.shared.values_mut().for_each(|shared| shared.release(&id));
        }
        self.clients[index].is_alive = false;
    }

    fn request(&self, index: usize) -> ShareHeartbeatRequest {
        let client = &self.clients[index];
        ShareHeartbeatRequest {
            group: GROUP.into(),
            member: client.id.clone(),
            epoch: client.epoch,
            topics: client.says_all.then(|| client.topics.clone()),
            client_id: "c".into(),
            client_host: "/h".into(),
            ..ShareHeartbeatRequest::default()
        }
    }

    fn beat(&mut self, index: usize) {
        if self.clients[index].asked.is_some() {
            return;
        }
        self.seen.heartbeats += 1;
        let request = self.request(index);
        match self.dice.below(20) {
            0 => {
                // It never came.
                self.seen.lost += 1;
                self.clients[index].says_all = true;
                return;
            }
            1 => {
                // It comes when its member has long sent another one.
                self.seen.late += 1;
                self.late.push(request);
                self.clients[index].says_all = true;
                return;
            }
            2..=3 => drop(self.desk.share_beat_later(request.clone())),
            _ => {}
        }
        self.clients[index].asked = Some(self.desk.share_beat_later(request));
        self.clients[index].loses_answer = self.dice.below(12) == 0;
    }

    pub fn collect_heartbeats(&mut self) {
        for index in 0..self.clients.len() {
            let answered = self.clients[index].asked.filter(|waiter| !self.desk.is_waiting(*waiter));
            let Some(waiter) = answered else { continue };
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

    fn learn(&mut self, index: usize, answer: Result<Beaten, Error>) {
        let client = &mut self.clients[index];
        match answer {
            Ok(beaten) => {
                assert!(beaten.epoch >= client.epoch, "{}'s epoch goes back from {}", client.id, client.epoch);
                client.epoch = beaten.epoch;
                client.says_all = false;
                if let Some(assigned) = beaten.assignment {
                    self.seen.reassigned += usize::from(assigned != client.assigned);
                    client.assigned = assigned;
                }
            }
            Err(Error::FencedMemberEpoch { .. } | Error::UnknownMemberId { .. } | Error::GroupIdNotFound { .. }) => {
                self.seen.fenced += 1;
                client.epoch = 0;
                client.assigned.clear();
                client.says_all = true;
            }
            Err(_) => client.says_all = true,
        }
    }

    fn places_of(&self, index: usize) -> Vec<Place> {
        let assigned = self.clients[index].assigned.iter();
        assigned.flat_map(|(topic, of)| of.iter().map(|partition| (*topic, *partition))).collect()
    }

    fn fetch(&mut self, index: usize) {
        let places = self.places_of(index);
        if places.is_empty() {
            return;
        }
        let place = places[self.pick(places.len())];
        let wish = Wish {
            member: Arc::from(self.clients[index].id.as_str()),
            records_max: 1 + i64::try_from(self.dice.below(15)).unwrap(),
            keeps_limit: self.dice.below(2) == 0,
            batch_records: 1 + i64::try_from(self.dice.below(9)).unwrap(),
        };
        let is_lost = self.dice.below(15) == 0;
        self.take(index, place, &wish, is_lost);
    }

    /// Tells whether there was anything.
    fn take(&mut self, index: usize, place: Place, wish: &Wish, is_lost: bool) -> bool {
        self.open(place);
        let given = self.shared.get_mut(&place).unwrap().acquire(wish, self.desk.now_ms);
        self.seen.limited += usize::from(wish.keeps_limit && !given.is_empty());
        for one in &given {
            self.seen.acquired += 1;
            self.seen.again += usize::from(one.count > 1);
            // An answer that does not come leaves its records to the end of their locks.
            if !is_lost {
                self.clients[index].held.entry(place).or_default().extend(one.first..=one.last);
            }
        }
        !given.is_empty()
    }

    /// Says something of some neighbouring records, as the member thinks that it has them.
    fn acknowledge(&mut self, index: usize) {
        let places: Vec<Place> = self.clients[index].held.keys().copied().collect();
        if places.is_empty() {
            return;
        }
        let place = places[self.pick(places.len())];
        let held: Vec<i64> = self.clients[index].held[&place].iter().copied().collect();
        let at = self.pick(held.len());
        let longest = held[at..].windows(2).take_while(|pair| pair[0] + 1 == pair[1]).count();
        let length = self.pick(longest + 1);
        let (first, last) = (held[at], held[at + length]);
        let one_for_all = [1, 1, 1, 2, 3, 4][self.pick(6)];
        let differ = self.dice.below(3) == 0;
        let records = &self.shared[&place].records;
        let is_whole = (first..=last).all(|offset| records.has(offset));
        let kinds: Vec<i8> = if differ || !is_whole {
            let kinds = (first..=last).map(|offset| match self.shared[&place].records.has(offset) {
                true => [1, 1, 2, 3, 4][usize::try_from(self.dice.below(5)).unwrap()],
                // It was compacted away.
                false => 0,
            });
            kinds.collect()
        } else {
            vec![one_for_all]
        };
        self.say(index, place, (first, last, kinds));
    }

    fn say(&mut self, index: usize, place: Place, said: (i64, i64, Vec<i8>)) {
        let (first, last, kinds) = said.clone();
        if self.dice.below(20) == 0 {
            return; // It never came; the member thinks that it did.
        }
        let id = self.clients[index].id.clone();
        let shared = self.shared.get_mut(&place).unwrap();
        let is_taken = shared.acknowledge(&id, said.clone(), self.desk.now_ms);
        if self.dice.below(12) == 0 {
            // It comes twice.
            shared.acknowledge(&id, said, self.desk.now_ms);
        }
        let held = self.clients[index].held.get_mut(&place).unwrap();
        for (at, offset) in (first..=last).enumerate() {
            let kind = *kinds.get(at).unwrap_or(&kinds[0]);
            if !is_taken || kind != 4 {
                held.remove(&offset);
            }
            if is_taken {
                match kind {
                    0 => self.seen.gaps += 1,
                    1 => self.seen.accepted += 1,
                    2 => self.seen.released += 1,
                    3 => self.seen.rejected += 1,
                    _ => self.seen.renewed += 1,
                }
            }
        }
        self.seen.refused += usize::from(!is_taken);
        if held.is_empty() {
            self.clients[index].held.remove(&place);
        }
    }

    /// Every connection is gone with the node's process.
    pub fn disconnect(&mut self) {
        for client in &mut self.clients {
            client.says_all |= client.asked.take().is_some();
        }
    }

    /// Nothing fails any more: everybody who lives comes to have its share, and accepts all that it is given.
    pub fn calm_down(&mut self) {
        self.late.clear();
        for round in 0..40 {
            // A heartbeat that came late, or waited, may have been told news that its member was not, and is not again, as in Kafka: it asks
            // for all of it.
            self.clients.iter_mut().for_each(|client| client.says_all |= round < 2);
            for index in 0..self.clients.len() {
                if self.clients[index].is_alive {
                    self.clients[index].asked = None;
                    self.clients[index].loses_answer = false;
                    let request = self.request(index);
                    self.clients[index].asked = Some(self.desk.share_beat_later(request));
                    self.settle_all();
                    self.accept_all(index);
                }
            }
            self.settle_all();
            self.advance(4_000);
            self.settle_all();
        }
    }

    fn settle_all(&mut self) {
        self.collect();
        while !self.desk.held.is_empty() || !self.keeper.held.is_empty() {
            self.settle_group(Ok(()));
            self.settle_states(Ok(()));
            self.collect();
        }
    }

    fn accept_all(&mut self, index: usize) {
        let member: Arc<str> = Arc::from(self.clients[index].id.as_str());
        for place in self.places_of(index) {
            let wish = Wish { member: member.clone(), records_max: 500, keeps_limit: false, batch_records: 1 };
            self.open(place);
            self.settle_all();
            while self.take(index, place, &wish, false) {}
        }
        for (place, held) in std::mem::take(&mut self.clients[index].held) {
            for offset in held {
                let kind = i8::from(self.shared[&place].records.has(offset));
                self.shared.get_mut(&place).unwrap().acknowledge(
                    &member,
                    (offset, offset, vec![kind]),
                    self.desk.now_ms,
                );
            }
        }
        self.settle_all();
    }

    pub fn check_converged(&self) {
        let alive = self.clients.iter().filter(|client| client.is_alive).count();
        let Ok(group) = self.desk.shard.describe_share(GROUP) else {
            assert_eq!(alive, 0, "somebody lives, and there is no group");
            return;
        };
        assert_eq!(group.members.len(), alive.min(self.desk.config.share.members_max));
        assert_eq!(group.state, if alive == 0 { GroupState::Empty } else { GroupState::Stable });
        let mut read: BTreeMap<Place, usize> = BTreeMap::new();
        let mut wanted = BTreeSet::new();
        for member in &group.members {
            let client = self.clients.iter().find(|client| client.id == member.member && client.is_alive).unwrap();
            assert_eq!((client.epoch, &client.assigned), (member.epoch, &member.assignment), "{}", client.id);
            for name in &client.topics {
                let topic = self.desk.town.topic(name).unwrap();
                wanted.extend((0..topic.partitions).map(|partition| (topic.id, partition)));
            }
            assert!(!client.assigned.is_empty(), "{} has nothing to read", client.id);
            for (topic, partitions) in &client.assigned {
                partitions.iter().for_each(|one| *read.entry((*topic, *one)).or_default() += 1);
            }
        }
        assert_eq!(read.keys().copied().collect::<BTreeSet<Place>>(), wanted, "every partition is read");
        let longest = u64::try_from(40 * 4_000).unwrap();
        assert!(longest > LOCK_MS, "locks of the dead have ended");
        read.keys().for_each(|place| self.shared[place].check_nothing_is_lost());
    }
}
