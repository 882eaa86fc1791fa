//! The README's tour, typed as it is printed: every command of every `sh` block in order, in one empty folder, and what a `text` block says
//! after it is what comes out.
//!
//! The commands name the ports that a newcomer has (9092, 9080, 9000). So that nothing on this machine is in their way, all run in a network
//! namespace of their own; a variable that moves the ports would move what is printed. Only what installs or builds (`function build`) runs
//! outside of it, because it may have to download. `kafka-console-consumer` is the class that Apache's script starts, and `moto_server` is
//! the one that the clients were installed with.
//!
//! What a node does on its own takes a moment. A command that only reads is therefore asked again until it answers as printed, as a person
//! would; every other one is run once and has to succeed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod network;
mod readme;

use millstream_e2e::{binary, clients_folder};
use network::Network;
use readme::{Block, blocks, commands};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Every command of the README that is not run here, with the reason. One that the README does not print any more fails the test.
const NOT_RUN: [(&str, &str); 6] = [
    (
        "cargo run -- demo        # the whole mission on real data: every departure from New York in 2013",
        "tests/demo.rs runs it and judges what it prints",
    ),
    (
        "cargo xtask test         # every test, against real clients, which it installs first (it needs Python, Node, Go, Java and Maven)",
        "it runs this test; .ci/run calls it on a fresh clone",
    ),
    ("cargo build", "cargo has built the binary before it runs this test"),
    ("export PATH=\"$PWD/target/debug:$PATH\"", "PATH leads to the binary under test"),
    ("mkdir ~/millstream-tour && cd ~/millstream-tour", "the folder is a temporary one"),
    ("pip install 'moto[server]'", "`cargo xtask test` has installed it; the README's other command starts it"),
];

/// Commands that run until they are stopped.
const FOREGROUND: [&str; 2] = ["millstream serve", "moto_server"];

/// Commands that change nothing, and whose answer depends on how far the node is.
const READING: [&str; 5] = [
    "millstream topic consume",
    "millstream sql",
    "millstream function list",
    "millstream group list",
    "kafka-console-",
];

/// How long a reading command may take to answer as printed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The text where the README shows what differs from run to run.
const ANYTHING: &str = "...";

struct Tour {
    network: Network,
    folder: tempfile::TempDir,
    path: String,
    node: Option<Child>,
    others: Vec<Child>,
}

impl Tour {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tools = folder.path().join("tools");
        std::fs::create_dir_all(folder.path().join("tour")).unwrap();
        std::fs::create_dir(&tools).unwrap();
        std::os::unix::fs::symlink(binary(), tools.join("millstream")).unwrap();
        std::os::unix::fs::symlink(clients_folder().join("python/bin/moto_server"), tools.join("moto_server")).unwrap();
        let java = clients_folder().join("java/libs");
        let consumer = format!(
            "#!/bin/sh\nexec java -Xmx256m -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp '{}/*' \
             org.apache.kafka.tools.consumer.ConsoleConsumer \"$@\"\n",
            java.display()
        );
        let script = tools.join("kafka-console-consumer");
        std::fs::write(&script, consumer).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
        Self { network: Network::with_free(&[9092, 9080, 9000]), folder, path, node: None, others: Vec::new() }
    }

    /// Where the newcomer is.
    fn folder(&self) -> PathBuf {
        self.folder.path().join("tour")
    }

    /// A command as typed, in a shell that has what a newcomer's has.
    fn shell(&self, typed: &str) -> Command {
        let builds = typed.starts_with("millstream function build");
        let mut command = if builds { Command::new("bash") } else { self.network.command("bash") };
        command.args(["-c", typed]).current_dir(self.folder()).env("PATH", &self.path).stdin(Stdio::null());
        for (name, _) in
            std::env::vars().filter(|(name, _)| name.starts_with("MILLSTREAM_") || name.starts_with("AWS_"))
        {
            command.env_remove(name);
        }
        command
    }

    fn run(&self, typed: &str) -> Output {
        self.shell(typed).output().unwrap()
    }

    /// Starts what runs until it is stopped. A node has to say what is printed; one that ran before is stopped first, as by Ctrl-C.
    fn serve(&mut self, typed: &str, printed: Option<&str>) {
        self.stop_node_for(typed);
        let log = std::fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut process = self.shell(typed).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        if !typed.starts_with("millstream") {
            self.others.push(process);
            return;
        }
        self.node = Some(process);
        let said: Vec<String> = (0..2).map_while(|_| lines.next()?.ok()).collect();
        assert_eq!(said.len(), 2, "`{typed}` did not start:\n{}", self.log());
        if let Some(printed) = printed {
            assert_eq!(said.join("\n"), printed.trim_end(), "what `{typed}` prints is not what the README says");
        }
    }

    fn stop_node_for(&mut self, typed: &str) {
        if !typed.starts_with("millstream serve") {
            return;
        }
        if let Some(mut node) = self.node.take() {
            assert!(Command::new("kill").args(["-INT", &node.id().to_string()]).status().unwrap().success());
            assert!(node.wait().unwrap().success(), "the node did not end in order:\n{}", self.log());
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Types a block's commands, and holds what they print to `printed`.
    fn types(&mut self, block: &Block, printed: Option<&str>) {
        let typed: Vec<String> = commands(block).into_iter().filter(|typed| !not_run(typed)).collect();
        if let [typed] = typed.as_slice()
            && FOREGROUND.iter().any(|start| typed.starts_with(start))
        {
            return self.serve(typed, printed);
        }
        let mut left = printed;
        for (at, one) in typed.iter().enumerate() {
            left = self.answers(block, one, (left, at + 1 == typed.len()));
        }
    }

    /// Types one command, which has to print the beginning of what is `left`, all of it if it is the `last`; the rest is the answer.
    fn answers<'a>(&self, block: &Block, typed: &str, (left, last): (Option<&'a str>, bool)) -> Option<&'a str> {
        let started = Instant::now();
        let reads = READING.iter().any(|start| typed.starts_with(start));
        loop {
            let output = self.run(typed);
            let text = String::from_utf8_lossy(&output.stdout);
            let parted = left.map(|left| if last { Some((left, "")) } else { part(left, text.lines().count()) });
            let fits = parted.is_none_or(|parted| parted.is_some_and(|(expected, _)| same(typed, expected, &text)));
            if output.status.success() && fits {
                return parted.flatten().map(|(_, rest)| rest);
            }
            if !reads || started.elapsed() > PATIENCE {
                self.fail(block, typed, &output, left.unwrap_or("(anything)"));
            }
        }
    }

    fn fail(&self, block: &Block, typed: &str, output: &Output, expected: &str) -> ! {
        let [printed, errors] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        panic!(
            "README.md, block at line {}: {typed}\nended with {}, printed:\n{printed}{errors}\nand should have printed:\n{expected}\nthe log:\n{}",
            block.line,
            output.status,
            self.log()
        )
    }
}

