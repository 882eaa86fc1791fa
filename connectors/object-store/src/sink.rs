//! The object-store sink: its type, and the worker that gathers one partition's records into objects.

use crate::destination::Destination;
use crate::encoding::Encoding;
use crate::name::Range;
use crate::object::Open;
use crate::settings::Settings;
use crate::template::Template;
use async_trait::async_trait;
use millstream_connect::{About, Error, ErrorPolicy, Failure, Operator, OperatorError, Outcome, Sink, SinkContext};
use millstream_record::Columns;
use millstream_schema::SchemaLookup;
use millstream_types::{ErrorKind, Offset};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Writes topics to S3 or a folder.
pub struct ObjectStoreSink {
    lookup: Arc<dyn SchemaLookup>,
}

impl ObjectStoreSink {
    /// A sink that takes the columns of Parquet from registered schemas.
    #[must_use]
    pub fn new(lookup: Arc<dyn SchemaLookup>) -> Self {
        Self { lookup }
    }
}

impl Sink for ObjectStoreSink {
    type Settings = Settings;

    fn about(&self) -> About {
        About {
            name: "object-store",
            version: env!("CARGO_PKG_VERSION"),
            summary: "Writes records as Parquet or JSON-lines objects under partitioned paths, to S3 or to a folder. Objects are named by the offsets they hold, and no record is in two.",
            one_topic: false,
        }
    }

    fn check(&self, settings: &Settings) -> Result<(), Error> {
        settings.check()
    }

    fn worker(&self, settings: &Arc<Settings>, context: SinkContext) -> Result<Box<dyn Operator>, Error> {
        let template = Template::parse(&settings.path)
            .map_err(|expected| Error::outside(ErrorKind::Invalid, format!("settings.path: expected {expected}")))?;
        Ok(Box::new(ObjectWriter {
            settings: settings.clone(),
            lookup: self.lookup.clone(),
            context,
            template,
            destination: None,
            open: None,
            next: 0,
            recovering: true,
            written_to: 0,
            bad: BTreeMap::new(),
        }))
    }
}

struct ObjectWriter {
    settings: Arc<Settings>,
    lookup: Arc<dyn SchemaLookup>,
    context: SinkContext,
    template: Template,
    destination: Option<Arc<Destination>>,
    open: Option<Open>,
    /// Records before it are in objects or in the open one.
    next: i64,
    /// Whether objects of a worker before this one may still be met.
    recovering: bool,
    /// Records before it are in objects that such a worker left.
    written_to: i64,
    /// Offsets that did not fit, and why, while their batch is not done.
    bad: BTreeMap<i64, String>,
}

#[async_trait]
impl Operator for ObjectWriter {
    async fn process(&mut self, input: &Columns) -> Result<Outcome, OperatorError> {
        let first = input.offsets.first().copied().unwrap_or_default();
        self.bad = self.bad.split_off(&first);
        // A batch that is tried again goes on after what was taken of it.
        let mut at = input.offsets.partition_point(|offset| *offset < self.next);
        while at < input.len() && (self.bad.is_empty() || self.context.policy != ErrorPolicy::Fail) {
            at = self.take(input, at).await?;
        }
        let failure = |(offset, message): (&i64, &String)| {
            let place = input.offsets.binary_search(offset).ok().and_then(|at| u32::try_from(at).ok())?;
            Some(Failure { input: place, message: message.clone() })
        };
        Ok(Outcome { outputs: Vec::new(), failures: self.bad.iter().filter_map(failure).collect() })
    }

    fn settled(&self, processed: Offset) -> Offset {
        self.open.as_ref().map_or(processed, |open| Offset(open.range.first))
    }

    async fn tick(&mut self) -> Result<(), OperatorError> {
        let now = self.context.runtime.clock.elapsed();
        if self.open.as_ref().is_some_and(|open| open.is_due(&self.settings, now)) {
            self.roll().await?;
        }
        Ok(())
    }
}

impl ObjectWriter {
    /// Takes records from `at` on that belong together and returns where the rest begins.
    async fn take(&mut self, input: &Columns, at: usize) -> Result<usize, OperatorError> {
        let folder = self.template.render(&self.context.topic, self.context.partition, input.timestamps[at]);
        if self.open.as_ref().is_some_and(|open| open.folder != folder || open.is_full(&self.settings)) {
            self.roll().await?;
        }
        if self.open.is_none() {
            self.recover(&folder, input.offsets[at]).await?;
        }
        let end = self.run_end(input, at);
        let mut run = Columns::default();
        (at..end).for_each(|place| run.push_from(input, place));
        if input.offsets[at] < self.written_to {
            return self.pass_over(&run, at);
        }
        let taken = self.gather(folder, &run)?;
        let open = self.open.as_ref();
        if open.is_some_and(|open| open.is_full(&self.settings)) {
            self.roll().await?;
        }
        Ok(at + taken)
    }

