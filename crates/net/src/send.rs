//! Answers onto a socket: bytes by vectored writes, file ranges by `sendfile`.
//!
//! ```text
//! bytes            one sendmsg for up to 64 parts; more-follows where a file comes next, so that header and records share packets
//! file, cached     sendfile, page cache -> socket
//! file, not cached read by the disk pool, then as bytes: sendfile would block this thread on the disk
//! file, <= 8 KiB   read from the page cache, then as bytes: one copy is cheaper than two more system calls
//! ```

use crate::counts::Counts;
use crate::idle::Idle;
use crate::{Error, Part};
use bytes::Bytes;
use millstream_runtime::FileRange;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ReadWriteFlags};
use rustix::net::{SendAncillaryBuffer, SendFlags};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Parts of one vectored write.
const IOVECS_MAX: usize = 64;
/// Bytes of a file sent before its residency is looked at again.
const FILE_CHUNK_BYTES: usize = 1 << 20;
/// Bytes of a file range up to which reading it is cheaper than `sendfile`.
const SMALL_FILE_BYTES: usize = 8 << 10;

/// Writes answers to one socket.
pub struct Sender<'a> {
    pub stream: &'a TcpStream,
    pub idle: &'a mut Idle,
    pub counts: &'a Counts,
}

impl Sender<'_> {
    /// Sends all parts, in order. When it fails, or is dropped while it waits, the stream is out of step.
    pub async fn send(&mut self, parts: &mut Vec<Part>) -> Result<(), Error> {
        self.read_small_files(parts).await?;
        let mut rest = parts.as_slice();
        while let Some(first) = rest.first() {
            match first {
                Part::File(range) => {
                    self.file(range).await?;
                    rest = &rest[1..];
                }
                Part::Bytes(_) => {
                    let run = rest.iter().position(|part| matches!(part, Part::File(_)));
                    let (bytes, others) = rest.split_at(run.unwrap_or(rest.len()));
                    self.bytes(bytes, !others.is_empty()).await?;
                    rest = others;
                }
            }
        }
        Ok(())
    }

    async fn read_small_files(&self, parts: &mut [Part]) -> Result<(), Error> {
        for part in parts {
            if let Part::File(range) = part
                && range.len <= SMALL_FILE_BYTES
            {
                let content = read_chunk(range, range.position, range.len).await?;
                self.counts.file_read.add(content.len() as u64);
                *part = Part::Bytes(content);
            }
        }
        Ok(())
    }

    /// Sends parts that are all bytes.
    async fn bytes(&mut self, parts: &[Part], more_follows: bool) -> Result<(), Error> {
        let flags = if more_follows { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
        // The first part not sent whole, and how much of it is.
        let (mut index, mut sent_of_first) = (0, 0);
        while index < parts.len() {
            let (stream, len) = (self.stream, unsent(&parts[index..], sent_of_first));
            let mut sent =
                self.when_writable(len, || send_vectored(stream, &parts[index..], sent_of_first, flags)).await?;
            self.counts.bytes_out.add(sent as u64);
            while index < parts.len() && sent >= parts[index].len() - sent_of_first {
                sent -= parts[index].len() - sent_of_first;
                (index, sent_of_first) = (index + 1, 0);
            }
            sent_of_first += sent;
        }
        Ok(())
    }

    async fn file(&mut self, range: &FileRange) -> Result<(), Error> {
        let mut position = range.position;
        let end = range.position + range.len as u64;
        while position < end {
            let chunk = usize::try_from(end - position).unwrap_or(usize::MAX).min(FILE_CHUNK_BYTES);
            if range.file.fd().is_some_and(|file| is_cached(file, position, chunk)) {
                self.file_cached(range, position, chunk).await?;
                self.counts.file_sent.add(chunk as u64);
            } else {
                let content = read_chunk(range, position, chunk).await?;
                self.bytes(&[Part::Bytes(content)], position + (chunk as u64) < end).await?;
                self.counts.file_read.add(chunk as u64);
            }
            position += chunk as u64;
            // A peer as fast as we are would otherwise keep this thread to itself for the whole of a large answer.
            tokio::task::consume_budget().await;
        }
        Ok(())
    }

    async fn file_cached(&mut self, range: &FileRange, position: u64, len: usize) -> Result<(), Error> {
        let (mut done, stream) = (0, self.stream);
        while done < len {
            let mut at = position + done as u64;
            let sent = self.when_writable(len - done, || {
                let file = range.file.fd().ok_or(io::ErrorKind::Unsupported)?;
                Ok(rustix::fs::sendfile(stream, file, Some(&mut at), len - done)?)
            });
            let sent = sent.await?;
            if sent == 0 {
                return Err(Error::Truncated { position: position + done as u64 });
            }
            self.counts.bytes_out.add(sent as u64);
            done += sent;
        }
        Ok(())
    }

    /// Does `write`, of `len` bytes, as soon as the socket takes some, at most the idle time later. Returns how many it took.
    ///
    /// A write that is cut short has mostly filled the socket. To learn that from the next one costs more than to ask: a `sendfile` that is
    /// refused has looked up 64 KiB of pages, and one that finds a little room sends a little.
    async fn when_writable(
        &mut self,
        len: usize,
        mut write: impl FnMut() -> io::Result<usize>,
    ) -> Result<usize, Error> {
        loop {
            let (mut sent, stream) = (0, self.stream);
            let tried = stream.try_io(Interest::WRITABLE, || {
                sent = write()?;
                // As if nothing had been taken: that is how tokio learns that it has to wait.
                if (1..len).contains(&sent) && !has_room(stream) {
                    Err(io::ErrorKind::WouldBlock.into())
                } else {
                    Ok(())
                }
            });
            match tried {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && sent == 0 => {
                    self.idle.limit(stream.writable()).await??;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error.into()),
                _ => return Ok(sent),
            }
        }
    }
}

