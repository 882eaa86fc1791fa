//! Frames with true heads and bodies at the extremes, every other one of them wrong in one place, over many connections at once: each is
//! answered, or its connection is closed; the node is there afterwards with the memory that it had, and a client beside it notices nothing.
//!
//! `MILLSTREAM_HOSTILE_FRAMES` says how many, `MILLSTREAM_HOSTILE_SEED` from which seed.

use crate::kit::{Draw, PATIENCE, api, resident_bytes};
use crate::shapes::Shapes;
use millstream_e2e::{Bystander, Node, eventually};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

const FRAMES: u64 = 12_000;
const SEED: u64 = 1;
const THREADS: u64 = 4;
/// Some that are among those sent: of records, logins and share groups.
const AMONG: [i16; 7] = [api::PRODUCE, 17, 36, 76, 78, 79, 90];
/// Frames that a connection sends before it reads.
const BURST_MAX: u64 = 12;
/// Bytes that the node may hold more than after its first tenth, which fills its pools and makes what the requests name.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

/// What became of frames.
#[derive(Debug, Default, Clone, Copy)]
struct Met {
    sent: u64,
    whole: u64,
    answered: u64,
    /// Of those that were wrong: a lie about a count may still be a request.
    wrong_answered: u64,
    closed: u64,
    silent: u64,
}

impl std::ops::AddAssign for Met {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.whole += other.whole;
        self.answered += other.answered;
        self.wrong_answered += other.wrong_answered;
        self.closed += other.closed;
        self.silent += other.silent;
    }
}

/// The APIs that the node tells of, each with its versions.
fn served(address: &str) -> Vec<(i16, i16)> {
    let mut stream = connect(address);
    stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 255, 255]).unwrap();
    let answer = read_frame(&mut stream).unwrap().expect("an answer");
    let number = |at: usize| i16::from_be_bytes([answer[at], answer[at + 1]]);
    // Behind the correlation id, the code and the count.
    let apis = (10..answer.len() - 5).step_by(6).map(|at| (number(at), number(at + 2), number(at + 4)));
    apis.flat_map(|(key, first, last)| (first..=last).map(move |version| (key, version))).collect()
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The next frame; none where the node closed the connection.
fn read_frame(stream: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut len = [0; 4];
    let gone = |error: &std::io::Error| {
        matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
    };
    match stream.read_exact(&mut len) {
        Err(error) if gone(&error) => return Ok(None),
        read => read?,
    }
    let mut frame = vec![0; u32::from_be_bytes(len) as usize];
    match stream.read_exact(&mut frame) {
        Err(error) if gone(&error) => Ok(None),
        read => read.map(|()| Some(frame)),
    }
}

/// Sends some frames over a connection of their own and reads what comes of them.
fn burst(address: &str, shapes: &Shapes, apis: &[(i16, i16)], draw: &mut Draw) -> Met {
    let mut met = Met::default();
    let (mut bytes, mut awaited) = (Vec::new(), BTreeMap::new());
    for correlation in 0..(1 + draw.next() % BURST_MAX) as i32 {
        let of = apis[(draw.next() % apis.len() as u64) as usize];
        // What is wrong ends its connection: it comes late in a burst as a rule, so that what is before it is met.
        let wrong = draw.next().is_multiple_of(4);
        let Some(made) = shapes.make(of, correlation, wrong, draw) else { continue };
        bytes.extend((made.frame.len() as u32).to_be_bytes());
        bytes.extend(&made.frame);
        met.sent += 1;
        met.whole += u64::from(made.is_whole);
        match made.is_silent {
            true => met.silent += 1,
            false => drop(awaited.insert(correlation, (of, made))),
        }
        if wrong {
            break;
        }
    }
    let mut stream = connect(address);
    // It may have closed the connection before all is sent.
    let _ = stream.write_all(&bytes);
    while !awaited.is_empty() {
        match read_frame(&mut stream) {
            Ok(Some(answer)) => {
                let correlation = i32::from_be_bytes(answer[..4].try_into().unwrap());
                let (_, made) = awaited.remove(&correlation).expect("an answer to what was asked, once");
                met.answered += 1;
                met.wrong_answered += u64::from(!made.is_whole);
            }
            Ok(None) => break,
            Err(error) => {
                let (of, made) = awaited.values().next().unwrap();
                let hex: String = made.frame.iter().map(|byte| format!("{byte:02x}")).collect();
                panic!("{of:?} was neither answered nor was its connection closed: {error}\n{hex}");
            }
        }
    }
    met.closed += awaited.len() as u64;
    met
}

/// Sends at least so many frames, from several threads.
fn send(address: &str, count: u64, seed: u64) -> Met {
    let (shapes, apis) = (Shapes::read(), served(address));
    let lacks = AMONG.iter().find(|api| !apis.iter().any(|(key, _)| key == *api));
    assert_eq!(lacks, None, "it is not told of, and so not sent");
    let without_shape = apis.iter().find(|of| shapes.make(**of, 0, false, &mut Draw(seed)).is_none());
    assert_eq!(without_shape, None, "it has no shape, and is not sent");
    let parts = std::thread::scope(|scope| {
        let send = |thread: u64| {
            let (shapes, apis) = (&shapes, &apis);
            move || {
                let mut draw = Draw(seed.wrapping_mul(THREADS).wrapping_add(thread) << 32);
                let mut met = Met::default();
                while met.sent < count / THREADS {
                    met += burst(address, shapes, apis, &mut draw);
                }
                met
            }
        };
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(send(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let mut met = Met::default();
    parts.into_iter().for_each(|part| met += part);
    met
}

#[test]
fn hostile_frames_leave_the_node_as_it_was() {
    let (count, seed) = (setting("MILLSTREAM_HOSTILE_FRAMES", FRAMES), setting("MILLSTREAM_HOSTILE_SEED", SEED));
    let node = Node::start(&[]);
    let told = served(&node.kafka);
    let mut bystander = Bystander::start(&node);
    let mut met = send(&node.kafka, count / 10, seed);
    let before = resident_bytes(&node);
    met += send(&node.kafka, count - count / 10, seed + 1);
    bystander.goes_on();
    // Sessions of groups end, and pools give back.
    let grown = || resident_bytes(&node).saturating_sub(before);
    eventually(&format!("the node gives memory back: {} bytes more", grown()), 2 * PATIENCE, || {
        (grown() < GROWTH_BYTES_MAX).then_some(())
    });
    eprintln!("{} versions of APIs", told.len());
    eprintln!("{met:?}; resident: {before} bytes after the first tenth, {} after all", resident_bytes(&node));
    // At least half are valid past their heads, as far as they go.
    assert!(met.whole * 2 >= met.sent && met.answered * 2 >= met.sent, "{met:?}");
    assert!(met.closed * 20 >= met.sent, "few were refused: {met:?}");
    assert_eq!(served(&node.kafka), told, "the node is there, as it was");
    bystander.unharmed(&node);
}
