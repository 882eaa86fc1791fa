//! Random numbers: from the operating system, or from a seed.

use parking_lot::Mutex;
use std::hash::{BuildHasher, Hasher, RandomState};

/// The random port.
pub trait Random: Send + Sync + 'static {
    /// The next 64 random bits. Not for secrets.
    fn next_u64(&self) -> u64;

    /// A number in `0..bound`, or 0 when the bound is 0.
    fn below(&self, bound: u64) -> u64 {
        // The high half of the product: bias is under bound / 2^64.
        u64::try_from((u128::from(self.next_u64()) * u128::from(bound)) >> 64).unwrap_or(0)
    }

    /// 128 random bits, as a version 4 UUID wants them.
    fn next_u128(&self) -> u128 {
        (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64())
    }
}

/// SplitMix64 from a given seed: the same numbers at every run.
pub struct SeededRandom(Mutex<u64>);

impl SeededRandom {
    /// The numbers of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

impl Random for SeededRandom {
    fn next_u64(&self) -> u64 {
        let mut state = self.0.lock();
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// Numbers whose seed the operating system gives at start.
pub struct SystemRandom(SeededRandom);

impl SystemRandom {
    /// Numbers that differ at every run.
    #[must_use]
    pub fn new() -> Self {
        Self(SeededRandom::new(RandomState::new().build_hasher().finish()))
    }
}

impl Default for SystemRandom {
    fn default() -> Self {
        Self::new()
    }
}

impl Random for SystemRandom {
    fn next_u64(&self) -> u64 {
        self.0.next_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_again() {
        let (first, second) = (SeededRandom::new(7), SeededRandom::new(7));
        assert!((0..100).all(|_| first.next_u64() == second.next_u64()));
    }

    #[test]
    fn below_stays_below() {
        let random = SeededRandom::new(1);
        assert!((0..1000).all(|_| random.below(10) < 10));
        assert_eq!(random.below(0), 0);
    }
}
