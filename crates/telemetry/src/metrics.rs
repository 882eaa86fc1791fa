//! The live metrics of a node: handles by label values, and their export in Prometheus's text format.

use crate::definition::{CounterDef, Definition, GaugeDef, HistogramDef, MetricKind, ValueDef};
use crate::{catalogue, process};
use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, TextEncoder};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Sets of label values that one metric may have. What comes after them is counted under [`OTHER`].
const SERIES_MAX: usize = 4_096;
/// The value of every label of what came after [`SERIES_MAX`].
const OTHER: &str = "other";
/// Upper bounds of a histogram's buckets, in milliseconds (all our histograms are times).
const BUCKETS: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0, 30_000.0,
];

/// A count that only grows. Cheap to clone; take it once and keep it.
#[derive(Debug, Clone)]
pub struct Counter(prometheus::IntCounter);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.inc_by(count);
    }

    /// What has been counted.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.get()
    }
}

/// A value that goes up and down. Cheap to clone; take it once and keep it.
#[derive(Debug, Clone)]
pub struct Gauge(prometheus::IntGauge);

impl Gauge {
    /// Replaces the value.
    pub fn set(&self, value: i64) {
        self.0.set(value);
    }

    /// Adds `change`, which may be negative.
    pub fn add(&self, change: i64) {
        self.0.add(change);
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> i64 {
        self.0.get()
    }
}

/// A value that goes up and down and is no whole number. Cheap to clone; take it once and keep it.
#[derive(Debug, Clone)]
pub struct Value(prometheus::Gauge);

impl Value {
    /// Replaces the value.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.0.get()
    }
}

/// Counts of times by size. Cheap to clone; take it once and keep it.
#[derive(Debug, Clone)]
pub struct Histogram(prometheus::Histogram);

impl Histogram {
    /// Counts a time, in milliseconds.
    pub fn observe_ms(&self, milliseconds: f64) {
        self.0.observe(milliseconds);
    }

    /// Counts a time.
    pub fn observe(&self, time: std::time::Duration) {
        self.0.observe(time.as_secs_f64() * 1_000.0);
    }

    /// How many times have been counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.get_sample_count()
    }
}

enum Family {
    Counter(IntCounterVec),
    Gauge(IntGaugeVec),
    Value(GaugeVec),
    Histogram(HistogramVec),
}

impl Family {
    fn new(definition: &Definition) -> prometheus::Result<Self> {
        let Definition { name, labels, help, .. } = *definition;
        Ok(match definition.kind {
            MetricKind::Counter => Self::Counter(IntCounterVec::new(Opts::new(name, help), labels)?),
            MetricKind::Gauge => Self::Gauge(IntGaugeVec::new(Opts::new(name, help), labels)?),
            MetricKind::Value => Self::Value(GaugeVec::new(Opts::new(name, help), labels)?),
            MetricKind::Histogram => {
                let options = HistogramOpts::new(name, help).buckets(BUCKETS.to_vec());
                Self::Histogram(HistogramVec::new(options, labels)?)
            }
        })
    }

    fn collect(&self) -> Vec<prometheus::proto::MetricFamily> {
        match self {
            Self::Counter(vec) => vec.collect(),
            Self::Gauge(vec) => vec.collect(),
            Self::Value(vec) => vec.collect(),
            Self::Histogram(vec) => vec.collect(),
        }
    }

    fn remove(&self, labels: &[&str]) {
        // A series that is not there is what was asked for.
        let _ = match self {
            Self::Counter(vec) => vec.remove_label_values(labels),
            Self::Gauge(vec) => vec.remove_label_values(labels),
            Self::Value(vec) => vec.remove_label_values(labels),
            Self::Histogram(vec) => vec.remove_label_values(labels),
        };
    }
}

struct Entry {
    family: Family,
    /// The label values handed out, so that their number is bounded.
    series: Mutex<HashSet<Vec<String>>>,
}

