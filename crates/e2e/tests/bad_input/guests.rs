//! Components that are none, that ask for what functions do not get, and guests that loop, eat memory, trap or answer nonsense.

use crate::kit::{deployment, fails_with, file, post, refused, resident_bytes, rows, says};
use millstream_e2e::{Bystander, Node, eventually};
use std::path::Path;
use std::time::Duration;

/// Memory that all the hostile guests of a test may make the node hold.
const GROWTH_BYTES_MAX: u64 = 600 << 20;

fn function(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions");
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: functions/build.sh makes it", path.display());
    path.to_str().unwrap().to_owned()
}

fn produce_one(node: &Node, topic: &str) {
    let body = r#"{"records":[{"value":"one"}]}"#;
    let json = [("content-type", "application/json")];
    assert_eq!(post(node, &format!("/v1/topics/{topic}/records"), &json, body).0, 200);
}

#[test]
fn what_is_no_function_is_refused_when_it_is_deployed() {
    let node = Node::start(&["function.component.bytes=2000000"]);
    let bystander = Bystander::start(&node);
    node.ok(&["topic", "create", "input"]);
    let hostile = std::fs::read(function("hostile/hostile.wasm")).unwrap();
    let mut truncated = hostile.clone();
    truncated.truncate(hostile.len() / 2);
    let mut damaged = hostile;
    damaged.iter_mut().skip(4_000).step_by(97).for_each(|byte| *byte ^= 0xff);
    let files = [
        (
            file(&node, "words.wasm", "I am a component, honestly"),
            vec!["words.wasm: this is not a WebAssembly component"],
        ),
        (file(&node, "empty.wasm", ""), vec!["empty.wasm", "not a WebAssembly component"]),
        (
            file(&node, "module.wasm", b"\0asm\x01\0\0\0"),
            vec!["not a WebAssembly component", "millstream function build"],
        ),
        (
            file(&node, "nothing.wasm", b"\0asm\x0d\0\x01\0"),
            vec!["millstream:transform/transform@1.0.0", "exports nothing"],
        ),
        (
            file(&node, "truncated.wasm", truncated),
            vec!["truncated.wasm", "not a WebAssembly component", "out of bounds"],
        ),
        (file(&node, "damaged.wasm", damaged), vec!["damaged.wasm", "not a WebAssembly component"]),
        (
            file(&node, "large.wasm", vec![0; 2_000_001]),
            vec!["large.wasm", "larger than 2000000 bytes", "raise function.component.bytes"],
        ),
        (
            function("hostile/hostile-sockets.wasm"),
            vec!["imports \"wasi:sockets/", "which functions do not get", "They may import", "no sockets"],
        ),
    ];
    for (path, words) in files {
        refused(&node, &["function", "deploy", "f", &path, "--input", "input", "--to", "output"], 1, &words);
    }
    let absent = ["function", "deploy", "f", "absent.wasm", "--input", "input", "--to", "output"];
    refused(&node, &absent, 1, &["can't read absent.wasm", "No such file"]);
    assert!(node.ok(&["function", "list", "-o", "json"]).is_empty(), "nothing of that is deployed");
    bystander.unharmed(&node);
}

