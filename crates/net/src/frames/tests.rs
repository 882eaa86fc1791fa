//! Frames of every size and cut, by peers that are quick, slow, busy and silent.

use super::*;
use crate::Budget;
use futures::FutureExt;
use millstream_telemetry::{Metrics, catalogue};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

impl Source for tokio::io::DuplexStream {}

const FOR_EVER: Waits = Waits { idle: None, frame: Duration::from_secs(30) };

fn memory_of(budget: usize) -> Arc<Memory> {
    let waits = Metrics::new().counter(&catalogue::NETWORK_BUDGET_WAITS, &["TEST"]);
    Arc::new(Memory::new(Budget::new(budget), waits))
}

fn memory() -> Arc<Memory> {
    memory_of(1 << 30)
}

fn framed(content: &[u8]) -> Vec<u8> {
    let mut bytes = i32::try_from(content.len()).expect("short").to_be_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes
}

/// Sends `bytes` in pieces of `piece` bytes and returns the frames read.
async fn frames(bytes: Vec<u8>, piece: usize, max: usize) -> (Vec<Bytes>, Error) {
    let (mut near, mut far) = tokio::io::duplex(4_096);
    let write = async move {
        for piece in bytes.chunks(piece) {
            far.write_all(piece).await.expect("written");
        }
    };
    let read = async {
        let mut reader = FrameReader::new(max, FOR_EVER, memory());
        let mut frames = Vec::new();
        loop {
            match reader.next(&mut near).await {
                Ok(frame) => frames.push(frame),
                Err(error) => return (frames, error),
            }
        }
    };
    tokio::join!(write, read).1
}

#[tokio::test]
async fn frames_of_every_size_come_whole_however_they_are_cut() {
    let contents: Vec<Vec<u8>> = [0, 1, 5, 100, 5_000, SHARED_BYTES, SHARED_BYTES + 1, 40_000, 3 << 20, 7, 0, 9_000]
        .iter()
        .enumerate()
        .map(|(seed, len)| (0..*len).map(|at| (at * 31 + seed) as u8).collect())
        .collect();
    let bytes: Vec<u8> = contents.iter().flat_map(|content| framed(content)).collect();
    for piece in [3, 1_000, 65_536] {
        let (read, end) = frames(bytes.clone(), piece, 4 << 20).await;
        assert!(read == contents, "pieces of {piece}");
        assert!(matches!(end, Error::PeerClosed));
    }
}

#[tokio::test]
async fn a_negative_or_too_large_length_is_told() {
    for len in [-1, i32::MIN, 1_001, i32::MAX] {
        let (_, error) = frames(len.to_be_bytes().to_vec(), 4, 1_000).await;
        assert!(matches!(error, Error::FrameLength { len: told, max: 1_000 } if told == len), "{error}");
    }
    let (_, error) = frames(vec![0x16, 3, 1, 2], 4, 1_000).await;
    assert!(matches!(error, Error::TlsToPlaintext), "{error}");
    assert_eq!(frames(framed(&[7; 1_000]), 1_004, 1_000).await.0.len(), 1);
}

#[tokio::test]
async fn a_silent_peer_is_let_go() {
    let (mut near, mut far) = tokio::io::duplex(64);
    far.write_all(&[0, 0]).await.expect("written");
    let mut reader = FrameReader::new(1_000, Waits { idle: Some(Duration::from_millis(20)), ..FOR_EVER }, memory());
    let error = reader.next(&mut near).await.expect_err("half a length");
    assert!(matches!(error, Error::Idle { idle_ms: 20 }), "{error}");
}

#[tokio::test]
async fn one_shared_buffer_serves_many_small_frames() {
    let (mut near, mut far) = tokio::io::duplex(1 << 20);
    let mut reader = FrameReader::new(1_000, FOR_EVER, memory());
    let mut places = Vec::new();
    for _ in 0..10_000 {
        far.write_all(&framed(&[1; 100])).await.expect("written");
        places.push(reader.next(&mut near).await.expect("a frame").as_ptr() as usize);
    }
    let (first, last) = (places.iter().min().expect("some"), places.iter().max().expect("some"));
    assert!(last - first < SHARED_BYTES, "all frames lie within one buffer, which is taken back when it is full");
}

