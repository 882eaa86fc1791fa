//! Letting the requests of one busy connection come together.
//!
//! A producer that has several requests on their way sends the next as soon as one is answered. To wake for each costs a task switch, a
//! read, a write to the log and a send, and finds the processor's caches cold. Where a connection brings so much that this is felt, the
//! system is asked to tell of its bytes when a few requests of it are there (`SO_RCVLOWAT`): they share all that.
//!
//! Nobody waits for long: what is there is read after [`WAIT_MAX`] in any case. Where that was not two frames, the connection is then woken
//! for each byte, as others are, until it has shown again that it is busy; one to which that happens often has fewer requests on their
//! way, and fewer are waited for.

use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// How long requests that are here wait for others.
const WAIT_MAX: Duration = Duration::from_millis(1);
/// Bytes of the buffer of a connection whose requests, together, don't fit the one for small frames.
pub const ROOM_BYTES: usize = 512 << 10;
/// Bytes that are waited for at most: the rest of the room is for the part of a frame that came with them.
const BYTES_MAX: usize = ROOM_BYTES / 4 * 3;
/// Frames that are waited for at most. Kafka's producers have five on their way: while four are answered the fifth keeps them busy.
const FRAMES_MAX: usize = 4;
/// Frames after which the pace is looked at.
const WINDOW: u32 = 64;
/// How often a connection is late, with fewer windows in time between, before one frame less is waited for.
const LATE_MAX: u32 = 4;
/// Windows after which one frame more is waited for, at least.
const CALM_WINDOWS: u32 = 64;
/// Those at most: four times as many after each time that fewer are waited for, half as many after each that more are.
const CALM_WINDOWS_MAX: u32 = 64 * CALM_WINDOWS;
/// Frames a second from which a connection is busy: below, what its wakes cost is a few hundredths of a core.
const BUSY_FRAMES: u128 = 8_000;
/// Bytes a second from which a connection is busy.
const BUSY_BYTES: u128 = 64 << 20;

/// The timer of the waits for frames that come together. It is pushed on by each wait, which costs nearly nothing, and mostly never fires.
#[derive(Debug, Default)]
pub struct Together(Option<Pin<Box<Sleep>>>);

impl Together {
    /// What becomes of `future` within [`WAIT_MAX`]; none past it.
    pub async fn within<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        let mut end = None;
        std::future::poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            let is_first = end.is_none();
            let end = *end.get_or_insert_with(|| Instant::now() + WAIT_MAX);
            let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(end)));
            if is_first {
                timer.as_mut().reset(end);
            }
            timer.as_mut().poll(context).map(|()| None)
        })
        .await
    }
}

/// What a connection brings, and how much of it to wait for.
#[derive(Debug)]
pub struct Gather {
    /// The window's begin, and what it brought.
    since: Instant,
    frames: u32,
    bytes: u64,
    /// Bytes of a frame with its length, on average of the last ones.
    frame_bytes: usize,
    is_busy: bool,
    /// Frames to wait for.
    together: usize,
    /// How often it was late, less the windows in which it was not.
    late: u32,
    /// Windows since the frames to wait for last changed, and how many until they do.
    calm: u32,
    calm_windows: u32,
    /// Bytes to wait for, where it is busy.
    low_water: usize,
    /// Whether the stream can't wait for more than a byte.
    is_refused: bool,
}

impl Gather {
    /// Of a connection that has brought nothing.
    pub fn new() -> Self {
        Self {
            since: Instant::now(),
            frames: 0,
            bytes: 0,
            frame_bytes: 0,
            is_busy: false,
            together: FRAMES_MAX,
            late: 0,
            calm: 0,
            calm_windows: CALM_WINDOWS,
            low_water: 1,
            is_refused: false,
        }
    }

    /// The stream can't wait for more than a byte.
    pub const fn refuse(&mut self) {
        self.is_refused = true;
        self.is_busy = false;
        self.low_water = 1;
    }

    /// A frame came, of so many bytes with its length.
    pub fn came(&mut self, bytes: usize) {
        if self.is_refused {
            return;
        }
        self.frames += 1;
        self.bytes += bytes as u64;
        self.frame_bytes = if self.frame_bytes == 0 { bytes } else { (15 * self.frame_bytes + bytes) / 16 };
        if self.frames == WINDOW {
            self.look();
        }
    }

    /// Less than was waited for was here after [`WAIT_MAX`]: so many bytes, besides those that had been read before.
    pub fn late(&mut self, here: usize, before: usize) {
        let frames = (here + before) / self.frame_bytes.max(1);
        if frames > 1 && here >= self.frame_bytes {
            // It was worth the wait. Until the pace is looked at again, no more is waited for than comes in that time.
            self.low_water = self.bytes_of(frames);
            return;
        }
        self.low_water = 1;
        self.is_busy = false;
        // With nothing at all the peer has only stopped, which says nothing of how many it has on their way.
        self.late += u32::from(here > 0);
        if self.late == LATE_MAX {
            self.late = 0;
            self.calm = 0;
            self.calm_windows = (4 * self.calm_windows).min(CALM_WINDOWS_MAX);
            self.together = (self.together - 1).max(1);
        }
        self.begin_window();
    }