#[test]
fn settings_of_a_function_that_are_wrong_are_named() {
    let node = Node::start(&[]);
    let bystander = Bystander::start(&node);
    node.ok(&["topic", "create", "input"]);
    let component = function("hostile/hostile.wasm");
    let deploy = |extra: &[&str], code: i32, words: &[&str]| {
        let args = [&["function", "deploy", "f", &component, "--input", "input"], extra].concat();
        refused(&node, &args, code, words);
    };
    deploy(&["--to", "input"], 1, &["topic \"input\" is both its input and its output", "Write to another topic"]);
    deploy(&["--to", "o", "--settings", "[1]"], 1, &["function f: settings is [1]", "expected a JSON object"]);
    deploy(&["--to", "o", "--settings", "{\"x\":"], 2, &["--settings is not JSON", "column 5"]);
    deploy(&["--to", "bad name"], 1, &["outputs is \"bad name\"", "expected a topic's name"]);
    deploy(&["--to", "o", "--on-error", "dead-letter"], 1, &["dead_letter_topic"]);
    let refuse = r#"{"deed":"configure-refuse"}"#;
    deploy(
        &["--to", "o", "--settings", refuse],
        1,
        &["function f refuses its settings", "I do not like these settings"],
    );
    let trap = r#"{"deed":"configure-trap"}"#;
    deploy(&["--to", "o", "--settings", trap], 1, &["function f trapped in configure", "no configuration today"]);
    let endless = r#"{"deed":"configure-loop"}"#;
    deploy(&["--to", "o", "--settings", endless], 1, &["2000 ms of CPU time in configure", "cpu_ms"]);
    let name = ["function", "deploy", "bad name", &component, "--input", "input", "--to", "o"];
    refused(&node, &name, 1, &["\"bad name\"", "1 to 100 letters, digits"]);
    let spec = |fields: &str| format!(r#"{{"name":"f","spec":{{"component":"00","inputs":["input"]{fields}}}}}"#);
    let json = [("content-type", "application/json")];
    for (fields, words) in [
        (r#","outptus":["o"]"#, ["outptus", "expected one of", "outputs"]),
        (r#","limits":{"cpu_ms":0}"#, ["f", "0", "expected"]),
        (r#","limits":{"memory":1}"#, ["memory", "memory_bytes", "expected one of"]),
        (r#","on_error":"shrug""#, ["shrug", "dead-letter", "skip"]),
        ("", ["component", "00", "expected"]),
    ] {
        let (status, answer) = post(&node, "/v1/functions", &json, spec(fields));
        assert_eq!(status, 400, "{answer}");
        says(&answer, &words);
    }
    assert!(node.ok(&["function", "list", "-o", "json"]).is_empty(), "nothing of that is deployed");
    bystander.unharmed(&node);
}

/// What the hostile guest does, and what its function says then.
const DEEDS: [(&str, &[&str]); 14] = [
    ("loop", &["2000 ms of CPU time in process", "raise its limit cpu_ms"]),
    ("eat", &["bytes of memory in process", "its limit memory_bytes is 67108864"]),
    ("trap", &["trapped in process", "on purpose"]),
    ("recurse", &["trapped in process"]),
    ("refuse", &["could not process a batch of 1 records", "not this batch"]),
    ("nonsense", &["answered nonsense", "this host reads version 1"]),
    ("empty", &["answered nonsense", "does not begin with \"MSOB\""]),
    ("huge-counts", &["answered nonsense", "does not fit its count"]),
    ("wrong-input", &["row 0 belongs to record 4294967295", "expected one from 0 to 0"]),
    ("twice", &["two verdicts on record 0"]),
    ("topic", &["output topic 200", "the deployment has 1"]),
    ("flood-emit", &["emit more than 1024 times for one batch"]),
    ("exit", &["trapped in process", "Exited"]),
    ("connect", &["which functions do not get"]),
];

#[test]
fn a_guest_that_misbehaves_stops_its_own_function_and_no_other() {
    let node = Node::start(&[]);
    let mut bystander = Bystander::start(&node);
    node.ok(&["topic", "create", "input"]);
    let plain = function("hostile/hostile.wasm");
    node.ok(&["function", "deploy", "good", &plain, "--input", "input", "--to", "good-output"]);
    let before = resident_bytes(&node);
    for (deed, words) in DEEDS {
        let component = match deed {
            "exit" => function("hostile/hostile-wasi.wasm"),
            "connect" => function("hostile/hostile-sockets.wasm"),
            _ => plain.clone(),
        };
        let settings = format!("{{\"deed\":\"{deed}\"}}");
        let args =
            ["function", "deploy", deed, &component, "--input", "input", "--to", "nowhere", "--settings", &settings];
        if deed == "connect" {
            refused(&node, &args, 1, words);
        } else {
            node.ok(&args);
        }
    }
    produce_one(&node, "input");
    for (deed, words) in DEEDS.iter().filter(|(deed, _)| *deed != "connect") {
        fails_with(&node, "function", deed, words);
        let next = ["the record at offset 0 of input-0 can't be processed", "resume", "skip or dead-letter", "reset"];
        fails_with(&node, "function", deed, &next);
        bystander.goes_on();
    }
    // Nothing of theirs came out, and the function beside them did its work.
    assert_eq!(node.ok(&["topic", "consume", "nowhere"]), "");
    deployment(&node, "function", "good", |row| row["records_out"] == 1 && row["state"] == "running");
    let grown = resident_bytes(&node).saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "the node holds {grown} bytes more");
    bystander.unharmed(&node);
}

#[test]
fn a_record_that_a_guest_traps_on_goes_the_way_of_the_policy() {
    let node = Node::start(&[]);
    let bystander = Bystander::start(&node);
    node.ok(&["topic", "create", "input"]);
    let records = r#"{"records":[{"value":"six"},{"value":"seven"},{"value":"eight"}]}"#;
    assert_eq!(post(&node, "/v1/topics/input/records", &[("content-type", "application/json")], records).0, 200);
    let component = function("hostile/hostile.wasm");
    for policy in ["skip", "dead-letter"] {
        let (name, output, letters) = (format!("of-{policy}"), format!("out-{policy}"), format!("letters-{policy}"));
        let common = ["function", "deploy", &name, &component, "--input", "input", "--to", &output];
        let settings = ["--settings", r#"{"deed":"trap-on-seven"}"#, "--on-error", policy];
        let dead: &[&str] = if policy == "skip" { &[] } else { &["--dead-letter-topic", &letters] };
        node.ok(&[&common[..], &settings, dead].concat());
        deployment(&node, "function", &name, |row| row["lag"] == 0 && row["records_failed"] == 1);
        // The transaction's end is decided before its marker is in the output.
        let kept = eventually("what was kept is to be read", Duration::from_secs(30), || {
            Some(node.ok(&["topic", "consume", &output])).filter(|lines| !lines.is_empty())
        });
        assert_eq!(kept, "six\neight\n");
    }
    let letters = rows(&node.ok(&["topic", "consume", "letters-dead-letter", "-o", "json"]));
    assert_eq!(letters[0]["value"], "seven");
    says(&letters[0]["headers"].to_string(), &["seven", "trapped in process", "input"]);
    bystander.unharmed(&node);
}