impl Drop for Tour {
    fn drop(&mut self) {
        for mut process in self.others.drain(..).chain(self.node.take()) {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn not_run(typed: &str) -> bool {
    NOT_RUN.iter().any(|(command, _)| *command == typed)
}

/// The first `count` lines, and the rest; none where there are fewer.
fn part(text: &str, count: usize) -> Option<(&str, &str)> {
    let ends = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
    ends.into_iter().nth(count).map(|end| text.split_at(end))
}

/// Whether a command printed what it should. Records of several partitions come in any order; all else comes as it is printed.
fn same(typed: &str, expected: &str, printed: &str) -> bool {
    let lines = |text: &str| {
        let mut lines: Vec<String> = text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect();
        if typed.contains("consume") {
            lines.sort();
        }
        lines
    };
    let (expected, printed) = (lines(expected), lines(printed));
    let fits = |(expected, printed): (&String, &String)| match expected.split_once(ANYTHING) {
        Some((start, end)) => printed.starts_with(start) && printed.ends_with(end),
        None => expected == printed,
    };
    expected.len() == printed.len() && expected.iter().zip(&printed).all(fits)
}

fn readme() -> Vec<Block> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    blocks(&std::fs::read_to_string(path).unwrap())
}

#[test]
fn every_command_of_the_readme_does_what_it_says() {
    let mut tour = Tour::start();
    let blocks = readme();
    for (at, block) in blocks.iter().enumerate().filter(|(_, block)| block.language == "sh") {
        let printed = blocks.get(at + 1).filter(|next| next.language == "text").map(|next| next.text.as_str());
        tour.types(block, printed);
    }
    tour.stop_node_for("millstream serve");
}

#[test]
fn every_block_of_the_readme_is_a_command_or_what_one_prints() {
    let blocks = readme();
    for (at, block) in blocks.iter().enumerate() {
        let after_command = at > 0 && blocks[at - 1].language == "sh";
        let known = block.language == "sh" || (block.language == "text" && after_command);
        assert!(known, "the block at line {} is neither `sh` nor the `text` after one: nothing tests it", block.line);
    }
    let printed: Vec<String> = blocks.iter().filter(|block| block.language == "sh").flat_map(commands).collect();
    for (command, why) in NOT_RUN {
        assert!(
            printed.iter().any(|one| one == command),
            "the README prints {command:?} no more, so it need not be left out ({why})"
        );
    }
    let installed = include_str!("../../clients/python/requirements.txt");
    assert!(installed.contains("moto[server]"), "what `pip install` would bring has to be what the clients bring");
}
