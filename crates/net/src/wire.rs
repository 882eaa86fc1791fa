//! What frames come from and answers go to: a socket, or TLS over one.

use crate::counts::Counts;
use crate::idle::Idle;
use crate::low_water;
use crate::send::Sender;
use crate::{Error, Part};
use bytes::Bytes;
use futures::FutureExt;
use millstream_runtime::FileRange;
use parking_lot::Mutex;
use rustix::io::ReadWriteFlags;
use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What frames come from.
pub trait Source: AsyncRead + Unpin {
    /// Has the system tell of bytes only when so many are here, or when there is no room for more. Returns whether it does.
    fn set_low_water(&self, _bytes: usize) -> bool {
        false
    }

    /// Bytes that are here to be read, where the system tells.
    fn here(&self) -> usize {
        0
    }
}

/// A connected stream.
pub trait Wire: Source + Send {
    /// Sends all parts, in order. When it fails, or is dropped while it waits, the stream is out of step.
    fn send(
        &mut self,
        parts: &mut Vec<Part>,
        idle: &mut Idle,
        counts: &Counts,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

impl Source for TcpStream {
    fn set_low_water(&self, bytes: usize) -> bool {
        low_water::set(self, bytes)
    }

    fn here(&self) -> usize {
        let here = rustix::io::ioctl_fionread(self).unwrap_or(0);
        usize::try_from(here).unwrap_or(usize::MAX)
    }
}

impl Wire for TcpStream {
    async fn send(&mut self, parts: &mut Vec<Part>, idle: &mut Idle, counts: &Counts) -> Result<(), Error> {
        Sender { stream: self, idle, counts }.send(parts).await
    }
}

/// Bytes of a file that are read, encrypted and sent at once: as many as the TLS library takes before it wants to be rid of some.
const CHUNK_BYTES: usize = 64 << 10;
/// Slices of one write.
const SLICES_MAX: usize = 64;

/// Buffers kept for the next answers, by all connections of a listener. One serves a connection while it sends a file.
const CHUNKS_MAX: usize = 8;

/// Buffers of [`CHUNK_BYTES`].
#[derive(Debug, Default)]
pub struct Chunks(Mutex<Vec<Vec<u8>>>);

impl Chunks {
    fn lend(&self) -> Vec<u8> {
        self.0.lock().pop().unwrap_or_else(|| vec![0; CHUNK_BYTES])
    }

    fn take_back(&self, buffer: Vec<u8>) {
        let mut buffers = self.0.lock();
        if buffers.len() < CHUNKS_MAX {
            buffers.push(buffer);
        }
    }
}

/// TLS over a socket. What it sends of files goes through a buffer that connections of its listener lend each other.
pub struct Secured {
    pub stream: Box<TlsStream<TcpStream>>,
    pub chunks: Arc<Chunks>,
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut *self.stream).poll_read(context, buffer)
    }
}

impl Secured {
    /// Tells the peer that nothing more comes, if the socket takes that at once.
    pub fn say_goodbye(&mut self) {
        let _ = self.stream.shutdown().now_or_never();
    }

    /// Sends `before` and then a file's bytes, chunk by chunk: the answer's head shares a record with the first of them.
    async fn file(&mut self, before: &mut Vec<Bytes>, range: &FileRange, ways: Ways<'_>) -> Result<(), Error> {
        let Ways { idle, counts } = ways;
        let mut buffer = self.chunks.lend();
        let (mut position, end) = (range.position, range.position + range.len as u64);
        while position < end {
            let len = usize::try_from(end - position).unwrap_or(usize::MAX).min(CHUNK_BYTES);
            let read;
            let chunk = match read_cached(range, position, &mut buffer[..len]) {
                Some(chunk) => chunk,
                None => {
                    read = range.file.read_at(position, len).await?;
                    &read[..]
                }
            };
            if chunk.is_empty() {
                return Err(Error::Truncated { position });
            }
            self.bytes(before.iter().map(|bytes| &bytes[..]).chain([chunk]), Ways { idle: &mut *idle, counts }).await?;
            before.clear();
            counts.file_read.add(chunk.len() as u64);
            position += chunk.len() as u64;
            // A peer as fast as we are would otherwise keep this thread to itself for the whole of a large answer.
            tokio::task::consume_budget().await;
        }
        self.chunks.take_back(buffer);
        Ok(())
    }

    async fn bytes<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]>, ways: Ways<'_>) -> Result<(), Error> {
        let mut slices: Vec<IoSlice<'_>> = parts.map(IoSlice::new).collect();
        let mut rest = &mut slices[..];
        // Takes empty ones away.
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let some = rest.len().min(SLICES_MAX);
            let sent = ways.idle.limit(self.stream.write_vectored(&rest[..some])).await??;
            if sent == 0 {
                return Err(Error::PeerClosed);
            }
            ways.counts.bytes_out.add(sent as u64);
            IoSlice::advance_slices(&mut rest, sent);
        }
        Ok(())
    }
}

struct Ways<'a> {
    idle: &'a mut Idle,
    counts: &'a Counts,
}

/// Its bytes come record by record, whatever the socket has.
impl Source for Secured {}

impl Wire for Secured {
    async fn send(&mut self, parts: &mut Vec<Part>, idle: &mut Idle, counts: &Counts) -> Result<(), Error> {
        let mut bytes = Vec::new();
        for part in parts.iter() {
            match part {
                Part::Bytes(part) => bytes.push(part.clone()),
                Part::File(range) => self.file(&mut bytes, range, Ways { idle: &mut *idle, counts }).await?,
            }
        }
        self.bytes(bytes.iter().map(|bytes| &bytes[..]), Ways { idle: &mut *idle, counts }).await?;
        // What the socket did not take at once waits within.
        idle.limit(self.stream.flush()).await??;
        Ok(())
    }
}

/// The bytes of a file from a position that are in the page cache, as many as fit; none where it has to be read from disk, which is not
/// for this thread to wait for.
fn read_cached<'a>(range: &FileRange, position: u64, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let file = range.file.fd()?;
    let read = rustix::io::preadv2(file, &mut [IoSliceMut::new(buffer)], position, ReadWriteFlags::NOWAIT);
    match read {
        Ok(0) | Err(_) => None,
        Ok(len) => Some(&buffer[..len]),
    }
}
