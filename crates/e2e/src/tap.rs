//! A tap between clients and a node: forwards whole frames, and knows which produce requests a dead node never answered.

use crate::eventually;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a dead node's connections may take to be seen as closed.
const CLOSING: Duration = Duration::from_secs(20);
/// Kafka's number of a produce request.
const PRODUCE: i16 = 0;

/// A port that stands for a node's. Tell the node to advertise it.
pub struct Tap {
    /// Where clients connect.
    pub address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Where the node listens, once that is known.
    node: Mutex<Option<String>>,
    open: AtomicUsize,
    /// Requests that went to a node which closed the connection before it answered.
    lost: Mutex<Vec<Vec<u8>>>,
}

/// The produce requests of one connection that are not answered yet, by correlation id.
type Waiting = Arc<Mutex<HashMap<i32, Vec<u8>>>>;

impl Tap {
    /// A tap whose node is not known yet.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let shared = Arc::new(Shared::default());
        let serving = shared.clone();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                serving.clone().serve(client);
            }
        });
        Self { address, shared }
    }

    /// Says where the node listens.
    ///
    /// # Panics
    /// When a connection's thread panicked.
    pub fn lead_to(&self, node: &str) {
        *self.shared.node.lock().expect("no thread panics with it") = Some(node.to_owned());
    }

    /// After the node died: the produce requests that had gone to it whole and were never answered.
    ///
    /// # Panics
    /// When its connections don't close.
    #[must_use]
    pub fn unanswered(&self) -> Vec<Vec<u8>> {
        eventually("a dead node's connections are closed", CLOSING, || {
            (self.shared.open.load(Ordering::SeqCst) == 0).then_some(())
        });
        std::mem::take(&mut *self.shared.lost.lock().expect("no thread panics with it"))
    }
}

impl Default for Tap {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    fn serve(self: Arc<Self>, client: TcpStream) {
        let address = self.node.lock().expect("no thread panics with it").clone();
        // Without a node the client sees its connection closed, and tries again.
        let Some(Ok(node)) = address.map(TcpStream::connect) else { return };
        let (Ok(to_client), Ok(to_node)) = (client.try_clone(), node.try_clone()) else { return };
        let _ = (client.set_nodelay(true), node.set_nodelay(true));
        self.open.fetch_add(1, Ordering::SeqCst);
        let waiting = Waiting::default();
        let sent = waiting.clone();
        std::thread::spawn(move || {
            requests(client, &to_node, &sent);
            let _ = to_node.shutdown(Shutdown::Both);
        });
        std::thread::spawn(move || {
            answers(node, &to_client, &waiting);
            let _ = to_client.shutdown(Shutdown::Both);
            let left = std::mem::take(&mut *waiting.lock().expect("no thread panics with it"));
            self.lost.lock().expect("no thread panics with it").extend(left.into_values());
            self.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// One frame with its length; none at the end of the connection.
fn frame(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut len = [0; 4];
    from.read_exact(&mut len).ok()?;
    let mut frame = len.to_vec();
    frame.resize(4 + usize::try_from(i32::from_be_bytes(len)).ok()?, 0);
    from.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

fn correlation(bytes: &[u8]) -> i32 {
    bytes.get(..4).map_or(-1, |bytes| i32::from_be_bytes(bytes.try_into().expect("four bytes")))
}

fn requests(mut client: TcpStream, mut node: &TcpStream, waiting: &Waiting) {
    while let Some(frame) = frame(&mut client) {
        let is_produce = frame.get(4..6).is_some_and(|key| key == PRODUCE.to_be_bytes());
        let id = correlation(frame.get(8..).unwrap_or_default());
        if is_produce {
            // Before it is sent: the answer may be faster than this thread.
            waiting.lock().expect("no thread panics with it").insert(id, frame.clone());
        }
        if node.write_all(&frame).is_err() {
            waiting.lock().expect("no thread panics with it").remove(&id);
            return;
        }
    }
}

fn answers(mut node: TcpStream, mut client: &TcpStream, waiting: &Waiting) {
    while let Some(frame) = frame(&mut node) {
        waiting.lock().expect("no thread panics with it").remove(&correlation(&frame[4..]));
        if client.write_all(&frame).is_err() {
            return;
        }
    }
}
