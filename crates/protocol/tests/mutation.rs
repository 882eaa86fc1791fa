//! Frames near valid ones, many of them: no frame panics the decoder or makes it take more memory than a multiple of its size.
//!
//! Deterministic: the seed is fixed, and a failure prints the frame.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "golden/frames.rs"]
mod frames;

use bytes::Bytes;
use frames::golden;
use millstream_protocol::shape::UNKNOWN_TAGS_MAX;
use millstream_protocol::{ApiKey, decode};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Bytes of memory that decoding may take for each byte of the frame. The dearest byte is an empty text in an array: 32 bytes.
const FACTOR: usize = 64;
/// Bytes it may take beside: what a few unknown tagged fields and the words of an error cost.
const BESIDE: usize = 64 << 10;
const FRAMES: u64 = 200_000;
const SEED: u64 = 0x6d69_6c6c;

thread_local! {
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator that counts is the only way to see what a decoder takes")]
// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.with(|taken| taken.set(taken.get() + layout.size()));
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        TAKEN.with(|taken| taken.set(taken.get() + size));
        // SAFETY: as the caller promised.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// SplitMix64: enough for choosing mutations.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// Numbers that decoders trip over, as they stand on the wire.
const HOSTILE: &[&[u8]] = &[
    &[0x7f, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff],
    &[0x80, 0, 0, 0],
    &[0x7f, 0xff],
    &[0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0x80, 0x80, 0x40],
    &[0],
    &[1],
    &[0xff],
];

fn mutate(frame: &[u8], draw: &mut Draw) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    for _ in 0..=draw.below(3) {
        let at = draw.below(bytes.len());
        match draw.below(6) {
            0 => bytes[at..].iter_mut().take(1).for_each(|byte| *byte ^= 1 << draw.below(8)),
            1 => bytes.truncate(at),
            2 => {
                let hostile = HOSTILE[draw.below(HOSTILE.len())];
                let end = bytes.len().min(at + hostile.len());
                bytes.splice(at..end, hostile.iter().copied());
            }
            3 => {
                let end = at + draw.below(bytes.len() - at);
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            4 => {
                let zeros = vec![draw.below(3) as u8; draw.below(2_000)];
                bytes.splice(at..at, zeros);
            }
            _ => {
                let end = bytes.len().min(at + draw.below(8));
                bytes.drain(at..end);
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    // The head stays in most, so that the body is reached.
    if draw.below(8) != 0 && bytes.len() >= 8 {
        bytes[..8].copy_from_slice(&frame[..8]);
    }
    bytes
}

#[test]
fn no_mutated_frame_panics_or_takes_much_memory() {
    let seeds: Vec<Bytes> = golden().map(|(_, _, frame)| frame).collect();
    // The table of shapes is read once, on the first frame.
    let _ = decode(seeds[0].clone());
    let mut draw = Draw(SEED);
    let (mut taken_in, mut refused) = (0u64, 0u64);
    for number in 0..FRAMES {
        let frame = Bytes::from(mutate(&seeds[draw.below(seeds.len())], &mut draw));
        let before = TAKEN.get();
        let outcome = std::panic::catch_unwind(|| decode(frame.clone()).is_ok());
        let taken = TAKEN.get() - before;
        let hex = || frame.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        match outcome {
            Ok(true) => taken_in += 1,
            Ok(false) => refused += 1,
            Err(_) => panic!("frame {number} panics: {}", hex()),
        }
        assert!(taken <= FACTOR * frame.len() + BESIDE, "frame {number} takes {taken} bytes: {}", hex());
    }
    // Both sides of the door are met, or the mutations test nothing.
    assert!(taken_in > FRAMES / 50 && refused > FRAMES / 4, "{taken_in} taken in, {refused} refused");
}

fn taken_by(frame: Bytes) -> usize {
    let before = TAKEN.get();
    assert!(decode(frame).is_ok(), "the frame is dear but valid");
    TAKEN.get() - before
}

/// A frame with an array of `count` times `element`, and `tail` after it.
fn dear(api: ApiKey, version: i16, element: &[u8], count: usize, tail: &[u8]) -> Bytes {
    let mut frame = [&(api as i16).to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 1, 0xff, 0xff, 0]].concat();
    let mut told = count + 1;
    while told >= 0x80 {
        frame.push((told & 0x7f) as u8 | 0x80);
        told >>= 7;
    }
    frame.push(told as u8);
    frame.extend(element.iter().copied().cycle().take(element.len() * count));
    frame.extend_from_slice(tail);
    frame.into()
}

#[test]
fn the_dearest_frames_take_a_small_multiple_of_their_size() {
    let _ = decode(Bytes::new());
    let count = 100_000;
    let frames = [
        dear(ApiKey::Metadata, 9, &[1, 0], count, &[0, 0, 0, 0]),
        dear(ApiKey::DeleteTopics, 4, &[1], count, &[0, 0, 0, 0, 0]),
        dear(ApiKey::DescribeGroups, 5, &[1], count, &[0, 0]),
    ];
    for frame in frames {
        let len = frame.len();
        let taken = taken_by(frame);
        assert!(taken <= FACTOR * len, "{taken} for {len}");
        assert!(taken > 8 * len, "{taken} for {len}: it is not dear, the test tests nothing");
    }
}

#[test]
fn unknown_tagged_fields_take_little_in_all() {
    let _ = decode(Bytes::new());
    let frame = dear(ApiKey::Metadata, 9, &[1, 1, 5, 0], UNKNOWN_TAGS_MAX, &[0, 0, 0, 0]);
    let len = frame.len();
    let taken = taken_by(frame);
    assert!(taken <= FACTOR * len + 512 * UNKNOWN_TAGS_MAX, "{taken} for {len}");
}
