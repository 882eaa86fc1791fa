//! What builds Rust guests on this machine: a target that rustup has installed, or Debian's compiler with a library built from its sources.

use crate::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The script that builds Rust's standard library from Debian's sources.
const SYSROOT_SCRIPT: &str = include_str!("../../../../functions/sysroot.sh");

/// How to get a toolchain.
const REMEDY: &str = "Run: rustup target add wasm32-unknown-unknown (or wasm32-wasip2). \
     On Debian without rustup's targets: apt-get install rustc-web cargo-web rust-web-src, and cargo install wasm-component-ld";

/// A way to build Rust to a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// Its name, for people.
    pub name: &'static str,
    /// The cargo to call.
    pub cargo: PathBuf,
    /// The target to ask it for.
    pub target: &'static str,
    /// What to set for it.
    pub environment: Vec<(&'static str, String)>,
}

/// Finds a toolchain; a library that Debian's needs is built into `cache`, once.
///
/// # Errors
/// [`Error::Tool`] with what installs one.
pub fn find(cache: &Path) -> Result<Toolchain, Error> {
    let has = |target: &str| {
        printed("rustc", &["--print", "target-libdir", "--target", target])
            .is_some_and(|folder| Path::new(&folder).is_dir())
    };
    if has("wasm32-unknown-unknown")
        && let Some(linker) = component_linker()
    {
        let environment = vec![("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker.display().to_string())];
        let name = "rustup, wasm32-unknown-unknown";
        return Ok(Toolchain { name, cargo: "cargo".into(), target: "wasm32-unknown-unknown", environment });
    }
    if has("wasm32-wasip2") {
        return Ok(Toolchain {
            name: "rustup, wasm32-wasip2",
            cargo: "cargo".into(),
            target: "wasm32-wasip2",
            environment: Vec::new(),
        });
    }
    debian(cache)
}

fn debian(cache: &Path) -> Result<Toolchain, Error> {
    let missing = |tool: &str| Error::Tool { tool: tool.to_owned(), remedy: REMEDY };
    let sources = printed("/usr/bin/dpkg", &["-s", "rust-web-src"]).is_some();
    if !Path::new("/usr/bin/rustc").exists() || !Path::new("/usr/bin/cargo").exists() || !sources {
        return Err(missing("a Rust compiler for WebAssembly"));
    }
    let linker = component_linker().ok_or_else(|| missing("wasm-component-ld"))?;
    let sysroot = cache.join("wasm-sysroot");
    let script = ["-c", SYSROOT_SCRIPT, "sysroot.sh", "wasm32-unknown-unknown"];
    run(Command::new("bash").args(script).arg(&sysroot))?;
    // rustup's rustc shows its linker the way to wasm-ld; Debian's does not.
    let beside = linker.parent().map(|folder| folder.join("gcc-ld/wasm-ld")).filter(|tool| tool.exists());
    let mut flags = format!("--sysroot={}", sysroot.display());
    match beside {
        Some(tool) => flags.push_str(&format!(" -Clink-arg=--wasm-ld-path={}", tool.display())),
        None if printed("wasm-ld", &["--version"]).is_none() => return Err(missing("wasm-ld (Debian's package lld)")),
        None => {}
    }
    let environment = vec![
        ("RUSTC", "/usr/bin/rustc".to_owned()),
        ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", flags),
        ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker.display().to_string()),
    ];
    Ok(Toolchain {
        name: "Debian's rustc-web",
        cargo: "/usr/bin/cargo".into(),
        target: "wasm32-unknown-unknown",
        environment,
    })
}

/// The linker that makes a component of a core module: it comes with rustup's toolchains.
fn component_linker() -> Option<PathBuf> {
    let sysroot = printed("rustc", &["--print", "sysroot"]).map(PathBuf::from);
    let hosts = sysroot.map(|sysroot| sysroot.join("lib/rustlib")).and_then(|folder| std::fs::read_dir(folder).ok());
    let with_rustc = hosts
        .into_iter()
        .flatten()
        .flatten()
        .map(|host| host.path().join("bin/wasm-component-ld"))
        .find(|tool| tool.exists());
    with_rustc.or_else(|| printed("wasm-component-ld", &["--version"]).map(|_| "wasm-component-ld".into()))
}

/// What a command prints; none when it is not there or fails.
fn printed(command: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(command).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a command to its end; what it printed becomes the error when it fails.
///
/// # Errors
/// [`Error::Tool`] when it is not there, [`Error::Build`] when it fails.
pub fn run(command: &mut Command) -> Result<(), Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    let remedy = match name.as_str() {
        "npm" | "npx" => "Install Node.js 18 or later",
        "bash" => "Install bash",
        _ => REMEDY,
    };
    let output = command.output().map_err(|_| Error::Tool { tool: name.clone(), remedy })?;
    if output.status.success() {
        return Ok(());
    }
    let shown = command
        .get_args()
        .take(4)
        .map(|argument| argument.to_string_lossy().lines().next().unwrap_or_default().to_owned());
    let text = [&output.stdout[..], &output.stderr[..]].map(|part| String::from_utf8_lossy(part).trim().to_owned());
    Err(Error::Build {
        command: format!("{name} {}", shown.collect::<Vec<_>>().join(" ")),
        output: text.join("\n").trim().to_owned(),
    })
}
