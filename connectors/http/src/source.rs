//! The http source: its type, and the worker that gathers posted events into batches.

use crate::endpoint::{Done, Endpoint, Posted};
use crate::settings::SourceSettings;
use async_trait::async_trait;
use millstream_connect::{
    About, Error, OperatorError, Refused, Source, SourceBatch, SourceContext, SourceOutput, SourceWorker,
};
use millstream_types::ErrorKind;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Bytes of events that are gathered into one batch before it is written.
const BATCH_BYTES: usize = 1 << 20;

/// Takes posted events.
pub struct HttpSource;

impl Source for HttpSource {
    type Settings = SourceSettings;

    fn about(&self) -> About {
        About {
            name: "http-source",
            version: env!("CARGO_PKG_VERSION"),
            summary: "Listens for `POST /{topic}` with a JSON event, an array of them, JSON lines or raw bytes, and answers when they are in the log.",
            one_topic: false,
        }
    }

    fn worker(&self, settings: &Arc<SourceSettings>, context: SourceContext) -> Result<Box<dyn SourceWorker>, Error> {
        Ok(Box::new(HttpWorker { settings: settings.clone(), context, endpoint: None, waiting: Vec::new() }))
    }
}

struct HttpWorker {
    settings: Arc<SourceSettings>,
    context: SourceContext,
    endpoint: Option<Endpoint>,
    /// The requests of the last batch.
    waiting: Vec<Waiting>,
}

/// A request whose events are in a batch: which output, and which records of it.
struct Waiting {
    output: usize,
    records: Range<usize>,
    done: oneshot::Sender<Done>,
}

#[async_trait]
impl SourceWorker for HttpWorker {
    async fn poll(&mut self) -> Result<SourceBatch, OperatorError> {
        let endpoint = match &mut self.endpoint {
            Some(endpoint) => endpoint,
            None => {
                let started =
                    Endpoint::start(self.settings.clone(), self.context.topics.clone(), &self.context.runtime).await;
                let listen = self.settings.listen;
                let explain = |error| {
                    let message = format!(
                        "could not listen on {listen}: {error}; choose another address in `listen`, or stop what has it"
                    );
                    OperatorError::new(ErrorKind::Unavailable, message)
                };
                tracing::info!(connector = %self.context.connector, %listen, "an http source listens");
                self.endpoint.insert(started.map_err(explain)?)
            }
        };
        let ended = || OperatorError::new(ErrorKind::Unavailable, "the endpoint ended");
        let first = endpoint.next().await.ok_or_else(ended)?;
        let mut gathered = vec![first];
        let mut bytes = gathered[0].records.payload_bytes();
        while bytes < BATCH_BYTES
            && let Some(more) = endpoint.try_next()
        {
            bytes += more.records.payload_bytes();
            gathered.push(more);
        }
        let (outputs, waiting) = merge(gathered);
        self.waiting = waiting;
        Ok(SourceBatch { outputs, ..SourceBatch::default() })
    }

    async fn appended(&mut self, refused: &[Refused]) {
        for waiting in self.waiting.drain(..) {
            let theirs = refused
                .iter()
                .filter(|refused| refused.output == waiting.output && waiting.records.contains(&refused.record));
            let refused: Vec<String> = theirs
                .map(|refused| format!("event {}: {}", refused.record - waiting.records.start, refused.message))
                .collect();
            let appended = waiting.records.len() - refused.len();
            // Whoever does not wait any more has been told so.
            let _ = waiting.done.send(Done { appended, refused });
        }
    }

    async fn close(&mut self) {
        self.waiting.clear();
        if let Some(endpoint) = self.endpoint.take() {
            endpoint.stop().await;
        }
    }
}

/// One output for each topic, and where each request's events are in it.
fn merge(gathered: Vec<Posted>) -> (Vec<SourceOutput>, Vec<Waiting>) {
    let mut outputs: Vec<SourceOutput> = Vec::new();
    let mut by_topic: BTreeMap<usize, usize> = BTreeMap::new();
    let mut waiting = Vec::new();
    for Posted { topic, records, done } in gathered {
        let output = *by_topic.entry(topic).or_insert_with(|| {
            outputs.push(SourceOutput { topic, ..SourceOutput::default() });
            outputs.len() - 1
        });
        let all = &mut outputs[output].records;
        let start = all.len();
        (0..records.len()).for_each(|at| all.push_from(&records, at));
        waiting.push(Waiting { output, records: start..all.len(), done });
    }
    (outputs, waiting)
}
