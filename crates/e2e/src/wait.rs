//! Waiting for a condition, with a deadline and without a fixed pause.

use std::time::Duration;

/// Calls `probe` until it gives something, for at most `limit`; then panics with what was awaited.
///
/// # Panics
/// When the limit passes first.
pub fn eventually<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let step = Duration::from_millis(50);
    let mut waited = Duration::ZERO;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(waited < limit, "waited {limit:?} in vain until {what}");
        std::thread::sleep(step);
        waited += step;
    }
}
