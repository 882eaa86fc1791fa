//! How long a connection may wait for its peer: between frames, and within one.
//!
//! Most waits are short and there are tens of thousands of them a second, so that a timer for each would cost more than the rest of the
//! wait. There is one for the connection: when it fires it is set again to what the wait of that moment has left.

use crate::Error;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// How slowly the rest of a frame may come (bytes in a second): each byte that came gives the next ones as long.
///
/// A Kafka client gives up a request of its own after 30 seconds (`request.timeout.ms`), however slow its line is.
const BYTES_PER_SECOND_MIN: u32 = 4 << 10;

/// The limit of a connection's waits, and their timer.
#[derive(Debug)]
pub struct Idle {
    limit: Option<Duration>,
    /// Made at the first wait.
    timer: Option<Pin<Box<Sleep>>>,
}

/// A frame that comes: how long it was waited for.
///
/// Between two frames a peer may be silent for minutes. Within one that costs memory, so that a frame has a limit of its own, as the bodies of
/// requests have in HTTP servers: no silence is longer than `wait`, and all waits together are no longer than `wait` and what the bytes that
/// came would have taken at the slowest rate. A peer that sends a byte now and then so ends as soon as one that sends none.
#[derive(Debug)]
pub struct Arrival {
    wait: Duration,
    waited: Duration,
}

impl Arrival {
    /// A frame of which nothing came.
    pub const fn new(wait: Duration) -> Self {
        Self { wait, waited: Duration::ZERO }
    }

    /// How long the next of its bytes may take when so many came.
    fn limit(&self, received: usize) -> Duration {
        let received = Duration::from_secs(received as u64) / BYTES_PER_SECOND_MIN;
        (self.wait + received).saturating_sub(self.waited).min(self.wait)
    }
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
        let (output, _) = self.within(limit, future).await;
        output.ok_or(Error::Idle { idle_ms: limit.as_millis() })
    }

    /// What becomes of `future`, which waits for a part of a frame of which so many bytes are here.
    ///
    /// # Errors
    /// [`Error::Idle`] past the limit of all waits, [`Error::SlowFrame`] past the frame's.
    pub async fn limit_within_frame<T>(
        &mut self,
        arrival: &mut Arrival,
        received: usize,
        future: impl Future<Output = T>,
    ) -> Result<T, Error> {
        let of_frame = arrival.limit(received);
        if let Some(limit) = self.limit.filter(|limit| *limit <= of_frame) {
            let (output, waited) = self.within(limit, future).await;
            arrival.waited += waited;
            return output.ok_or(Error::Idle { idle_ms: limit.as_millis() });
        }
        let (output, waited) = self.within(of_frame, future).await;
        arrival.waited += waited;
        output.ok_or(Error::SlowFrame {
            received,
            waited_ms: arrival.waited.as_millis(),
            wait_ms: arrival.wait.as_millis(),
        })
    }

    /// What becomes of `future` within `limit`, and how long that took; none past it.
    async fn within<T>(&mut self, limit: Duration, future: impl Future<Output = T>) -> (Option<T>, Duration) {
        let mut future = pin!(future);
        let mut begun = None;
        let output = std::future::poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            let end = *begun.get_or_insert_with(Instant::now) + limit;
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
            // It was set for a wait before this one, which may have had more time.
            if timer.deadline() > end {
                timer.as_mut().reset(end);
            }
            while timer.as_mut().poll(context).is_ready() {
                if Instant::now() >= end {
                    return Poll::Ready(None);
                }
                timer.as_mut().reset(end);
            }
            Poll::Pending
        });
        let output = output.await;
        (output, begun.map_or(Duration::ZERO, |begun| begun.elapsed()))
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
    async fn a_wait_within_a_frame_ends_at_the_frames_limit_and_the_next_between_frames_at_its_own() {
        let mut idle = Idle::new(Some(Duration::from_secs(600)));
        assert!(idle.limit(tokio::time::sleep(Duration::from_secs(500))).await.is_ok());
        let mut arrival = Arrival::new(Duration::from_secs(30));
        let begun = Instant::now();
        let error = idle.limit_within_frame(&mut arrival, 7, pending::<()>()).await.expect_err("nothing comes");
        assert!(matches!(error, Error::SlowFrame { received: 7, .. }), "{error}");
        assert_eq!(begun.elapsed().as_secs(), 30);
        assert!(idle.limit(tokio::time::sleep(Duration::from_secs(500))).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_trickles_ends_and_one_that_goes_on_has_as_long_as_it_takes() {
        let mut idle = Idle::new(None);
        let mut frame = async |bytes: usize, seconds: u64| {
            let mut arrival = Arrival::new(Duration::from_secs(30));
            let mut received = 0;
            while received < 1 << 20 {
                let piece = tokio::time::sleep(Duration::from_secs(seconds));
                idle.limit_within_frame(&mut arrival, received, piece).await?;
                received += bytes;
            }
            Ok::<_, Error>(received)
        };
        let begun = Instant::now();
        assert!(matches!(frame(1, 10).await, Err(Error::SlowFrame { received: 3, .. })));
        assert_eq!(begun.elapsed().as_secs(), 30, "as long as one that sends nothing");
        let begun = Instant::now();
        assert_eq!(frame(100_000, 20).await.expect("it goes on"), 1_100_000);
        assert_eq!(begun.elapsed().as_secs(), 220);
        assert!(matches!(frame(100_000, 31).await, Err(Error::SlowFrame { received: 0, .. })), "too long a silence");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_a_wait_ends_when_it_ends() {
        let mut idle = Idle::new(None);
        assert!(idle.limit(tokio::time::sleep(Duration::from_secs(100_000))).await.is_ok());
    }
}
