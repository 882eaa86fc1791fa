//! Histograms of powers of two, each cut in four: what the Raft library counts its batch sizes with.
//!
//! The published crate computes its bucket bounds once for each of sixteen widths, of which the library uses one: 26 MiB in every process.
//! A node at rest has less than that for everything. So this crate takes its place (`[patch]` in the workspace's manifest), with the part of
//! its interface that the library uses, and computes bounds when they are asked for.
//!
//! ```text
//! value    0 1 2 3   4 5 6 7   8-9 10-11 12-13 14-15   16-19 ...
//! bucket   0 1 2 3   4 5 6 7   8   9     10    11      12
//! ```

use std::fmt;
use std::marker::PhantomData;

/// Bits of a value after its highest that tell its bucket.
const BITS: u32 = 2;
/// Buckets of the values that share their highest bit.
const PARTS: u64 = 1 << BITS;
/// Buckets of all values.
const BUCKETS: usize = 252;

/// How often values came, within a quarter of a power of two. The parameter is the published crate's, for data of its slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    counts: Box<[u64; BUCKETS]>,
    data: PhantomData<T>,
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Histogram<T> {
    /// Nothing was recorded.
    #[must_use]
    pub fn new() -> Self {
        Self { counts: Box::new([0; BUCKETS]), data: PhantomData }
    }

    /// Records a value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Records a value that came `times`.
    pub fn record_n(&mut self, value: u64, times: u64) {
        let count = &mut self.counts[bucket(value)];
        *count = count.saturating_add(times);
    }

    /// How many values were recorded.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The smallest value of the bucket below or in which that share of the values are; 0 when none was recorded.
    #[must_use]
    pub fn percentile(&self, share: f64) -> u64 {
        let total = self.total();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank, roughly"
        )]
        let rank = ((total as f64 * share).ceil() as u64).clamp(1, total.max(1));
        let mut seen = 0;
        let reaches = |count: &u64| {
            seen += count;
            seen >= rank
        };
        self.counts.iter().position(reaches).map_or(0, smallest)
    }

    /// The usual percentiles.
    #[must_use]
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats {
            samples: self.total(),
            p0_1: self.percentile(0.001),
            p1: self.percentile(0.01),
            p5: self.percentile(0.05),
            p10: self.percentile(0.1),
            p50: self.percentile(0.5),
            p90: self.percentile(0.9),
            p99: self.percentile(0.99),
            p99_9: self.percentile(0.999),
        }
    }
}

/// Percentiles of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field is its percentile")]
pub struct PercentileStats {
    /// How many values were recorded.
    pub samples: u64,
    pub p0_1: u64,
    pub p1: u64,
    pub p5: u64,
    pub p10: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, p0_1, p1, p5, p10, p50, p90, p99, p99_9 } = self;
        write!(
            out,
            "{samples} values: P0.1 {p0_1}, P1 {p1}, P5 {p5}, P10 {p10}, P50 {p50}, P90 {p90}, P99 {p99}, P99.9 {p99_9}"
        )
    }
}

/// Histograms with their names, for people to read.
#[derive(Debug, Clone, Default)]
pub struct AsciiChart(Vec<(String, Histogram)>);

impl AsciiChart {
    /// A chart of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more histogram.
    #[must_use]
    pub fn add(mut self, name: impl Into<String>, histogram: Histogram) -> Self {
        self.0.push((name.into(), histogram));
        self
    }

    /// One line for each bucket that has anything: the bucket's smallest value, and how often it came.
    #[must_use]
    pub fn detailed(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(|out| {
            for (name, histogram) in &self.0 {
                writeln!(out, "{name}:")?;
                for (index, count) in histogram.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                    writeln!(out, "{:>20} {count}", smallest(index))?;
                }
            }
            Ok(())
        })
    }
}

fn bucket(value: u64) -> usize {
    if value < PARTS {
        return usize::try_from(value).expect("less than 4");
    }
    let highest = value.ilog2();
    let part = (value >> (highest - BITS)) - PARTS;
    usize::try_from(u64::from(highest - BITS + 1) * PARTS + part).expect("less than 252")
}

fn smallest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    match bucket / PARTS {
        0 => bucket,
        group => (PARTS + bucket % PARTS) << (group - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_gap_or_overlap() {
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        for index in 0..BUCKETS {
            assert_eq!(bucket(smallest(index)), index);
            if index > 0 {
                assert_eq!(bucket(smallest(index) - 1), index - 1);
            }
        }
    }

    #[test]
    fn percentiles_are_of_the_values_recorded() {
        let mut histogram = Histogram::<()>::new();
        assert_eq!((histogram.total(), histogram.percentile(0.5)), (0, 0));
        histogram.record_n(3, 90);
        histogram.record_n(1_000, 9);
        histogram.record(u64::MAX);
        let stats = histogram.percentile_stats();
        assert_eq!((stats.samples, stats.p50, stats.p90), (100, 3, 3));
        assert_eq!(bucket(stats.p99), bucket(1_000));
        assert_eq!(bucket(stats.p99_9), bucket(u64::MAX));
        assert!(stats.to_string().starts_with("100 values: P0.1 3, "));
    }

    #[test]
    fn a_chart_names_what_came() {
        let mut histogram = Histogram::new();
        histogram.record_n(5, 7);
        assert_eq!(
            AsciiChart::new().add("batches", histogram).detailed().to_string(),
            "batches:\n                   5 7\n"
        );
    }
}
