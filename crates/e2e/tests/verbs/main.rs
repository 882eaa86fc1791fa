//! Every verb of the command line and every option of each, run for real: `millstream --help` is walked, and what no scenario here ran to
//! a good end fails the test by its name.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod command_line;
mod deployments;
mod machine;
mod records;
mod shell;

use command_line::CommandLine;
use shell::{Running, Shell};
use std::path::Path;

/// Runs a node in `folder`, does `work` with it, and stops it.
fn with_node(line: &CommandLine, folder: &Path, settings: &[&str], work: impl FnOnce(&Shell<'_>)) {
    let data = folder.join("data");
    let mut args =
        vec!["serve", "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()];
    args.extend(settings.iter().flat_map(|setting| ["--set", *setting]));
    let node = Running::start(line, &args, &[], &folder.join("node.log"), "http");
    work(&Shell::new(line, folder, &node.after("http")));
    node.stop();
}

#[test]
fn every_verb_and_every_option_of_it_is_run() {
    let line = CommandLine::walk();
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str| {
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        folder
    };
    let (first, second, third) = (of("first"), of("second"), of("third"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            machine::demo(&line, &first);
            machine::checks(&line, &first);
            machine::help_is_the_same_by_word_and_by_option(&line);
        });
        scope.spawn(|| {
            with_node(&line, &second, &[], |shell| {
                deployments::functions(shell);
                deployments::connectors(shell);
                deployments::streams(shell);
                deployments::events(shell);
            });
        });
        records::cold(&line, &third);
        machine::serve_takes_its_options(&line, &third, |shell| {
            records::topics(shell);
            records::groups(shell);
            records::schemas(shell);
            records::sql(shell);
        });
    });
    let missing = line.missing();
    assert!(missing.is_empty(), "nothing ran these to a good end; add them to a scenario:\n{}", missing.join("\n"));
}

#[test]
fn what_nothing_ran_or_what_failed_is_named() {
    let line = CommandLine::walk();
    assert!(line.run(&["version"], "", &[]).status.success());
    assert!(line.run(&["config", "topic", "-o", "json"], "", &[]).status.success());
    assert!(line.run(&["topic", "list", "--help"], "", &[]).status.success());
    assert!(!line.run(&["topic", "list", "--http", "127.0.0.1:1"], "", &[]).status.success());
    let missing = line.missing();
    let has = |name: &str| missing.iter().any(|one| one == name);
    assert!(!has("version") && !has("config") && !has("--output"), "{missing:?}");
    assert!(
        has("config --name") && has("topic list") && has("function rollback") && has("sql") && has("--http"),
        "{missing:?}"
    );
}
