//! What goes on when the node is killed, beside the load: each round something else.

use millstream_e2e::{Family, Interactive, Node, binary};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What a kill comes into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing but the load.
    Load,
    /// The start after another kill.
    Start,
    /// A topic of many partitions is being made.
    Topics,
    /// A function's next generation is being deployed.
    Deploy,
    /// Segments are copied to the object store, and their local copies dropped.
    Offload,
    /// A member joins a group, reads and commits.
    Group,
}

pub const PHASES: [Phase; 6] = [Phase::Load, Phase::Start, Phase::Topics, Phase::Deploy, Phase::Offload, Phase::Group];

/// The topic that the members of the group read, and how much is in it.
pub const GROUPED: &str = "grouped";
pub const GROUPED_RECORDS: u64 = 300;

/// What the node said it did, before or while it was killed.
#[derive(Default)]
pub struct Promises {
    topics: Vec<String>,
    deploys: u64,
    /// Partition and offset of what members of the group printed.
    seen: BTreeSet<(i64, i64)>,
    pub kills: BTreeMap<Phase, usize>,
}

/// Something under way while the node is killed.
pub enum Underway {
    Nothing,
    Command(Phase, String, Child),
    Member(Interactive),
}

pub fn component() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions/filter/filter.wasm")
}

/// Begins what `phase` says.
pub fn begin(phase: Phase, round: u64, node: &Node, kafka: &str) -> Underway {
    let command = |name: &str, args: &[&str]| {
        let mut command = Command::new(binary());
        command.args(args).env("MILLSTREAM_HTTP", &node.http).stdout(Stdio::null()).stderr(Stdio::null());
        Underway::Command(phase, name.to_owned(), command.spawn().unwrap())
    };
    match phase {
        Phase::Load | Phase::Start => Underway::Nothing,
        Phase::Topics => {
            let name = format!("made-{round}");
            command(&name, &["topic", "create", &name, "--partitions", "12"])
        }
        Phase::Deploy => {
            let component = component().display().to_string();
            command("", &["function", "deploy", "filtered", &component, "--input", "input", "--to", "filtered"])
        }
        Phase::Offload => command("", &["tier", "offload", "input", "--drop-local"]),
        Phase::Group => Underway::Member(Family::FranzGo.group(kafka, GROUPED, "members")),
    }
}

impl Promises {
    /// After the restart: what was under way has ended one way or the other.
    pub fn settle(&mut self, phase: Phase, underway: Underway) {
        *self.kills.entry(phase).or_default() += 1;
        match underway {
            Underway::Nothing => {}
            Underway::Command(phase, name, mut child) => {
                let done = child.wait().unwrap().success();
                match phase {
                    Phase::Topics if done => self.topics.push(name),
                    Phase::Deploy if done => self.deploys += 1,
                    _ => {}
                }
            }
            Underway::Member(member) => self.note(&member),
        }
    }

    fn note(&mut self, member: &Interactive) {
        let place = |record: &Value| (record["partition"].as_i64().unwrap(), record["offset"].as_i64().unwrap());
        self.seen.extend(member.records().iter().map(place));
    }

    /// Holds the node to what it said: topics that were made are there, generations only grow, and no record was passed over by the group.
    pub fn check(&mut self, node: &Node, kafka: &str, patience: Duration) {
        let rows = |args: &[&str]| -> Vec<Value> {
            node.ok(args).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let topics = rows(&["topic", "list", "-o", "json"]);
        for name in &self.topics {
            let found = topics.iter().find(|topic| topic["name"] == name.as_str());
            assert_eq!(found.map(|topic| topic["partitions"].clone()), Some(12.into()), "topic {name} was made");
        }
        let functions = rows(&["function", "list", "-o", "json"]);
        let generation = functions.iter().find(|row| row["name"] == "filtered").unwrap()["generation"].as_u64();
        assert!(generation.unwrap() > self.deploys, "{generation:?} after {} more deploys", self.deploys);
        let last = Family::FranzGo.group(kafka, GROUPED, "members");
        millstream_e2e::eventually("the group has read everything", patience, || {
            self.note(&last);
            (self.seen.len() as u64 == GROUPED_RECORDS).then_some(())
        });
        last.leave();
    }
}
