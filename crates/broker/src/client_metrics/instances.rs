//! The clients that push: when each may come again, and the values it pushed last.

use super::{INSTANCES_MAX, SERIES_PER_INSTANCE_MAX};
use millstream_protocol::telemetry::Point;
use millstream_telemetry::Metrics;
use millstream_telemetry::catalogue::{CLIENT_METRIC, CLIENT_METRICS_DROPPED};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use uuid::Uuid;

/// A client may come this much earlier than it was told: it spreads its pushes itself.
const EARLY: f64 = 0.5;

/// What keeps a request of a client from being answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It comes too soon.
    TooSoon,
    /// It said before that this was its last.
    Ended,
}

#[derive(Debug, Default)]
struct Instance {
    client_id: String,
    asked_at: Option<Duration>,
    pushed_at: Option<Duration>,
    interval: Duration,
    subscription: Option<i32>,
    ended: bool,
    series: BTreeMap<String, f64>,
}

impl Instance {
    fn seen_at(&self) -> Duration {
        self.asked_at.max(self.pushed_at).unwrap_or_default()
    }

    fn forget_series(&mut self, metrics: &Metrics, id: Uuid) {
        let id = id.to_string();
        for name in std::mem::take(&mut self.series).into_keys() {
            metrics.forget(CLIENT_METRIC.definition(), &[&self.client_id, &id, &name]);
        }
    }
}

/// The clients that are known.
#[derive(Debug, Default)]
pub(crate) struct Instances(HashMap<Uuid, Instance>);

impl Instances {
    /// A client asks what to push. It may ask again when what it is asked for has changed, or its interval is over.
    pub(crate) fn ask(
        &mut self,
        metrics: &Metrics,
        id: Uuid,
        asked: (i32, Duration),
        now: Duration,
    ) -> Result<(), Refused> {
        let (subscription, interval) = asked;
        let instance = self.instance(metrics, id, now);
        let is_told_already = instance.subscription == Some(subscription);
        let is_soon = instance.asked_at.is_some_and(|at| now < at + instance.interval.mul_f64(EARLY));
        if is_told_already && is_soon {
            return Err(Refused::TooSoon);
        }
        *instance =
            Instance { asked_at: Some(now), interval, subscription: Some(subscription), ..std::mem::take(instance) };
        Ok(())
    }

    /// A client pushes. Checked before what it pushes is looked at, so that a refused push costs nothing.
    pub(crate) fn may_push(
        &mut self,
        metrics: &Metrics,
        id: Uuid,
        terminating: bool,
        now: Duration,
    ) -> Result<(), Refused> {
        let instance = self.instance(metrics, id, now);
        if instance.ended {
            return Err(Refused::Ended);
        }
        let is_soon = instance.pushed_at.is_some_and(|at| now < at + instance.interval.mul_f64(EARLY));
        if is_soon && !terminating {
            return Err(Refused::TooSoon);
        }
        instance.pushed_at = Some(now);
        instance.ended = terminating;
        Ok(())
    }

    /// Keeps what a client pushed, and tells it on.
    pub(crate) fn keep(&mut self, metrics: &Metrics, who: (Uuid, &str), points: Vec<Point>) {
        let (id, client_id) = who;
        let Some(instance) = self.0.get_mut(&id) else { return };
        if instance.client_id != client_id {
            instance.forget_series(metrics, id);
            client_id.clone_into(&mut instance.client_id);
        }
        let label = id.to_string();
        for point in points {
            if !instance.series.contains_key(&point.name) && instance.series.len() >= SERIES_PER_INSTANCE_MAX {
                metrics.counter(&CLIENT_METRICS_DROPPED, &[]).inc();
                continue;
            }
            let told = metrics.value(&CLIENT_METRIC, &[client_id, &label, &point.name]);
            let value = instance.series.entry(point.name).or_default();
            *value = if point.is_delta { *value + point.value } else { point.value };
            told.set(*value);
        }
        if instance.ended {
            instance.forget_series(metrics, id);
        }
    }

