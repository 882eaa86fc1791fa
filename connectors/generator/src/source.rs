//! The generator's type, and the worker that keeps its rate.

use crate::event;
use crate::settings::Settings;
use async_trait::async_trait;
use millstream_connect::{
    About, Error, Lag, OperatorError, Source, SourceBatch, SourceContext, SourceOutput, SourceWorker,
};
use millstream_types::ErrorKind;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Shortest wait between two batches: a high rate makes larger ones.
const TICK: Duration = Duration::from_millis(10);

/// Makes events.
pub struct GeneratorSource;

impl Source for GeneratorSource {
    type Settings = Settings;

    fn about(&self) -> About {
        About {
            name: "generator",
            version: env!("CARGO_PKG_VERSION"),
            summary: "Makes up JSON events at a rate: sequences, numbers, choices, UUIDs, times. The seed decides every value, and a restart goes on with the next event.",
            one_topic: true,
        }
    }

    fn check(&self, settings: &Settings) -> Result<(), Error> {
        settings.check()
    }

    fn worker(&self, settings: &Arc<Settings>, context: SourceContext) -> Result<Box<dyn SourceWorker>, Error> {
        let next = match &context.position {
            None => 0,
            Some(position) => position.get("next").and_then(Value::as_u64).ok_or_else(|| {
                let message = format!(
                    "the stored position {position} of connector {:?} is not a generator's: reset it to begin anew",
                    context.connector
                );
                Error::outside(ErrorKind::Invalid, message)
            })?,
        };
        let since = context.runtime.clock.elapsed();
        Ok(Box::new(GeneratorWorker { settings: settings.clone(), context, next, made: 0, since }))
    }
}

struct GeneratorWorker {
    settings: Arc<Settings>,
    context: SourceContext,
    /// The next event's number.
    next: u64,
    /// Events made by this worker, and since when.
    made: u64,
    since: Duration,
}

#[async_trait]
impl SourceWorker for GeneratorWorker {
    async fn poll(&mut self) -> Result<SourceBatch, OperatorError> {
        let left = self.settings.count.map(|count| count.saturating_sub(self.next));
        if left == Some(0) {
            return Ok(SourceBatch {
                finished: true,
                position: Some(self.position()),
                lag: lag(left),
                ..SourceBatch::default()
            });
        }
        let due = self.wait_until_due().await.min(self.settings.batch_max).min(left.unwrap_or(u64::MAX));
        let now = self.context.runtime.clock.now().0;
        let mut output = SourceOutput::default();
        for n in self.next..self.next + due {
            let event = event::make(&self.settings, n, now);
            let value = event.value.to_string();
            output.records.push(event.time, event.key.as_deref().map(str::as_bytes), Some(value.as_bytes()), []);
        }
        self.next += due;
        self.made += due;
        let left = left.map(|left| left - due);
        Ok(SourceBatch {
            outputs: vec![output],
            position: Some(self.position()),
            lag: lag(left),
            finished: left == Some(0),
            ..SourceBatch::default()
        })
    }
}

impl GeneratorWorker {
    fn position(&self) -> Value {
        json!({ "next": self.next })
    }

    /// Waits until an event is due, and returns how many are.
    async fn wait_until_due(&self) -> u64 {
        let Some(rate) = self.settings.rate else { return u64::MAX };
        let clock = &self.context.runtime.clock;
        loop {
            let elapsed = clock.elapsed().saturating_sub(self.since).as_secs_f64();
            // The first event is due at once, the next one a period later. A float as u64 stays within its range.
            let due = ((elapsed * rate).floor() as u64 + 1).saturating_sub(self.made);
            if due > 0 {
                return due;
            }
            let wait = (self.made as f64 / rate - elapsed).max(0.0);
            clock.sleep(Duration::try_from_secs_f64(wait).unwrap_or(TICK).max(TICK)).await;
        }
    }
}

fn lag(left: Option<u64>) -> Option<Lag> {
    left.map(|amount| Lag { amount, unit: "events".to_owned() })
}
