//! One connection: a frame, its answer, the next frame; or several frames that came together and overlap, and their answers.

use crate::counts::Counts;
use crate::frames::{FrameReader, Waits};
use crate::idle::Idle;
use crate::memory::{Memory, SHARED_BYTES};
use crate::pipeline::Pipeline;
use crate::tls;
use crate::wire::{Chunks, Secured, Wire};
use crate::{Answer, ConnectionContext, Error, Frame, Handler, ListenerConfig, Tls};
use bytes::Bytes;
use millstream_runtime::Shutdown;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Frames of one connection that are worked on together.
const PIPELINED_MAX: usize = 64;
/// How long a peer may take to agree on TLS.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);

/// A connection and all it needs. Dropped, it counts itself out and tells the handler, even after a panic.
pub struct Connection {
    pub context: ConnectionContext,
    pub config: Arc<ListenerConfig>,
    pub handler: Arc<dyn Handler>,
    pub counts: Arc<Counts>,
    pub memory: Arc<Memory>,
    pub chunks: Arc<Chunks>,
    pub shutdown: Shutdown,
}

impl Connection {
    /// Serves the connection until it ends.
    pub async fn run(mut self, mut stream: TcpStream) {
        // Answers are whole when they are written: waiting for more to send only adds delay. Where that can't be had, they are only later.
        let _ = stream.set_nodelay(true);
        let ended = match self.config.tls.clone() {
            None => self.serve(&mut stream).await,
            // Boxed, so that connections without TLS don't have the room for it.
            Some(tls) => Box::pin(self.serve_secured(stream, &tls)).await,
        };
        let error = match ended {
            Ok(never) => match never {},
            Err(error) => error,
        };
        self.counts.closed(error.reason());
        let ConnectionContext { listener, peer, id, .. } = &self.context;
        match &error {
            Error::PeerClosed | Error::Idle { .. } | Error::Stopping | Error::Io(_) => {
                tracing::debug!(%listener, %peer, id, %error, "connection closed");
            }
            Error::Address { .. }
            | Error::Bind { .. }
            | Error::FrameLength { .. }
            | Error::SlowFrame { .. }
            | Error::TlsToPlaintext
            | Error::Handshake(_)
            | Error::Certificate { .. }
            | Error::Truncated { .. }
            | Error::Refused(_) => {
                tracing::warn!(%listener, %peer, id, %error, "connection closed");
            }
        }
    }

    async fn serve_secured(&mut self, stream: TcpStream, tls: &Tls) -> Result<Infallible, Error> {
        let stream = self.agree(stream, tls).await?;
        if let Some(principal) = tls::principal(stream.get_ref().1.peer_certificates()) {
            self.context.principal = principal.into();
        }
        let mut stream = Secured { stream: Box::new(stream), chunks: self.chunks.clone() };
        let ended = self.serve(&mut stream).await;
        stream.say_goodbye();
        ended
    }

    async fn agree(&self, stream: TcpStream, tls: &Tls) -> Result<TlsStream<TcpStream>, Error> {
        let limit = self.config.idle.map_or(HANDSHAKE_MAX, |idle| idle.min(HANDSHAKE_MAX));
        let mut idle = Idle::new(Some(limit));
        tokio::select! {
            biased;
            () = self.shutdown.requested() => Err(Error::Stopping),
            agreed = idle.limit(tls.acceptor().accept(stream)) => {
                agreed?.map_err(|error| tls::failed(&error))
            }
        }
    }

    async fn serve<W: Wire>(&self, stream: &mut W) -> Result<Infallible, Error> {
        let mut reader = FrameReader::new(self.config.frame_bytes_max, self.waits(), self.memory.clone());
        let mut sending = Idle::new(self.config.idle);
        let mut stop = pin!(self.shutdown.requested());
        loop {
            reader.limit(self.frame_bytes_max());
            // The request being answered is finished; no other is begun.
            let frame = tokio::select! {
                biased;
                () = &mut stop => return Err(Error::Stopping),
                frame = reader.next(stream) => frame?,
            };
            let mut pipeline = self.begin(frame, &mut reader);
            while let Some(answers) = pipeline.answers().await {
                self.send(stream, &mut sending, answers).await?;
            }
            pipeline.frames.into_iter().for_each(|frame| self.memory.give_back(frame));
        }
    }

    fn waits(&self) -> Waits {
        Waits { idle: self.config.idle, frame: self.config.frame_wait }
    }

    fn frame_bytes_max(&self) -> usize {
        let unknown = self.config.authenticates.filter(|_| !self.context.authentication.is_done());
        unknown.unwrap_or(usize::MAX).min(self.config.frame_bytes_max)
    }

    /// Begins a frame, and those that are here whole after it where they overlap.
    fn begin<'a>(&'a self, mut first: Bytes, reader: &mut FrameReader) -> Pipeline<'a> {
        if first.len() <= SHARED_BYTES && self.handler.lingers(&first) {
            // Many connections mostly wait for such an answer: they do it without the buffer in which others could read.
            first = Bytes::copy_from_slice(&first);
            reader.rest();
        }
        let mut frames = vec![first];
        if self.handler.overlaps(&frames[0]) {
            while frames.len() < PIPELINED_MAX
                && let Some(frame) = reader.next_here(|frame| self.handler.overlaps(frame))
            {
                frames.push(frame);
            }
        }
        let last = frames.len() - 1;
        let begun = frames.iter().enumerate().map(|(at, bytes)| {
            self.counts.frames.inc();
            self.counts.bytes_in.add(bytes.len() as u64 + 4);
            self.handler.handle(&self.context, Frame { bytes: bytes.clone(), more: at < last })
        });
        Pipeline::new(begun.collect(), frames)
    }

    async fn send<W: Wire>(&self, stream: &mut W, idle: &mut Idle, answers: Vec<Answer>) -> Result<(), Error> {
        let mut parts = Vec::new();
        for answer in answers {
            match answer {
                Answer::Reply(mut reply) if parts.is_empty() => std::mem::swap(&mut parts, &mut reply),
                Answer::Reply(reply) => parts.extend(reply),
                Answer::NoReply => {}
                Answer::Last(reply, reason) => {
                    parts.extend(reply);
                    stream.send(&mut parts, idle, &self.counts).await?;
                    return Err(Error::Refused(reason));
                }
                Answer::Close(reason) => {
                    stream.send(&mut parts, idle, &self.counts).await?;
                    return Err(Error::Refused(reason));
                }
            }
        }
        stream.send(&mut parts, idle, &self.counts).await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counts.open.add(-1);
        self.handler.closed(&self.context);
    }
}
