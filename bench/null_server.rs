//! A broker that keeps nothing: it answers what measure.py's probe sends, in the probe's versions, as fast as sockets go. What the probe
//! measures over it is the probe itself, the machine's wake-ups and its loopback.
//!
//! `null_server PORT` listens on 127.0.0.1. Requests: Metadata 4, CreateTopics 4, Produce 7 (one batch of one record), Fetch 4.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const METADATA: i16 = 3;
const CREATE_TOPICS: i16 = 19;

/// What was produced, one batch an offset, and who waits for the next.
#[derive(Default)]
struct Produced {
    batches: Mutex<Vec<Vec<u8>>>,
    more: Condvar,
}

/// What is left of a request.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.take(8).try_into().unwrap())
    }

    /// A string with its length; null is empty.
    fn text(&mut self) -> &'a [u8] {
        let len = self.i16().max(0) as usize;
        self.take(len)
    }
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend((text.len() as i16).to_be_bytes());
    out.extend(text);
}

fn put_i32s(out: &mut Vec<u8>, values: &[i32]) {
    values.iter().for_each(|value| out.extend(value.to_be_bytes()));
}

fn metadata(body: &mut Fields<'_>, port: u16) -> Vec<u8> {
    let count = body.i32();
    let topic = if count > 0 { body.text() } else { b"" };
    let mut out = Vec::new();
    // No throttling; one broker, 1.
    put_i32s(&mut out, &[0, 1, 1]);
    put_text(&mut out, b"127.0.0.1");
    put_i32s(&mut out, &[i32::from(port)]);
    out.extend((-1i16).to_be_bytes());
    put_text(&mut out, b"null");
    // The controller is 1; one topic without an error.
    put_i32s(&mut out, &[1, 1]);
    out.extend(0i16.to_be_bytes());
    put_text(&mut out, topic);
    out.push(0);
    // One partition without an error, 0, whose leader, only replica and only one in sync is 1.
    put_i32s(&mut out, &[1]);
    out.extend(0i16.to_be_bytes());
    put_i32s(&mut out, &[0, 1, 1, 1, 1, 1]);
    out
}

fn created(body: &mut Fields<'_>) -> Vec<u8> {
    body.i32();
    let topic = body.text();
    let mut out = Vec::new();
    put_i32s(&mut out, &[0, 1]);
    put_text(&mut out, topic);
    out.extend(0i16.to_be_bytes());
    out.extend((-1i16).to_be_bytes());
    out
}

fn produced(body: &mut Fields<'_>, kept: &Produced) -> Vec<u8> {
    body.text();
    body.i16();
    // The timeout, and the count of topics.
    body.take(8);
    let topic = body.text();
    // The count of partitions, and the partition.
    body.take(8);
    let len = body.i32() as usize;
    let mut batch = body.take(len).to_vec();
    let mut batches = kept.batches.lock().unwrap();
    let offset = batches.len() as i64;
    batch[..8].copy_from_slice(&offset.to_be_bytes());
    batches.push(batch);
    kept.more.notify_all();
    drop(batches);
    let mut out = Vec::new();
    put_i32s(&mut out, &[1]);
    put_text(&mut out, topic);
    put_i32s(&mut out, &[1, 0]);
    out.extend(0i16.to_be_bytes());
    [offset, -1, 0].iter().for_each(|value| out.extend(value.to_be_bytes()));
    put_i32s(&mut out, &[0]);
    out
}

fn fetched(body: &mut Fields<'_>, kept: &Produced) -> Vec<u8> {
    body.i32();
    let wait = Duration::from_millis(body.i32().max(0) as u64);
    // The least and most bytes, the isolation level, the count of topics.
    body.take(13);
    let topic = body.text();
    // The count of partitions, and the partition.
    body.take(8);
    let from = body.i64() as usize;
    let batches = kept.batches.lock().unwrap();
    let (batches, _) = kept.more.wait_timeout_while(batches, wait, |batches| batches.len() <= from).unwrap();
    let records = batches.get(from..).unwrap_or_default().concat();
    let end = batches.len() as i64;
    drop(batches);
    let mut out = Vec::new();
    put_i32s(&mut out, &[0, 1]);
    put_text(&mut out, topic);
    put_i32s(&mut out, &[1, 0]);
    out.extend(0i16.to_be_bytes());
    [end, end].iter().for_each(|value| out.extend(value.to_be_bytes()));
    put_i32s(&mut out, &[0, records.len() as i32]);
    out.extend(records);
    out
}

fn serve(mut stream: TcpStream, port: u16, kept: &Produced) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    loop {
        // One read brings a request, as it mostly does to a broker.
        let mut piece = [0; 16 << 10];
        while buffer.len() < 4 || buffer.len() < 4 + Fields(&buffer).i32() as usize {
            match stream.read(&mut piece)? {
                0 => return Ok(()),
                read => buffer.extend(&piece[..read]),
            }
        }
        let len = 4 + Fields(&buffer).i32() as usize;
        let mut body = Fields(&buffer[4..len]);
        let (api, version, correlation_id) = (body.i16(), body.i16(), body.i32());
        body.text();
        let answer = match (api, version) {
            (PRODUCE, 7) => produced(&mut body, kept),
            (FETCH, 4) => fetched(&mut body, kept),
            (METADATA, 4) => metadata(&mut body, port),
            (CREATE_TOPICS, 4) => created(&mut body),
            _ => return Err(io::Error::other(format!("API {api} version {version} is not one of the probe's"))),
        };
        buffer.drain(..len);
        let mut frame = ((answer.len() + 4) as i32).to_be_bytes().to_vec();
        frame.extend(correlation_id.to_be_bytes());
        frame.extend(answer);
        stream.write_all(&frame)?;
    }
}

fn main() -> io::Result<()> {
    let port: u16 = std::env::args().nth(1).and_then(|port| port.parse().ok()).ok_or(io::ErrorKind::InvalidInput)?;
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let kept = Arc::new(Produced::default());
    for stream in listener.incoming() {
        let (stream, kept) = (stream?, kept.clone());
        std::thread::spawn(move || {
            if let Err(error) = serve(stream, port, &kept) {
                eprintln!("null_server: {error}");
            }
        });
    }
    Ok(())
}
