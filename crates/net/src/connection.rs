//! One connection: a frame, its answer, the next frame; or several frames that came together and overlap, and their answers.

use crate::counts::Counts;
use crate::frames::{FrameReader, Spares};
use crate::idle::Idle;
use crate::pipeline::Pipeline;
use crate::send::Sender;
use crate::{Answer, ConnectionContext, Error, Frame, Handler, ListenerConfig};
use bytes::Bytes;
use millstream_runtime::Shutdown;
use std::pin::pin;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Frames of one connection that are worked on together.
const PIPELINED_MAX: usize = 64;

/// A connection and all it needs. Dropped, it counts itself out and tells the handler, even after a panic.
pub struct Connection {
    pub context: ConnectionContext,
    pub config: Arc<ListenerConfig>,
    pub handler: Arc<dyn Handler>,
    pub counts: Arc<Counts>,
    pub spares: Arc<Spares>,
    pub shutdown: Shutdown,
}

impl Connection {
    /// Serves the connection until it ends.
    pub async fn run(self, mut stream: TcpStream) {
        let error = match self.serve(&mut stream).await {
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
            | Error::Truncated { .. }
            | Error::Refused(_) => {
                tracing::warn!(%listener, %peer, id, %error, "connection closed");
            }
        }
    }

    async fn serve(&self, stream: &mut TcpStream) -> Result<std::convert::Infallible, Error> {
        // Answers are whole when they are written: waiting for more to send only adds delay.
        stream.set_nodelay(true)?;
        let mut reader = FrameReader::new(self.config.frame_bytes_max, self.config.idle, self.spares.clone());
        let mut sending = Idle::new(self.config.idle);
        let mut stop = pin!(self.shutdown.requested());
        loop {
            // The request being answered is finished; no other is begun.
            let frame = tokio::select! {
                biased;
                () = &mut stop => return Err(Error::Stopping),
                frame = reader.next(stream) => frame?,
            };
            let mut pipeline = self.begin(frame, &mut reader);
            while let Some(answers) = pipeline.answers().await {
                send(Sender { stream, idle: &mut sending, counts: &self.counts }, answers).await?;
            }
            pipeline.frames.into_iter().for_each(|frame| self.spares.give_back(frame));
        }
    }

    /// Begins a frame, and those that are here whole after it where they overlap.
    fn begin<'a>(&'a self, first: Bytes, reader: &mut FrameReader) -> Pipeline<'a> {
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
}

async fn send(mut sender: Sender<'_>, answers: Vec<Answer>) -> Result<(), Error> {
    let mut parts = Vec::new();
    for answer in answers {
        match answer {
            Answer::Reply(mut reply) if parts.is_empty() => std::mem::swap(&mut parts, &mut reply),
            Answer::Reply(reply) => parts.extend(reply),
            Answer::NoReply => {}
            Answer::Close(reason) => {
                sender.send(&mut parts).await?;
                return Err(Error::Refused(reason));
            }
        }
    }
    sender.send(&mut parts).await
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counts.open.add(-1);
        self.handler.closed(&self.context);
    }
}
