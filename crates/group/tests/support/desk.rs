//! A shard with a clock and a log, for tests: what it asks to be written is written (or held, or refused) when the test says so.

#![allow(dead_code, reason = "each test file uses a part of it")]

use bytes::Bytes;
use millstream_group::{
    Beaten, ByTopic, Change, Cluster, CommitRequest, Config, ConsumerHeartbeatRequest, Effects, Error, FetchRequest,
    HeartbeatRequest, JoinRefused, JoinRequest, Joined, LeaveRequest, Leaving, Left, Now, OffsetCommit,
    PartitionResult, Partitions, Protocol, Reply, Resolve, Shard, ShareHeartbeatRequest, ShareWork, ShareWorked,
    StoredRecord, SyncRequest, Synced, Ticket, Waiter, WriteError,
};
use millstream_types::{LeaderEpoch, Offset, TimestampMs, TopicId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

#[path = "cluster.rs"]
pub mod cluster;
pub use cluster::Town;

/// The group of most tests.
pub const GROUP: &str = "g";
const WALL_START: i64 = 1_000_000;

/// See the module.
pub struct Desk {
    pub shard: Shard,
    pub config: Config,
    pub town: Town,
    /// Patterns that are to be matched.
    pub resolve: Vec<Resolve>,
    /// What is to be done with the state of share partitions.
    pub shares: Vec<ShareWork>,
    pub now_ms: u64,
    pub log: Vec<StoredRecord>,
    pub replies: BTreeMap<Waiter, Reply>,
    /// Writes that were asked for and not settled.
    pub held: VecDeque<(Ticket, Vec<StoredRecord>)>,
    /// Whether writes are settled at once.
    pub writes_at_once: bool,
    waiters: u64,
    randoms: u128,
}

/// A join with the usual settings, of member `id`.
pub fn join_of(id: &str) -> JoinRequest {
    JoinRequest {
        group: GROUP.into(),
        member: id.into(),
        instance: None,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        protocol_type: "consumer".into(),
        protocols: vec![Protocol { name: "range".into(), metadata: subscription(&["t"]) }],
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        requires_known_member: false,
        supports_skipping_assignment: true,
        random: 0,
    }
}

/// A consumer's subscription to `topics`.
pub fn subscription(topics: &[&str]) -> Bytes {
    let mut out = vec![0, 1];
    out.extend(i32::try_from(topics.len()).unwrap().to_be_bytes());
    for topic in topics {
        out.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
        out.extend(topic.as_bytes());
    }
    out.extend((-1i32).to_be_bytes());
    out.into()
}

/// A commit of offset `offset` of partition 0 of `topic`, by who uses no membership.
pub fn commit_of(topic: &str, offset: i64) -> CommitRequest {
    let commit = OffsetCommit {
        partition: 0,
        offset: Offset(offset),
        leader_epoch: LeaderEpoch(3),
        metadata: "m".into(),
        topic_id: TopicId::ZERO,
    };
    CommitRequest {
        group: GROUP.into(),
        member: String::new(),
        instance: None,
        generation: -1,
        speaks_epochs: true,
        retention_ms: None,
        topics: vec![ByTopic { topic: topic.into(), partitions: vec![commit] }],
    }
}

impl Desk {
    pub fn new(config: Config) -> Self {
        let town = Town::default();
        let mut desk = Self {
            shard: Shard::new(config.clone(), Arc::new(town.clone())),
            config,
            town,
            resolve: Vec::new(),
            shares: Vec::new(),
            now_ms: 0,
            log: Vec::new(),
            replies: BTreeMap::new(),
            held: VecDeque::new(),
            writes_at_once: true,
            waiters: 0,
            randoms: 0,
        };
        let effects = desk.shard.loaded(desk.now());
        desk.absorb(effects);
        desk
    }

    pub fn now(&self) -> Now {
        Now { wall: TimestampMs(WALL_START + i64::try_from(self.now_ms).unwrap()), elapsed_ms: self.now_ms }
    }

    fn waiter(&mut self) -> Waiter {
        self.waiters += 1;
        Waiter(self.waiters)
    }

    pub fn absorb(&mut self, effects: Effects) {
        for write in effects.writes {
            self.held.push_back((write.ticket, write.records));
        }
        self.resolve.extend(effects.resolve);
        self.shares.extend(effects.shares);
        for (waiter, reply) in effects.replies {
            assert!(waiter.0 <= self.waiters, "a reply to nobody");
            assert!(self.replies.insert(waiter, reply).is_none(), "{waiter:?} is answered twice");
        }
        while self.writes_at_once && !self.held.is_empty() {
            self.settle(Ok(()));
        }
    }

    /// The oldest write that is held ends so.
    pub fn settle(&mut self, outcome: Result<(), WriteError>) {
        let (ticket, records) = self.held.pop_front().expect("a write is held");
        if outcome.is_ok() {
            self.log.extend(records);
        }
        let effects = self.shard.written(ticket, outcome, self.now());
        self.absorb(effects);
    }

    /// Moves the clock on, from deadline to deadline.
    pub fn advance(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        loop {
            let next = self.shard.next_deadline();
            if next > until {
                break;
            }
            self.now_ms = self.now_ms.max(next);
            let effects = self.shard.tick(self.now());
            self.absorb(effects);
        }
        self.now_ms = until;
    }

    /// A crash: another shard reads the log.
    pub fn reload(&mut self) {
        let mut shard = Shard::new(self.config.clone(), Arc::new(self.town.clone()));
        for record in &self.log {
            shard.replay(Change::decode(&record.key, record.value.as_deref(), TimestampMs(0)).unwrap());
        }
        self.shard = shard;
        self.held.clear();
        self.resolve.clear();
        self.shares.clear();
        let effects = self.shard.loaded(self.now());
        self.absorb(effects);
    }

    pub fn join(&mut self, mut request: JoinRequest) -> Waiter {
        let waiter = self.waiter();
        self.randoms += 1;
        request.random = self.randoms;
        let effects = self.shard.join(&request, waiter, self.now());
        self.absorb(effects);
        waiter
    }

    pub fn sync(&mut self, member: &str, generation: i32, assignments: &[(&str, &'static [u8])]) -> Waiter {
        self.sync_with(SyncRequest {
            group: GROUP.into(),
            member: member.into(),
            instance: None,
            generation,
            protocol_type: None,
            protocol: None,
            assignments: assignments.iter().map(|(id, bytes)| ((*id).into(), Bytes::from_static(bytes))).collect(),
        })
    }

    pub fn sync_with(&mut self, request: SyncRequest) -> Waiter {
        let waiter = self.waiter();
        let effects = self.shard.sync(request, waiter, self.now());
        self.absorb(effects);
        waiter
    }

    pub fn heartbeat(&mut self, member: &str, generation: i32) -> Result<(), Error> {
        let request = HeartbeatRequest { group: GROUP.into(), member: member.into(), instance: None, generation };
        self.shard.heartbeat(&request, self.now())
    }

    pub fn beat_later(&mut self, mut request: ConsumerHeartbeatRequest) -> Waiter {
        let waiter = self.waiter();
        self.randoms += 1;
        request.random = self.randoms;
        let effects = self.shard.consumer_heartbeat(request, waiter, self.now());
        self.absorb(effects);
        waiter
    }

    pub fn beaten(&self, waiter: Waiter) -> Result<Beaten, Error> {
        match self.replies.get(&waiter) {
            Some(Reply::Beat(answer)) => answer.clone(),
            other => panic!("no answer to a heartbeat: {other:?}"),
        }
    }

    pub fn beat(&mut self, request: ConsumerHeartbeatRequest) -> Result<Beaten, Error> {
        let waiter = self.beat_later(request);
        self.beaten(waiter)
    }

    /// A waiter for a request that a test makes itself.
    pub fn next_waiter(&mut self) -> Waiter {
        self.waiter()
    }

    pub fn share_beat_later(&mut self, request: ShareHeartbeatRequest) -> Waiter {
        let waiter = self.waiter();
        let effects = self.shard.share_heartbeat(request, waiter, self.now());
        self.absorb(effects);
        waiter
    }

    /// The share coordinator has done what it was asked last, or `fails`.
    pub fn share_work(&mut self, fails: bool) -> ShareWork {
        let work = self.shares.pop().expect("the share coordinator is asked something");
        let mut partitions = Partitions::new();
        let group = match &work {
            ShareWork::Initialize { group, starts, .. } => {
                for one in starts {
                    partitions.entry(one.topic).or_default().insert(one.partition);
                }
                group.clone()
            }
            ShareWork::Delete { group, partitions: all } | ShareWork::Forget { group, partitions: all } => {
                partitions.clone_from(all);
                group.clone()
            }
        };
        let none = Partitions::new();
        let (done, failed) = if fails { (none, partitions) } else { (partitions, none) };
        let effects = self.shard.shares_worked(&group, ShareWorked { done, failed }, self.now());
        self.absorb(effects);
        work
    }

    pub fn partitions_of(&self, topic: &str) -> i32 {
        self.town.topic(topic).expect("the topic is there").partitions
    }

    pub fn name_of(&self, topic: millstream_types::TopicId) -> Option<String> {
        self.town.name_of(topic)
    }

    /// What is to be matched is.
    pub fn match_patterns(&mut self) {
        for Resolve { group, patterns } in std::mem::take(&mut self.resolve) {
            let matched = millstream_group::resolve(&patterns, &self.town.names());
            let effects = self.shard.resolved(&group, matched, self.now());
            self.absorb(effects);
        }
    }

    pub fn leave_later(&mut self, members: &[(&str, Option<&str>)]) -> Waiter {
        let members = members
            .iter()
            .map(|(member, instance)| Leaving { member: (*member).into(), instance: instance.map(str::to_owned) })
            .collect();
        let waiter = self.waiter();
        let effects = self.shard.leave(&LeaveRequest { group: GROUP.into(), members }, waiter, self.now());
        self.absorb(effects);
        waiter
    }

    pub fn leave(&mut self, members: &[(&str, Option<&str>)]) -> Result<Vec<Left>, Error> {
        let waiter = self.leave_later(members);
        match self.replies.get(&waiter) {
            Some(Reply::Leave(answer)) => answer.clone(),
            other => panic!("no answer to a leave: {other:?}"),
        }
    }

    pub fn commit(&mut self, request: CommitRequest) -> Waiter {
        let waiter = self.waiter();
        let effects = self.shard.commit(request, waiter, self.now());
        self.absorb(effects);
        waiter
    }

    pub fn delete(&mut self, groups: &[&str]) -> Waiter {
        let waiter = self.waiter();
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        let effects = self.shard.delete(&groups, waiter, self.now());
        self.absorb(effects);
        waiter
    }

    /// Deletes the group.
    pub fn delete_one(&mut self) -> Result<(), Error> {
        let waiter = self.delete(&[GROUP]);
        self.deleted(waiter).remove(0).1
    }

    pub fn topic_deleted(&mut self, topic: &str) -> Waiter {
        let waiter = self.waiter();
        let effects = self.shard.topic_deleted(topic, waiter, self.now());
        self.absorb(effects);
        waiter
    }

    /// The committed offset of partition 0 of `topic`, -1 when there is none.
    pub fn fetched(&self, topic: &str) -> i64 {
        let topics = Some(vec![ByTopic { topic: topic.to_owned(), partitions: vec![0] }]);
        let fetched =
            self.shard.fetch(&FetchRequest { group: GROUP.into(), topics, member: None, require_stable: false });
        fetched.unwrap()[0].partitions[0].offset.0
    }

    pub fn joined(&self, waiter: Waiter) -> Joined {
        self.join_answer(waiter).expect("the join succeeds")
    }

    pub fn join_error(&self, waiter: Waiter) -> JoinRefused {
        self.join_answer(waiter).expect_err("the join fails")
    }

    pub fn join_answer(&self, waiter: Waiter) -> Result<Joined, JoinRefused> {
        match self.replies.get(&waiter) {
            Some(Reply::Join(answer)) => answer.clone(),
            other => panic!("no answer to a join: {other:?}"),
        }
    }

    pub fn synced(&self, waiter: Waiter) -> Result<Synced, Error> {
        match self.replies.get(&waiter) {
            Some(Reply::Sync(answer)) => answer.clone(),
            other => panic!("no answer to a sync: {other:?}"),
        }
    }

    pub fn offsets(&self, waiter: Waiter) -> Result<Vec<ByTopic<PartitionResult>>, Error> {
        match self.replies.get(&waiter) {
            Some(Reply::Offsets(answer)) => answer.clone(),
            other => panic!("no answer to a commit: {other:?}"),
        }
    }

    pub fn deleted(&self, waiter: Waiter) -> Vec<(String, Result<(), Error>)> {
        match self.replies.get(&waiter) {
            Some(Reply::Deleted(answer)) => answer.clone(),
            other => panic!("no answer to a deletion: {other:?}"),
        }
    }

    pub fn is_waiting(&self, waiter: Waiter) -> bool {
        !self.replies.contains_key(&waiter)
    }

    /// `count` members in a stable group; their ids, the leader's first, and the generation.
    pub fn stable(&mut self, count: usize) -> (Vec<String>, i32) {
        let joins: Vec<Waiter> = (0..count).map(|_| self.join(join_of(""))).collect();
        self.advance(self.config.initial_rebalance_delay_ms * if count > 1 { 2 } else { 1 });
        let joined: Vec<Joined> = joins.into_iter().map(|join| self.joined(join)).collect();
        let leader = joined[0].leader.clone();
        let mut ids: Vec<String> = joined.iter().map(|one| one.member.clone()).collect();
        ids.sort_by_key(|id| *id != leader);
        let generation = joined[0].generation;
        for id in ids.iter().rev() {
            let assignments: Vec<(&str, &'static [u8])> = if *id == leader {
                ids.iter().map(|id| (id.as_str(), b"part".as_slice())).collect()
            } else {
                Vec::new()
            };
            self.sync(id, generation, &assignments);
        }
        (ids, generation)
    }
}
