//! Numbers that a seed and an event's number decide (SplitMix64).

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A run of numbers for one event.
pub(crate) struct Draw(u64);

impl Draw {
    pub fn new(seed: u64, event: u64) -> Self {
        Self(mix(seed ^ STEP) ^ mix(event.wrapping_mul(STEP).wrapping_add(STEP)))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number from 0 to `bound`, which is left out; 0 where `bound` is.
    pub fn below(&mut self, bound: u64) -> u64 {
        let scaled = (u128::from(self.next()) * u128::from(bound)) >> 64;
        u64::try_from(scaled).unwrap_or(0)
    }

    /// A number from 0 to 1, which is left out.
    pub fn unit(&mut self) -> f64 {
        const BITS: u32 = 53;
        (self.next() >> (u64::BITS - BITS)) as f64 / (1u64 << BITS) as f64
    }
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn draws_stay_in_their_range(seed: u64, event: u64, bound in 1u64..) {
            let mut draw = Draw::new(seed, event);
            prop_assert!(draw.below(bound) < bound);
            prop_assert!((0.0..1.0).contains(&draw.unit()));
            prop_assert_eq!(draw.below(0), 0);
        }
    }

    #[test]
    fn draws_spread_evenly_over_events() {
        let mut counts = [0u32; 10];
        (0..10_000).for_each(|event| counts[Draw::new(1, event).below(10) as usize] += 1);
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn mixing_is_as_published() {
        // The first output of SplitMix64 from seed 0.
        assert_eq!(mix(STEP), 0xe220_a839_7b1d_cdaf);
    }
}
