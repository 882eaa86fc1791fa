//! A function on a developer's machine: made, built and tried without a node.

use super::Language;
use crate::error::Error;
use std::path::Path;

/// Makes a folder with a function that works.
#[cfg(feature = "functions")]
pub fn new(folder: &Path, language: Language) -> Result<(), Error> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let language = match language {
        Language::Rust => millstream_function::project::Language::Rust,
        Language::Js => millstream_function::project::Language::JavaScript,
    };
    millstream_function::project::scaffold(folder, language, name).map_err(|error| Error::Local(error.to_string()))?;
    println!("{}: made; next: millstream function build {}", folder.display(), folder.display());
    Ok(())
}

/// Builds a folder's function.
#[cfg(feature = "functions")]
pub fn build(folder: &Path) -> Result<(), Error> {
    let home = std::env::home_dir()
        .ok_or_else(|| Error::Local("there is no home folder to keep the build's tools in: set HOME".into()))?;
    let built = millstream_function::project::build(folder, &home.join(".cache/millstream"))
        .map_err(|error| Error::Local(error.to_string()))?;
    println!("{}: {} bytes, built by {}, hash {}", built.path.display(), built.bytes, built.toolchain, built.hash);
    Ok(())
}

/// Runs a component over records, one JSON value a line, and prints what came of each.
#[cfg(feature = "functions")]
pub async fn test(component: &Path, input: Option<&Path>, settings: &str) -> Result<(), Error> {
    use std::io::{Read, Write};
    let mut text = Vec::new();
    match input {
        Some(path) => text = std::fs::read(path).map_err(|error| Error::file("read", path, &error))?,
        None => drop(std::io::stdin().read_to_end(&mut text)?),
    }
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let trial = millstream_function::project::Trial {
        component: std::fs::read(component).map_err(|error| Error::file("read", component, &error))?.into(),
        settings: settings.to_owned(),
        values: lines.map(bytes::Bytes::copy_from_slice).collect(),
        cache: None,
    };
    let report = millstream_function::project::test(&millstream_runtime::Runtime::real(), trial).await;
    let report = report.map_err(|error| Error::Local(error.to_string()))?;
    let mut out = std::io::stdout().lock();
    for row in &report.rows {
        let row = serde_json::to_string(row).map_err(|error| Error::Local(error.to_string()))?;
        writeln!(out, "{row}")?;
    }
    for line in &report.log {
        eprintln!("{}", serde_json::to_string(line).map_err(|error| Error::Local(error.to_string()))?);
    }
    Ok(())
}

#[cfg(not(feature = "functions"))]
const WITHOUT: &str = "this binary was built without functions; build it with the feature `functions`";

/// Refused: there is no engine in this binary.
#[cfg(not(feature = "functions"))]
pub fn new(_folder: &Path, _language: Language) -> Result<(), Error> {
    Err(Error::Usage(WITHOUT.into()))
}

/// Refused: there is no engine in this binary.
#[cfg(not(feature = "functions"))]
pub fn build(_folder: &Path) -> Result<(), Error> {
    Err(Error::Usage(WITHOUT.into()))
}

/// Refused: there is no engine in this binary.
#[cfg(not(feature = "functions"))]
pub async fn test(_component: &Path, _input: Option<&Path>, _settings: &str) -> Result<(), Error> {
    Err(Error::Usage(WITHOUT.into()))
}
