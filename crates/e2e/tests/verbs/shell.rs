//! One node and the commands that are typed to it.

use crate::command_line::CommandLine;
use millstream_e2e::eventually;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long anything may take. The machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A command that runs until it is told to end.
pub struct Running<'a> {
    line: &'a CommandLine,
    args: Vec<String>,
    process: Option<Child>,
    /// What it printed before it was ready.
    pub said: Vec<String>,
}

impl<'a> Running<'a> {
    /// Starts a command and returns once it has printed a line that begins with `ready`.
    pub fn start(line: &'a CommandLine, args: &[&str], environment: &[(&str, &str)], log: &Path, ready: &str) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let mut process = line.spawn(args, environment, Stdio::from(log));
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        while !said.last().is_some_and(|line: &String| line.starts_with(ready)) {
            let next = lines.next().and_then(Result::ok);
            said.push(
                next.unwrap_or_else(|| {
                    panic!("millstream {} ended before it said {ready:?}: {said:?}", args.join(" "))
                }),
            );
        }
        // The rest is read away, or a full pipe would stop the process.
        std::thread::spawn(move || lines.for_each(drop));
        Self { line, args: args.iter().map(|word| (*word).to_owned()).collect(), process: Some(process), said }
    }

    /// What follows `name` in the first line that begins with it.
    pub fn after(&self, name: &str) -> String {
        let found = self.said.iter().find_map(|line| line.trim().strip_prefix(name));
        found.unwrap_or_else(|| panic!("nothing said {name:?}: {:?}", self.said)).trim().to_owned()
    }

    /// Asks it to end, which it must do well.
    pub fn stop(mut self) {
        let process = self.process.take().unwrap();
        let told = Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
        assert!(told.success());
        self.line.ended(&self.args.iter().map(String::as_str).collect::<Vec<_>>(), process);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // It may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Where commands are typed: a folder and a node.
pub struct Shell<'a> {
    line: &'a CommandLine,
    folder: PathBuf,
    http: String,
}

impl<'a> Shell<'a> {
    pub fn new(line: &'a CommandLine, folder: &Path, http: &str) -> Self {
        Self { line, folder: folder.to_owned(), http: http.to_owned() }
    }

    /// The node's HTTP address.
    pub fn http(&self) -> &str {
        &self.http
    }

    /// A file of the folder, by its whole path.
    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file into the folder; its path.
    pub fn file(&self, name: &str, content: &str) -> String {
        std::fs::write(self.folder.join(name), content).unwrap();
        self.path(name)
    }

    /// A command that must succeed, with its standard input; its standard output.
    pub fn typed(&self, args: &[&str], input: &str) -> String {
        let output = self.line.run(args, input, &[("MILLSTREAM_HTTP", &self.http)]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "millstream {} failed: {error}", args.join(" "));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same, without input.
    pub fn ok(&self, args: &[&str]) -> String {
        self.typed(args, "")
    }

    /// The rows that a command prints.
    pub fn rows(&self, args: &[&str]) -> Vec<Value> {
        let text = self.ok(&[args, &["-o", "json"]].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A command that must fail; its standard error.
    pub fn fails(&self, args: &[&str]) -> String {
        let output = self.line.run(args, "", &[("MILLSTREAM_HTTP", &self.http)]);
        assert!(!output.status.success(), "millstream {} should have failed", args.join(" "));
        String::from_utf8(output.stderr).unwrap()
    }

    /// The lines of a topic, sorted, once there are so many.
    pub fn lines_of(&self, topic: &str, count: usize) -> Vec<String> {
        eventually(&format!("{topic} has {count} records"), PATIENCE, || {
            let mut lines: Vec<String> = self.ok(&["topic", "consume", topic]).lines().map(str::to_owned).collect();
            lines.sort();
            (lines.len() == count).then_some(lines)
        })
    }

    /// Waits until a deployment is in `state` and nothing waits to be read; what describes it.
    pub fn settled(&self, kind: &str, name: &str, state: &str) -> Value {
        eventually(&format!("{kind} {name} is {state} and has read all"), PATIENCE, || {
            let one = self.rows(&[kind, "describe", name]).remove(0);
            (one["state"] == state && one["lag"] == 0).then_some(one)
        })
    }
}
