//! The catalogue promises nothing: every metric in it is set by some crate of the product.

#![cfg(test)]

use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_metric_of_the_catalogue_is_set_somewhere() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    sources(crates, &mut files);
    files.retain(|path| path.components().any(|part| part.as_os_str() == "src") && !path.ends_with("catalogue.rs"));
    let text: String = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let words: std::collections::BTreeSet<&str> =
        text.split(|one: char| !one.is_ascii_alphanumeric() && one != '_').collect();
    let catalogue = include_str!("../src/catalogue.rs");
    let names = catalogue.lines().filter_map(|line| {
        let kind = ["CounterDef ", "GaugeDef ", "ValueDef ", "HistogramDef "]
            .iter()
            .find_map(|kind| line.trim().strip_prefix(kind));
        kind?.split_once(" = ").map(|(name, _)| name)
    });
    let unset: Vec<&str> = names.filter(|name| !words.contains(name)).collect();
    assert!(unset.is_empty(), "these are exported by nobody: set them, or leave them out of the catalogue: {unset:?}");
}
