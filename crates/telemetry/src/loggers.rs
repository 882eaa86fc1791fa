//! The levels of a running process's log, by logger: what Kafka calls BROKER_LOGGER.
//!
//! A logger is a part of the program by the name it logs under; `root` is all that has no level of its own. What is set here holds until the
//! process ends.

use crate::Error;
use crate::logs::parse;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use tracing_subscriber::EnvFilter;

/// Everything without a level of its own.
pub const ROOT: &str = "root";
/// The beginning of our own loggers' names.
const OURS: &str = "millstream";
/// The library that logs under a name of its own.
const RAFT: &str = "openraft";
/// Kafka's levels, and ours for each: there is nothing above an error here.
const LEVELS: [(&str, &str); 6] = [
    ("TRACE", "trace"),
    ("DEBUG", "debug"),
    ("INFO", "info"),
    ("WARN", "warn"),
    ("ERROR", "error"),
    ("FATAL", "error"),
];
/// Loggers that may have levels of their own at once.
const LOGGERS_MAX: usize = 200;

/// Puts a filter in force; false where that failed.
pub(crate) type Reload = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

struct Log {
    /// What the process was started with.
    filter: String,
    reload: Reload,
    /// Kafka's names of the levels set since, by logger.
    set: Mutex<BTreeMap<String, &'static str>>,
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Told by [`crate::logs::init`].
pub(crate) fn started(filter: &str, reload: Reload) {
    let _ = LOG.set(Log { filter: filter.to_owned(), reload, set: Mutex::default() });
}

/// Whether there is such a logger.
///
/// # Errors
/// [`Error::UnknownLogger`].
pub fn check_logger(logger: &str) -> Result<(), Error> {
    let is_ours = logger.strip_prefix(OURS).is_some_and(|rest| {
        (rest.is_empty() || rest.starts_with(['_', ':']))
            && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b':')
    });
    match is_ours || logger == ROOT || logger == RAFT {
        true => Ok(()),
        false => Err(Error::UnknownLogger { logger: logger.to_owned() }),
    }
}

/// Checks a change without making it; no level takes the logger's own one away.
///
/// # Errors
/// [`Error::UnknownLogger`], [`Error::UnknownLevel`], [`Error::RootLevel`].
pub fn check(logger: &str, level: Option<&str>) -> Result<(), Error> {
    check_logger(logger)?;
    match level {
        Some(level) => named(level).map(drop),
        None if logger == ROOT => Err(Error::RootLevel),
        None => Ok(()),
    }
}

/// Sets levels, or takes them away, all at once.
///
/// # Errors
/// As [`check`] for the first that is wrong, and [`Error::NoLog`].
pub fn set(changes: &[(String, Option<String>)]) -> Result<(), Error> {
    let log = LOG.get().ok_or(Error::NoLog)?;
    let mut set = log.set.lock();
    let mut after = set.clone();
    for (logger, level) in changes {
        check(logger, level.as_deref())?;
        match level {
            Some(level) => after.insert(logger.clone(), named(level)?.0),
            None => after.remove(logger),
        };
    }
    if after.len() > LOGGERS_MAX {
        let logger = changes.last().map(|(logger, _)| logger.clone()).unwrap_or_default();
        return Err(Error::UnknownLogger { logger });
    }
    if !(log.reload)(parse(&filter(&log.filter, &after))?) {
        return Err(Error::NoLog);
    }
    *set = after;
    Ok(())
}

/// The levels in force, by logger.
#[must_use]
pub fn levels() -> BTreeMap<String, &'static str> {
    match LOG.get() {
        Some(log) => in_force(&log.filter, &log.set.lock()),
        None => BTreeMap::new(),
    }
}

/// Kafka's name and ours of a level.
fn named(level: &str) -> Result<(&'static str, &'static str), Error> {
    let found = LEVELS.iter().find(|(name, _)| *name == level);
    found.copied().ok_or_else(|| Error::UnknownLevel { level: level.to_owned() })
}

/// The filter that the process was started with, and after it what was set since: the last word on a logger counts.
fn filter(first: &str, set: &BTreeMap<String, &'static str>) -> String {
    let mut filter = first.to_owned();
    for (logger, level) in set {
        let ours = LEVELS.iter().find(|(name, _)| name == level).map_or("info", |(_, ours)| ours);
        match logger.as_str() {
            ROOT => filter = format!("{filter},{ours}"),
            logger => filter = format!("{filter},{logger}={ours}"),
        }
    }
    filter
}

fn in_force(first: &str, set: &BTreeMap<String, &'static str>) -> BTreeMap<String, &'static str> {
    let mut levels = BTreeMap::from([(ROOT.to_owned(), "INFO"), (RAFT.to_owned(), "WARN")]);
    for directive in first.split(',').map(str::trim) {
        let (logger, level) = directive.split_once('=').unwrap_or((ROOT, directive));
        let found = LEVELS.iter().find(|(_, ours)| ours.eq_ignore_ascii_case(level));
        levels.extend(found.map(|(name, _)| (logger.to_owned(), *name)));
    }
    levels.extend(set.iter().map(|(logger, level)| (logger.clone(), *level)));
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parts_of_this_program_are_loggers() {
        for known in ["root", "openraft", "millstream", "millstream_net", "millstream_broker::handlers"] {
            assert!(check_logger(known).is_ok(), "{known}");
        }
        for unknown in ["", "Root", "kafka.server", "millstreams", "millstream_net=debug", "millstream,warn"] {
            assert!(check_logger(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn levels_are_kafkas_by_their_exact_names() {
        assert!(check("root", Some("DEBUG")).is_ok() && check("root", Some("FATAL")).is_ok());
        for wrong in ["debug", "LOUD", ""] {
            assert!(matches!(check("root", Some(wrong)), Err(Error::UnknownLevel { .. })), "{wrong}");
        }
        assert!(matches!(check("root", None), Err(Error::RootLevel)));
        assert!(check("millstream_net", None).is_ok());
    }

    #[test]
    fn what_was_set_comes_after_what_the_process_was_started_with() {
        let set = BTreeMap::from([("millstream_net".to_owned(), "DEBUG"), (ROOT.to_owned(), "FATAL")]);
        assert_eq!(filter("info,millstream_net=warn", &set), "info,millstream_net=warn,millstream_net=debug,error");
        let levels = in_force("info,millstream_net=warn", &set);
        assert_eq!(levels[ROOT], "FATAL");
        assert_eq!((levels["millstream_net"], levels[RAFT]), ("DEBUG", "WARN"));
        let parsed = parse(&filter("info", &set)).expect("valid").to_string();
        assert!(parsed.contains("millstream_net=debug") && parsed.contains("error"), "{parsed}");
    }

    #[test]
    fn a_process_that_logs_by_no_filter_of_ours_says_so() {
        assert!(matches!(set(&[(ROOT.to_owned(), Some("INFO".to_owned()))]), Err(Error::NoLog)));
        assert_eq!(levels(), BTreeMap::new());
    }
}
