//! The task that takes records from members that have had them for too long, and forgets share partitions that are led here no more, or that
//! nobody uses.

use crate::shares::registry::Registry;
use crate::shares::session::Sessions;
use millstream_telemetry::catalogue::SHARE_PARTITIONS;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Locks that end within so many milliseconds are ended together.
const GRAIN_MS: u64 = 20;
/// How long it is until all are looked at where no lock ends earlier.
const SLEEP_MAX_MS: u64 = 60_000;

/// Runs until it is dropped.
pub(crate) async fn watch_locks(registry: Arc<Registry>, sessions: Arc<Mutex<Sessions>>) {
    let open = registry.metrics.gauge(&SHARE_PARTITIONS, &[]);
    loop {
        // Whatever is locked from here on is told of.
        registry.next_end.store(u64::MAX, Ordering::Release);
        let now_ms = registry.now_ms();
        let mut next = u64::MAX;
        let left = registry.let_go(now_ms, |group| sessions.lock().has_member_of(group));
        open.set(i64::try_from(left).unwrap_or(i64::MAX));
        let all = registry.all();
        let is_empty = all.is_empty();
        for opened in all {
            if opened.is_over() {
                registry.close(&opened);
                continue;
            }
            let (deadline, writes) = opened.expire(now_ms);
            if writes {
                registry.write(&opened);
            }
            next = next.min(deadline);
        }
        registry.next_end.store(next, Ordering::Release);
        if is_empty {
            registry.earlier.notified().await;
            continue;
        }
        let nap = next.saturating_sub(now_ms).clamp(GRAIN_MS, SLEEP_MAX_MS);
        tokio::select! {
            biased;
            () = registry.earlier.notified() => {}
            () = registry.runtime.clock.sleep(Duration::from_millis(nap)) => {}
        }
    }
}
