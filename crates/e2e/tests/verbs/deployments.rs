//! Functions, connectors, streams and rules: made, watched, stopped, moved, changed, taken back, forgotten.

use crate::shell::Shell;
use serde_json::{Value, json};

const SAMPLES: &str = "{\"id\":1,\"amount\":120.5}\n{\"id\":2,\"amount\":900}\nnot json\n";

/// What every kind of deployment can be told, on one that reads `in`. Each step is seen to have happened.
fn shared_verbs(shell: &Shell<'_>, kind: &str, name: &str) {
    assert!(shell.rows(&[kind, "list"]).iter().any(|one| one["name"] == name));
    assert!(shell.ok(&[kind, "list"]).contains(name));
    assert!(shell.ok(&[kind, "describe", name]).contains("\"generation\": 1"));
    shell.ok(&[kind, "pause", name]);
    shell.settled(kind, name, "paused");
    assert!(shell.ok(&[kind, "reset", name, "--to", "earliest"]).contains("reset to earliest"));
    shell.ok(&[kind, "resume", name]);
    shell.ok(&[kind, "restart", name]);
    assert!(shell.ok(&[kind, "logs", name]).starts_with("TIME"));
}

/// Goes back to the first generation, which is then the newest.
fn taken_back(shell: &Shell<'_>, kind: &str, name: &str, before: &Value) {
    let now = shell.rows(&[kind, "describe", name]).remove(0);
    assert_eq!((&now["generation"], now["spec"] == *before), (&json!(2), false), "{now}");
    assert!(shell.ok(&[kind, "rollback", name, "--generation", "1"]).contains("now generation 3"));
    assert_eq!(shell.rows(&[kind, "describe", name])[0]["spec"], *before);
}

fn deleted(shell: &Shell<'_>, kind: &str, name: &str) {
    assert_eq!(shell.ok(&[kind, "delete", name]), format!("{name}: deleted\n"));
    assert!(shell.rows(&[kind, "list"]).iter().all(|one| one["name"] != name));
    assert!(shell.fails(&[kind, "describe", name]).contains(name));
}

/// From an empty folder to what a component makes of records, in both languages.
fn are_made(shell: &Shell<'_>) {
    for (language, folder) in [("rust", "discount"), ("js", "discount-js")] {
        let folder = shell.path(folder);
        shell.ok(&["function", "new", &folder, "--language", language]);
        assert!(shell.ok(&["function", "build", &folder]).contains("hash"));
        let component = format!("{folder}/{}.wasm", folder.rsplit('/').next().unwrap());
        let by_file = shell.ok(&["function", "test", &component, "--input", &format!("{folder}/sample.jsonl")]);
        let outcomes: Vec<Value> = by_file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let names: Vec<&Value> = outcomes.iter().map(|one| &one["outcome"]).collect();
        assert_eq!(names, ["dropped", "written", "failed"], "{by_file}");
        assert_eq!(shell.typed(&["function", "test", &component], SAMPLES), by_file);
        let kept = shell.typed(&["function", "test", &component, "--settings", "{\"min\": 100}"], SAMPLES);
        assert!(kept.starts_with("{\"outcome\":\"written\""), "{kept}");
    }
}

pub fn functions(shell: &Shell<'_>) {
    are_made(shell);
    let component = shell.path("discount/discount.wasm");
    shell.ok(&["topic", "create", "payments"]);
    shell.typed(&["topic", "produce", "payments"], SAMPLES);
    let deploy = [
        "function",
        "deploy",
        "discount",
        &component,
        "--input",
        "payments",
        "--to",
        "discounted",
        "--settings",
        "{\"min\":100}",
        "--on-error",
        "dead-letter",
        "--dead-letter-topic",
        "undone",
    ];
    assert_eq!(shell.ok(&deploy), "discount: deployed, generation 1\n");
    let first = shell.settled("function", "discount", "running")["spec"].clone();
    assert_eq!(shell.lines_of("discounted", 2).len(), 2);
    assert_eq!(shell.lines_of("undone", 1), ["not json"]);
    shared_verbs(shell, "function", "discount");
    // It was reset to the start, so it does all of it once more.
    assert_eq!(shell.lines_of("discounted", 4).len(), 4);
    let again = [
        "function",
        "deploy",
        "discount",
        &component,
        "--input",
        "payments",
        "--to",
        "discounted",
        "--on-error",
        "skip",
    ];
    assert_eq!(shell.ok(&again), "discount: deployed, generation 2\n");
    taken_back(shell, "function", "discount", &first);
    deleted(shell, "function", "discount");
    begins_at_the_end(shell, &component);
}

fn begins_at_the_end(shell: &Shell<'_>, component: &str) {
    let late = [
        "function",
        "deploy",
        "late",
        component,
        "--input",
        "payments",
        "--to",
        "later",
        "--from-latest",
        "--on-error",
        "skip",
        "--at-least-once",
        "--commit-interval-ms",
        "20",
    ];
    shell.ok(&late);
    shell.settled("function", "late", "running");
    shell.typed(&["topic", "produce", "payments"], "{\"id\":3,\"amount\":1000}\n");
    assert!(shell.lines_of("later", 1)[0].contains("\"id\":3"), "only what came after it");
    deleted(shell, "function", "late");
}

