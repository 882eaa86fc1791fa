//! What a server sends, counted on the wire: a relay in front of it that knows nothing of what passes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A relay. It ends with the test's process; connections end with either side.
pub struct Meter {
    /// Where clients connect, `HOST:PORT`.
    pub address: String,
    sent: Arc<AtomicU64>,
}

impl Meter {
    /// Relays connections to `server`.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (sent, server) = (Arc::new(AtomicU64::new(0)), server.to_owned());
        let counter = sent.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A server that is gone closes the connection: dropping it tells the client so.
                let Ok(upstream) = TcpStream::connect(&server) else { continue };
                relay(client, upstream, counter.clone());
            }
        });
        Self { address, sent }
    }

    /// Bytes that the server sent so far, heads of answers included.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }
}

fn relay(client: TcpStream, upstream: TcpStream, sent: Arc<AtomicU64>) {
    // What is small must not wait for more.
    let _ = client.set_nodelay(true);
    let _ = upstream.set_nodelay(true);
    let (Ok(from_client), Ok(to_upstream)) = (client.try_clone(), upstream.try_clone()) else { return };
    std::thread::spawn(move || pump(from_client, to_upstream, |_| {}));
    std::thread::spawn(move || {
        pump(upstream, client, |bytes| {
            sent.fetch_add(bytes as u64, Ordering::AcqRel);
        });
    });
}

/// Copies until either end is closed, and tells the other.
fn pump(mut from: TcpStream, mut to: TcpStream, mut count: impl FnMut(usize)) {
    let mut buffer = vec![0; 256 << 10];
    while let Ok(bytes @ 1..) = from.read(&mut buffer) {
        count(bytes);
        if to.write_all(&buffer[..bytes]).is_err() {
            break;
        }
    }
    // Either may be closed already.
    let _ = from.shutdown(Shutdown::Read);
    let _ = to.shutdown(Shutdown::Write);
}
