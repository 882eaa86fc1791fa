//! A component over records from a file, without a node.

use crate::{Error, Logs};
use bytes::Bytes;
use millstream_record::Columns;
use millstream_runtime::Runtime;
use millstream_types::PartitionIndex;
use millstream_wasm::{Engine, EngineLimits, InstanceConfig, Limits};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Output topics that a component under trial may number.
const OUTPUTS: usize = 64;

/// What is tried.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The component.
    pub component: Bytes,
    /// Its settings, a JSON object as text.
    pub settings: String,
    /// One record's value each.
    pub values: Vec<Bytes>,
    /// Where compiled code may be kept, so that the next trial starts at once.
    pub cache: Option<PathBuf>,
}

/// What came of one record, or of what the function wrote for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum TrialRow {
    /// A record was written.
    Written {
        /// Which input it came of, from 0.
        input: u32,
        /// To which output topic, from 0.
        topic: usize,
        /// Its key.
        key: Option<String>,
        /// Its value.
        value: Option<String>,
        /// Its headers.
        headers: Vec<(String, Option<String>)>,
    },
    /// The input could not be processed.
    Failed {
        /// Which, from 0.
        input: u32,
        /// Why.
        message: String,
    },
    /// Nothing was written for the input.
    Dropped {
        /// Which, from 0.
        input: u32,
    },
}

impl TrialRow {
    fn input(&self) -> u32 {
        match self {
            Self::Written { input, .. } | Self::Failed { input, .. } | Self::Dropped { input } => *input,
        }
    }
}

/// What came of a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrialReport {
    /// What came of each input, in order.
    pub rows: Vec<TrialRow>,
    /// What the function logged.
    pub log: Vec<crate::LogLine>,
}

/// Runs a component over records as a node would, in one batch.
///
/// # Errors
/// When the component, its settings or the whole batch are refused, or a limit is hit.
pub async fn test(runtime: &Runtime, trial: Trial) -> Result<TrialReport, Error> {
    let limits = EngineLimits { instances_max: 2, ..EngineLimits::default() };
    let engine = Engine::new(runtime, limits, trial.cache)?;
    let logs = Logs::new(runtime.clock.clone());
    let log = logs.sink("function", "(test)", PartitionIndex(0));
    let config = InstanceConfig {
        function: "under test".into(),
        settings: trial.settings,
        outputs: OUTPUTS,
        limits: Limits::default(),
        log,
    };
    let mut input = Columns::default();
    for value in &trial.values {
        input.push(runtime.clock.now().0, None, Some(value), []);
    }
    let outcome = engine.compile(trial.component).await?.instance(config)?.process(&input).await?;
    let mut by_input: BTreeMap<u32, Vec<TrialRow>> = BTreeMap::new();
    for output in &outcome.outputs {
        for (row, input) in output.inputs.iter().enumerate() {
            by_input.entry(*input).or_default().push(written(*input, output.topic, &output.records, row));
        }
    }
    for failure in outcome.failures {
        by_input
            .entry(failure.input)
            .or_default()
            .push(TrialRow::Failed { input: failure.input, message: failure.message });
    }
    for input in 0..u32::try_from(input.len()).unwrap_or(u32::MAX) {
        by_input.entry(input).or_insert_with(|| vec![TrialRow::Dropped { input }]);
    }
    let rows: Vec<TrialRow> = by_input.into_values().flatten().collect();
    debug_assert!(rows.is_sorted_by_key(TrialRow::input));
    Ok(TrialReport { rows, log: logs.lines("function") })
}

fn written(input: u32, topic: usize, records: &Columns, row: usize) -> TrialRow {
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let headers = records.headers.get(row).map(|(name, value)| (name.to_owned(), text(value))).collect();
    TrialRow::Written { input, topic, key: text(records.keys.get(row)), value: text(records.values.get(row)), headers }
}
