//! The memory that frames are read into: a buffer for small ones, which a connection has only while bytes are in it, and buffers of large
//! ones, which are counted against the budget of the node.
//!
//! Buffers that nobody uses are used again, since fresh memory costs a page fault for each 4 KiB of it.

use crate::Budget;
use bytes::{Bytes, BytesMut};
use millstream_telemetry::Counter;
use parking_lot::Mutex;
use std::cell::RefCell;
use std::sync::Arc;

/// Bytes of the buffer for small frames.
pub const SHARED_BYTES: usize = 16 << 10;
/// Bytes first reserved for a large frame; doubled as it fills.
pub const LARGE_BYTES_FIRST: usize = 1 << 20;
/// Bytes of a large frame that have to be here before it is given memory of its own: a peer that only announces one takes none.
pub const LARGE_BYTES_HERE: usize = 8 << 10;
/// Bytes first reserved for a large frame where little of the budget is left; doubled as it fills.
pub const LARGE_BYTES_FIRST_OF_FEW: usize = 32 << 10;
/// Bytes that a new buffer has beyond the frame it was made for, so that it fits the next one, which may be a little larger.
pub const LARGE_BYTES_MARGIN: usize = 16 << 10;
/// Buffers of large frames kept for the next ones, by all connections of a listener. One serves a connection; while a frame is answered
/// its buffer is not here.
const SPARES_MAX: usize = 8;
/// Buffers for small frames that a thread keeps for the connections that it polls next.
const RESTING_MAX: usize = 16;

thread_local! {
    /// Per thread, so that a request costs no lock for it. Each connection that is polled takes one and mostly gives it back at once.
    static RESTING: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer for small frames.
pub fn take_shared() -> BytesMut {
    let rested = RESTING.with(|resting| resting.borrow_mut().pop());
    rested.unwrap_or_else(|| BytesMut::with_capacity(SHARED_BYTES))
}

/// Takes back an empty buffer for small frames, where no frame in it is held any more.
pub fn give_back_shared(mut buffer: BytesMut) {
    if buffer.try_reclaim(SHARED_BYTES) {
        RESTING.with(|resting| {
            let mut resting = resting.borrow_mut();
            if resting.len() < RESTING_MAX {
                resting.push(buffer);
            }
        });
    }
}

/// Memory for the frames of one listener.
#[derive(Debug)]
pub struct Memory {
    /// What large frames are counted against.
    pub budget: Arc<Budget>,
    /// How often a large frame had to wait for that.
    pub waits: Counter,
    spares: Mutex<Vec<BytesMut>>,
}

impl Memory {
    /// Memory within a budget.
    pub const fn new(budget: Arc<Budget>, waits: Counter) -> Self {
        Self { budget, waits, spares: Mutex::new(Vec::new()) }
    }

    /// An empty buffer for a large frame.
    pub fn take_large(&self, len: usize) -> BytesMut {
        // The first buffers have the size of what comes; a spare that is too small grows, and is worth more from then on.
        let new = || BytesMut::with_capacity(len.min(LARGE_BYTES_FIRST) + LARGE_BYTES_MARGIN);
        let spare = self.spares.lock().pop();
        spare.unwrap_or_else(new)
    }

    /// Bytes that a large frame is charged at first: all of it up to a mebibyte or so, since most come whole at once. Where less than half of
    /// the budget is left, few, since there may be many that do not go on: what is left is for bytes that really came.
    pub fn first_charge(&self, len: usize) -> usize {
        if !self.budget.has_plenty() {
            return len.min(LARGE_BYTES_FIRST_OF_FEW);
        }
        if len <= LARGE_BYTES_FIRST + LARGE_BYTES_MARGIN { len } else { LARGE_BYTES_FIRST }
    }

    /// Takes back the buffer of a frame, if it is worth keeping and nobody else holds a part of it.
    pub fn give_back(&self, frame: Bytes) {
        if frame.len() <= SHARED_BYTES {
            return;
        }
        let Ok(mut buffer) = frame.try_into_mut() else { return };
        buffer.clear();
        // One that grew for a giant goes, or a few of those would be kept for ever.
        if buffer.capacity() <= LARGE_BYTES_FIRST + LARGE_BYTES_MARGIN {
            let mut spares = self.spares.lock();
            if spares.len() < SPARES_MAX {
                spares.push(buffer);
            }
        }
    }
}
