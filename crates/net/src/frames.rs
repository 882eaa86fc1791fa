//! Frames off a stream: a length of four bytes, then so many bytes.
//!
//! Small frames are slices of a shared buffer, so that one read may bring many. A large one is read into a buffer of its own, which grows
//! with what really comes: a peer that only announces bytes makes us reserve nothing. While nothing comes, a reader has no buffer. A frame
//! that has begun to come has to go on. A connection that brings much has a larger shared buffer, which its large frames share, too.

use crate::Error;
use crate::budget::Charge;
use crate::gather::{Gather, ROOM_BYTES, Together};
use crate::idle::{Arrival, Idle};
use crate::memory::{self, LARGE_BYTES_HERE, Memory, SHARED_BYTES};
use crate::wire::Source;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;

const LENGTH_BYTES: usize = 4;
/// Bytes of room below which the shared buffer is taken back or renewed: a smaller read is not worth its system call.
const ROOM_BYTES_MIN: usize = 4 << 10;

/// How long a reader waits for bytes.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// For any; none for ever.
    pub idle: Option<Duration>,
    /// Within a frame: see [`Arrival`].
    pub frame: Duration,
}

/// Reads frames.
#[derive(Debug)]
pub struct FrameReader {
    /// What came and is no whole frame yet; without capacity while there is nothing.
    shared: BytesMut,
    memory: Arc<Memory>,
    /// Of the large frame that was given last.
    charge: Option<Charge>,
    gather: Gather,
    together: Together,
    /// What the stream was told last: see [`Source::set_low_water`].
    low_water: usize,
    /// Of a shared buffer with room for large frames.
    room: Option<Charge>,
    frame_bytes_max: usize,
    idle: Idle,
    frame_wait: Duration,
}

impl FrameReader {
    /// A reader of frames of at most `frame_bytes_max` bytes, that waits so long for them.
    #[must_use]
    pub fn new(frame_bytes_max: usize, waits: Waits, memory: Arc<Memory>) -> Self {
        let idle = Idle::new(waits.idle);
        Self {
            shared: BytesMut::new(),
            memory,
            charge: None,
            gather: Gather::new(),
            together: Together::default(),
            low_water: 1,
            room: None,
            frame_bytes_max,
            idle,
            frame_wait: waits.frame,
        }
    }

    /// Frames from now on are at most so large.
    pub const fn limit(&mut self, frame_bytes_max: usize) {
        self.frame_bytes_max = frame_bytes_max;
    }

    /// Gives back the buffer of a reader that has nothing, and is not asked for the next frame for long.
    pub fn rest(&mut self) {
        if self.shared.is_empty() {
            self.put_back();
        }
    }

    /// Gives back an empty shared buffer, if no frame in it is held any more.
    fn put_back(&mut self) {
        if self.room.take().is_some() {
            self.memory.give_back(std::mem::take(&mut self.shared).freeze());
        } else if self.shared.try_reclaim(SHARED_BYTES) {
            memory::give_back_shared(std::mem::take(&mut self.shared));
        }
    }

    /// Changes to the shared buffer that what comes asks for, if there is memory for a larger one.
    fn settle(&mut self) {
        let wants_room = self.gather.wants_room(SHARED_BYTES);
        if wants_room && self.room.is_none() {
            self.room = self.memory.budget.spare(ROOM_BYTES);
        } else if !wants_room && self.room.is_some() && self.shared.len() <= SHARED_BYTES {
            let rest = self.shared.split();
            self.put_back();
            if !rest.is_empty() {
                self.shared = memory::take_shared();
                self.shared.extend_from_slice(&rest);
            }
        }
    }

    /// Bytes of the largest frame that is read into the shared buffer. In one with room, it leaves as much for what comes with it.
    const fn shared_frame_max(&self) -> usize {
        if self.room.is_some() { ROOM_BYTES / 2 } else { SHARED_BYTES }
    }

    /// The next frame, without its length; the one before is done with. After an error, or when it was dropped while it waited, the stream is out of step.
    ///
    /// # Errors
    /// [`Error::PeerClosed`] at the stream's end, [`Error::FrameLength`], [`Error::TlsToPlaintext`], [`Error::Idle`], [`Error::SlowFrame`], or
    /// the stream's own.
    pub async fn next<R: Source>(&mut self, stream: &mut R) -> Result<Bytes, Error> {
        self.charge = None;
        self.settle();
        let mut arrival = Arrival::new(self.frame_wait);
        while self.shared.len() < LENGTH_BYTES {
            let has_begun = !self.shared.is_empty();
            self.fill(stream, LENGTH_BYTES, has_begun.then_some(&mut arrival)).await?;
        }
        let announced = self.shared.get_i32();
        let len = usize::try_from(announced).ok().filter(|len| *len <= self.frame_bytes_max);
        let len = len.ok_or_else(|| too_long(announced, self.frame_bytes_max))?;
        self.gather.came(LENGTH_BYTES + len);
        if len > self.shared_frame_max() {
            return self.large(stream, len, arrival).await;
        }
        while self.shared.len() < len {
            self.fill(stream, len, Some(&mut arrival)).await?;
        }
        Ok(self.shared.split_to(len).freeze())
    }

    /// The frame after the last one if it is here whole, is no large one, and is `wanted`. Nothing is read.
    pub fn next_here(&mut self, wanted: impl FnOnce(&[u8]) -> bool) -> Option<Bytes> {
        let (len, rest) = self.shared.split_first_chunk::<LENGTH_BYTES>()?;
        let len = usize::try_from(i32::from_be_bytes(*len)).ok().filter(|len| *len <= self.frame_bytes_max)?;
        if !wanted(rest.get(..len)?) {
            return None;
        }
        self.gather.came(LENGTH_BYTES + len);
        self.shared.advance(LENGTH_BYTES);
        Some(self.shared.split_to(len).freeze())
    }

