//! What guests may use.

use std::time::Duration;

/// Limits of the whole engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineLimits {
    /// The largest component that is compiled. Raising it lets bigger runtimes in (Python: 18 MB) and lengthens the worst compile.
    pub component_bytes_max: usize,
    /// Instances alive at once, over all functions. Raising it reserves 16 GiB of address space, not memory, each.
    pub instances_max: u32,
    /// The most memory any function may be granted.
    pub memory_bytes_max: usize,
    /// Compiled components kept on disk.
    pub cached_components_max: usize,
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self { component_bytes_max: 64 << 20, instances_max: 256, memory_bytes_max: 1 << 30, cached_components_max: 64 }
    }
}

/// Limits of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory, in bytes.
    pub memory_bytes: usize,
    /// CPU time of one call (a whole batch, or `configure`).
    pub cpu: Duration,
    /// Wall time of one call, for guests that can wait (they import WASI's clocks); others only compute.
    pub wall: Duration,
    /// Bytes of records that may come out of one batch.
    pub output_bytes: usize,
    /// Records that may come out of one batch.
    pub output_records: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            cpu: Duration::from_secs(2),
            wall: Duration::from_secs(60),
            output_bytes: 64 << 20,
            output_records: 1 << 20,
        }
    }
}

impl Limits {
    /// Memory above which an instance is thrown away after a good call: some languages' runtimes leak what they return.
    #[must_use]
    pub const fn memory_mark(&self) -> usize {
        self.memory_bytes / 4 * 3
    }
}

/// How often a running guest is looked at.
pub(crate) const TICK: Duration = Duration::from_millis(10);
/// Stack of a guest.
pub(crate) const GUEST_STACK_BYTES: usize = 1 << 20;
/// Stack of a call into a guest, the host's part included.
pub(crate) const CALL_STACK_BYTES: usize = 2 << 20;
/// Bytes that cross into the host in one call by the component model's own lifting (strings, lists).
pub(crate) const HOSTCALL_BYTES: usize = 256 << 20;
/// Entries of a guest's tables.
pub(crate) const TABLE_ELEMENTS: usize = 100_000;
/// Log lines a second that an instance may write.
pub(crate) const LINES_PER_SECOND: u32 = 100;
/// Log lines that it may write at once.
pub(crate) const LINES_BURST: u32 = 200;
/// A log line's length in bytes; what is longer is cut.
pub(crate) const LINE_BYTES: usize = 8 << 10;