    /// Bytes of so many frames: half a frame less than they are on average, since each may be a little smaller.
    const fn bytes_of(&self, frames: usize) -> usize {
        frames * self.frame_bytes - self.frame_bytes / 2
    }

    /// Bytes that have to be here before they are told of: 1 where nothing is waited for.
    pub const fn low_water(&self) -> usize {
        self.low_water
    }

    /// Bytes to wait for of a large frame's rest: all of it, or what is worth a read, where the connection is busy.
    pub fn low_water_of(&self, rest: usize) -> usize {
        if self.is_busy { rest.clamp(1, BYTES_MAX) } else { 1 }
    }

    /// Whether what is waited for doesn't fit the buffer for small frames of so many bytes.
    pub const fn wants_room(&self, small: usize) -> bool {
        self.low_water > 1 && self.low_water + self.frame_bytes > small
    }

    fn begin_window(&mut self) {
        self.since = Instant::now();
        self.frames = 0;
        self.bytes = 0;
    }

    fn look(&mut self) {
        let took = self.since.elapsed().as_micros().max(1);
        let second = Duration::from_secs(1).as_micros();
        self.is_busy = u128::from(self.frames) * second >= BUSY_FRAMES * took
            || u128::from(self.bytes) * second >= BUSY_BYTES * took;
        self.late = self.late.saturating_sub(u32::from(self.low_water > 1));
        self.calm += 1;
        if self.calm >= self.calm_windows {
            self.calm = 0;
            self.calm_windows = (self.calm_windows / 2).max(CALM_WINDOWS);
            self.together = (self.together + 1).min(FRAMES_MAX);
        }
        self.begin_window();
        let together = self.together.min(BYTES_MAX / self.frame_bytes.max(1));
        let wanted = if self.is_busy && together > 1 { self.bytes_of(together) } else { 1 };
        // To tell the system costs a call, too.
        if wanted == 1 || wanted.abs_diff(self.low_water) > self.low_water / 4 {
            self.low_water = wanted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Brings frames at a pace.
    async fn bring(gather: &mut Gather, frames: u32, bytes: usize, a_second: u32) {
        for _ in 0..frames {
            tokio::time::advance(Duration::from_secs(1) / a_second).await;
            gather.came(bytes);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_busy_connection_is_waited_for() {
        for (bytes, a_second, wanted) in
            [(200, 5_000, 1), (200, 10_000, 700), (10_000, 1_000, 1), (90_000, 1_000, 315_000), (700_000, 1_000, 1)]
        {
            let mut gather = Gather::new();
            bring(&mut gather, WINDOW - 1, bytes, a_second).await;
            assert_eq!(gather.low_water(), 1, "nothing is known yet");
            bring(&mut gather, 1, bytes, a_second).await;
            assert_eq!(gather.low_water(), wanted, "{a_second} of {bytes} bytes a second");
            assert_eq!(gather.wants_room(16 << 10), bytes == 90_000);
            let of_rest = gather.low_water_of(600_000);
            assert_eq!(of_rest, if wanted > 1 || bytes == 700_000 { BYTES_MAX } else { 1 });
            assert_eq!(gather.low_water_of(50), of_rest.min(50));
            bring(&mut gather, 2 * WINDOW, bytes, 500).await;
            assert_eq!(gather.low_water(), 1, "it became slow");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_late_is_waited_for_with_fewer_and_later_with_more_again() {
        let mut gather = Gather::new();
        let wanted = async |gather: &mut Gather, windows: u32| {
            bring(gather, windows * WINDOW, 200, 10_000).await;
            gather.low_water()
        };
        assert_eq!(wanted(&mut gather, 1).await, 700);
        gather.late(0, 0);
        assert_eq!(gather.low_water(), 1);
        assert_eq!(wanted(&mut gather, 1).await, 700, "it had only stopped");
        gather.late(400, 200);
        assert_eq!(gather.low_water(), 500, "three came in time");
        assert_eq!(wanted(&mut gather, 1).await, 700);
        for fewer in [500, 300, 1] {
            for _ in 0..LATE_MAX {
                gather.late(190, 5_000);
                bring(&mut gather, WINDOW, 200, 10_000).await;
            }
            assert_eq!(gather.low_water(), fewer);
        }
        assert_eq!(wanted(&mut gather, CALM_WINDOWS).await, 1, "it has been late again and again");
        assert_eq!(wanted(&mut gather, CALM_WINDOWS_MAX).await, 300);
        assert_eq!(wanted(&mut gather, 3 * CALM_WINDOWS_MAX).await, 700, "and no more");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_waited_for_fits_the_room() {
        for bytes in [1, 20, 5_000, 100_000, 150_000, 200_000, 380_000] {
            let mut gather = Gather::new();
            bring(&mut gather, WINDOW, bytes, 20_000).await;
            assert!(gather.low_water() <= BYTES_MAX, "{bytes}");
            assert!(gather.low_water() >= 1, "{bytes}");
        }
    }
}
