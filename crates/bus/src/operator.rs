//! One task of a rule: records that match its pattern go on, everything else is dropped.

use crate::delivery::Delivery;
use crate::spec::Checked;
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use millstream_pattern::EVENT_BYTES_MAX;
use millstream_record::Columns;
use millstream_task::{Failure, Operator, OperatorError, Outcome, Output};
use serde_json::Value;
use std::sync::Arc;

/// The worker of one partition.
pub struct RuleOperator {
    pub rule: Arc<Checked>,
    /// Where matches are posted; without one they go to the plan's output.
    pub delivery: Option<(Delivery, usize)>,
}

/// A record's value as the rule sees it.
enum Seen {
    Other,
    /// What is sent for it.
    Match(Bytes),
    Failed(String),
}

#[async_trait]
impl Operator for RuleOperator {
    async fn process(&mut self, input: &Columns) -> Result<Outcome, OperatorError> {
        let mut matches = Vec::new();
        let mut failures = Vec::new();
        for at in 0..input.len() {
            let Some(value) = input.values.get(at) else { continue };
            let place = u32::try_from(at).unwrap_or(u32::MAX);
            match self.see(value) {
                Seen::Other => {}
                Seen::Match(body) => matches.push((place, body)),
                Seen::Failed(message) => failures.push(Failure { input: place, message }),
            }
        }
        let Some((delivery, parallel)) = &self.delivery else {
            return Ok(Outcome { outputs: vec![output(input, &matches)], failures });
        };
        let mut posts = Vec::with_capacity(matches.len());
        for (input, body) in matches {
            posts.push(async move { delivery.deliver(body).await.err().map(|message| Failure { input, message }) });
        }
        let failed: Vec<Option<Failure>> = futures::stream::iter(posts).buffered(*parallel).collect().await;
        failures.extend(failed.into_iter().flatten());
        failures.sort_by_key(|failure| failure.input);
        Ok(Outcome { outputs: Vec::new(), failures })
    }
}

impl RuleOperator {
    fn see(&self, value: &[u8]) -> Seen {
        if value.len() > EVENT_BYTES_MAX {
            return Seen::Failed(format!(
                "the value has {} bytes; a rule looks into {EVENT_BYTES_MAX} at most",
                value.len()
            ));
        }
        let event: Value = match serde_json::from_slice(value) {
            Ok(event) => event,
            Err(error) => return Seen::Failed(format!("the value is not JSON: {error}")),
        };
        if !self.rule.pattern.matches(&event) {
            return Seen::Other;
        }
        Seen::Match(match &self.rule.transform {
            None => Bytes::copy_from_slice(value),
            Some(transform) => transform.render(&event).to_string().into(),
        })
    }
}

/// The matches as records: key, timestamp and headers are the input's.
fn output(input: &Columns, matches: &[(u32, Bytes)]) -> Output {
    let mut output = Output::default();
    for (place, body) in matches {
        let at = *place as usize;
        output.records.push(input.timestamps[at], input.keys.get(at), Some(body), input.headers.get(at));
        output.inputs.push(*place);
    }
    output
}
