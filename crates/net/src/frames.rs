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
mod tests {
    use super::*;
    use crate::Budget;
    use futures::FutureExt;
    use millstream_telemetry::{Metrics, catalogue};
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    impl Source for tokio::io::DuplexStream {}

    const FOR_EVER: Waits = Waits { idle: None, frame: Duration::from_secs(30) };

    fn memory_of(budget: usize) -> Arc<Memory> {
        let waits = Metrics::new().counter(&catalogue::NETWORK_BUDGET_WAITS, &["TEST"]);
        Arc::new(Memory::new(Budget::new(budget), waits))
    }

    fn memory() -> Arc<Memory> {
        memory_of(1 << 30)
    }

    fn framed(content: &[u8]) -> Vec<u8> {
        let mut bytes = i32::try_from(content.len()).expect("short").to_be_bytes().to_vec();
        bytes.extend_from_slice(content);
        bytes
    }

    /// Sends `bytes` in pieces of `piece` bytes and returns the frames read.
    async fn frames(bytes: Vec<u8>, piece: usize, max: usize) -> (Vec<Bytes>, Error) {
        let (mut near, mut far) = tokio::io::duplex(4_096);
        let write = async move {
            for piece in bytes.chunks(piece) {
                far.write_all(piece).await.expect("written");
            }
        };
        let read = async {
            let mut reader = FrameReader::new(max, FOR_EVER, memory());
            let mut frames = Vec::new();
            loop {
                match reader.next(&mut near).await {
                    Ok(frame) => frames.push(frame),
                    Err(error) => return (frames, error),
                }
            }
        };
        tokio::join!(write, read).1
    }

    #[tokio::test]
    async fn frames_of_every_size_come_whole_however_they_are_cut() {
        let contents: Vec<Vec<u8>> =
            [0, 1, 5, 100, 5_000, SHARED_BYTES, SHARED_BYTES + 1, 40_000, 3 << 20, 7, 0, 9_000]
                .iter()
                .enumerate()
                .map(|(seed, len)| (0..*len).map(|at| (at * 31 + seed) as u8).collect())
                .collect();
        let bytes: Vec<u8> = contents.iter().flat_map(|content| framed(content)).collect();
        for piece in [3, 1_000, 65_536] {
            let (read, end) = frames(bytes.clone(), piece, 4 << 20).await;
            assert!(read == contents, "pieces of {piece}");
            assert!(matches!(end, Error::PeerClosed));
        }
    }

    #[tokio::test]
    async fn a_negative_or_too_large_length_is_told() {
        for len in [-1, i32::MIN, 1_001, i32::MAX] {
            let (_, error) = frames(len.to_be_bytes().to_vec(), 4, 1_000).await;
            assert!(matches!(error, Error::FrameLength { len: told, max: 1_000 } if told == len), "{error}");
        }
        let (_, error) = frames(vec![0x16, 3, 1, 2], 4, 1_000).await;
        assert!(matches!(error, Error::TlsToPlaintext), "{error}");
        assert_eq!(frames(framed(&[7; 1_000]), 1_004, 1_000).await.0.len(), 1);
    }

    #[tokio::test]
    async fn a_silent_peer_is_let_go() {
        let (mut near, mut far) = tokio::io::duplex(64);
        far.write_all(&[0, 0]).await.expect("written");
        let mut reader = FrameReader::new(1_000, Waits { idle: Some(Duration::from_millis(20)), ..FOR_EVER }, memory());
        let error = reader.next(&mut near).await.expect_err("half a length");
        assert!(matches!(error, Error::Idle { idle_ms: 20 }), "{error}");
    }

    #[tokio::test]
    async fn one_shared_buffer_serves_many_small_frames() {
        let (mut near, mut far) = tokio::io::duplex(1 << 20);
        let mut reader = FrameReader::new(1_000, FOR_EVER, memory());
        let mut places = Vec::new();
        for _ in 0..10_000 {
            far.write_all(&framed(&[1; 100])).await.expect("written");
            places.push(reader.next(&mut near).await.expect("a frame").as_ptr() as usize);
        }
        let (first, last) = (places.iter().min().expect("some"), places.iter().max().expect("some"));
        assert!(last - first < SHARED_BYTES, "all frames lie within one buffer, which is taken back when it is full");
    }

