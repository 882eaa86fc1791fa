//! The file source: its type, and the worker that polls an open file on a compute thread.

use crate::follow::{Seen, look};
use crate::position::{Position, Start};
use crate::reading::{Reading, stored};
use crate::settings::Settings;
use async_trait::async_trait;
use millstream_connect::{About, Error, OperatorError, Source, SourceBatch, SourceContext, SourceWorker};
use millstream_runtime::Compute;
use millstream_types::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

/// Reads a file into a topic.
pub struct FileSource;

impl Source for FileSource {
    type Settings = Settings;

    fn about(&self) -> About {
        About {
            name: "file",
            version: env!("CARGO_PKG_VERSION"),
            summary: "Reads a file on the node into a topic: CSV rows as JSON objects, JSON lines, or plain lines; plain, gzip or zstd. It goes on where it was after a restart, and can follow a growing file.",
            one_topic: true,
        }
    }

    fn check(&self, settings: &Settings) -> Result<(), Error> {
        settings.check()
    }

    fn worker(&self, settings: &Arc<Settings>, context: SourceContext) -> Result<Box<dyn SourceWorker>, Error> {
        let position = context.position.clone().map(serde_json::from_value::<Position>).transpose().map_err(|error| {
            let message = format!("the stored position of connector {:?} is not a file's ({error}): reset it to read the file from its start", context.connector);
            Error::outside(ErrorKind::Invalid, message)
        })?;
        Ok(Box::new(FileWorker { settings: settings.clone(), context, position, reading: None }))
    }
}

struct FileWorker {
    settings: Arc<Settings>,
    context: SourceContext,
    /// Where to open the file.
    position: Option<Position>,
    reading: Option<Box<Reading>>,
}

/// What a step on a compute thread came to.
enum Step {
    Batch(SourceBatch),
    /// The file ends here, for now or for good.
    End(Seen),
}

#[async_trait]
impl SourceWorker for FileWorker {
    async fn poll(&mut self) -> Result<SourceBatch, OperatorError> {
        loop {
            let mut reading = match self.reading.take() {
                Some(reading) => reading,
                None => self.open().await?,
            };
            let (settings, follow) = (self.settings.clone(), self.settings.follow);
            let compute = self.context.runtime.compute.clone();
            let (kept, step) = blocking(compute, move || {
                let step = step(&settings, &mut reading, follow);
                (reading, step)
            })
            .await?;
            self.reading = Some(kept);
            match step? {
                Step::Batch(batch) => return Ok(batch),
                Step::End(_) if !follow => return self.finish(),
                Step::End(Seen::Same | Seen::Missing) => {
                    self.context.runtime.clock.sleep(Duration::from_millis(self.settings.poll_interval_ms)).await;
                }
                Step::End(Seen::Rotated | Seen::Truncated) => {
                    tracing::info!(connector = %self.context.connector, path = %self.settings.path.display(), "the followed file was rotated or cut: reading the new one from its start");
                    self.reading = None;
                    self.position = None;
                }
            }
        }
    }
}

impl FileWorker {
    async fn open(&mut self) -> Result<Box<Reading>, OperatorError> {
        let (settings, policy, position) = (self.settings.clone(), self.context.policy, self.position.clone());
        let (reading, start) =
            blocking(self.context.runtime.compute.clone(), move || Reading::open(settings, policy, position.as_ref()))
                .await??;
        if matches!(start, Start::Truncated | Start::Replaced) {
            tracing::warn!(connector = %self.context.connector, path = %self.settings.path.display(), ?start, "the file is not the one that was read before: reading it from its start");
        }
        Ok(Box::new(reading))
    }

    fn finish(&mut self) -> Result<SourceBatch, OperatorError> {
        let Some(reading) = &mut self.reading else {
            return Ok(SourceBatch { finished: true, ..SourceBatch::default() });
        };
        let (position, lag) = reading.place()?;
        Ok(SourceBatch { position: Some(stored(&position)?), lag: Some(lag), finished: true, ..SourceBatch::default() })
    }
}

/// Runs what reads the disk and decompresses on a compute thread.
async fn blocking<T: Send + 'static>(
    compute: Compute,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, OperatorError> {
    let done = compute.run(async move { work() }).await;
    done.map_err(|lost| OperatorError::new(ErrorKind::Unavailable, lost.to_string()))
}

fn step(settings: &Settings, reading: &mut Reading, follow: bool) -> Result<Step, OperatorError> {
    if let Some(batch) = reading.step(!follow)? {
        return Ok(Step::Batch(batch));
    }
    if !follow {
        return Ok(Step::End(Seen::Same));
    }
    let seen = look(&settings.path, reading).map_err(|error| {
        OperatorError::new(ErrorKind::Unavailable, format!("could not look at {}: {error}", settings.path.display()))
    })?;
    // What a rotated file ends with is whole now, line break or not.
    match if seen == Seen::Rotated { reading.step(true)? } else { None } {
        Some(batch) => Ok(Step::Batch(batch)),
        None => Ok(Step::End(seen)),
    }
}