    /// Where the records from `at` on stop belonging to one object.
    fn run_end(&self, input: &Columns, at: usize) -> usize {
        let (mut bytes, mut records) = self.open.as_ref().map_or((0, 0), |open| (open.bytes, open.records));
        let window = self.template.window_ms();
        let same_path = |end: usize| {
            window.is_none_or(|window| {
                input.timestamps[end].div_euclid(window) == input.timestamps[at].div_euclid(window)
            })
        };
        let written = input.offsets[at] < self.written_to;
        let mut end = at;
        while end < input.len() && same_path(end) && written == (input.offsets[end] < self.written_to) {
            bytes += payload(input, end);
            records += 1;
            end += 1;
            if !written && (bytes >= self.settings.roll_bytes || records >= self.settings.roll_records) {
                break;
            }
        }
        end
    }

    /// Looks for an object that a worker before this one made from here on, and that was not committed.
    async fn recover(&mut self, folder: &str, first: i64) -> Result<(), OperatorError> {
        if !self.recovering || first < self.written_to {
            return Ok(());
        }
        let suffix = self.settings.format.suffix();
        match self.destination().await?.beginning_at(folder, self.context.partition, first, suffix).await? {
            Some(range) => {
                tracing::info!(connector = %self.context.connector, first, last = range.last, "an object of an earlier run holds these records already");
                self.written_to = range.last + 1;
            }
            None => self.recovering = false,
        }
        Ok(())
    }

    /// Finds what does not fit among records that have an object: the run that wrote it may not have come to tell.
    fn pass_over(&mut self, run: &Columns, at: usize) -> Result<usize, OperatorError> {
        let mut encoding = Encoding::begin(&self.settings, &self.context.topic, self.context.partition, &self.lookup)?;
        let bad = encoding.add(run, false)?;
        self.bad.extend(bad.into_iter().map(|(place, message)| (run.offsets[place], message)));
        self.next = run.offsets.last().map_or(self.next, |last| last + 1);
        Ok(at + run.len())
    }

    /// Adds records to the open object and returns how many were taken: under `fail` only those before one that does not fit.
    fn gather(&mut self, folder: String, run: &Columns) -> Result<usize, OperatorError> {
        let (Some(first), Some(mut last)) = (run.offsets.first().copied(), run.offsets.last().copied()) else {
            return Ok(0);
        };
        let stops = self.context.policy == ErrorPolicy::Fail;
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let encoding =
                    Encoding::begin(&self.settings, &self.context.topic, self.context.partition, &self.lookup)?;
                self.open.insert(Open {
                    folder,
                    range: Range { partition: self.context.partition, first, last },
                    encoding: Arc::new(parking_lot::Mutex::new(encoding)),
                    bytes: 0,
                    records: 0,
                    since: self.context.runtime.clock.elapsed(),
                })
            }
        };
        let bad = open.encoding.lock().add(run, stops)?;
        let mut taken = run.len();
        if stops && let Some((place, _)) = bad.first() {
            taken = *place;
            last = run.offsets[*place] - 1;
        }
        open.range.last = last;
        open.bytes += (0..taken).map(|at| payload(run, at)).sum::<usize>();
        open.records += taken;
        self.bad.extend(bad.into_iter().map(|(place, message)| (run.offsets[place], message)));
        self.next = last + 1;
        Ok(taken)
    }

    /// Writes the open object. On an error it stays open, and is written as it is by the next attempt.
    async fn roll(&mut self) -> Result<(), OperatorError> {
        let Some(open) = &self.open else { return Ok(()) };
        let (folder, range, encoding) = (open.folder.clone(), open.range, open.encoding.clone());
        let encoded = self.context.runtime.compute.run(async move { encoding.lock().finish() }).await;
        let content = encoded.map_err(|lost| OperatorError::new(ErrorKind::Unavailable, lost.to_string()))??;
        if let Some(content) = content {
            let name = range.name(self.settings.format.suffix());
            self.destination().await?.create(&folder, &name, content).await?;
        }
        self.open = None;
        Ok(())
    }

    async fn destination(&mut self) -> Result<Arc<Destination>, OperatorError> {
        if let Some(destination) = &self.destination {
            return Ok(destination.clone());
        }
        let opened = Arc::new(Destination::open(&self.settings, self.context.runtime.disk.clone()).await?);
        self.destination = Some(opened.clone());
        Ok(opened)
    }
}

fn payload(records: &Columns, at: usize) -> usize {
    records.keys.get(at).map_or(0, <[u8]>::len) + records.values.get(at).map_or(0, <[u8]>::len)
}
