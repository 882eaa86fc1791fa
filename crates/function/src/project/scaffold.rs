//! A new function's folder: source that works, the SDK beside it (nothing to download but the language's own tools), records to try.

use crate::Error;
use std::path::Path;

/// What a function can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Rust.
    Rust,
    /// JavaScript; TypeScript when `src/index.js` is renamed to `src/index.ts`.
    JavaScript,
}

macro_rules! sdk {
    ($($path:literal),* $(,)?) => { &[$(($path, include_str!(concat!("../../../sdk/", $path)))),*] };
}

const RUST_SDK: &[(&str, &str)] = sdk![
    "rust/Cargo.toml",
    "rust/src/lib.rs",
    "rust/src/abi.rs",
    "rust/src/batch.rs",
    "rust/src/layout.rs",
    "rust/src/log.rs",
    "rust/src/output.rs",
];
const RUST_WORLD: &[u8] = include_bytes!("../../../sdk/rust/src/transform-1.0.0.world");
const JAVASCRIPT_SDK: &[(&str, &str)] =
    sdk!["js/package.json", "js/index.js", "js/index.d.ts", "js/batch.js", "js/output.js", "js/text.js"];
const WIT: &str = include_str!("../../../../wit/transform-1.0.0/transform.wit");

/// Records to try a new function on.
const SAMPLE: &str = "{\"id\":1,\"amount\":120.5}\n{\"id\":2,\"amount\":900}\nnot json\n";

/// Makes a function's folder.
///
/// # Errors
/// When the folder has something in it already, the name is not one, or a file can't be written.
pub fn scaffold(folder: &Path, language: Language, name: &str) -> Result<(), Error> {
    let named = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !named || !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        let reason = format!(
            "\"{name}\" is not a function's name; expected a lower-case letter, then letters, digits and '-', 64 at most"
        );
        return Err(Error::File { path: folder.to_owned(), reason });
    }
    let taken = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if taken || folder.is_file() {
        return Err(Error::File {
            path: folder.to_owned(),
            reason: "there is something already; name a folder that is not there or is empty".into(),
        });
    }
    write(folder, "sample.jsonl", SAMPLE.as_bytes())?;
    write(folder, ".gitignore", b"target/\nnode_modules/\n")?;
    match language {
        Language::Rust => rust(folder, name),
        Language::JavaScript => javascript(folder, name),
    }
}

fn rust(folder: &Path, name: &str) -> Result<(), Error> {
    for (path, content) in RUST_SDK {
        // Within the project the SDK is a member like any other, not a workspace of its own.
        let content = if path.ends_with(".toml") {
            content.split("\n# A function is built").next().unwrap_or(content)
        } else {
            content
        };
        write(folder, &path.replacen("rust/", "sdk/", 1), content.as_bytes())?;
    }
    write(folder, "sdk/src/transform-1.0.0.world", RUST_WORLD)?;
    write(folder, "Cargo.toml", include_str!("templates/Cargo.toml.template").replace("NAME", name).as_bytes())?;
    write(folder, "src/lib.rs", include_str!("templates/lib.rs.template").as_bytes())
}

fn javascript(folder: &Path, name: &str) -> Result<(), Error> {
    for (path, content) in JAVASCRIPT_SDK {
        write(folder, &path.replacen("js/", "sdk/", 1), content.as_bytes())?;
    }
    write(folder, "sdk/wit/transform.wit", WIT.as_bytes())?;
    write(folder, "package.json", include_str!("templates/package.json.template").replace("NAME", name).as_bytes())?;
    write(folder, "src/index.js", include_str!("templates/index.js.template").as_bytes())
}

fn write(folder: &Path, name: &str, content: &[u8]) -> Result<(), Error> {
    let path = folder.join(name);
    let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, content));
    written.map_err(|error| Error::File { path, reason: format!("can't be written: {error}") })
}