#[tokio::test]
async fn what_is_here_whole_is_given_without_reading() {
    let (mut near, mut far) = tokio::io::duplex(1 << 20);
    let mut bytes: Vec<u8> = [&[1; 10][..], &[2; 20], &[3; 30]].iter().flat_map(|content| framed(content)).collect();
    bytes.extend_from_slice(&[0, 0, 0, 40, 4]);
    far.write_all(&bytes).await.expect("written");
    let mut reader = FrameReader::new(1_000, FOR_EVER, memory());
    assert!(reader.next_here(|_| true).is_none(), "nothing has been read yet");
    assert_eq!(reader.next(&mut near).await.expect("a frame"), [1; 10][..]);
    assert_eq!(reader.next_here(|_| true).expect("the second"), [2; 20][..]);
    assert!(reader.next_here(|frame| frame != [3; 30]).is_none(), "it is not wanted, and stays");
    assert_eq!(reader.next_here(|_| true).expect("the third"), [3; 30][..]);
    assert!(reader.next_here(|_| true).is_none(), "the fourth has not come whole");
    far.write_all(&[4; 39]).await.expect("written");
    assert_eq!(reader.next(&mut near).await.expect("the fourth"), [4; 40][..]);
}

#[tokio::test]
async fn a_large_frame_that_nobody_holds_lends_its_buffer_to_the_next() {
    let (mut near, mut far) = tokio::io::duplex(1 << 20);
    let memory = memory();
    let mut reader = FrameReader::new(1 << 20, FOR_EVER, memory.clone());
    let mut places = Vec::new();
    for len in [100_000, 90_000, 110_000] {
        far.write_all(&framed(&vec![7; len])).await.expect("written");
        let frame = reader.next(&mut near).await.expect("a frame");
        assert_eq!(frame.len(), len);
        places.push(frame.as_ptr());
        memory.give_back(frame);
    }
    assert!(places.iter().all(|place| *place == places[0]), "{places:?}");
    far.write_all(&framed(&[8; 50_000])).await.expect("written");
    let held = reader.next(&mut near).await.expect("a frame");
    memory.give_back(held.clone());
    assert_ne!(memory.take_large(1).as_ptr(), places[0], "a part of it is still held");
    assert!(held.iter().all(|byte| *byte == 8));
}

#[tokio::test]
async fn a_reader_to_whom_nothing_comes_has_no_buffer() {
    let (mut near, mut far) = tokio::io::duplex(1 << 20);
    let mut reader = FrameReader::new(1_000, FOR_EVER, memory());
    for _ in 0..3 {
        assert!(reader.next(&mut near).now_or_never().is_none());
        assert_eq!(reader.shared.capacity(), 0);
        far.write_all(&framed(&[7; 100])).await.expect("written");
        let frame = reader.next(&mut near).await.expect("a frame");
        assert!(reader.next(&mut near).now_or_never().is_none());
        assert_ne!(reader.shared.capacity(), 0, "the frame is held, and with it its buffer");
        assert_eq!(frame, [7; 100][..]);
    }
    far.write_all(&[0]).await.expect("written");
    assert!(reader.next(&mut near).now_or_never().is_none());
    reader.rest();
    assert_eq!(reader.shared[..], [0], "what came stays");
}

