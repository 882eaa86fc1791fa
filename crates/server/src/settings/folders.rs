//! The folders of a node: `data.dir`, and Kafka's `log.dirs`.

use super::SettingsError;
use std::path::{Path, PathBuf};

/// The folders of `log.dirs` that are not the first one, in their order.
pub(super) fn others(first: &Path, log_dirs: &str) -> Result<Vec<PathBuf>, SettingsError> {
    let first = absolute(first);
    let mut others: Vec<PathBuf> = Vec::new();
    for folder in log_dirs.split(',').map(str::trim).filter(|folder| !folder.is_empty()) {
        let folder = absolute(Path::new(folder));
        if others.contains(&folder) || folder.to_string_lossy().contains('\n') {
            let expected = format!("each folder once, on one line; {} is not so", folder.display());
            return Err(SettingsError::Value { name: "log.dirs", value: log_dirs.to_owned(), expected });
        }
        if folder != first {
            others.push(folder);
        }
    }
    Ok(others)
}

/// All folders, as DescribeConfigs tells them.
pub(super) fn list(first: &Path, others: &[PathBuf]) -> String {
    let all = std::iter::once(absolute(first)).chain(others.iter().cloned());
    all.map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(",")
}

/// The path as Kafka shows it. Where there is no working folder it stays as it is.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_may_be_named_among_all_or_not() {
        let first = Path::new("/d1");
        for named in ["/d2, /d3", "/d1,/d2,/d3", "/d2,/d1,/d3,"] {
            let others = others(first, named).unwrap();
            assert_eq!(others, [PathBuf::from("/d2"), PathBuf::from("/d3")], "{named}");
            assert_eq!(list(first, &others), "/d1,/d2,/d3");
        }
        assert!(others(first, "").unwrap().is_empty());
    }

    #[test]
    fn a_folder_named_twice_is_refused() {
        let error = others(Path::new("/d1"), "/d2,/d3,/d2").unwrap_err().to_string();
        assert!(
            error.contains("for log.dirs: expected each folder once") && error.contains("/d2 is not so"),
            "{error}"
        );
    }

    #[test]
    fn folders_are_told_as_absolute_paths() {
        assert!(list(Path::new("data"), &[]).starts_with('/'));
    }
}
