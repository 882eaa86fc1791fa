//! The command line as `--help` shows it, and what of it was run to a good end. Nothing else in this test starts the binary.

use millstream_e2e::binary;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;

/// A command's words, such as `topic create`.
type Verb = Vec<String>;

/// Options that are the same after every command: it is enough that one run has them.
const EVERYWHERE: [&str; 2] = ["--http", "--output"];
/// Options that run nothing.
const TELL_ONLY: [&str; 2] = ["--help", "--version"];

/// Every verb with its options, and which of both were run.
pub struct CommandLine {
    /// Each option as it may be written, short or long, and its long name.
    verbs: BTreeMap<Verb, BTreeMap<String, String>>,
    helps: BTreeMap<Verb, String>,
    ran: Mutex<BTreeMap<Verb, BTreeSet<String>>>,
}

impl CommandLine {
    /// Walks `--help` from the top.
    pub fn walk() -> Self {
        let (mut verbs, mut helps) = (BTreeMap::new(), BTreeMap::new());
        let mut ahead = vec![Verb::new()];
        while let Some(verb) = ahead.pop() {
            let help = help(&verb);
            let below = commands(&help);
            // `help` takes any command's name; what it prints is compared by `help_is_the_same_by_word_and_by_option`.
            let below = below.into_iter().map(|word| verb.iter().cloned().chain([word]).collect::<Verb>());
            let (by_word, below): (Vec<Verb>, Vec<Verb>) = below.partition(|verb| verb.ends_with(&["help".to_owned()]));
            verbs.extend(by_word.into_iter().map(|verb| (verb, BTreeMap::new())));
            if below.is_empty() {
                verbs.insert(verb.clone(), options(&help));
            }
            helps.insert(verb, help);
            ahead.extend(below);
        }
        assert!(verbs.len() > 60, "the walk should find the whole command line: {:?}", verbs.keys());
        Self { verbs, helps, ran: Mutex::default() }
    }

    /// What `--help` prints after every command, by its words.
    pub fn helps(&self) -> &BTreeMap<Vec<String>, String> {
        &self.helps
    }

    /// Runs the binary to its end. Only a run that ends well counts as one of its verb and options.
    pub fn run(&self, args: &[&str], input: &str, environment: &[(&str, &str)]) -> Output {
        let mut process = self.spawn(args, environment, Stdio::piped());
        let mut stdin = process.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            // A command that does not read its input may be gone before it is written.
            scope.spawn(move || drop(stdin.write_all(input.as_bytes())));
            process.wait_with_output().unwrap()
        });
        if output.status.success() {
            self.record(args);
        }
        output
    }

    /// Starts the binary; [`CommandLine::ended`] counts its run.
    pub fn spawn(&self, args: &[&str], environment: &[(&str, &str)], errors: Stdio) -> Child {
        let mut command = Command::new(binary());
        command.args(args).envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).spawn().unwrap()
    }

    /// Waits for a process that [`CommandLine::spawn`] started, which must end well.
    pub fn ended(&self, args: &[&str], mut process: Child) {
        let status = process.wait().unwrap();
        assert!(status.success(), "millstream {} ended with {status}", args.join(" "));
        self.record(args);
    }

    fn record(&self, args: &[&str]) {
        let is_verb = |count: &usize| {
            let words: Verb = args[..*count].iter().map(|word| (*word).to_owned()).collect();
            self.verbs.contains_key(&words)
        };
        let Some(count) = (1..=args.len()).rev().find(is_verb) else { return };
        let verb: Verb = args[..count].iter().map(|word| (*word).to_owned()).collect();
        let known = &self.verbs[&verb];
        let used: BTreeSet<String> = args[count..].iter().filter_map(|word| known.get(*word).cloned()).collect();
        if used.iter().any(|option| TELL_ONLY.contains(&option.as_str())) {
            return;
        }
        self.ran.lock().unwrap().entry(verb).or_default().extend(used);
    }

    /// The verbs, and the options of verbs, that no run had.
    pub fn missing(&self) -> Vec<String> {
        let ran = self.ran.lock().unwrap();
        let mut missing = Vec::new();
        for (verb, options) in &self.verbs {
            let Some(used) = ran.get(verb) else {
                missing.push(verb.join(" "));
                continue;
            };
            let wanted = options.values().filter(|option| {
                !used.contains(*option)
                    && !EVERYWHERE.contains(&option.as_str())
                    && !TELL_ONLY.contains(&option.as_str())
            });
            missing.extend(
                wanted.collect::<BTreeSet<_>>().into_iter().map(|option| format!("{} {option}", verb.join(" "))),
            );
        }
        let anywhere: BTreeSet<&String> = ran.values().flatten().collect();
        missing.extend(
            EVERYWHERE
                .iter()
                .filter(|option| !anywhere.contains(&(**option).to_owned()))
                .map(|option| (*option).to_owned()),
        );
        missing
    }
}

/// What `--help` prints after a command.
fn help(verb: &[String]) -> String {
    let output = Command::new(binary()).args(verb).arg("--help").output().unwrap();
    assert!(output.status.success(), "{} --help: {}", verb.join(" "), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The lines below a heading of a help text.
fn section<'a>(help: &'a str, heading: &str) -> impl Iterator<Item = &'a str> {
    let lines = help.lines().skip_while(move |line| *line != heading).skip(1);
    lines.take_while(|line| line.is_empty() || line.starts_with(' '))
}

/// The commands that a help text lists. Their explanations, where they take more lines, are indented further.
fn commands(help: &str) -> Vec<String> {
    let words = section(help, "Commands:").filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    words.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

/// The options that a help text lists.
fn options(help: &str) -> BTreeMap<String, String> {
    let mut options = BTreeMap::new();
    for line in section(help, "Options:") {
        let indent = line.len() - line.trim_start().len();
        let names: Vec<&str> = line.split_whitespace().map(|word| word.trim_end_matches(',')).collect();
        let names: Vec<&str> = names.into_iter().take_while(|word| word.starts_with('-')).collect();
        if indent <= 6
            && let Some(long) = names.iter().find(|name| name.starts_with("--"))
        {
            options.extend(names.iter().map(|name| ((*name).to_owned(), (*long).to_owned())));
        }
    }
    options
}
