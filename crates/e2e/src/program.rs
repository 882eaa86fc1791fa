//! A program that runs to its end.

use std::io::Write;
use std::process::{Command, Stdio};

/// Runs a program to its end, with `input` as its standard input; its standard output.
///
/// # Panics
/// When it can't be started or fails.
pub fn run(command: &mut Command, input: &str) -> String {
    let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut process = process.unwrap_or_else(|error| panic!("{command:?} can't be started: {error}"));
    let mut stdin = process.stdin.take().expect("it is piped");
    let input = input.to_owned();
    // Written beside the reading, or a program that answers before it has read all would stop both.
    let (output, errors) = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input.as_bytes()));
        let errors = process.stderr.take().expect("it is piped");
        let errors = scope.spawn(move || std::io::read_to_string(errors).unwrap_or_default());
        let output = std::io::read_to_string(process.stdout.take().expect("it is piped")).unwrap_or_default();
        (output, errors.join().unwrap_or_default())
    });
    let status = process.wait().expect("a child ends");
    assert!(status.success(), "{command:?} failed ({status}):\n{errors}\n{output}");
    output
}