    #[tokio::test]
    async fn what_is_here_whole_is_given_without_reading() {
        let (mut near, mut far) = tokio::io::duplex(1 << 20);
        let mut bytes: Vec<u8> =
            [&[1; 10][..], &[2; 20], &[3; 30]].iter().flat_map(|content| framed(content)).collect();
        bytes.extend_from_slice(&[0, 0, 0, 40, 4]);
        far.write_all(&bytes).await.expect("written");
        let mut reader = FrameReader::new(1_000, FOR_EVER, memory());
        assert!(reader.next_here(|_| true).is_none(), "nothing has been read yet");
        assert_eq!(reader.next(&mut near).await.expect("a frame"), [1; 10][..]);
        assert_eq!(reader.next_here(|_| true).expect("the second"), [2; 20][..]);
        assert!(reader.next_here(|frame| frame != [3; 30]).is_none(), "it is not wanted, and stays");
        assert_eq!(reader.next_here(|_| true).expect("the third"), [3; 30][..]);
        assert!(reader.next_here(|_| true).is_none(), "the fourth has not come whole");
        far.write_all(&[4; 39]).await.expect("written");
        assert_eq!(reader.next(&mut near).await.expect("the fourth"), [4; 40][..]);
    }

    #[tokio::test]
    async fn a_large_frame_that_nobody_holds_lends_its_buffer_to_the_next() {
        let (mut near, mut far) = tokio::io::duplex(1 << 20);
        let memory = memory();
        let mut reader = FrameReader::new(1 << 20, FOR_EVER, memory.clone());
        let mut places = Vec::new();
        for len in [100_000, 90_000, 110_000] {
            far.write_all(&framed(&vec![7; len])).await.expect("written");
            let frame = reader.next(&mut near).await.expect("a frame");
            assert_eq!(frame.len(), len);
            places.push(frame.as_ptr());
            memory.give_back(frame);
        }
        assert!(places.iter().all(|place| *place == places[0]), "{places:?}");
        far.write_all(&framed(&[8; 50_000])).await.expect("written");
        let held = reader.next(&mut near).await.expect("a frame");
        memory.give_back(held.clone());
        assert_ne!(memory.take_large(1).as_ptr(), places[0], "a part of it is still held");
        assert!(held.iter().all(|byte| *byte == 8));
    }

    #[tokio::test]
    async fn a_reader_to_whom_nothing_comes_has_no_buffer() {
        let (mut near, mut far) = tokio::io::duplex(1 << 20);
        let mut reader = FrameReader::new(1_000, FOR_EVER, memory());
        for _ in 0..3 {
            assert!(reader.next(&mut near).now_or_never().is_none());
            assert_eq!(reader.shared.capacity(), 0);
            far.write_all(&framed(&[7; 100])).await.expect("written");
            let frame = reader.next(&mut near).await.expect("a frame");
            assert!(reader.next(&mut near).now_or_never().is_none());
            assert_ne!(reader.shared.capacity(), 0, "the frame is held, and with it its buffer");
            assert_eq!(frame, [7; 100][..]);
        }
        far.write_all(&[0]).await.expect("written");
        assert!(reader.next(&mut near).now_or_never().is_none());
        reader.rest();
        assert_eq!(reader.shared[..], [0], "what came stays");
    }

