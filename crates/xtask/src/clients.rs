//! Installs the real clients that the end-to-end tests drive, into a cache folder: once, and again when what is asked for changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the end-to-end tests find their clients by.
pub const VARIABLE: &str = "MILLSTREAM_E2E_CLIENTS";

/// kcat, and the libraries it needs.
const KCAT: [&str; 3] = ["kcat", "librdkafka1", "libyajl2"];

/// Installs every client family and returns the folder that holds them:
/// `python/bin/python`, `node/node_modules`, `go/client`, `java/libs`, `java/classes`, `kcat/usr`.
pub fn install(root: &Path) -> Result<PathBuf, String> {
    let sources = root.join("crates/e2e/clients");
    let cache = cache_folder()?.join("clients");
    fs::create_dir_all(&cache).map_err(|error| format!("{}: {error}", cache.display()))?;
    step(&cache, "python", &read(&sources.join("python/requirements.txt"))?, || {
        let python = cache.join("python");
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&python))?;
        run(Command::new(python.join("bin/pip"))
            .args(["install", "-q", "-r"])
            .arg(sources.join("python/requirements.txt")))
    })?;
    step(&cache, "node", &read(&sources.join("node/package.json"))?, || {
        let node = cache.join("node");
        fs::create_dir_all(&node).map_err(|error| error.to_string())?;
        fs::copy(sources.join("node/package.json"), node.join("package.json")).map_err(|error| error.to_string())?;
        run(Command::new("npm").args(["install", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&node))
    })?;
    let go = sources.join("go");
    step(
        &cache,
        "go",
        &(read(&go.join("main.go"))? + &read(&go.join("doors.go"))? + &read(&go.join("go.mod"))?),
        || run(Command::new("go").args(["build", "-o"]).arg(cache.join("go/client")).arg(".").current_dir(&go)),
    )?;
    let java = sources.join("java");
    step(&cache, "java-libs", &read(&java.join("pom.xml"))?, || {
        let target = format!("-DoutputDirectory={}", cache.join("java/libs").display());
        run(Command::new("mvn").args(["-q", "-B", "-ntp", "dependency:copy-dependencies", &target]).current_dir(&java))
    })?;
    let programs = ["Client", "Batches", "Compacted", "Doors", "ShareMember", "Tools", "Transactions", "WordCount"]
        .map(|name| java.join(format!("src/main/java/{name}.java")));
    let wanted: String = programs.iter().map(|program| read(program)).collect::<Result<_, _>>()?;
    step(&cache, "java-classes", &wanted, || {
        let libs = format!("{}/*", cache.join("java/libs").display());
        run(Command::new("javac").args(["-cp", &libs, "-d"]).arg(cache.join("java/classes")).args(&programs))
    })?;
    install_kcat(&cache)?;
    Ok(cache)
}

/// Installs kcat beside the others where it is not there: Debian's, unpacked without being root.
fn install_kcat(clients: &Path) -> Result<(), String> {
    if Command::new("kcat").arg("-V").output().is_ok() {
        return Ok(());
    }
    step(clients, "kcat", KCAT.join(" ").as_str(), || {
        let folder = clients.join("kcat");
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let download = || run(Command::new("apt-get").args(["-q", "download"]).args(KCAT).current_dir(&folder));
        if download().is_err() {
            // The lists of what there is are old, or were never fetched.
            run(Command::new("apt-get").args(["-q", "update"]))?;
            download()?;
        }
        let packages = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for package in packages.filter_map(Result::ok).map(|entry| entry.path()) {
            if package.extension().is_some_and(|extension| extension == "deb") {
                run(Command::new("dpkg").arg("-x").args([&package, &folder]))?;
            }
        }
        Ok(())
    })
}

/// The project's cache folder, shared by all its checkouts.
pub fn cache_folder() -> Result<PathBuf, String> {
    let home = std::env::var_os("HOME").ok_or("HOME is not set: it says where the cache folder is")?;
    Ok(PathBuf::from(home).join(".cache/millstream"))
}

/// Does `work` unless it was done for the same `wanted` text before.
fn step(cache: &Path, name: &str, wanted: &str, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let marker = cache.join(format!("{name}.done"));
    if fs::read_to_string(&marker).is_ok_and(|done| done == wanted) {
        return Ok(());
    }
    eprintln!("installing the {name} clients (once)");
    work()?;
    fs::write(&marker, wanted).map_err(|error| format!("{}: {error}", marker.display()))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("{command:?}: {error}; is it installed?"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed ({status})")) }
}
