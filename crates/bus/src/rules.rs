//! Rules as a face of tasks, and which of them an event would match.

use crate::delivery::Delivery;
use crate::error::Error;
use crate::operator::RuleOperator;
use crate::spec::{Checked, Input, RuleSpec, Start, Target};
use async_trait::async_trait;
use millstream_pattern::Matcher;
use millstream_runtime::Runtime;
use millstream_task::{
    Deployment, DeploymentKind, Error as TaskError, ErrorPolicy, Guarantee, Kind, Operator, Plan, Topics,
};
use serde_json::Value;
use std::sync::Arc;

/// Bytes of log that a rule looks at in one batch.
const BATCH_BYTES: usize = 1 << 20;
/// What a delivery by HTTP says it carries.
const CLOUD_EVENT: &str = "application/cloudevents+json";
const JSON: &str = "application/json";

/// The face of tasks whose operator is an event pattern.
pub struct Rules {
    runtime: Runtime,
    topics: Arc<dyn Topics>,
}

impl Rules {
    /// Rules over a log.
    #[must_use]
    pub const fn new(runtime: Runtime, topics: Arc<dyn Topics>) -> Self {
        Self { runtime, topics }
    }
}

#[async_trait]
impl Kind for Rules {
    fn kind(&self) -> DeploymentKind {
        DeploymentKind::Rule
    }

    async fn validate(&self, deployment: &Deployment) -> Result<(), TaskError> {
        let checked = RuleSpec::of(deployment)?;
        match &checked.spec.input {
            Input::Bus(bus) if self.topics.topic(&checked.spec.input.topic()).is_none() => {
                Err(Error::NoBus { bus: bus.clone() }.into())
            }
            Input::Bus(_) | Input::Topic(_) => Ok(()),
        }
    }

    async fn plan(&self, deployment: &Deployment) -> Result<Plan, TaskError> {
        let checked = Arc::new(RuleSpec::of(deployment)?);
        let spec = &checked.spec;
        let (outputs, delivery) = match &spec.target {
            Target::Topic(topic) => (vec![topic.clone()], None),
            Target::Http(http) => {
                let delivery = Delivery::new(self.runtime.clone(), http, content_type(&checked), spec.retry)?;
                (Vec::new(), Some((delivery, http.parallel)))
            }
        };
        // What is posted can't be taken back.
        let guarantee = if outputs.is_empty() { Guarantee::AtLeastOnce } else { Guarantee::ExactlyOnce };
        let rule = checked.clone();
        Ok(Plan {
            inputs: vec![spec.input.topic()],
            outputs,
            policy: if spec.dead_letter_topic.is_some() { ErrorPolicy::DeadLetter } else { ErrorPolicy::Skip },
            dead_letter_topic: spec.dead_letter_topic.clone(),
            guarantee,
            commit_interval: None,
            from_earliest: spec.from == Start::Earliest,
            batch_bytes_max: BATCH_BYTES,
            operator: Box::new(move |_| {
                let operator = RuleOperator { rule: rule.clone(), delivery: delivery.clone() };
                Ok(Box::new(operator) as Box<dyn Operator>)
            }),
        })
    }
}

/// What is posted is the event itself, unless a transform makes something else of it.
fn content_type(checked: &Checked) -> &'static str {
    match (&checked.spec.input, &checked.transform) {
        (Input::Bus(_), None) => CLOUD_EVENT,
        _ => JSON,
    }
}

/// Which of the rules (name and stored spec) an event would match, in their order.
///
/// # Errors
/// [`Error::Spec`] and [`Error::Field`] for a spec that does not pass.
pub fn test(event: &Value, rules: &[(String, Value)]) -> Result<Vec<bool>, Error> {
    let mut patterns = Vec::with_capacity(rules.len());
    for (name, spec) in rules {
        patterns.push(RuleSpec::checked(name, spec)?.pattern);
    }
    let matched = Matcher::new(patterns).matches_value(event);
    Ok((0..rules.len()).map(|rule| matched.binary_search(&rule).is_ok()).collect())
}
