//! kill -9 under load: a client produces, a function and a stream follow, a connector reads a growing file, and in turns topics are made,
//! functions deployed, segments offloaded, groups joined, starts interrupted. Nothing acknowledged is lost, doubled or out of order; what
//! readers of committed records see of the function's and the stream's outputs is what they make of each input, once and in order; no line of
//! the file is skipped.
//!
//! `MILLSTREAM_CRASH_ROUNDS` says how often (6 by default, once in each phase), `MILLSTREAM_CRASH_SEED` when. `--nocapture` shows each round.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

#[path = "crash/driver.rs"]
mod driver;
#[path = "crash/evidence.rs"]
mod evidence;
#[path = "crash/phases.rs"]
mod phases;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use driver::{Driver, Sent};
use evidence::Kill;
use millstream_e2e::{Family, Node, Record, Tap, eventually, run_script};
use phases::{GROUPED, GROUPED_RECORDS, PHASES, Phase, Promises};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

const PARTITIONS: u64 = 3;
const PATIENCE: Duration = Duration::from_secs(240);
/// Of the kills, so many must come into an append.
const IN_FLIGHT_OF_50: usize = 30;

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// SplitMix64: when to kill.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.below(bound))
    }
}

/// A file that grows, also by parts of lines, while a connector follows it.
struct Lines {
    file: File,
    count: u64,
    rest: String,
}

impl Lines {
    fn grow(&mut self, lines: u64, cut: u64) {
        let mut text = std::mem::take(&mut self.rest);
        (self.count..self.count + lines).for_each(|n| text.push_str(&format!("{{\"line\":{n}}}\n")));
        self.count += lines;
        self.rest = text.split_off(text.len() - usize::try_from(cut).unwrap().min(text.len()));
        self.file.write_all(text.as_bytes()).unwrap();
    }
}

