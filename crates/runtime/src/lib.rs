//! The ports to the machine: clock, random, owned tasks and shutdown, disk. Real ones, and simulated ones that a seed decides.
//!
//! Everything that can differ between two runs of the same code comes through here. Nothing outside this crate knows which kind it has.

mod clock;
mod compute;
mod disk;
mod folder_lock;
mod random;
mod real_disk;
mod sim_disk;
mod tasks;

pub use clock::{Clock, SimClock, SystemClock};
pub use compute::Compute;
pub use disk::{Disk, DiskFile, DiskWork, EntryKind, FileRange, OpenMode};
pub use folder_lock::{LOCK_FILE, lock_folder};
pub use random::{Random, SeededRandom, SystemRandom};
pub use real_disk::RealDisk;
pub use sim_disk::{Fault, SimDisk};
pub use tasks::{Shutdown, Tasks};

use std::sync::Arc;

/// The ports of one node, cloned into whatever needs them.
#[derive(Clone)]
pub struct Runtime {
    /// Wall-clock time, elapsed time and sleeping.
    pub clock: Arc<dyn Clock>,
    /// Random numbers.
    pub random: Arc<dyn Random>,
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// The owner of every spawned task.
    pub tasks: Tasks,
    /// Threads of lower priority for guests and query plans.
    pub compute: Compute,
}

impl Runtime {
    /// The ports of the real machine. Call within a tokio runtime.
    #[must_use]
    pub fn real() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom::new()),
            disk: Arc::new(RealDisk::new()),
            tasks: Tasks::new(),
            compute: Compute::threads(),
        }
    }

    /// A simulated machine of `seed`, over `disk` (which outlives a crash). Call within a current-thread tokio runtime whose time is paused.
    #[must_use]
    pub fn simulated(seed: u64, disk: Arc<SimDisk>) -> Self {
        Self {
            clock: Arc::new(SimClock::new()),
            random: Arc::new(SeededRandom::new(seed)),
            disk,
            tasks: Tasks::new(),
            compute: Compute::inline(),
        }
    }
}