#[tokio::test]
async fn a_large_frame_is_counted_as_it_comes_until_the_next_is_asked_for() {
    let (mut near, mut far) = tokio::io::duplex(8 << 20);
    let memory = memory_of(5 << 20);
    let mut reader = FrameReader::new(100 << 20, FOR_EVER, memory.clone());
    far.write_all(&(50_i32 << 20).to_be_bytes()).await.expect("written");
    {
        let mut next = std::pin::pin!(reader.next(&mut near));
        far.write_all(&[3; LARGE_BYTES_HERE - 1]).await.expect("written");
        assert!(next.as_mut().now_or_never().is_none());
        assert_eq!(memory.budget.used(), 0, "it may not go on");
        far.write_all(&[3; 1]).await.expect("written");
        assert!(next.as_mut().now_or_never().is_none());
        assert_eq!(memory.budget.used(), 1 << 20, "not what it announced");
        far.write_all(&[3; 3 << 20]).await.expect("written");
        assert!(next.as_mut().now_or_never().is_none());
        assert_eq!(memory.budget.used() >> 20, 4, "it doubled twice");
    }
    drop(reader);
    assert_eq!(memory.budget.used(), 0);
    let (mut near, mut far) = tokio::io::duplex(8 << 20);
    let mut reader = FrameReader::new(100 << 20, FOR_EVER, memory.clone());
    far.write_all(&framed(&vec![3; 100_000])).await.expect("written");
    let frame = reader.next(&mut near).await.expect("a frame");
    assert_eq!(memory.budget.used(), 100_000);
    assert!(reader.next(&mut near).now_or_never().is_none());
    assert_eq!((memory.budget.used(), frame.len()), (0, 100_000));
}

#[tokio::test]
async fn the_last_half_of_the_budget_is_given_for_what_really_came() {
    let memory = memory_of(2 << 20);
    let mut silent = Vec::new();
    for at in 0..20 {
        let (mut near, mut far) = tokio::io::duplex(1 << 20);
        let mut reader = FrameReader::new(100 << 20, FOR_EVER, memory.clone());
        far.write_all(&(50_i32 << 20).to_be_bytes()).await.expect("written");
        far.write_all(&[3; SHARED_BYTES]).await.expect("written");
        let mut waits = Box::pin(async move { reader.next(&mut near).await });
        assert!(waits.as_mut().now_or_never().is_none());
        assert_eq!(memory.budget.used(), (1 << 20) + (at << 15), "{at}: only the first has a mebibyte");
        silent.push((waits, far));
    }
    // Another goes on beside them, step by step.
    let (mut near, mut far) = tokio::io::duplex(1 << 20);
    let mut reader = FrameReader::new(100 << 20, FOR_EVER, memory.clone());
    far.write_all(&framed(&[4; 300_000])).await.expect("written");
    assert_eq!(reader.next(&mut near).now_or_never().expect("there is room").expect("a frame"), [4; 300_000][..]);
    // One that is silent for too long gives back what it had.
    drop(silent.split_off(1));
    assert_eq!(memory.budget.used(), (1 << 20) + 300_000);
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_does_not_go_on_ends_and_gives_back_what_it_had() {
    for sent in [3, 4, 10, 4 + SHARED_BYTES, 4 + (1 << 20)] {
        let (mut near, mut far) = tokio::io::duplex(8 << 20);
        let memory = memory_of(5 << 20);
        let waits = Waits { idle: Some(Duration::from_secs(600)), ..FOR_EVER };
        let mut reader = FrameReader::new(100 << 20, waits, memory.clone());
        far.write_all(&framed(&vec![3; 2 << 20])[..sent]).await.expect("written");
        let begun = tokio::time::Instant::now();
        let error = reader.next(&mut near).await.expect_err("it is not whole");
        assert!(matches!(error, Error::SlowFrame { .. }), "{sent}: {error}");
        assert_eq!((begun.elapsed().as_secs(), memory.budget.used()), (30, 0), "{sent}");
    }
}

#[tokio::test]
async fn a_small_frame_goes_past_large_ones_that_wait() {
    let memory = memory_of(100_000);
    let mut streams = [(); 3].map(|()| tokio::io::duplex(1 << 20));
    let mut readers = [(); 3].map(|()| FrameReader::new(1 << 20, FOR_EVER, memory.clone()));
    for (at, len) in [100_000, 100_000, SHARED_BYTES].into_iter().enumerate() {
        streams[at].1.write_all(&framed(&vec![1; len])).await.expect("written");
    }
    let [first, second, third] = &mut readers;
    let [of_first, of_second, of_third] = &mut streams;
    assert_eq!(first.next(&mut of_first.0).await.expect("a frame").len(), 100_000);
    let mut waiting = std::pin::pin!(second.next(&mut of_second.0));
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(third.next(&mut of_third.0).await.expect("a frame").len(), SHARED_BYTES);
    assert!(first.next(&mut of_first.0).now_or_never().is_none(), "it has been answered");
    assert_eq!(waiting.await.expect("a frame").len(), 100_000);
}

/// A socket, and a reader of it that finds it busy with frames of so many bytes.
async fn busy(len: usize, memory: &Arc<Memory>) -> (TcpStream, TcpStream, FrameReader) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port 0 is free");
    let far = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
    let (near, _) = listener.accept().await.expect("it has connected");
    let mut reader = FrameReader::new(1 << 20, FOR_EVER, memory.clone());
    is_busy(&mut reader, len);
    (near, far, reader)
}