/// The node with everything that runs on it.
fn prepare(tap: &Tap) -> (Node, Lines) {
    let node = Node::start(&[&format!("advertised.listeners=PLAINTEXT://{}", tap.address)]);
    tap.lead_to(&node.kafka);
    let partitions = PARTITIONS.to_string();
    for (topic, more) in
        [("input", "remote.storage.enable=true"), ("lines", "retention.bytes=-1"), (GROUPED, "retention.bytes=-1")]
    {
        node.ok(&[
            "topic",
            "create",
            topic,
            "--partitions",
            &partitions,
            "--config",
            "retention.ms=-1",
            "--config",
            more,
        ]);
    }
    let schema = node.folder().join("schema.json");
    std::fs::write(&schema, r#"{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]}"#).unwrap();
    node.ok(&["schema", "register", "input-value", schema.to_str().unwrap()]);
    node.ok(&["stream", "create", "CREATE STREAM followed AS SELECT id FROM input"]);
    let component = phases::component().display().to_string();
    node.ok(&["function", "deploy", "filtered", &component, "--input", "input", "--to", "filtered"]);
    let path = node.folder().join("lines.jsonl");
    let lines = Lines { file: File::create(&path).unwrap(), count: 0, rest: String::new() };
    let settings = ["format=json-lines", "follow=true", &format!("path={}", path.display())];
    let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
    node.ok(&[&["connector", "create", "lines", "--type", "file", "--topic", "lines"], settings.as_slice()].concat());
    let one = |n: u64| json!({"partition": n % PARTITIONS, "key": null, "value": STANDARD.encode(n.to_string()), "headers": [], "timestamp": 1_700_000_000_000_u64});
    let grouped: Vec<Record> = (0..GROUPED_RECORDS).map(one).collect();
    Family::FranzGo.produce(&tap.address, GROUPED, "none", &grouped);
    (node, lines)
}

/// One kill and what led to it; the node is dead when this returns.
fn kill(node: &mut Node, tap: &Tap, (round, phase): (u64, Phase), draw: &mut Draw, promises: &mut Promises) -> Kill {
    std::thread::sleep(draw.millis(150));
    let underway = phases::begin(phase, round, node, &tap.address);
    // A deploy compiles and a member joins: a kill at once would never come into what follows.
    std::thread::sleep(draw.millis(if phase == Phase::Load { 100 } else { 600 }));
    node.kill();
    let kill = evidence::of(&tap.unanswered(), &node.data(), "input");
    if phase == Phase::Start {
        node.start_and_kill(draw.millis(700));
    }
    node.restart();
    promises.settle(phase, underway);
    kill
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_and_outputs_are_there_exactly_once() {
    let (rounds, seed) = (from_environment("MILLSTREAM_CRASH_ROUNDS", 6), from_environment("MILLSTREAM_CRASH_SEED", 1));
    let (mut draw, tap) = (Draw(seed), Tap::new());
    let (mut node, mut lines) = prepare(&tap);
    let mut driver = Driver::start(&tap.address, "input", PARTITIONS);
    let (mut promises, mut kills) = (Promises::default(), Vec::new());
    for round in 0..rounds {
        driver.goes_on();
        lines.grow(200, draw.below(12));
        let phase = PHASES[usize::try_from(round).unwrap() % PHASES.len()];
        let kill = kill(&mut node, &tap, (round, phase), &mut draw, &mut promises);
        println!("round {round}: {phase:?}, {kill:?}");
        kills.push(kill);
    }
    driver.goes_on();
    let sent = driver.end();
    lines.grow(1, 0);
    promises.check(&node, &tap.address, PATIENCE);
    check_input(&node, &tap, &sent);
    exactly(&node, "filtered", &sent, filtered);
    exactly(&node, "followed", &sent, |number| Some(json!({"id": number})));
    let doubled = everything(&node, "lines", "line", &(0..lines.count).collect::<Vec<_>>());
    let hit = |of: fn(&Kill) -> usize| kills.iter().filter(|kill| of(kill) > 0).count();
    let in_flight = hit(|kill| kill.unanswered);
    println!(
        "seed {seed}: {rounds} kills {:?}; {in_flight} with a produce request sent and not answered, {} of them with its batch in the log, {} with a torn log; \
         {} records acknowledged, each there once and in order, and what came of them too; {} lines, {doubled} of them written again after a restart",
        promises.kills,
        hit(|kill| kill.logged),
        hit(|kill| kill.torn),
        sent.count,
        lines.count
    );
    let wanted = usize::try_from(rounds).unwrap() * IN_FLIGHT_OF_50 / 50;
    assert!(in_flight >= wanted, "only {in_flight} of {rounds} kills came into an append; {wanted} are wanted");
}

/// What `crashing.py` sends as `number`, and the function makes of it.
fn filtered(number: u64) -> Option<Value> {
    let amount = f64::from(u32::try_from(480 + number % 100).unwrap());
    let user = format!("u{}", number % 17);
    let fee = amount * 0.029 + 0.30;
    (amount >= 500.0).then(|| json!({"id": number, "user": user, "kind": "crash", "amount": amount, "fee": fee}))
}

/// Waits until a reader of committed records sees in `topic` what is `made` of each record that was acknowledged, in order, and nothing else.
fn exactly(node: &Node, topic: &str, sent: &Sent, made: impl Fn(u64) -> Option<Value>) {
    let mut expected: BTreeMap<u64, Vec<Value>> = (0..PARTITIONS).map(|partition| (partition, Vec::new())).collect();
    for number in 0..sent.count {
        expected.entry(number % PARTITIONS).or_default().extend(made(number));
    }
    let count: usize = expected.values().map(Vec::len).sum();
    eventually(&format!("{topic} has what came of {} records", sent.count), PATIENCE, || {
        let words = ["read", &node.kafka, topic, "read_committed", &PARTITIONS.to_string()];
        let mut seen: BTreeMap<u64, Vec<Value>> = (0..PARTITIONS).map(|partition| (partition, Vec::new())).collect();
        let lines = run_script("transactional.py", &words, &[]);
        for line in &lines {
            let value = serde_json::from_str(line["value"].as_str().unwrap()).unwrap();
            seen.entry(line["partition"].as_u64().unwrap()).or_default().push(value);
        }
        for (partition, values) in &seen {
            let wanted = &expected[partition];
            let differs = values.iter().zip(wanted).position(|(found, wanted)| found != wanted);
            let at = differs.map(|at| (at, &values[at], &wanted[at]));
            assert!(
                at.is_none() && values.len() <= wanted.len(),
                "{topic}-{partition}: {at:?}, {} values",
                values.len()
            );
        }
        (lines.len() == count).then_some(())
    });
}

/// Every record once, in order, and where its acknowledgement said.
fn check_input(node: &Node, tap: &Tap, sent: &Sent) {
    let count = usize::try_from(sent.count).unwrap();
    assert_eq!(records(node, "input"), sent.count, "no record more than were sent");
    let number = |record: &Record| -> u64 {
        let value: Value =
            serde_json::from_slice(&STANDARD.decode(record["value"].as_str().unwrap()).unwrap()).unwrap();
        value["id"].as_u64().unwrap()
    };
    let mut by_partition: BTreeMap<i64, Vec<(i64, u64)>> = BTreeMap::new();
    for record in Family::FranzGo.consume(&tap.address, "input", count) {
        let place = (record["offset"].as_i64().unwrap(), number(&record));
        by_partition.entry(record["partition"].as_i64().unwrap()).or_default().push(place);
    }
    let mut acked = sent.acked.clone();
    acked.sort_unstable();
    for (partition, read) in by_partition {
        let told: Vec<(i64, u64)> =
            acked.iter().filter(|(_, of, _)| *of == partition).map(|(number, _, offset)| (*offset, *number)).collect();
        assert_eq!(read, told, "partition {partition}: once each, in order, where the acknowledgements said");
    }
}

fn records(node: &Node, topic: &str) -> u64 {
    let listed = node.ok(&["topic", "list", "-o", "json"]);
    let mut rows = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.find(|row| row["name"] == topic).map_or(0, |row| row["records"].as_u64().unwrap())
}

/// Waits until `topic` has every one of `expected`. At least once: what was written again after a restart is counted, and returned.
fn everything(node: &Node, topic: &str, field: &str, expected: &[u64]) -> u64 {
    let mut read_at = 0;
    eventually(&format!("{topic} has everything"), PATIENCE, || {
        let count = records(node, topic);
        if count < expected.len() as u64 || count == read_at {
            return None;
        }
        read_at = count;
        let consumed = node.ok(&["topic", "consume", topic]);
        let number = |line: &str| serde_json::from_str::<Value>(line).unwrap()[field].as_u64().unwrap();
        let mut seen: Vec<u64> = consumed.lines().map(number).collect();
        let total = seen.len() as u64;
        seen.sort_unstable();
        seen.dedup();
        (seen == expected).then(|| total - expected.len() as u64)
    })
}
