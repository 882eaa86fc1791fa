//! A function's folder to a component.

use super::toolchain::{self, run};
use crate::Error;
use millstream_wasm::ComponentHash;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A component that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Where it is: `<folder>/<name>.wasm`.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its hash.
    pub hash: ComponentHash,
    /// What built it, for people.
    pub toolchain: &'static str,
}

/// Builds the function in `folder`: Rust when there is a `Cargo.toml`, JavaScript or TypeScript when there is a `package.json`. What a
/// toolchain needs once is kept in `cache`.
///
/// # Errors
/// What is missing and what installs it, or what the compiler said.
pub fn build(folder: &Path, cache: &Path) -> Result<Built, Error> {
    if folder.join("Cargo.toml").is_file() {
        return rust(folder, cache);
    }
    if folder.join("package.json").is_file() {
        return javascript(folder);
    }
    let reason = "there is neither a Cargo.toml nor a package.json; make a function with `millstream function new`";
    Err(Error::File { path: folder.to_owned(), reason: reason.into() })
}

fn rust(folder: &Path, cache: &Path) -> Result<Built, Error> {
    let toolchain = toolchain::find(cache)?;
    let name = package_name(folder, "Cargo.toml")?;
    let target = folder.join("target/millstream");
    let mut command = Command::new(&toolchain.cargo);
    command.current_dir(folder).args(["build", "--release", "--target", toolchain.target]);
    // A folder of its own: what the caller's environment says of targets is meant for other builds.
    command
        .env("CARGO_TARGET_DIR", absolute(&target)?)
        .env_remove("RUSTFLAGS")
        .envs(toolchain.environment.iter().map(|(name, value)| (name, value)));
    run(&mut command)?;
    let made = target.join(toolchain.target).join("release").join(format!("{}.wasm", name.replace('-', "_")));
    let path = folder.join(format!("{name}.wasm"));
    std::fs::copy(&made, &path)
        .map_err(|error| Error::File { path: made, reason: format!("the build did not make it: {error}") })?;
    built(path, toolchain.name)
}

fn javascript(folder: &Path) -> Result<Built, Error> {
    let name = package_name(folder, "package.json")?;
    let source = ["src/index.ts", "src/index.js"].into_iter().find(|source| folder.join(source).is_file());
    let Some(source) = source else {
        return Err(Error::File {
            path: folder.join("src/index.js"),
            reason: "it is not there; expected src/index.js or src/index.ts".into(),
        });
    };
    if !folder.join("node_modules/componentize-qjs").is_dir() {
        run(Command::new("npm").current_dir(folder).args(["install", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    }
    let work = folder.join("node_modules/.millstream");
    let entry = format!(
        "import * as user from \"../../{source}\";\nimport {{ component }} from \"millstream\";\nexport const transform = component(user);\n"
    );
    let placed = std::fs::create_dir_all(&work).and_then(|()| std::fs::write(work.join("entry.js"), entry));
    placed.map_err(|error| Error::File { path: work.clone(), reason: error.to_string() })?;
    let bundle = [
        "esbuild",
        "node_modules/.millstream/entry.js",
        "--bundle",
        "--minify",
        "--format=esm",
        "--external:millstream:*",
    ];
    run(Command::new("npx")
        .current_dir(folder)
        .args(bundle)
        .args(["--log-level=warning", "--outfile=node_modules/.millstream/bundle.js"]))?;
    let path = folder.join(format!("{name}.wasm"));
    let component = [
        "componentize-qjs",
        "--wit",
        "node_modules/millstream/wit",
        "-n",
        "function",
        "--js",
        "node_modules/.millstream/bundle.js",
    ];
    // Not `--opt-size`: that engine is a third smaller and costs a fourth more for every record.
    let options = ["--sync", "--stub-wasi", "--minify", "-o"];
    run(Command::new("npx").current_dir(folder).args(component).args(options).arg(format!("{name}.wasm")))?;
    built(path, "componentize-qjs")
}

/// The package's name, as its manifest says it.
fn package_name(folder: &Path, manifest: &str) -> Result<String, Error> {
    let path = folder.join(manifest);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Error::File { path: path.clone(), reason: error.to_string() })?;
    let name = if manifest == "package.json" {
        serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .and_then(|package| package["name"].as_str().map(str::to_owned))
    } else {
        let package = text.split("[package]").nth(1).unwrap_or_default();
        let line = package
            .lines()
            .take_while(|line| !line.starts_with('['))
            .find(|line| line.trim_start().starts_with("name"));
        line.and_then(|line| line.split('"').nth(1)).map(str::to_owned)
    };
    let plain = |name: &String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    name.filter(plain).ok_or_else(|| Error::File {
        path,
        reason: "it names no package; expected a name of letters, digits, '-' and '_'".into(),
    })
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|error| Error::File { path: path.to_owned(), reason: error.to_string() })
}

fn built(path: PathBuf, toolchain: &'static str) -> Result<Built, Error> {
    let component = std::fs::read(&path)
        .map_err(|error| Error::File { path: path.clone(), reason: format!("the build did not make it: {error}") })?;
    Ok(Built { path, bytes: component.len() as u64, hash: ComponentHash::of(&component), toolchain })
}