    #[tokio::test]
    async fn a_large_frame_is_counted_as_it_comes_until_the_next_is_asked_for() {
        let (mut near, mut far) = tokio::io::duplex(8 << 20);
        let memory = memory_of(5 << 20);
        let mut reader = FrameReader::new(100 << 20, FOR_EVER, memory.clone());
        far.write_all(&(50_i32 << 20).to_be_bytes()).await.expect("written");
        {
            let mut next = std::pin::pin!(reader.next(&mut near));
            far.write_all(&[3; LARGE_BYTES_HERE - 1]).await.expect("written");
            assert!(next.as_mut().now_or_never().is_none());
            assert_eq!(memory.budget.used(), 0, "it may not go on");
            far.write_all(&[3; 1]).await.expect("written");
            assert!(next.as_mut().now_or_never().is_none());
            assert_eq!(memory.budget.used(), 1 << 20, "not what it announced");
            far.write_all(&[3; 3 << 20]).await.expect("written");
            assert!(next.as_mut().now_or_never().is_none());
            assert_eq!(memory.budget.used() >> 20, 4, "it doubled twice");
        }
        drop(reader);
        assert_eq!(memory.budget.used(), 0);
        let (mut near, mut far) = tokio::io::duplex(8 << 20);
        let mut reader = FrameReader::new(100 << 20, FOR_EVER, memory.clone());
        far.write_all(&framed(&vec![3; 100_000])).await.expect("written");
        let frame = reader.next(&mut near).await.expect("a frame");
        assert_eq!(memory.budget.used(), 100_000);
        assert!(reader.next(&mut near).now_or_never().is_none());
        assert_eq!((memory.budget.used(), frame.len()), (0, 100_000));
    }

    #[tokio::test]
    async fn the_last_half_of_the_budget_is_given_for_what_really_came() {
        let memory = memory_of(2 << 20);
        let mut silent = Vec::new();
        for at in 0..20 {
            let (mut near, mut far) = tokio::io::duplex(1 << 20);
            let mut reader = FrameReader::new(100 << 20, FOR_EVER, memory.clone());
            far.write_all(&(50_i32 << 20).to_be_bytes()).await.expect("written");
            far.write_all(&[3; SHARED_BYTES]).await.expect("written");
            let mut waits = Box::pin(async move { reader.next(&mut near).await });
            assert!(waits.as_mut().now_or_never().is_none());
            assert_eq!(memory.budget.used(), (1 << 20) + (at << 15), "{at}: only the first has a mebibyte");
            silent.push((waits, far));
        }
        // Another goes on beside them, step by step.
        let (mut near, mut far) = tokio::io::duplex(1 << 20);
        let mut reader = FrameReader::new(100 << 20, FOR_EVER, memory.clone());
        far.write_all(&framed(&[4; 300_000])).await.expect("written");
        assert_eq!(reader.next(&mut near).now_or_never().expect("there is room").expect("a frame"), [4; 300_000][..]);
        // One that is silent for too long gives back what it had.
        drop(silent.split_off(1));
        assert_eq!(memory.budget.used(), (1 << 20) + 300_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_does_not_go_on_ends_and_gives_back_what_it_had() {
        for sent in [3, 4, 10, 4 + SHARED_BYTES, 4 + (1 << 20)] {
            let (mut near, mut far) = tokio::io::duplex(8 << 20);
            let memory = memory_of(5 << 20);
            let waits = Waits { idle: Some(Duration::from_secs(600)), ..FOR_EVER };
            let mut reader = FrameReader::new(100 << 20, waits, memory.clone());
            far.write_all(&framed(&vec![3; 2 << 20])[..sent]).await.expect("written");
            let begun = tokio::time::Instant::now();
            let error = reader.next(&mut near).await.expect_err("it is not whole");
            assert!(matches!(error, Error::SlowFrame { .. }), "{sent}: {error}");
            assert_eq!((begun.elapsed().as_secs(), memory.budget.used()), (30, 0), "{sent}");
        }
    }

    #[tokio::test]
    async fn a_small_frame_goes_past_large_ones_that_wait() {
        let memory = memory_of(100_000);
        let mut streams = [(); 3].map(|()| tokio::io::duplex(1 << 20));
        let mut readers = [(); 3].map(|()| FrameReader::new(1 << 20, FOR_EVER, memory.clone()));
        for (at, len) in [100_000, 100_000, SHARED_BYTES].into_iter().enumerate() {
            streams[at].1.write_all(&framed(&vec![1; len])).await.expect("written");
        }
        let [first, second, third] = &mut readers;
        let [of_first, of_second, of_third] = &mut streams;
        assert_eq!(first.next(&mut of_first.0).await.expect("a frame").len(), 100_000);
        let mut waiting = std::pin::pin!(second.next(&mut of_second.0));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(third.next(&mut of_third.0).await.expect("a frame").len(), SHARED_BYTES);
        assert!(first.next(&mut of_first.0).now_or_never().is_none(), "it has been answered");
        assert_eq!(waiting.await.expect("a frame").len(), 100_000);
    }

    /// A socket, and a reader of it that finds it busy with frames of so many bytes.
    async fn busy(len: usize, memory: &Arc<Memory>) -> (TcpStream, TcpStream, FrameReader) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port 0 is free");
        let far = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        let (near, _) = listener.accept().await.expect("it has connected");
        let mut reader = FrameReader::new(1 << 20, FOR_EVER, memory.clone());
        is_busy(&mut reader, len);
        (near, far, reader)
    }

    fn is_busy(reader: &mut FrameReader, len: usize) {
        (0..200).for_each(|_| reader.gather.came(LENGTH_BYTES + len));
        assert!(reader.gather.low_water() > 3 * len, "so fast is busy");
    }

    #[tokio::test]
    async fn a_busy_stream_is_waited_for_and_not_for_long() {
        let (mut near, mut far, mut reader) = busy(196, &memory()).await;
        far.write_all(&framed(&[1; 196]).repeat(5)).await.expect("written");
        assert_eq!(reader.next(&mut near).await.expect("a frame"), [1; 196][..]);
        assert_eq!(reader.low_water, 700);
        while reader.next_here(|_| true).is_some() {}
        // One more than was asked for may have come, or not all of that.
        far.write_all(&framed(&[2; 196])).await.expect("written");
        while reader.next(&mut near).await.expect("a frame") != [2; 196][..] {}
        assert_eq!((reader.low_water, reader.gather.low_water()), (1, 1), "it was late");
        is_busy(&mut reader, 196);
        far.write_all(&framed(&[3; 196])[..7]).await.expect("written");
        let rest = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            far.write_all(&framed(&[3; 196])[7..]).await.expect("written");
        };
        assert_eq!(tokio::join!(reader.next(&mut near), rest).0.expect("a frame"), [3; 196][..]);
        is_busy(&mut reader, 196);
        drop(far);
        assert!(matches!(reader.next(&mut near).await, Err(Error::PeerClosed)));
    }

