//! Settings with unknown or wrong fields: the node's from every source, a topic's, a connector's, a schema's.

use crate::kit::{Body, Connection, api, file, post, refused, says};
use millstream_e2e::{Bystander, Node, binary};
use std::process::Command;

/// Runs `millstream serve`, which must be refused with this exit code before it serves.
#[track_caller]
fn not_served(node: &Node, args: &[&str], variables: &[(&str, &str)], code: i32, words: &[&str]) {
    let folder = node.folder().join("other");
    let mut command = Command::new(binary());
    command.arg("serve").arg("--data-dir").arg(&folder).args(args);
    let given = |name: &str| {
        args.contains(&name) || args.iter().any(|arg| arg.starts_with(&format!("{}=", name.trim_start_matches("--"))))
    };
    // Ports of its own, where the test is not about them.
    if !given("--kafka") && !given("--listeners") {
        command.args(["--kafka", "127.0.0.1:0"]);
    }
    if !given("--http") && !given("--http.listener") {
        command.args(["--http", "127.0.0.1:0"]);
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
    assert!(output.stdout.is_empty(), "it does not say that it listens");
    says(&error, words);
}

#[test]
fn an_option_of_the_node_that_is_wrong_is_named_with_its_source() {
    let node = Node::start(&[]);
    let mut bystander = Bystander::start(&node);
    let none: &[(&str, &str)] = &[];
    let set = |text: &'static str, words: &[&str]| not_served(&node, &["--set", text], none, 2, words);
    set("nope=1", &["--set nope", "unknown option \"nope\"", "`millstream config` lists the options"]);
    set("nope", &["--set nope (expected NAME=VALUE)"]);
    set("node.id=x", &["--set node.id", "invalid value \"x\" for node.id", "expected an integer from 0 to 2147483647"]);
    set("num.partitions=0", &["invalid value \"0\" for num.partitions", "expected an integer from 1"]);
    set("auto.create.topics.enable=maybe", &["invalid value \"maybe\"", "auto.create.topics.enable", "true or false"]);
    set("listeners=foo", &["invalid value \"foo\" for listeners", "NAME://HOST:PORT", "PLAINTEXT://127.0.0.1:9092"]);
    set("listeners=PLAINTEXT://nowhere:1", &["invalid value \"nowhere:1\"", "an IP address and a port"]);
    set("http.listener=1", &["invalid value \"1\" for http.listener", "an IP address and a port"]);
    set(
        "listeners=PLAINTEXT://0.0.0.0:0",
        &["0.0.0.0:0", "other machines can reach", "allow.unauthenticated.remote=true"],
    );
    bystander.goes_on();
    let serve = |args: &[&str], code: i32, words: &[&str]| not_served(&node, args, none, code, words);
    serve(&["--set", "tier.url=ftp://x"], 1, &["ftp://x", "unknown scheme \"ftp\"", "s3://BUCKET/PREFIX"]);
    serve(&["--kafka", "127.0.0.1:70000"], 2, &["127.0.0.1:70000", "an IP address and a port"]);
    serve(&["--log", "a=b=c"], 2, &["\"a=b=c\"", "level or target=level"]);
    serve(&["--frobnicate"], 2, &["--frobnicate", "--help"]);
    let variable = [("MILLSTREAM_NUM_PARTITIONS", "0")];
    not_served(&node, &[], &variable, 2, &["MILLSTREAM_NUM_PARTITIONS", "invalid value \"0\" for num.partitions"]);
    let config = |name: &str, content: &str, words: &[&str]| {
        let path = file(&node, name, content);
        serve(&["--config", &path], 2, words);
    };
    config("broken.toml", "a = [", &["broken.toml", "TOML parse error at line 1, column 6"]);
    config("unknown.toml", "nope = 1", &["unknown.toml", "unknown option \"nope\"", "millstream config"]);
    config(
        "wrong.toml",
        "[node]\nid = \"x\"",
        &["wrong.toml", "invalid value \"x\" for node.id", "expected an integer"],
    );
    serve(&["--config", "/nowhere.toml"], 2, &["/nowhere.toml", "No such file"]);
    bystander.unharmed(&node);
}

#[test]
fn a_config_of_a_topic_that_is_wrong_is_refused_by_command_and_by_protocol() {
    let node = Node::start(&[]);
    let bystander = Bystander::start(&node);
    node.ok(&["topic", "create", "there"]);
    let create = |args: &[&str], words: &[&str]| refused(&node, &[&["topic", "create"], args].concat(), 1, words);
    create(&["t", "--config", "retention.ms=soon"], &["\"soon\"", "retention.ms", "expected an integer"]);
    create(&["t", "--config", "retention=1"], &["\"retention\"", "unknown"]);
    create(&["t", "--config", "cleanup.policy=burn"], &["\"burn\"", "cleanup.policy", "delete"]);
    create(&["t", "--config", "max.message.bytes=-1"], &["\"-1\"", "max.message.bytes", "expected an integer from 0"]);
    create(&["t", "--partitions", "0"], &["0"]);
    create(&["bad name"], &["\"bad name\"", "only ASCII letters, digits"]);
    create(&[".."], &["\"..\""]);
    create(&[&"x".repeat(250)], &["249"]);
    create(&["there"], &["\"there\" exists already"]);
    refused(&node, &["topic", "create", "t", "--config", "retention.ms"], 2, &["expected NAME=VALUE", "retention.ms="]);
    let alter = |args: &[&str], words: &[&str]| refused(&node, &[&["topic", "alter"], args].concat(), 1, words);
    alter(&["there", "--config", "segment.bytes=tiny"], &["\"tiny\"", "segment.bytes"]);
    alter(&["there", "--partitions", "1"], &["1", "partitions"]);
    alter(&["absent", "--partitions", "2"], &["\"absent\""]);
    refused(&node, &["topic", "delete", "absent"], 1, &["\"absent\""]);
    let unknown = [("content-type", "application/json")];
    let (status, answer) = post(&node, "/v1/topics", &unknown, r#"{"name":"t","partitons":3}"#);
    assert_eq!(status, 400);
    says(&answer, &["unknown field `partitons`", "`partitions`"]);
    // By Kafka's own protocol: CreateTopics v4, IncrementalAlterConfigs v0.
    let topic = Body::default().i32(1).text("t").i32(1).i16(1).i32(0).i32(1).text("retention.ms").text("soon");
    let mut answer = Connection::open(&node).ask(api::CREATE_TOPICS, 4, &topic.i32(10_000).i8(0));
    let _ = (answer.i32(), answer.i32(), answer.text());
    assert_eq!(answer.i16(), 40, "INVALID_CONFIG");
    says(&answer.text(), &["\"soon\"", "retention.ms", "expected an integer"]);
    let change = Body::default().i32(1).i8(2).text("there").i32(1).text("retention.ms").i8(0).text("soon").i8(0);
    let mut answer = Connection::open(&node).ask(api::INCREMENTAL_ALTER_CONFIGS, 0, &change);
    let _ = (answer.i32(), answer.i32());
    assert_eq!(answer.i16(), 40, "INVALID_CONFIG");
    says(&answer.text(), &["\"soon\"", "retention.ms", "expected an integer"]);
    bystander.unharmed(&node);
}

#[test]
fn settings_of_a_connector_that_are_wrong_are_all_named() {
    let node = Node::start(&[]);
    let bystander = Bystander::start(&node);
    let create = |args: &[&str], words: &[&str]| {
        for verb in ["create", "validate"] {
            refused(&node, &[&["connector", verb, "c"], args].concat(), 1, words);
        }
    };
    let of = ["--type", "file", "--topic", "t"];
    create(&of, &["settings.path: expected a value; it is required"]);
    create(
        &[&of[..], &["--set", "path=x.csv", "--set", "fromat=csv"]].concat(),
        &["settings.fromat is \"csv\": expected no such field", "there are", "format"],
    );
    create(&[&of[..], &["--set", "path=7"]].concat(), &["settings.path is 7: expected a value of type string"]);
    create(
        &[&of[..], &["--set", "path=x", "--set", "format=xml"]].concat(),
        &["settings.format is \"xml\"", "csv", "json-lines"],
    );
    create(
        &["--type", "generator", "--topic", "t", "--set", "rate=-5"],
        &["settings.rate is -5: expected at least 0.001", "settings.fields"],
    );
    create(&["--type", "generator", "--topic", "t", "--partitions", "0"], &["partitions is 0: expected at least 1"]);
    create(&["--type", "generator"], &["topics: expected a value"]);
    create(
        &["--type", "nothing", "--topic", "t"],
        &["no connector type \"nothing\"", "there are file, generator", "millstream connector types"],
    );
    create(
        &["--type", "object-store", "--topic", "t", "--set", "url=ftp://x", "--set", "format=json-lines"],
        &["settings.url is \"ftp://x\"", "s3:// or file://"],
    );
    let path = file(&node, "unknown.json", r#"{"type":"file","topics":["t"],"stetings":{}}"#);
    create(&["--file", &path], &["stetings is {}: expected no such field", "settings"]);
    let usage =
        |args: &[&str], words: &[&str]| refused(&node, &[&["connector", "create", "c"], args].concat(), 2, words);
    usage(&["--type", "file", "--topic", "t", "--set", "path"], &["\"path\" is not a setting", "expected NAME=VALUE"]);
    usage(&["--type", "file", "--topic", "t", "--errors", "later"], &["'later'", "fail, skip, dead-letter"]);
    usage(&["--file", &file(&node, "list.json", "[1]")], &["list.json", "expected one object of settings"]);
    usage(&["--file", &file(&node, "broken.json", "{\"type\":")], &["broken.json", "column 8"]);
    usage(&["--file", &file(&node, "broken.toml", "type = \"file")], &["broken.toml", "line 1"]);
    let bad_name = ["connector", "create", "bad name", "--type", "file", "--topic", "t", "--set", "path=x"];
    refused(&node, &bad_name, 1, &["\"bad name\"", "1 to 100 letters"]);
    let json = [("content-type", "application/json")];
    let (status, answer) = post(&node, "/v1/connectors", &json, "{\"name\":");
    assert_eq!(status, 400);
    says(&answer, &["EOF while parsing a value at line 1 column 8"]);
    let (status, answer) = post(&node, "/v1/connectors", &[], "{}");
    assert_eq!(status, 400);
    says(&answer, &["set content-type: application/json"]);
    assert!(node.ok(&["connector", "list", "-o", "json"]).is_empty(), "nothing of that is deployed");
    bystander.unharmed(&node);
}

#[test]
fn a_schema_that_is_none_is_refused_as_the_registry_refuses() {
    let node = Node::start(&[]);
    let bystander = Bystander::start(&node);
    let register = |content: &str, words: &[&str]| {
        let path = file(&node, "schema.json", content);
        refused(&node, &["schema", "register", "t-value", &path], 1, words);
    };
    register("{\"type\":", &["EOF", "line 1"]);
    register(r#"{"type":"objct"}"#, &["objct"]);
    let body = serde_json::json!({"schemaType": "AVRO", "schema": r#"{"type":"record","name":"r"}"#}).to_string();
    let (status, answer) = post(&node, "/subjects/t-value/versions", &[("content-type", "application/json")], body);
    assert_eq!(status, 422, "{answer}");
    says(&answer, &["42201", "fields"]);
    bystander.unharmed(&node);
}
