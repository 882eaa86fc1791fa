//! The object that a partition's records are gathered into, and when it is complete: pure.

use crate::encoding::Encoding;
use crate::name::Range;
use crate::settings::Settings;
use std::sync::Arc;
use std::time::Duration;

/// An object to be.
pub(crate) struct Open {
    pub folder: String,
    pub range: Range,
    pub encoding: Arc<parking_lot::Mutex<Encoding>>,
    pub bytes: usize,
    pub records: usize,
    pub since: Duration,
}

impl Open {
    /// Whether nothing more may be added. It depends on the records alone, so that the same records make the same object.
    pub fn is_full(&self, settings: &Settings) -> bool {
        self.bytes >= settings.roll_bytes || self.records >= settings.roll_records
    }

    /// Whether it has waited long enough for more.
    pub fn is_due(&self, settings: &Settings, now: Duration) -> bool {
        now.saturating_sub(self.since) >= Duration::from_millis(settings.roll_ms)
    }
}
