//! What needs no node, or is one: serve, demo, doctor, config, completions, version, help.

use crate::command_line::CommandLine;
use crate::shell::{Running, Shell};
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// The demo, kept: it answers, and ends well when told to, leaving the folder it was given.
pub fn demo(line: &CommandLine, folder: &Path) {
    let data = folder.join("demo");
    // The files that it carries, from their folder.
    let flights = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/flights/data");
    let args = [
        "demo",
        "--keep",
        "--kafka",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--data-dir",
        data.to_str().unwrap(),
        "--flights",
        flights,
    ];
    let demo = Running::start(line, &args, &[], &folder.join("demo.log"), "    kafka-console-consumer");
    let shell = Shell::new(line, folder, &demo.after("export MILLSTREAM_HTTP="));
    let rows = shell.rows(&["sql", "-c", "SELECT count(*) AS n FROM flights"]);
    assert_eq!(rows[0]["n"], 328_521);
    assert_eq!(shell.rows(&["topic", "consume", "alerts", "-n", "3"]).len(), 3);
    drop(shell);
    demo.stop();
    assert!(data.join("data/meta.properties").exists(), "a folder that was named is kept");
}

/// A node with every option of `serve`, each of which can be seen to hold.
pub fn serve_takes_its_options(line: &CommandLine, folder: &Path, work: impl FnOnce(&Shell<'_>)) {
    let data = folder.join("served");
    let config = folder.join("node.toml");
    std::fs::write(&config, "\"num.partitions\" = 3\n\"group.initial.rebalance.delay.ms\" = 1\n").unwrap();
    let args = [
        "serve",
        "--data-dir",
        data.to_str().unwrap(),
        "--kafka",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--node-id",
        "7",
        "--config",
        config.to_str().unwrap(),
        "--set",
        "group.initial.rebalance.delay.ms=0",
        "--log-format",
        "json",
        "--log",
        "info",
    ];
    let log = folder.join("served.log");
    let node = Running::start(line, &args, &[], &log, "http");
    let shell = Shell::new(line, folder, &node.after("http"));
    let status = shell.rows(&["cluster", "status"]);
    assert_eq!((&status[0]["node"], &status[0]["address"]), (&Value::from(7), &Value::from(node.after("kafka"))));
    assert_eq!(shell.ok(&["topic", "create", "three"]), "three: created with 3 partitions\n");
    work(&shell);
    node.stop();
    let log = std::fs::read_to_string(log).unwrap();
    let said: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(said.iter().any(|line| line.to_string().contains("serving")), "{log}");
}

/// doctor, config, completions, version.
pub fn checks(line: &CommandLine, folder: &Path) {
    let shell = Shell::new(line, folder, "127.0.0.1:1");
    assert_eq!(shell.ok(&["version"]).split_whitespace().next(), Some("millstream"));
    let options = shell.rows(&["config", "node", "--name", "num.partitions"]);
    let named = options.iter().find(|one| one["name"] == "num.partitions");
    assert_eq!(named.map(|one| &one["default"]), Some(&Value::from("1")), "{options:?}");
    for (name, word) in [
        ("bash", "complete"),
        ("zsh", "#compdef millstream"),
        ("fish", "complete -c millstream"),
        ("elvish", "edit:completion"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = shell.ok(&["completions", name]);
        assert!(script.contains(word) && script.contains("rollback"), "{name}: {script:.200}");
    }
    let script = shell.file("completions", &shell.ok(&["completions", "bash"]));
    let asked = format!(
        "source {script} && COMP_WORDS=(millstream tier off) COMP_CWORD=2 && _millstream millstream off tier && echo ${{COMPREPLY[@]}}"
    );
    let completed = Command::new("bash").args(["-c", &asked]).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&completed.stdout).trim(),
        "offload",
        "{}",
        String::from_utf8_lossy(&completed.stderr)
    );
    doctor(&shell, folder);
}

fn doctor(shell: &Shell<'_>, folder: &Path) {
    let config = shell.file("doctor.toml", "\"num.partitions\" = 2\n");
    let data = folder.join("doctored");
    let args = [
        "doctor",
        "--data-dir",
        data.to_str().unwrap(),
        "--kafka",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--node-id",
        "2",
        "--config",
        &config,
        "--set",
        "num.partitions=4",
    ];
    let found = shell.rows(&args);
    let verdict = |check: &str| found.iter().find(|one| one["check"] == check).map(|one| one["verdict"].clone());
    assert_eq!(
        (verdict("kafka port"), verdict("clock")),
        (Some(Value::from("ok")), Some(Value::from("ok"))),
        "{found:?}"
    );
    assert!(shell.ok(&args).starts_with("CHECK"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error =
        shell.fails(&["doctor", "--data-dir", data.to_str().unwrap(), "--kafka", &address, "--http", "127.0.0.1:0"]);
    assert!(error.contains("would keep a node from running"), "{error}");
}

/// `help` says of every command what `--help` says after it.
pub fn help_is_the_same_by_word_and_by_option(line: &CommandLine) {
    for (verb, text) in line.helps() {
        let said = |args: &[&str]| String::from_utf8(line.run(args, "", &[]).stdout).unwrap();
        let words: Vec<&str> = verb.iter().map(String::as_str).collect();
        assert_eq!(said(&[&["help"], &words[..]].concat()), *text, "help {}", verb.join(" "));
        if let [group, word] = words[..]
            && ["list", "status"].contains(&word)
        {
            assert_eq!(said(&[group, "help", word]), *text, "{group} help {word}");
        }
    }
}
