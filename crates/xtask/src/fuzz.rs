//! `cargo xtask fuzz`: the entries of `crates/fuzz` under libFuzzer, each for so many seconds of the processor, and a table of what came of it.
//!
//! What was found stays in the target folder: inputs that reach something new (`fuzz/corpus/TARGET`), from which the next run goes on, and those
//! that broke a promise (`fuzz/broken/TARGET`), which belong into the seeds of the entry once they are mended.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const MANIFEST: &str = "crates/fuzz/libfuzzer/Cargo.toml";
/// What has the compiler count edges and tell what is compared; the checks of a debug build stay in.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1";
const PROFILE: [(&str, &str); 4] = [
    ("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "2"),
    ("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true"),
    ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true"),
];
/// Bytes of the longest input.
const INPUT_BYTES_MAX: usize = 4_096;
/// An input that takes longer (seconds), or a process that takes more memory (MiB), is broken.
const INPUT_SECONDS_MAX: u64 = 30;
const MEMORY_MIB_MAX: u64 = 1_024;
/// How often a run's time is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Clock ticks of `/proc/PID/stat` in a second, on every Linux there is.
const TICKS_PER_SECOND: u64 = 100;

/// What one entry came to.
struct Row {
    name: String,
    seconds: u64,
    executions: u64,
    coverage: Coverage,
    broken: usize,
}

/// How much of the code that an entry is about its inputs reach.
#[derive(Debug, PartialEq, Eq)]
struct Coverage {
    edges: (u64, u64),
    functions: (u64, u64),
}

/// Builds the entries, and runs those whose name contains `only`.
pub fn run(root: &Path, only: &str, seconds: u64) -> Result<(), String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from).join("fuzz");
    let mut rows = Vec::new();
    for name in names(root)?.iter().filter(|name| name.contains(only)) {
        build(root, &target, name)?;
        rows.push(row(&target, name, seconds)?);
    }
    if rows.is_empty() {
        return Err(format!("no target's name contains {only:?}; they are {}", names(root)?.join(", ")));
    }
    print!("{}", table(&rows));
    let broken: Vec<&str> = rows.iter().filter(|row| row.broken > 0).map(|row| row.name.as_str()).collect();
    match broken.is_empty() {
        true => Ok(()),
        false => Err(format!("broken: {}; see {}", broken.join(", "), target.join("broken").display())),
    }
}

/// Every entry has a program of its name.
fn names(root: &Path) -> Result<Vec<String>, String> {
    let folder = root.join("crates/fuzz/libfuzzer/fuzz_targets");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut names: Vec<String> = paths.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

fn build(root: &Path, target: &Path, name: &str) -> Result<(), String> {
    // The libraries in the versions that the product has.
    let lock = root.join("crates/fuzz/libfuzzer/Cargo.lock");
    if !lock.exists() {
        fs::copy(root.join("Cargo.lock"), &lock).map_err(|error| format!("{}: {error}", lock.display()))?;
    }
    let mut cargo = crate::test::plain("cargo");
    cargo.args([
        "build",
        "--release",
        "--manifest-path",
        MANIFEST,
        "--target",
        &host()?,
        "--bin",
        name,
        "--bin",
        "replay",
    ]);
    cargo.env("RUSTFLAGS", FLAGS).env("CARGO_TARGET_DIR", target).envs(PROFILE).current_dir(root);
    let status = cargo.status().map_err(|error| format!("cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name} does not build: {status}")) }
}

