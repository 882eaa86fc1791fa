//! `cargo xtask mutants`: plausible bugs, each a patch of its own, put into a copy of the tree one after another. The simulations have to find
//! every one of them, or they prove less than they seem to.
//!
//! A patch begins with what the bug is, and a line `Found by: cargo test -p CRATE ...`, the command that has to fail.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where the patches are.
const FOLDER: &str = "crates/xtask/mutants";
const FOUND_BY: &str = "Found by: cargo test -p ";
/// How long a test with a mutant in it may take (seconds): one that never ends is found, too.
const LIMIT_SECONDS: &str = "600";
/// What the program that keeps this limit ends with when it had to.
const STOPPED: i32 = 124;

/// A patch.
struct Mutant {
    name: String,
    path: PathBuf,
    /// The arguments of `cargo test` that find it.
    test: Vec<String>,
    /// The files that it changes.
    #[cfg_attr(not(test), expect(dead_code, reason = "what it changes is checked by a test"))]
    changes: Vec<String>,
}

/// All of them, by name.
fn mutants(root: &Path) -> Result<Vec<Mutant>, String> {
    let folder = root.join(FOLDER);
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let paths: BTreeSet<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.into_iter().map(read).collect()
}

fn read(path: PathBuf) -> Result<Mutant, String> {
    let wrong = |what: &str| format!("{}: {what}", path.display());
    let text = fs::read_to_string(&path).map_err(|error| wrong(&error.to_string()))?;
    let test = text.lines().find_map(|line| line.strip_prefix(FOUND_BY));
    let test =
        test.ok_or_else(|| wrong("it does not say which test finds it, in a line `Found by: cargo test -p ...`"))?;
    let changes = text.lines().filter_map(|line| line.strip_prefix("+++ b/")).map(str::to_owned).collect();
    let test = ["-p"].into_iter().chain(test.split_whitespace()).map(str::to_owned).collect();
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Mutant { name, path, test, changes })
}

/// Puts each mutant whose name contains `only` into a copy, and fails unless its test does.
pub fn run(root: &Path, only: &str) -> Result<(), String> {
    let mutants: Vec<Mutant> = mutants(root)?.into_iter().filter(|mutant| mutant.name.contains(only)).collect();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let copy = target.join("mutants");
    copy_tree(root, &copy)?;
    let tests: BTreeSet<&Vec<String>> = mutants.iter().map(|mutant| &mutant.test).collect();
    for test in tests {
        eprintln!("== without a mutant: cargo test {}", test.join(" "));
        let output = cargo(&copy, &target, test)?;
        if !output.status.success() {
            return Err(format!("it fails without a mutant, too:\n{}", told(&output)));
        }
    }
    let mut survivors = Vec::new();
    for mutant in &mutants {
        match try_out(&copy, &target, mutant)? {
            Some(found) => eprintln!("{}: found by {found}", mutant.name),
            None => survivors.push(mutant.name.as_str()),
        }
    }
    match survivors.is_empty() {
        true => Ok(()),
        false => Err(format!("not found: {}", survivors.join(", "))),
    }
}

/// Who found it; none where nobody did.
fn try_out(copy: &Path, target: &Path, mutant: &Mutant) -> Result<Option<String>, String> {
    git(copy, &["apply"], &mutant.path)?;
    let built = cargo(copy, target, &[&mutant.test[..], &["--no-run".to_owned()]].concat());
    let output = built.and_then(|built| match built.status.success() {
        true => cargo(copy, target, &mutant.test),
        false => Err(format!("{} does not compile:\n{}", mutant.name, told(&built))),
    });
    git(copy, &["apply", "-R"], &mutant.path)?;
    let output = output?;
    if output.status.success() {
        return Ok(None);
    }
    if output.status.code() == Some(STOPPED) {
        return Ok(Some(format!("a test that did not end within {LIMIT_SECONDS} s")));
    }
    let text = told(&output);
    let failed = text.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    let failed: Vec<&str> = failed.collect();
    match failed.is_empty() {
        true => Err(format!("{}: the test ended without telling what failed:\n{text}", mutant.name)),
        false => Ok(Some(failed.join(", "))),
    }
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn cargo(copy: &Path, target: &Path, test: &[String]) -> Result<Output, String> {
    let mut command = crate::test::plain("timeout");
    command.args([LIMIT_SECONDS, "cargo", "test"]).args(test).env("CARGO_TARGET_DIR", target);
    // The first failure of a property is enough: it is neither made smaller nor kept.
    command.envs([("PROPTEST_MAX_SHRINK_ITERS", "0"), ("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1")]);
    command.current_dir(copy).output().map_err(|error| format!("timeout: {error}"))
}

fn git(folder: &Path, args: &[&str], patch: &Path) -> Result<(), String> {
    // The copy mostly lies within the repository, and git would take the paths of the patch for the repository's and leave the copy alone.
    let above = folder.parent().unwrap_or(folder);
    let mut git = Command::new("git");
    let output = git.args(args).arg(patch).current_dir(folder).env("GIT_CEILING_DIRECTORIES", above).output();
    let output = output.map_err(|error| format!("git: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("git {} {}: {}", args.join(" "), patch.display(), told(&output))),
    }
}

/// Every file that git knows, where it is not the same already: what did not change is not built anew.
fn copy_tree(root: &Path, copy: &Path) -> Result<(), String> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output();
    let listed = listed.map_err(|error| format!("git: {error}"))?.stdout;
    for name in listed.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = String::from_utf8_lossy(name).into_owned();
        let (from, to) = (root.join(&name), copy.join(&name));
        let failed = |error: std::io::Error| format!("{}: {error}", to.display());
        // One that was deleted and not yet committed.
        let Ok(content) = fs::read(&from) else { continue };
        if fs::read(&to).is_ok_and(|before| before == content) {
            continue;
        }
        fs::create_dir_all(to.parent().unwrap_or(copy)).map_err(failed)?;
        fs::write(&to, content).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is promised: a dozen bugs in the crates that decide, and in the log.
    const COUNT_MIN: usize = 12;
    const CRATES: [&str; 6] = ["group", "txn", "replica", "metadata", "storage", "partition"];

    #[test]
    fn a_patch_changes_a_copy_that_lies_within_the_repository() {
        let folder = crate::root().join(format!("target/patched-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("file"), "right\n").unwrap();
        let patch = folder.join("wrong.patch");
        fs::write(&patch, "--- a/file\n+++ b/file\n@@ -1 +1 @@\n-right\n+wrong\n").unwrap();
        let applied = git(&folder, &["apply"], &patch);
        let content = fs::read_to_string(folder.join("file")).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!((applied, content.as_str()), (Ok(()), "wrong\n"));
    }

    #[test]
    fn every_mutant_applies_to_the_product() {
        let root = crate::root();
        let mutants = mutants(&root).unwrap();
        assert!(mutants.len() >= COUNT_MIN, "{} mutants", mutants.len());
        for mutant in &mutants {
            git(&root, &["apply", "--check"], &mutant.path).unwrap();
            assert!(!mutant.changes.is_empty(), "{} changes nothing", mutant.name);
            for file in &mutant.changes {
                assert!(file.starts_with("crates/") && file.contains("/src/"), "{}: {file}", mutant.name);
                assert!(!file.contains("tests"), "{}: {file} is a test", mutant.name);
            }
        }
        for name in CRATES {
            let package = format!("millstream-{name}");
            assert!(mutants.iter().any(|mutant| mutant.test[1] == package), "no mutant of {name}");
        }
    }
}
