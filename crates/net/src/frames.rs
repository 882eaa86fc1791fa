//! Frames off a stream: a length of four bytes, then so many bytes.
//!
//! Small frames are slices of a shared buffer, so that one read may bring many. A large one is read into a buffer of its own, which grows
//! with what really comes: a peer that only announces bytes makes us reserve little. Buffers of large frames that nobody holds any more are
//! used again, since fresh memory costs a page fault for each 4 KiB of it.

use crate::Error;
use crate::idle::Idle;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

const LENGTH_BYTES: usize = 4;
/// Bytes of the shared buffer: what an idle connection costs.
const SHARED_BYTES: usize = 16 << 10;
/// Bytes of room below which the shared buffer is taken back or renewed: a smaller read is not worth its system call.
const ROOM_BYTES_MIN: usize = 4 << 10;
/// Bytes first reserved for a large frame; doubled as it fills.
const LARGE_BYTES_FIRST: usize = 1 << 20;
/// Bytes that a new buffer has beyond the frame it was made for, so that it fits the next one, which may be a little larger.
const LARGE_BYTES_MARGIN: usize = 16 << 10;
/// Buffers of large frames kept for the next ones, by all connections of a listener. One serves a connection; while a frame is answered
/// its buffer is not here.
const SPARES_MAX: usize = 8;

/// Buffers of large frames that wait for the next.
#[derive(Debug, Default)]
pub struct Spares(Mutex<Vec<BytesMut>>);

impl Spares {
    fn take(&self) -> Option<BytesMut> {
        self.0.lock().pop()
    }

    /// Takes back the buffer of a frame, if it is worth keeping and nobody else holds a part of it.
    pub fn give_back(&self, frame: Bytes) {
        if frame.len() <= SHARED_BYTES {
            return;
        }
        let Ok(mut buffer) = frame.try_into_mut() else { return };
        buffer.clear();
        // One that grew for a giant goes, or a few of those would be kept for ever.
        if buffer.capacity() <= LARGE_BYTES_FIRST + LARGE_BYTES_MARGIN {
            let mut spares = self.0.lock();
            if spares.len() < SPARES_MAX {
                spares.push(buffer);
            }
        }
    }
}

/// Reads frames.
#[derive(Debug)]
pub struct FrameReader {
    shared: BytesMut,
    spares: Arc<Spares>,
    frame_bytes_max: usize,
    idle: Idle,
}

impl FrameReader {
    /// A reader of frames of at most `frame_bytes_max` bytes, that waits at most `idle` for any byte.
    #[must_use]
    pub fn new(frame_bytes_max: usize, idle: Option<Duration>, spares: Arc<Spares>) -> Self {
        Self { shared: BytesMut::new(), spares, frame_bytes_max, idle: Idle::new(idle) }
    }

    /// Frames from now on are at most so large.
    pub const fn limit(&mut self, frame_bytes_max: usize) {
        self.frame_bytes_max = frame_bytes_max;
    }

    /// The next frame, without its length. After an error, or when it was dropped while it waited, the stream is out of step.
    ///
    /// # Errors
    /// [`Error::PeerClosed`] at the stream's end, [`Error::FrameLength`], [`Error::TlsToPlaintext`], [`Error::Idle`], or the stream's own.
    pub async fn next<R: AsyncRead + Unpin>(&mut self, stream: &mut R) -> Result<Bytes, Error> {
        while self.shared.len() < LENGTH_BYTES {
            self.fill(stream, LENGTH_BYTES).await?;
        }
        let announced = self.shared.get_i32();
        let len = usize::try_from(announced).ok().filter(|len| *len <= self.frame_bytes_max);
        let len = len.ok_or_else(|| too_long(announced, self.frame_bytes_max))?;
        if len > SHARED_BYTES {
            return self.large(stream, len).await;
        }
        while self.shared.len() < len {
            self.fill(stream, len).await?;
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
        self.shared.advance(LENGTH_BYTES);
        Some(self.shared.split_to(len).freeze())
    }

    /// Reads what there is into the shared buffer, which has room for `needed` bytes in all.
    async fn fill<R: AsyncRead + Unpin>(&mut self, stream: &mut R, needed: usize) -> Result<(), Error> {
        let room = self.shared.capacity() - self.shared.len();
        if self.shared.capacity() < needed || room < ROOM_BYTES_MIN {
            // Takes back the whole buffer where no frame of it is held any more, and moves to a new one otherwise.
            self.shared.reserve(SHARED_BYTES - self.shared.len());
        }
        let room = self.shared.capacity() - self.shared.len();
        read(stream, &mut (&mut self.shared).limit(room), &mut self.idle).await
    }

    async fn large<R: AsyncRead + Unpin>(&mut self, stream: &mut R, len: usize) -> Result<Bytes, Error> {
        let mut frame = self.spares.take().unwrap_or_else(|| {
            // The first buffers have the size of what comes; a spare that is too small grows, and is worth more from then on.
            BytesMut::with_capacity(len.min(LARGE_BYTES_FIRST) + LARGE_BYTES_MARGIN)
        });
        let here = self.shared.len().min(len);
        frame.extend_from_slice(&self.shared.split_to(here));
        while frame.len() < len {
            if frame.len() == frame.capacity() {
                frame.reserve(frame.len().min(len - frame.len()));
            }
            let room = (frame.capacity() - frame.len()).min(len - frame.len());
            read(stream, &mut (&mut frame).limit(room), &mut self.idle).await?;
        }
        Ok(frame.freeze())
    }
}

/// Why a frame of that length is refused.
fn too_long(announced: i32, max: usize) -> Error {
    // The first bytes of TLS: a handshake of version 3.x.
    if announced >> 16 == 0x1603 { Error::TlsToPlaintext } else { Error::FrameLength { len: announced, max } }
}

async fn read<R: AsyncRead + Unpin>(stream: &mut R, buffer: &mut impl BufMut, idle: &mut Idle) -> Result<(), Error> {
    let read = idle.limit(stream.read_buf(buffer)).await??;
    if read == 0 { Err(Error::PeerClosed) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

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
            let mut reader = FrameReader::new(max, None, Arc::default());
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
        let mut reader = FrameReader::new(1_000, Some(Duration::from_millis(20)), Arc::default());
        let error = reader.next(&mut near).await.expect_err("half a length");
        assert!(matches!(error, Error::Idle { idle_ms: 20 }), "{error}");
    }

    #[tokio::test]
    async fn one_shared_buffer_serves_many_small_frames() {
        let (mut near, mut far) = tokio::io::duplex(1 << 20);
        let mut reader = FrameReader::new(1_000, None, Arc::default());
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
        let mut reader = FrameReader::new(1_000, None, Arc::default());
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
        let spares = Arc::new(Spares::default());
        let mut reader = FrameReader::new(1 << 20, None, spares.clone());
        let mut places = Vec::new();
        for len in [100_000, 90_000, 110_000] {
            far.write_all(&framed(&vec![7; len])).await.expect("written");
            let frame = reader.next(&mut near).await.expect("a frame");
            assert_eq!(frame.len(), len);
            places.push(frame.as_ptr());
            spares.give_back(frame);
        }
        assert!(places.iter().all(|place| *place == places[0]), "{places:?}");
        far.write_all(&framed(&[8; 50_000])).await.expect("written");
        let held = reader.next(&mut near).await.expect("a frame");
        spares.give_back(held.clone());
        assert!(spares.take().is_none(), "a part of it is still held");
        assert!(held.iter().all(|byte| *byte == 8));
    }
}
