//! What goes on between the group, the share coordinator and the leaders of partitions: work that is asked for, states that are read and
//! written, and what crashes in between.

use crate::desk::GROUP;
use crate::partition::Shared;
use crate::world::{Place, World};
use millstream_group::share::{ShareKey, StateReply, StateWrite};
use millstream_group::{Cluster, Error, Partitions, ShareWork, ShareWorked, Ticket, Waiter};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the share coordinator does for the group.
pub struct Errand {
    waiting: BTreeMap<Waiter, Place>,
    worked: ShareWorked,
}

/// A leader reads what is stored.
pub struct Opening(Waiter);

/// A leader's writes, which are one to the share coordinator.
pub struct Writing {
    waiter: Waiter,
    writes: Vec<StateWrite>,
}

impl World {
    pub fn make_partitions(&mut self) {
        for name in self.desk.town.names() {
            let topic = self.desk.town.topic(&name).unwrap();
            for partition in 0..topic.partitions {
                let key = ShareKey { group: Arc::from(GROUP), topic: topic.id, partition };
                self.shared.entry((topic.id, partition)).or_insert_with(|| Shared::new(key));
            }
        }
    }

    /// Takes in whatever was answered, until nothing more comes of it.
    pub fn collect(&mut self) {
        loop {
            self.collect_heartbeats();
            let before = (self.errands.len(), self.openings.len(), self.writings.len(), self.desk.shares.len());
            self.begin_errands();
            self.end_errands();
            self.end_openings();
            self.end_writings();
            self.begin_writings();
            self.stale_asked.retain(|waiter| match self.keeper.answer(*waiter) {
                Some(StateReply::Stored(Err(Error::FencedShareLeader { .. }))) => {
                    self.seen.fenced_leaders += 1;
                    false
                }
                answer => answer.is_none(),
            });
            let after = (self.errands.len(), self.openings.len(), self.writings.len(), self.desk.shares.len());
            if before == after && self.desk.shares.is_empty() {
                break;
            }
        }
    }

    fn begin_errands(&mut self) {
        let now = self.desk.now();
        for work in std::mem::take(&mut self.desk.shares) {
            let ShareWork::Initialize { group, state_epoch, starts } = work else {
                panic!("{work:?}: nothing is deleted here");
            };
            let mut errand = Errand { waiting: BTreeMap::new(), worked: ShareWorked::default() };
            for one in starts {
                let place = (one.topic, one.partition);
                let key = ShareKey { group: group.clone(), topic: one.topic, partition: one.partition };
                let begin = (state_epoch, one.start);
                let waiter = self.keeper.ask(now, |shard, waiter, now| shard.initialize(&key, begin, waiter, now));
                errand.waiting.insert(waiter, place);
            }
            self.errands.push(errand);
        }
    }

    fn end_errands(&mut self) {
        for mut errand in std::mem::take(&mut self.errands) {
            let waiting: Vec<(Waiter, Place)> =
                errand.waiting.iter().map(|(waiter, place)| (*waiter, *place)).collect();
            for (waiter, place) in waiting {
                if let Some(answer) = self.keeper.answer(waiter) {
                    errand.waiting.remove(&waiter);
                    errand.note(place, answer == StateReply::Stored(Ok(())));
                }
            }
            if errand.waiting.is_empty() {
                let effects = self.desk.shard.shares_worked(&Arc::from(GROUP), errand.worked, self.desk.now());
                self.desk.absorb(effects);
            } else {
                self.errands.push(errand);
            }
        }
    }

    /// The leader of a partition opens it, unless it is open, or being opened.
    pub fn open(&mut self, place: Place) {
        let shared = &self.shared[&place];
        if shared.open.is_some() || self.openings.contains_key(&place) {
            return;
        }
        let (key, epoch) = (shared.key.clone(), shared.leader_epoch);
        let waiter = self.keeper.ask(self.desk.now(), |shard, waiter, now| shard.read(&key, epoch, waiter, now));
        self.openings.insert(place, Opening(waiter));
        self.end_openings();
    }

    fn end_openings(&mut self) {
        let waiting: Vec<(Place, Waiter)> = self.openings.iter().map(|(place, opening)| (*place, opening.0)).collect();
        for (place, waiter) in waiting {
            let Some(answer) = self.keeper.answer(waiter) else { continue };
            self.openings.remove(&place);
            if let StateReply::Read(Ok(state)) = answer {
                self.shared.get_mut(&place).unwrap().begin(&state);
            }
        }
    }