    #[tokio::test]
    async fn large_frames_of_a_busy_stream_share_a_buffer_that_is_paid_for_while_it_is_busy() {
        for (budget, paid) in [(100 << 20, ROOM_BYTES as u64), (ROOM_BYTES - 1, 0)] {
            let memory = memory_of(budget);
            let (mut near, mut far, mut reader) = busy(90_000, &memory).await;
            let contents: Vec<Vec<u8>> = (0..40).map(|at| vec![at; 80_000 + 900 * usize::from(at)]).collect();
            let bytes: Vec<u8> = contents.iter().flat_map(|content| framed(content)).collect();
            let write = async { far.write_all(&bytes).await.expect("written") };
            let read = async {
                let mut frames = vec![reader.next(&mut near).await.expect("a frame").to_vec()];
                let used = memory.budget.used();
                while frames.len() < contents.len() {
                    let here = reader.next_here(|_| true);
                    let next = match here {
                        Some(frame) => frame,
                        None => reader.next(&mut near).await.expect("a frame"),
                    };
                    frames.push(next.to_vec());
                }
                (used, frames)
            };
            let ((used, frames), ()) = tokio::join!(read, write);
            assert!(frames == contents);
            assert!(used == paid || paid == 0, "{used}");
            reader.gather.late(0, 0);
            far.write_all(&framed(&[5; 10])).await.expect("written");
            assert_eq!(reader.next(&mut near).await.expect("a frame"), [5; 10][..]);
            assert_eq!(memory.budget.used(), 0);
            assert!(reader.shared.capacity() <= SHARED_BYTES, "it has a small one again");
        }
    }
}