/// Flags go to build scripts too unless the target is named, and those are no programs for a fuzzer.
fn host() -> Result<String, String> {
    let output = Command::new("rustc").arg("-vV").output().map_err(|error| format!("rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc -vV names no host".to_owned())
}

fn row(target: &Path, name: &str, seconds: u64) -> Result<Row, String> {
    let programs = target.join(host()?).join("release");
    let [corpus, broken] = ["corpus", "broken"].map(|folder| target.join(folder).join(name));
    for folder in [&corpus, &broken] {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let replay = |what: &str| {
        let output = Command::new(programs.join("replay")).args([what, name]).arg(&corpus).output();
        let output = output.map_err(|error| format!("replay: {error}"))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(format!("replay {what} {name}: {}", String::from_utf8_lossy(&output.stderr))),
        }
    };
    replay("seeds")?;
    let log = target.join(format!("{name}.log"));
    eprintln!("== {name}: {seconds} s; what it says goes to {}", log.display());
    let program = programs.join(name);
    let (mut had, mut executions) = (0, 0);
    loop {
        let (took, told) = fuzz(&program, &corpus, &broken, &log, seconds - had)?;
        let count = told.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        executions += count.and_then(|count| count.trim().parse().ok()).unwrap_or(0);
        had += took;
        let was_only_late = remove_late(&program, &broken)?;
        if had >= seconds || !was_only_late {
            break;
        }
    }
    let found = fs::read_dir(&broken).map(|entries| entries.count()).unwrap_or(0);
    let said = replay("coverage")?;
    fs::write(target.join(format!("{name}.coverage")), &said).map_err(|error| format!("{name}.coverage: {error}"))?;
    let coverage = coverage(&said).ok_or_else(|| format!("replay told no coverage of {name}: {said}"))?;
    // One that ended by itself before its time was up broke on something, whatever it left.
    let broken = found.max(usize::from(had < seconds));
    Ok(Row { name: name.to_owned(), seconds: had, executions, coverage, broken })
}

/// Runs a program until it has had its seconds, and asks it to end then. Gives back how many it had, and what it said.
fn fuzz(program: &Path, corpus: &Path, broken: &Path, log: &Path, seconds: u64) -> Result<(u64, String), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", program.display());
    let file = fs::File::create(log).map_err(failed)?;
    let mut child = Command::new(program)
        .arg(format!("-artifact_prefix={}/", broken.display()))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
        .args(["-print_final_stats=1", "-reload=0"])
        .arg(corpus)
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .map_err(failed)?;
    let (mut looked, mut had, mut is_asked) = (0_u32, 0, false);
    while child.try_wait().map_err(failed)?.is_none() {
        std::thread::sleep(LOOK);
        looked += 1;
        had = seconds_of(&child).unwrap_or_else(|| (LOOK * looked).as_secs()).max(had);
        if had >= seconds && !is_asked {
            is_asked = true;
            // libFuzzer ends after the input it is at, and says what it did.
            Command::new("kill").args(["-USR1", &child.id().to_string()]).status().map_err(failed)?;
        }
    }
    Ok((had, fs::read_to_string(log).map_err(failed)?))
}

/// Removes inputs that seemed to take too long and do not when they are tried alone: libFuzzer's clock goes on while its process is stopped,
/// or while others have the processor. Gives back whether there were such and no others.
fn remove_late(program: &Path, broken: &Path) -> Result<bool, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", broken.display());
    let (mut late, mut others) = (0, 0);
    for entry in fs::read_dir(broken).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let seemed_late = name.starts_with("timeout-") || name.starts_with("slow-unit-");
        let mut alone = Command::new(program);
        alone.arg(format!("-timeout={INPUT_SECONDS_MAX}")).arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
        if seemed_late && alone.status().map_err(failed)?.success() {
            fs::remove_file(&path).map_err(failed)?;
            late += 1;
        } else {
            others += 1;
        }
    }
    Ok(late > 0 && others == 0)
}

/// Seconds of the processor that a process had; none where the system does not say.
fn seconds_of(child: &Child) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
    let ticks: Vec<u64> = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2).flat_map(str::parse).collect();
    Some(ticks.iter().sum::<u64>() / TICKS_PER_SECOND)
}

/// `covered 1 of 2 in 3 of 4`, and more lines.
fn coverage(said: &str) -> Option<Coverage> {
    let numbers: Vec<u64> = said.lines().next()?.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [covered, edges, entered, functions] = numbers[..] else { return None };
    Some(Coverage { edges: (covered, edges), functions: (entered, functions) })
}

fn table(rows: &[Row]) -> String {
    let mut text =
        String::from("target       CPU s  executions       /s  edges reached         functions       broken\n");
    for Row { name, seconds, executions, coverage: Coverage { edges, functions }, broken } in rows {
        let share = |(part, all): &(u64, u64)| format!("{part} of {all} ({} %)", part * 100 / (*all).max(1));
        let rate = executions / (*seconds).max(1);
        let (edges, functions) = (share(edges), share(functions));
        text += &format!("{name:<12} {seconds:>5} {executions:>11} {rate:>8}  {edges:<21} {functions:<15} {broken}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_programs_say_is_read() {
        let coverage = coverage("covered 10 of 40 in 3 of 4\nnot reached: x::y\n").unwrap();
        assert_eq!(coverage, Coverage { edges: (10, 40), functions: (3, 4) });
        let row = Row { name: "batches".into(), seconds: 2, executions: 7_000, coverage, broken: 0 };
        let line = table(&[row]).lines().nth(1).unwrap().to_owned();
        assert_eq!(
            line.split_whitespace().collect::<Vec<_>>().join(" "),
            "batches 2 7000 3500 10 of 40 (25 %) 3 of 4 (75 %) 0"
        );
        assert!(super::coverage("nothing").is_none());
    }

    #[test]
    fn there_is_a_program_for_each_entry() {
        assert!(names(&crate::root()).unwrap().len() >= 8);
    }
}
