//! How long a connection may wait for its peer.
//!
//! Most waits are short and there are tens of thousands of them a second, so that a timer for each would cost more than the rest of the
//! wait. There is one for the connection: when it fires it is set again to what the wait of that moment has left.

use crate::Error;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// The limit of a connection's waits, and their timer.
#[derive(Debug)]
pub struct Idle {
    limit: Option<Duration>,
    /// Made at the first wait.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Idle {
    /// Waits of at most `limit`; none for ever.
    pub const fn new(limit: Option<Duration>) -> Self {
        Self { limit, timer: None }
    }

    /// What becomes of `future` within the limit.
    ///
    /// # Errors
    /// [`Error::Idle`] past it.
    pub async fn limit<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Error> {
        let Some(limit) = self.limit else { return Ok(future.await) };
        let mut future = pin!(future);
        let mut end = None;
        std::future::poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            let end = *end.get_or_insert_with(|| Instant::now() + limit);
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
            while timer.as_mut().poll(context).is_ready() {
                // It was set for a wait before this one, or for this one.
                if Instant::now() >= end {
                    return Poll::Ready(Err(Error::Idle { idle_ms: limit.as_millis() }));
                }
                timer.as_mut().reset(end);
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::pending;

    #[tokio::test(start_paused = true)]
    async fn each_wait_has_the_whole_limit_and_no_more() {
        let limit = Duration::from_secs(10);
        let mut idle = Idle::new(Some(limit));
        for waited in [9, 1, 9, 9] {
            let waits = idle.limit(tokio::time::sleep(Duration::from_secs(waited)));
            assert!(waits.await.is_ok());
        }
        for _ in 0..2 {
            let begun = Instant::now();
            let error = idle.limit(pending::<()>()).await.expect_err("nothing comes");
            assert!(matches!(error, Error::Idle { idle_ms: 10_000 }), "{error}");
            assert!(begun.elapsed() >= limit && begun.elapsed() < limit + Duration::from_millis(5));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_a_wait_ends_when_it_ends() {
        let mut idle = Idle::new(None);
        assert!(idle.limit(tokio::time::sleep(Duration::from_secs(100_000))).await.is_ok());
    }
}
