//! A partition's metrics, taken once and kept, so that the hot path looks none up.

use millstream_telemetry::catalogue::{
    BYTES_IN, BYTES_OUT, FAILED_FETCH_REQUESTS, FAILED_PRODUCE_REQUESTS, FETCH_REQUESTS, LOG_END, LOG_SEGMENTS,
    LOG_SIZE, LOG_START, MESSAGES_IN, PRODUCE_REQUESTS,
};
use millstream_telemetry::{Counter, Gauge, Metrics};
use millstream_types::PartitionIndex;

/// Counters of a topic (shared by its partitions) and gauges of a partition.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is the metric of the catalogue of that name, documented there")]
pub struct Meter {
    pub messages_in: Counter,
    pub bytes_in: Counter,
    pub bytes_out: Counter,
    pub produce_requests: Counter,
    pub failed_produce_requests: Counter,
    pub fetch_requests: Counter,
    pub failed_fetch_requests: Counter,
    pub(crate) log_size: Gauge,
    pub(crate) log_start: Gauge,
    pub(crate) log_end: Gauge,
    pub(crate) log_segments: Gauge,
}

impl Meter {
    pub(crate) fn new(metrics: &Metrics, topic: &str, partition: PartitionIndex) -> Self {
        let number = partition.to_string();
        let counter = |definition| metrics.counter(definition, &[topic]);
        let gauge = |definition| metrics.gauge(definition, &[topic, number.as_str()]);
        Self {
            messages_in: counter(&MESSAGES_IN),
            bytes_in: counter(&BYTES_IN),
            bytes_out: counter(&BYTES_OUT),
            produce_requests: counter(&PRODUCE_REQUESTS),
            failed_produce_requests: counter(&FAILED_PRODUCE_REQUESTS),
            fetch_requests: counter(&FETCH_REQUESTS),
            failed_fetch_requests: counter(&FAILED_FETCH_REQUESTS),
            log_size: gauge(&LOG_SIZE),
            log_start: gauge(&LOG_START),
            log_end: gauge(&LOG_END),
            log_segments: gauge(&LOG_SEGMENTS),
        }
    }

    /// Ends the series of a partition that is gone; those of its topic too when it was the topic's last here.
    pub(crate) fn forget(metrics: &Metrics, topic: &str, partition: PartitionIndex, with_topic: bool) {
        let number = partition.to_string();
        for gauge in [&LOG_SIZE, &LOG_START, &LOG_END, &LOG_SEGMENTS] {
            metrics.forget(gauge.definition(), &[topic, number.as_str()]);
        }
        let of_topic = [
            &MESSAGES_IN,
            &BYTES_IN,
            &BYTES_OUT,
            &PRODUCE_REQUESTS,
            &FAILED_PRODUCE_REQUESTS,
            &FETCH_REQUESTS,
            &FAILED_FETCH_REQUESTS,
        ];
        if with_topic {
            of_topic.into_iter().for_each(|counter| metrics.forget(counter.definition(), &[topic]));
        }
    }
}