    fn begin_writings(&mut self) {
        let places: Vec<Place> = self.shared.keys().copied().collect();
        for place in places.into_iter().filter(|place| !self.writings.contains_key(place)).collect::<Vec<_>>() {
            let shared = self.shared.get_mut(&place).unwrap();
            let Some(open) = &mut shared.open else { continue };
            let mut writes: Vec<StateWrite> = open.queue.drain(..).collect();
            for write in writes.extract_if(.., |write| !write.buried.is_empty() && self.dice.below(10) == 0) {
                // Its letters could not be written.
                shared.written(&[write], false, self.desk.now_ms);
            }
            for write in &writes {
                shared.bury(write);
                self.seen.letters += write.buried.len();
            }
            let Some(asked) = shared.open.as_ref().and_then(|open| open.together(&writes)) else { continue };
            let key = shared.key.clone();
            let waiter = self.keeper.ask(self.desk.now(), |shard, waiter, now| shard.write(&key, asked, waiter, now));
            self.writings.insert(place, Writing { waiter, writes });
        }
    }

    fn end_writings(&mut self) {
        let waiting: Vec<(Place, Waiter)> = self.writings.iter().map(|(place, one)| (*place, one.waiter)).collect();
        for (place, waiter) in waiting {
            let Some(answer) = self.keeper.answer(waiter) else { continue };
            let is_stored = match answer {
                StateReply::Stored(Ok(())) => true,
                StateReply::Stored(Err(Error::CoordinatorNotAvailable { .. })) => false,
                other => panic!("{place:?}: who leads is answered {other:?}"),
            };
            let writing = self.writings.remove(&place).unwrap();
            self.shared.get_mut(&place).unwrap().written(&writing.writes, is_stored, self.desk.now_ms);
        }
    }

    pub fn crash_somewhere(&mut self) {
        match self.dice.below(8) {
            0 | 1 => self.crash_group(),
            2 | 3 => self.crash_states(),
            4 => {
                self.crash_group();
                self.crash_states();
                let places: Vec<Place> = self.shared.keys().copied().collect();
                places.into_iter().for_each(|place| self.change_leader(place));
            }
            _ => {
                let places: Vec<Place> = self.shared.keys().copied().collect();
                let at = usize::try_from(self.dice.below(places.len() as u64)).unwrap();
                self.change_leader(places[at]);
            }
        }
    }

    fn crash_group(&mut self) {
        self.seen.group_crashes += 1;
        let is_settled = self.desk.held.is_empty() && self.errands.is_empty();
        let before = self.desk.shard.describe_share(GROUP).ok();
        self.desk.reload();
        if is_settled {
            assert_eq!(self.desk.shard.describe_share(GROUP).ok(), before, "what is read back is what was");
        }
        self.errands.clear();
        self.disconnect();
    }

    /// What was being written is not, and whoever asked for it is told nothing.
    fn crash_states(&mut self) {
        self.seen.state_crashes += 1;
        self.keeper.reload(self.desk.now());
        self.openings.clear();
        self.stale_asked.clear();
        for (place, writing) in std::mem::take(&mut self.writings) {
            self.shared.get_mut(&place).unwrap().written(&writing.writes, false, self.desk.now_ms);
        }
        for errand in &mut self.errands {
            let lost = std::mem::take(&mut errand.waiting);
            lost.into_values().for_each(|place| errand.note(place, false));
        }
    }

    /// Somebody else leads the partition. What the leader of before asked to be written still may be, before the new one reads.
    fn change_leader(&mut self, place: Place) {
        self.seen.leader_changes += 1;
        self.openings.remove(&place);
        self.writings.remove(&place);
        let shared = self.shared.get_mut(&place).unwrap();
        shared.leader_epoch += 1;
        if let Some(open) = shared.open.take() {
            let (start, complete, nothing) = (open.partition.start(), 0, Vec::new());
            let idle = StateWrite { ticket: Ticket(0), start, complete, batches: nothing, buried: Vec::new() };
            let writes: Vec<StateWrite> = std::iter::once(idle).chain(open.queue.iter().cloned()).collect();
            writes.iter().for_each(|write| shared.bury(write));
            self.stale.extend(open.together(&writes).map(|asked| (place, asked)));
        }
    }

    /// A leader of before, which has not heard of it, asks for something to be written.
    pub fn send_stale(&mut self) {
        let Some((place, asked)) = self.stale.pop() else { return };
        let key = self.shared[&place].key.clone();
        let waiter = self.keeper.ask(self.desk.now(), |shard, waiter, now| shard.write(&key, asked, waiter, now));
        self.stale_asked.push(waiter);
    }
}

impl Errand {
    fn note(&mut self, (topic, partition): Place, is_done: bool) {
        let of: &mut Partitions = if is_done { &mut self.worked.done } else { &mut self.worked.failed };
        of.entry(topic).or_default().insert(partition);
    }
}
