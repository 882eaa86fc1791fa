//! How long to wait before trying again: doubled each time, with a share drawn by lot so that tasks do not retry in step.

use std::time::Duration;

/// Doublings after which the wait is at its longest whatever it began with.
const DOUBLINGS_MAX: u32 = 20;

/// The wait before attempt `attempt` (0 is the first retry): between half and all of `min * 2^attempt`, `max` at most. `draw` is any number.
pub(crate) fn delay(attempt: u32, min: Duration, max: Duration, draw: u64) -> Duration {
    let whole = min.saturating_mul(1 << attempt.min(DOUBLINGS_MAX)).min(max);
    let half = whole / 2;
    let range = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_micros(draw % range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIN: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(30);

    proptest! {
        #[test]
        fn waits_stay_between_half_the_least_and_the_most(attempt: u32, draw: u64) {
            let wait = delay(attempt, MIN, MAX, draw);
            prop_assert!(wait >= MIN / 2 && wait <= MAX);
        }
    }

    #[test]
    fn waits_double_until_the_most() {
        let waits: Vec<_> = [0, 1, 2, 9, 30].map(|attempt| delay(attempt, MIN, MAX, 0).as_millis()).into();
        assert_eq!(waits, [50, 100, 200, 15_000, 15_000]);
    }
}