    /// Reads what there is into the shared buffer, which has room for `needed` bytes in all; within a frame, or between two.
    async fn fill<R: Source>(
        &mut self,
        stream: &mut R,
        needed: usize,
        arrival: Option<&mut Arrival>,
    ) -> Result<(), Error> {
        let fits = self.room.is_some() || !self.gather.wants_room(SHARED_BYTES);
        self.tell(stream, if fits { self.gather.low_water() } else { 1 });
        let mut read = None;
        if self.low_water > 1 {
            let Self { shared, together, room, memory, .. } = self;
            let buffer = Buffer { bytes: shared, room: room.as_ref().map(|_| &**memory), needed };
            read = together.within(buffer.read(stream)).await;
            if read.is_none() {
                self.gather.late(stream.here(), self.shared.len());
                self.tell(stream, 1);
            }
        }
        let read = match read {
            Some(read) => read,
            None => {
                let Self { shared, idle, room, memory, .. } = self;
                let received = shared.len();
                let buffer = Buffer { bytes: shared, room: room.as_ref().map(|_| &**memory), needed };
                match arrival {
                    Some(arrival) => idle.limit_within_frame(arrival, received, buffer.read(stream)).await?,
                    None => idle.limit(buffer.read(stream)).await?,
                }
            }
        };
        if read? == 0 { Err(Error::PeerClosed) } else { Ok(()) }
    }

    /// Tells the stream how many bytes to wait for, where it was told something else.
    fn tell<R: Source>(&mut self, stream: &R, bytes: usize) {
        if bytes == self.low_water {
            return;
        }
        if stream.set_low_water(bytes) {
            self.low_water = bytes;
        } else {
            self.gather.refuse();
        }
    }

    async fn large<R: Source>(&mut self, stream: &mut R, len: usize, mut arrival: Arrival) -> Result<Bytes, Error> {
        while self.shared.len() < LARGE_BYTES_HERE {
            self.fill(stream, LARGE_BYTES_HERE, Some(&mut arrival)).await?;
        }
        // Memory is paid for before it is taken, and until the next frame is asked for.
        let mut paid = self.memory.first_charge(len);
        let mut charge = self.memory.budget.begin(paid < len);
        let mut waited = charge.grow(paid).await;
        let mut frame = self.memory.take_large(paid);
        let here = self.shared.len().min(len);
        frame.extend_from_slice(&self.shared.split_to(here));
        while frame.len() < len {
            if frame.len() >= paid {
                let grown = len.min(2 * paid);
                waited |= charge.grow(grown - paid).await;
                paid = grown;
            }
            let room = paid - frame.len();
            frame.reserve(room);
            self.tell(stream, self.gather.low_water_of(room));
            let received = frame.len();
            let mut buffer = (&mut frame).limit(room);
            let mut read = None;
            if self.low_water > 1 {
                read = self.together.within(stream.read_buf(&mut buffer)).await;
                if read.is_none() {
                    self.tell(stream, 1);
                }
            }
            let read = match read {
                Some(read) => read?,
                None => self.idle.limit_within_frame(&mut arrival, received, stream.read_buf(&mut buffer)).await??,
            };
            if read == 0 {
                return Err(Error::PeerClosed);
            }
        }
        if waited {
            self.memory.waits.inc();
        }
        self.charge = Some(charge);
        Ok(frame.freeze())
    }
}

/// A shared buffer that is read into.
struct Buffer<'a> {
    bytes: &'a mut BytesMut,
    /// Where one with room for large frames comes from, if it is to be one.
    room: Option<&'a Memory>,
    /// Bytes that it has to have place for in all.
    needed: usize,
}

impl Buffer<'_> {
    /// Reads what there is, once.
    async fn read<R: Source>(mut self, stream: &mut R) -> io::Result<usize> {
        poll_fn(move |context| {
            self.make_room();
            let place = self.bytes.capacity() - self.bytes.len();
            let polled = pin!(stream.read_buf(&mut (&mut *self.bytes).limit(place))).poll(context);
            // Another connection has the buffer until something comes, if no frame in it is held any more.
            if polled.is_pending()
                && self.room.is_none()
                && self.bytes.is_empty()
                && self.bytes.try_reclaim(SHARED_BYTES)
            {
                memory::give_back_shared(std::mem::take(self.bytes));
            }
            polled
        })
        .await
    }

    /// Has the buffer take what it has to, and enough to be worth a read.
    fn make_room(&mut self) {
        let bytes = &mut *self.bytes;
        if bytes.capacity() == 0 {
            *bytes = self.room.map_or_else(memory::take_shared, |memory| memory.take_large(ROOM_BYTES));
        }
        let (all, place_min) = match self.room {
            // What was waited for is to come at once.
            Some(_) => (ROOM_BYTES, ROOM_BYTES - bytes.len()),
            None => (SHARED_BYTES, ROOM_BYTES_MIN),
        };
        if bytes.capacity() < self.needed || bytes.capacity() - bytes.len() < place_min {
            // Takes back the whole buffer where no frame of it is held any more, and moves to a new one otherwise.
            bytes.reserve(all - bytes.len());
        }
    }
}

/// Why a frame of that length is refused.
fn too_long(announced: i32, max: usize) -> Error {
    // The first bytes of TLS: a handshake of version 3.x.
    if announced >> 16 == 0x1603 { Error::TlsToPlaintext } else { Error::FrameLength { len: announced, max } }
}

#[cfg(test)]
mod tests;