    fn instance(&mut self, metrics: &Metrics, id: Uuid, now: Duration) -> &mut Instance {
        if !self.0.contains_key(&id) && self.0.len() >= INSTANCES_MAX {
            let oldest = self.0.iter().min_by_key(|(_, instance)| instance.seen_at()).map(|(id, _)| *id);
            if let Some((id, mut gone)) = oldest.and_then(|id| self.0.remove_entry(&id)) {
                gone.forget_series(metrics, id);
            }
        }
        let fresh =
            || Instance { pushed_at: None, asked_at: None, interval: now.saturating_sub(now), ..Instance::default() };
        self.0.entry(id).or_insert_with(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(7);

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn point(name: &str, value: f64, is_delta: bool) -> Point {
        Point { name: name.into(), value, is_delta }
    }

    #[test]
    fn a_client_comes_no_more_often_than_it_is_told_to() {
        let (metrics, mut instances) = (Metrics::new(), Instances::default());
        assert_eq!(instances.ask(&metrics, ID, (1, at(10)), at(100)), Ok(()));
        assert_eq!(instances.ask(&metrics, ID, (1, at(10)), at(101)), Err(Refused::TooSoon));
        assert_eq!(instances.ask(&metrics, ID, (2, at(10)), at(101)), Ok(()), "it is asked for something else now");
        assert_eq!(instances.may_push(&metrics, ID, false, at(102)), Ok(()));
        assert_eq!(instances.may_push(&metrics, ID, false, at(103)), Err(Refused::TooSoon));
        assert_eq!(instances.may_push(&metrics, ID, false, at(107)), Ok(()));
    }

    #[test]
    fn a_last_push_may_come_at_once_and_nothing_comes_after_it() {
        let (metrics, mut instances) = (Metrics::new(), Instances::default());
        assert_eq!(instances.may_push(&metrics, ID, false, at(1)), Ok(()));
        instances.keep(&metrics, (ID, "c"), vec![point("a", 1.0, false)]);
        assert!(metrics.export().contains("kafka_client_metric{"));
        assert_eq!(instances.may_push(&metrics, ID, true, at(1)), Ok(()));
        instances.keep(&metrics, (ID, "c"), vec![point("a", 1.0, false)]);
        assert!(!metrics.export().contains("kafka_client_metric{"), "who has gone is not told of");
        assert_eq!(instances.may_push(&metrics, ID, true, at(2)), Err(Refused::Ended));
    }

    #[test]
    fn deltas_are_added_up_and_gauges_are_not() {
        let (metrics, mut instances) = (Metrics::new(), Instances::default());
        for second in [1, 2] {
            instances.may_push(&metrics, ID, false, at(second)).unwrap();
            instances.keep(&metrics, (ID, "c"), vec![point("sum", 2.5, true), point("gauge", 2.5, false)]);
        }
        let text = metrics.export();
        let told =
            |name: &str| text.lines().find(|line| line.contains(&format!("metric=\"{name}\""))).unwrap().to_owned();
        assert!(told("sum").ends_with(" 5"), "{}", told("sum"));
        assert!(told("gauge").ends_with(" 2.5"), "{}", told("gauge"));
    }

    #[test]
    fn clients_and_their_metrics_are_bounded() {
        let (metrics, mut instances) = (Metrics::new(), Instances::default());
        for number in 0..INSTANCES_MAX as u128 + 5 {
            let now = Duration::from_millis(u64::try_from(number).unwrap());
            instances.may_push(&metrics, Uuid::from_u128(number), false, now).unwrap();
        }
        assert_eq!(instances.0.len(), INSTANCES_MAX);
        assert!(!instances.0.contains_key(&Uuid::from_u128(0)), "who was silent longest makes room");
        let points = (0..SERIES_PER_INSTANCE_MAX + 3).map(|number| point(&number.to_string(), 1.0, false));
        instances.keep(&metrics, (ID, "c"), points.collect());
        assert_eq!(instances.0[&ID].series.len(), SERIES_PER_INSTANCE_MAX);
        assert_eq!(metrics.counter(&CLIENT_METRICS_DROPPED, &[]).value(), 3);
    }
}
