//! What becomes of one batch: pure. An operator's outcome and the error policy go in; what to write, and whether to stop, come out.

use crate::{ErrorPolicy, Failure, OperatorError, Outcome, Output};
use millstream_record::Columns;
use millstream_types::ErrorKind;

/// Where a batch came from, for the headers of its dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The input topic.
    pub topic: String,
    /// The input partition.
    pub partition: i32,
    /// The deployment: "function/enrich".
    pub deployment: String,
    /// Its generation.
    pub generation: u32,
}

/// What is to be done about one batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Verdict {
    /// What is to be written to the outputs.
    pub writes: Vec<Output>,
    /// What is to be written to the dead-letter topic.
    pub dead_letters: Columns,
    /// Inputs that could not be processed, whatever became of them.
    pub failed: u64,
    /// Where the task has to stop, and why; everything before it is done.
    pub stop: Option<Failure>,
}

/// Decides what becomes of a batch. The outcome has passed [`check`].
pub(crate) fn decide(input: &Columns, outcome: Outcome, policy: ErrorPolicy, origin: &Origin) -> Verdict {
    let Outcome { outputs, mut failures } = outcome;
    failures.sort_by_key(|failure| failure.input);
    match policy {
        ErrorPolicy::Fail => stop_at_the_first(outputs, failures),
        ErrorPolicy::Skip => Verdict { writes: outputs, failed: failures.len() as u64, ..Verdict::default() },
        ErrorPolicy::DeadLetter => {
            let mut dead_letters = Columns::default();
            failures.iter().for_each(|failure| push_dead_letter(&mut dead_letters, input, failure, origin));
            Verdict { writes: outputs, dead_letters, failed: failures.len() as u64, stop: None }
        }
    }
}

fn stop_at_the_first(outputs: Vec<Output>, failures: Vec<Failure>) -> Verdict {
    let Some(first) = failures.into_iter().next() else {
        return Verdict { writes: outputs, ..Verdict::default() };
    };
    let writes = outputs.into_iter().map(|output| before(output, first.input)).collect();
    Verdict { writes, dead_letters: Columns::default(), failed: 1, stop: Some(first) }
}

/// What of an output came from inputs before `input`.
fn before(output: Output, input: u32) -> Output {
    if output.inputs.iter().all(|from| *from < input) {
        return output;
    }
    let mut kept = Output { topic: output.topic, ..Output::default() };
    for (at, from) in output.inputs.iter().enumerate().filter(|(_, from)| **from < input) {
        kept.records.push_from(&output.records, at);
        kept.inputs.push(*from);
    }
    kept
}

fn push_dead_letter(letters: &mut Columns, input: &Columns, failure: &Failure, origin: &Origin) {
    let at = failure.input as usize;
    let partition = origin.partition.to_string();
    let offset = input.offsets[at].to_string();
    let generation = origin.generation.to_string();
    let causes: [(&str, &str); 6] = [
        ("millstream.error", &failure.message),
        ("millstream.deployment", &origin.deployment),
        ("millstream.generation", &generation),
        ("millstream.source.topic", &origin.topic),
        ("millstream.source.partition", &partition),
        ("millstream.source.offset", &offset),
    ];
    let causes = causes.into_iter().map(|(name, value)| (name, Some(value.as_bytes())));
    let headers = input.headers.get(at).chain(causes);
    letters.push(input.timestamps[at], input.keys.get(at), input.values.get(at), headers);
}

/// Whether an operator's answer makes sense: a task believes no guest.
pub(crate) fn check(input_len: usize, output_topics: usize, outcome: &Outcome) -> Result<(), OperatorError> {
    let nonsense = |message: String| Err(OperatorError::new(ErrorKind::Guest, message));
    for output in &outcome.outputs {
        if output.topic >= output_topics {
            return nonsense(format!("it wrote to output {}; it has {output_topics} (counted from 0)", output.topic));
        }
        if output.inputs.len() != output.records.len() {
            return nonsense(format!(
                "it gave {} records with the inputs of {}",
                output.records.len(),
                output.inputs.len()
            ));
        }
        if let Some(input) = output.inputs.iter().find(|input| **input as usize >= input_len) {
            return nonsense(format!("it gave a record for input {input} of a batch of {input_len}"));
        }
    }
    match outcome.failures.iter().find(|failure| failure.input as usize >= input_len) {
        Some(failure) => nonsense(format!("it failed input {} of a batch of {input_len}", failure.input)),
        None => Ok(()),
    }
}

/// Inputs that led to no output and no failure: dropped on purpose.
pub(crate) fn dropped(input_len: usize, outcome: &Outcome) -> u64 {
    let mut seen = vec![false; input_len];
    let inputs = outcome.outputs.iter().flat_map(|output| output.inputs.iter().copied());
    for input in inputs.chain(outcome.failures.iter().map(|failure| failure.input)) {
        seen[input as usize] = true;
    }
    seen.iter().filter(|seen| !**seen).count() as u64
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
