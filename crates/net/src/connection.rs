//! One connection: a frame, its answer, the next frame.

use crate::counts::Counts;
use crate::frames::{FrameReader, Spares};
use crate::send::Sender;
use crate::{Answer, ConnectionContext, Error, Handler, ListenerConfig};
use millstream_runtime::Shutdown;
use std::sync::Arc;
use tokio::net::TcpStream;

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
        loop {
            // The request being answered is finished; no other is begun.
            let frame = tokio::select! {
                biased;
                () = self.shutdown.requested() => return Err(Error::Stopping),
                frame = reader.next(stream) => frame?,
            };
            self.counts.frames.inc();
            self.counts.bytes_in.add(frame.len() as u64 + 4);
            let answer = self.handler.handle(&self.context, frame.clone()).await;
            self.spares.give_back(frame);
            match answer {
                Answer::Reply(mut parts) => {
                    Sender { stream, idle: self.config.idle, counts: &self.counts }.send(&mut parts).await?;
                }
                Answer::NoReply => {}
                Answer::Close(reason) => return Err(Error::Refused(reason)),
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counts.open.add(-1);
        self.handler.closed(&self.context);
    }
}