/// Whether the socket takes bytes. Where not, the system tells of the moment it does.
fn has_room(stream: &TcpStream) -> bool {
    let mut socket = [PollFd::new(stream, PollFlags::OUT)];
    // Where it can't be asked, the next write finds out.
    poll(&mut socket, Some(&Timespec::default())).map_or(true, |ready| ready > 0)
}

/// Bytes of one vectored write.
fn unsent(parts: &[Part], sent_of_first: usize) -> usize {
    parts.iter().take(IOVECS_MAX).map(Part::len).sum::<usize>() - sent_of_first
}

fn send_vectored(stream: &TcpStream, parts: &[Part], sent_of_first: usize, flags: SendFlags) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); IOVECS_MAX];
    let mut used = 0;
    for (slice, part) in slices.iter_mut().zip(parts) {
        if let Part::Bytes(bytes) = part {
            *slice = IoSlice::new(if used == 0 { &bytes[sent_of_first..] } else { bytes });
            used += 1;
        }
    }
    Ok(rustix::net::sendmsg(stream, &slices[..used], &mut SendAncillaryBuffer::default(), flags)?)
}

async fn read_chunk(range: &FileRange, position: u64, len: usize) -> Result<Bytes, Error> {
    let content = range.file.read_at(position, len).await?;
    if content.len() < len {
        return Err(Error::Truncated { position: position + content.len() as u64 });
    }
    Ok(content)
}

/// Whether the first and the last byte are in the page cache, which read-ahead fills in order: a guess that is cheap and mostly right.
/// Where the file system can't tell (memory itself, mostly) they count as cached.
fn is_cached(file: BorrowedFd<'_>, position: u64, len: usize) -> bool {
    let probe = |at: u64| {
        let mut byte = [0];
        let read = rustix::io::preadv2(file, &mut [IoSliceMut::new(&mut byte)], at, ReadWriteFlags::NOWAIT);
        !matches!(read, Err(Errno::AGAIN))
    };
    probe(position) && probe(position + len as u64 - 1)
}