fn is_busy(reader: &mut FrameReader, len: usize) {
    (0..200).for_each(|_| reader.gather.came(LENGTH_BYTES + len));
    assert!(reader.gather.low_water() > 3 * len, "so fast is busy");
}

#[tokio::test]
async fn a_busy_stream_is_waited_for_and_not_for_long() {
    let (mut near, mut far, mut reader) = busy(196, &memory()).await;
    far.write_all(&framed(&[1; 196]).repeat(5)).await.expect("written");
    assert_eq!(reader.next(&mut near).await.expect("a frame"), [1; 196][..]);
    assert_eq!(reader.low_water, 700);
    while reader.next_here(|_| true).is_some() {}
    // One more than was asked for may have come, or not all of that.
    far.write_all(&framed(&[2; 196])).await.expect("written");
    while reader.next(&mut near).await.expect("a frame") != [2; 196][..] {}
    assert_eq!((reader.low_water, reader.gather.low_water()), (1, 1), "it was late");
    is_busy(&mut reader, 196);
    far.write_all(&framed(&[3; 196])[..7]).await.expect("written");
    let rest = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        far.write_all(&framed(&[3; 196])[7..]).await.expect("written");
    };
    assert_eq!(tokio::join!(reader.next(&mut near), rest).0.expect("a frame"), [3; 196][..]);
    is_busy(&mut reader, 196);
    drop(far);
    assert!(matches!(reader.next(&mut near).await, Err(Error::PeerClosed)));
}

#[tokio::test]
async fn large_frames_of_a_busy_stream_share_a_buffer_that_is_paid_for_while_it_is_busy() {
    for (budget, paid) in [(100 << 20, ROOM_BYTES as u64), (ROOM_BYTES - 1, 0)] {
        let memory = memory_of(budget);
        let (mut near, mut far, mut reader) = busy(90_000, &memory).await;
        let contents: Vec<Vec<u8>> = (0..40).map(|at| vec![at; 80_000 + 900 * usize::from(at)]).collect();
        let bytes: Vec<u8> = contents.iter().flat_map(|content| framed(content)).collect();
        let write = async { far.write_all(&bytes).await.expect("written") };
        let read = async {
            let mut frames = vec![reader.next(&mut near).await.expect("a frame").to_vec()];
            let used = memory.budget.used();
            while frames.len() < contents.len() {
                let here = reader.next_here(|_| true);
                let next = match here {
                    Some(frame) => frame,
                    None => reader.next(&mut near).await.expect("a frame"),
                };
                frames.push(next.to_vec());
            }
            (used, frames)
        };
        let ((used, frames), ()) = tokio::join!(read, write);
        assert!(frames == contents);
        assert!(used == paid || paid == 0, "{used}");
        reader.gather.late(0, 0);
        far.write_all(&framed(&[5; 10])).await.expect("written");
        assert_eq!(reader.next(&mut near).await.expect("a frame"), [5; 10][..]);
        assert_eq!(memory.budget.used(), 0);
        assert!(reader.shared.capacity() <= SHARED_BYTES, "it has a small one again");
    }
}
