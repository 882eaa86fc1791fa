//! Metrics of the process itself, read from the kernel when they are asked for.

use std::fmt::Write;
use std::fs;

/// Clock ticks a second in `/proc`: fixed by Linux's ABI on the platforms we run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Appends the metrics of this process, under Prometheus's usual names. What the kernel does not tell is left out.
pub fn export(text: &mut String) {
    if let Some(seconds) = cpu_seconds() {
        line(text, "process_cpu_seconds_total", "counter", "Time on processors, user and system, in seconds.", seconds);
    }
    if let Some(bytes) = status_bytes("VmRSS:") {
        line(text, "process_resident_memory_bytes", "gauge", "Resident memory in bytes.", bytes);
    }
    if let Some(bytes) = status_bytes("VmSize:") {
        line(text, "process_virtual_memory_bytes", "gauge", "Virtual memory in bytes.", bytes);
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        line(text, "process_open_fds", "gauge", "Open file descriptors.", entries.count() as f64);
    }
    if let Some(threads) = status("Threads:") {
        line(text, "process_threads", "gauge", "Threads.", threads);
    }
}

fn line(text: &mut String, name: &str, kind: &str, help: &str, value: f64) {
    // Writing to a String can't fail.
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets and may hold spaces: count after it. User time is field 14 of all.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

fn status(field: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    value.split_ascii_whitespace().next()?.parse().ok()
}

fn status_bytes(field: &str) -> Option<f64> {
    status(field).map(|kib| kib * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_measured() {
        assert!(status_bytes("VmRSS:").is_some_and(|bytes| bytes > 100_000.0));
        assert!(status("Threads:").is_some_and(|threads| threads >= 1.0));
        let busy = (0..50_000_000u64).fold(0u64, |sum, step| std::hint::black_box(sum.wrapping_add(step)));
        assert!(busy > 0 && cpu_seconds().is_some_and(|seconds| seconds > 0.0));
    }
}
