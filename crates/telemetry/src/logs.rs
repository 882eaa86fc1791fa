//! Logs: to stderr, as text for people or JSON for programs, filtered by level and target.

use crate::loggers::Reload;
use crate::{Error, loggers};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Levels that hold unless the filter names the target itself: the Raft library tells every heartbeat at `info`.
const QUIET: &str = "openraft=warn";
/// The filter where none is given.
const DEFAULT_FILTER: &str = "info";

/// How a line looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// For people; in colours where stderr is a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging of this process to stderr. `filter` is a list of `level` or `target=level`; `info` where there is none.
///
/// # Errors
/// [`Error::Filter`] when the filter does not parse, [`Error::LogTwice`] when it was called before.
pub fn init(format: Format, filter: Option<&str>) -> Result<(), Error> {
    let filter = filter.unwrap_or(DEFAULT_FILTER);
    let parsed = parse(filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(std::io::stderr);
    let (started, reload): (_, Reload) = match format {
        Format::Text => {
            let builder = builder.with_ansi(std::io::stderr().is_terminal()).with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.try_init(), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
        Format::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.try_init(), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
    };
    started.map_err(|_| Error::LogTwice)?;
    loggers::started(filter, reload);
    Ok(())
}

pub(crate) fn parse(filter: &str) -> Result<EnvFilter, Error> {
    EnvFilter::try_new(format!("{QUIET},{filter}"))
        .map_err(|error| Error::Filter { filter: filter.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raft_is_quiet_unless_it_is_named() {
        assert!(parse("info").expect("valid").to_string().contains("openraft=warn"));
        let named = parse("info,openraft=debug").expect("valid").to_string();
        assert!(named.contains("openraft=debug") && !named.contains("openraft=warn"), "{named}");
    }

    #[test]
    fn a_wrong_filter_is_named_in_the_error() {
        let error = parse("millstream_net=loud").expect_err("no such level");
        assert!(error.to_string().contains("millstream_net=loud"), "{error}");
    }
}