/// The metrics of one node. Clones are the same metrics.
#[derive(Clone)]
pub struct Metrics(Arc<HashMap<&'static str, Entry>>);

impl Metrics {
    /// All metrics of the catalogue, at zero.
    #[must_use]
    pub fn new() -> Self {
        let entry = |definition: &&Definition| {
            let family =
                Family::new(definition).expect("names and labels of the catalogue are valid: a test makes them all");
            (definition.name, Entry { family, series: Mutex::default() })
        };
        Self(Arc::new(catalogue::ALL.iter().map(entry).collect()))
    }

    /// The counter of these label values, in the order of the definition's labels.
    #[must_use]
    pub fn counter(&self, counter: &CounterDef, labels: &[&str]) -> Counter {
        let entry = self.entry(&counter.0);
        match &entry.family {
            Family::Counter(vec) => Counter(vec.with_label_values(&entry.bounded(&counter.0, labels))),
            Family::Gauge(_) | Family::Value(_) | Family::Histogram(_) => {
                unreachable!("a CounterDef registers a counter")
            }
        }
    }

    /// The gauge of these label values, in the order of the definition's labels.
    #[must_use]
    pub fn gauge(&self, gauge: &GaugeDef, labels: &[&str]) -> Gauge {
        let entry = self.entry(&gauge.0);
        match &entry.family {
            Family::Gauge(vec) => Gauge(vec.with_label_values(&entry.bounded(&gauge.0, labels))),
            Family::Counter(_) | Family::Value(_) | Family::Histogram(_) => {
                unreachable!("a GaugeDef registers a gauge")
            }
        }
    }

    /// The value of these label values, in the order of the definition's labels.
    #[must_use]
    pub fn value(&self, value: &ValueDef, labels: &[&str]) -> Value {
        let entry = self.entry(&value.0);
        match &entry.family {
            Family::Value(vec) => Value(vec.with_label_values(&entry.bounded(&value.0, labels))),
            Family::Counter(_) | Family::Gauge(_) | Family::Histogram(_) => {
                unreachable!("a ValueDef registers a value")
            }
        }
    }

    /// The histogram of these label values, in the order of the definition's labels.
    #[must_use]
    pub fn histogram(&self, histogram: &HistogramDef, labels: &[&str]) -> Histogram {
        let entry = self.entry(&histogram.0);
        match &entry.family {
            Family::Histogram(vec) => Histogram(vec.with_label_values(&entry.bounded(&histogram.0, labels))),
            Family::Counter(_) | Family::Gauge(_) | Family::Value(_) => {
                unreachable!("a HistogramDef registers a histogram")
            }
        }
    }

    /// Ends the series of what no longer exists (a deleted topic), and makes room for another.
    pub fn forget(&self, definition: &Definition, labels: &[&str]) {
        let entry = self.entry(definition);
        let owned: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        if entry.series.lock().remove(&owned) {
            entry.family.remove(labels);
        }
    }

    /// Everything in Prometheus's text format, those of the process included, sorted by name.
    #[must_use]
    pub fn export(&self) -> String {
        let mut families: Vec<_> = self.0.values().flat_map(|entry| entry.family.collect()).collect();
        families.retain(|family| !family.get_metric().is_empty());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        let mut text = String::new();
        // It fails only for a family without a name or a sample, which the lines above leave out.
        let _ = TextEncoder::new().encode_utf8(&families, &mut text);
        process::export(&mut text);
        text
    }

    fn entry(&self, definition: &Definition) -> &Entry {
        self.0.get(definition.name).expect("definitions are made only in the catalogue, and all of it is registered")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Entry {
    /// The labels as given while there is room, [`OTHER`] for each afterwards. A wrong number of labels is cut or filled.
    fn bounded<'a>(&self, definition: &Definition, labels: &[&'a str]) -> Vec<&'a str> {
        debug_assert_eq!(definition.labels.len(), labels.len(), "labels of {}", definition.name);
        let mut values = labels.to_vec();
        values.resize(definition.labels.len(), OTHER);
        let owned: Vec<String> = values.iter().map(|&value| value.to_owned()).collect();
        let mut series = self.series.lock();
        if series.contains(&owned) || series.len() < SERIES_MAX {
            series.insert(owned);
            return values;
        }
        vec![OTHER; definition.labels.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{BYTES_IN, LOG_SIZE, MESSAGES_IN, PARTITION_COUNT, REQUEST_TOTAL_TIME};

    #[test]
    fn names_are_unique_and_valid() {
        let names: HashSet<_> = catalogue::ALL.iter().map(|definition| definition.name).collect();
        assert_eq!(names.len(), catalogue::ALL.len());
        assert_eq!(Metrics::new().0.len(), catalogue::ALL.len());
    }

    #[test]
    fn counters_are_named_as_totals() {
        for definition in catalogue::ALL {
            assert_eq!(
                definition.kind == MetricKind::Counter,
                definition.name.ends_with("_total"),
                "{}",
                definition.name
            );
        }
    }

    #[test]
    fn values_are_exported_with_their_labels() {
        let metrics = Metrics::new();
        metrics.counter(&MESSAGES_IN, &["orders"]).add(7);
        metrics.gauge(&PARTITION_COUNT, &[]).set(3);
        metrics.histogram(&REQUEST_TOTAL_TIME, &["Produce"]).observe_ms(0.2);
        let text = metrics.export();
        assert!(text.contains("kafka_server_brokertopicmetrics_messagesin_total{topic=\"orders\"} 7\n"), "{text}");
        assert!(text.contains("kafka_server_replicamanager_partitioncount 3\n"), "{text}");
        assert!(
            text.contains("kafka_network_requestmetrics_totaltimems_bucket{request=\"Produce\",le=\"0.25\"} 1\n"),
            "{text}"
        );
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
    }

    #[test]
    fn clones_and_equal_labels_are_one_series() {
        let metrics = Metrics::new();
        metrics.counter(&BYTES_IN, &["a"]).add(1);
        metrics.clone().counter(&BYTES_IN, &["a"]).add(1);
        assert_eq!(metrics.counter(&BYTES_IN, &["a"]).value(), 2);
    }

    #[test]
    fn label_values_are_bounded_and_the_rest_is_other() {
        let metrics = Metrics::new();
        for topic in 0..SERIES_MAX + 10 {
            metrics.counter(&BYTES_IN, &[&topic.to_string()]).inc();
        }
        assert_eq!(metrics.export().matches("bytesin_total{").count(), SERIES_MAX + 1);
        assert!(metrics.export().contains("bytesin_total{topic=\"other\"} 10\n"));
    }

    #[test]
    fn a_forgotten_series_is_not_exported_and_makes_room() {
        let metrics = Metrics::new();
        metrics.gauge(&LOG_SIZE, &["gone", "0"]).set(1);
        metrics.forget(LOG_SIZE.definition(), &["gone", "0"]);
        assert!(!metrics.export().contains("gone"));
    }
}
