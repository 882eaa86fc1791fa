//! Streams as a face of tasks.

use super::operator::StreamOperator;
use super::spec::StreamSpec;
use crate::{Engine, Error};
use async_trait::async_trait;
use millstream_task::{Deployment, DeploymentKind, Error as TaskError, Kind, Operator, Plan};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of log that one batch of a stream reads.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// Turns stored [`StreamSpec`]s into running tasks.
pub struct StreamKind(Arc<Engine>);

impl StreamKind {
    /// Streams planned by `engine`.
    #[must_use]
    pub const fn new(engine: Arc<Engine>) -> Self {
        Self(engine)
    }
}

#[async_trait]
impl Kind for StreamKind {
    fn kind(&self) -> DeploymentKind {
        DeploymentKind::Stream
    }

    async fn validate(&self, deployment: &Deployment) -> Result<(), TaskError> {
        let spec = StreamSpec::from_value(&deployment.spec)?;
        let program = self.0.compile(&spec.query).await?;
        if program.input == spec.output {
            let reason = format!("the stream {:?} would write into {:?}, the topic it reads", spec.name, spec.output);
            return Err(Error::Invalid { reason }.into());
        }
        Ok(())
    }

    async fn plan(&self, deployment: &Deployment) -> Result<Plan, TaskError> {
        let spec = StreamSpec::from_value(&deployment.spec)?;
        let program = Arc::new(self.0.compile(&spec.query).await?);
        let (schemas, compute) = (self.0.schemas(), self.0.runtime().compute.clone());
        Ok(Plan {
            inputs: vec![program.input.clone()],
            outputs: vec![spec.output.clone()],
            policy: spec.on_error,
            dead_letter_topic: spec.dead_letter_topic(),
            guarantee: spec.guarantee,
            commit_interval: spec.commit_interval_ms.map(Duration::from_millis),
            from_earliest: spec.from_earliest,
            batch_bytes_max: BATCH_BYTES_MAX,
            operator: Box::new(move |partition| {
                Ok(Box::new(StreamOperator {
                    program: program.clone(),
                    partition: partition.partition,
                    schemas: schemas.clone(),
                    compute: compute.clone(),
                    maker: None,
                }) as Box<dyn Operator>)
            }),
        })
    }
}
