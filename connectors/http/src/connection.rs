//! A listener whose connections are counted, and closed when nothing comes for too long.

use millstream_runtime::Clock;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Wait after a failed accept (no file descriptors left), so that it is not tried at full speed.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Accepts connections up to a number.
pub(crate) struct Limited {
    pub listener: TcpListener,
    pub permits: Arc<Semaphore>,
    pub clock: Arc<dyn Clock>,
    pub idle_max: Duration,
}

impl axum::serve::Listener for Limited {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let Ok(permit) = self.permits.clone().acquire_owned().await else {
                // The semaphore is never closed.
                std::future::pending::<()>().await;
                continue;
            };
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    let idle = idle(self.clock.clone(), self.idle_max);
                    let (clock, idle_max) = (self.clock.clone(), self.idle_max);
                    return (Connection { stream, idle, clock, idle_max, _permit: permit }, address);
                }
                Err(_) => self.clock.sleep(ACCEPT_RETRY).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

type Timer = Pin<Box<dyn Future<Output = ()> + Send>>;

fn idle(clock: Arc<dyn Clock>, idle_max: Duration) -> Timer {
    Box::pin(async move { clock.sleep(idle_max).await })
}

/// A connection that ends when nothing has been read from it for `idle_max`.
pub(crate) struct Connection {
    stream: TcpStream,
    idle: Timer,
    clock: Arc<dyn Clock>,
    idle_max: Duration,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(read) => {
                self.idle = idle(self.clock.clone(), self.idle_max);
                Poll::Ready(read)
            }
            Poll::Pending => self.idle.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
