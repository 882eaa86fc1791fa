//! What every task of a host shares: the ports, the limits, and how to wait before trying again.

use crate::{Config, Error, Topics, backoff};
use millstream_runtime::{Runtime, Shutdown};
use millstream_telemetry::Metrics;
use std::sync::Arc;

/// The ports and limits of one host.
pub(crate) struct Context {
    pub runtime: Runtime,
    pub topics: Arc<dyn Topics>,
    pub config: Config,
    pub metrics: Metrics,
}

/// Why work ended before it was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Halt {
    /// It was told to.
    Stopped,
    /// The transaction that it wrote in is broken off: all since the last commit is done again.
    Again(Error),
    /// It can't go on until someone acts.
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Counts attempts at one thing.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    attempt: u32,
}

impl Backoff {
    /// Waits before the next attempt, unless the task is told to stop meanwhile.
    pub async fn wait(&mut self, context: &Context, shutdown: &Shutdown) -> Result<(), Halt> {
        let (min, max) = (context.config.retry_min, context.config.retry_max);
        let wait = backoff::delay(self.attempt, min, max, context.runtime.random.next_u64());
        self.attempt = self.attempt.saturating_add(1);
        tokio::select! {
            biased;
            () = shutdown.requested() => Err(Halt::Stopped),
            () = context.runtime.clock.sleep(wait) => Ok(()),
        }
    }

    /// The next attempt is the first again.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}