pub fn connectors(shell: &Shell<'_>) {
    let types = shell.rows(&["connector", "types"]);
    assert!(types.iter().any(|one| one["name"] == "file" && one["direction"] == "source"), "{types:?}");
    let settings: Value = serde_json::from_str(&shell.ok(&["connector", "types", "file"])).unwrap();
    assert!(settings["properties"]["path"].is_object(), "{settings}");

    let path = format!("path={}", shell.file("people.csv", "id,name\n1,Ada\n2,Bob\n\"3\n"));
    let whole = shell.file("people.json", &json!({"type": "generator", "settings": {"key": "id"}}).to_string());
    let given = [
        "people",
        "--type",
        "file",
        "--topic",
        "people",
        "--partitions",
        "2",
        "--errors",
        "dead-letter",
        "--dead-letter-topic",
        "broken",
        "--file",
        &whole,
        "--set",
        &path,
    ];
    assert!(shell.ok(&[&["connector", "validate"], &given[..]].concat()).contains("valid"));
    assert!(shell.fails(&["connector", "describe", "people"]).contains("people"), "validating makes nothing");
    assert!(shell.ok(&[&["connector", "create"], &given[..]].concat()).contains("generation 1"));
    let first = shell.settled("connector", "people", "finished")["spec"].clone();
    assert_eq!(first["type"], "file", "an option wins over the file");
    assert_eq!(shell.lines_of("people", 2), ["{\"id\":1,\"name\":\"Ada\"}", "{\"id\":2,\"name\":\"Bob\"}"]);
    assert_eq!(shell.lines_of("broken", 1), ["\"3"]);
    assert_eq!(shell.rows(&["topic", "describe", "people"])[0]["partitions"], 2);
    shared_verbs(shell, "connector", "people");
    assert_eq!(shell.lines_of("people", 4).len(), 4, "it was reset to the start, so it read the file once more");
    shell.ok(&["connector", "create", "people", "--type", "file", "--topic", "people", "--set", &path]);
    taken_back(shell, "connector", "people", &first);
    deleted(shell, "connector", "people");
}

pub fn streams(shell: &Shell<'_>) {
    shell.ok(&["topic", "create", "numbers"]);
    shell.typed(&["topic", "produce", "numbers"], "{\"n\":1}\n{\"n\":2}\n");
    let statement = |field: &str| format!("CREATE STREAM copied AS SELECT _value->>'n' AS {field} FROM numbers");
    assert_eq!(shell.ok(&["stream", "create", &statement("n")]), "copied: created, generation 1\n");
    let first = shell.settled("stream", "copied", "running")["spec"].clone();
    assert_eq!(shell.lines_of("copied", 2), ["{\"n\":\"1\"}", "{\"n\":\"2\"}"]);
    shared_verbs(shell, "stream", "copied");
    assert_eq!(shell.lines_of("copied", 4).len(), 4);
    assert_eq!(shell.ok(&["stream", "create", &statement("m")]), "copied: created, generation 2\n");
    taken_back(shell, "stream", "copied", &first);
    deleted(shell, "stream", "copied");
}

/// Buses and rules.
pub fn events(shell: &Shell<'_>) {
    shell.ok(&["bus", "create", "shop", "--partitions", "2"]);
    assert_eq!(shell.rows(&["bus", "list"])[0]["topic"], "bus.shop");
    assert_eq!(shell.rows(&["topic", "describe", "bus.shop"])[0]["partitions"], 2);
    let event = |id: &str, amount: i64| json!({"specversion": "1.0", "id": id, "source": "/shop", "type": "order", "data": {"amount": amount}});
    let pattern = json!({"data": {"amount": [{"numeric": [">", 100]}]}}).to_string();
    let large = [
        "rule",
        "create",
        "large",
        "--bus",
        "shop",
        "--pattern",
        &pattern,
        "--to-topic",
        "large-orders",
        "--dead-letter-topic",
        "undelivered",
    ];
    assert_eq!(shell.ok(&large), "large: created, generation 1\n");
    let one = shell.file("event.json", &event("1", 500).to_string());
    assert_eq!(shell.ok(&["bus", "put", "shop", &one]), "shop: 1 accepted, 0 known already\n");
    let both = json!([event("1", 500), event("2", 5)]).to_string();
    assert_eq!(shell.typed(&["bus", "put", "shop"], &both), "shop: 1 accepted, 1 known already\n");
    assert_eq!(shell.rows(&["bus", "describe", "shop"])[0]["events"], 2);
    let first = shell.settled("rule", "large", "running")["spec"].clone();
    assert!(shell.lines_of("large-orders", 1)[0].contains("\"id\":\"1\""));
    let tested = shell.rows(&["rule", "test", &one]);
    assert_eq!((&tested[0]["rule"], &tested[0]["matches"]), (&json!("large"), &json!(true)));
    let small = shell.file("small.json", &event("3", 1).to_string());
    assert_eq!(shell.rows(&["rule", "test", &small, "--rule", "large"])[0]["matches"], false);
    shared_verbs(shell, "rule", "large");
    assert_eq!(shell.lines_of("large-orders", 2).len(), 2, "it was reset to the start, so it matched once more");

    shell.ok(&["topic", "create", "plain"]);
    let whole = shell.file("rule.json", &json!({"pattern": {"n": [1]}}).to_string());
    let posted = format!("http://{}/v1/topics/ones/records", shell.http());
    shell.ok(&["rule", "create", "large", "--topic", "plain", "--file", &whole, "--to-url", &posted]);
    taken_back(shell, "rule", "large", &first);
    deleted(shell, "rule", "large");
    assert_eq!(shell.ok(&["bus", "delete", "shop"]), "shop: deleted\n");
    assert!(shell.rows(&["bus", "list"]).is_empty());
}
