//! The error policies as a table: outcome and policy in, effects out.

use super::*;

fn input(values: &[&str]) -> Columns {
    let mut columns = Columns::default();
    for (at, value) in values.iter().enumerate() {
        columns.push(at as i64, Some(b"k"), Some(value.as_bytes()), [("h", Some(b"1".as_slice()))]);
    }
    columns.offsets.iter_mut().for_each(|offset| *offset += 40);
    columns
}

fn origin() -> Origin {
    Origin { topic: "in".into(), partition: 2, deployment: "function/f".into(), generation: 3 }
}

/// Inputs 0 and 2 lead to an output each; input 1 fails.
fn outcome() -> Outcome {
    let mut records = Columns::default();
    records.push(-1, None, Some(b"x"), []);
    records.push(-1, None, Some(b"z"), []);
    Outcome {
        outputs: vec![Output { topic: 0, records, inputs: vec![0, 2] }],
        failures: vec![Failure { input: 1, message: "bad".into() }],
    }
}

fn written(verdict: &Verdict) -> Vec<&[u8]> {
    verdict.writes.iter().flat_map(|output| output.records.values.iter().flatten()).collect()
}

#[test]
fn fail_writes_what_came_before_and_stops_there() {
    let verdict = decide(&input(&["a", "b", "c"]), outcome(), ErrorPolicy::Fail, &origin());
    assert_eq!(written(&verdict), [b"x"]);
    assert_eq!(verdict.stop, Some(Failure { input: 1, message: "bad".into() }));
    assert_eq!((verdict.failed, verdict.dead_letters.len()), (1, 0));
}

#[test]
fn fail_stops_at_the_first_of_several_failures_in_any_order() {
    let failures = [2, 0, 1].map(|input| Failure { input, message: input.to_string() });
    let verdict = decide(
        &input(&["a", "b", "c"]),
        Outcome { outputs: vec![], failures: failures.into() },
        ErrorPolicy::Fail,
        &origin(),
    );
    assert_eq!(verdict.stop.map(|failure| failure.input), Some(0));
}

#[test]
fn skip_writes_the_rest_and_goes_on() {
    let verdict = decide(&input(&["a", "b", "c"]), outcome(), ErrorPolicy::Skip, &origin());
    assert_eq!(written(&verdict), [b"x", b"z"]);
    assert_eq!((verdict.stop, verdict.failed, verdict.dead_letters.len()), (None, 1, 0));
}

#[test]
fn a_dead_letter_is_the_input_with_its_cause_in_headers() {
    let verdict = decide(&input(&["a", "b", "c"]), outcome(), ErrorPolicy::DeadLetter, &origin());
    assert_eq!(written(&verdict), [b"x", b"z"]);
    let letters = &verdict.dead_letters;
    assert_eq!(
        (letters.len(), letters.keys.get(0), letters.values.get(0), letters.timestamps[0]),
        (1, Some(&b"k"[..]), Some(&b"b"[..]), 1)
    );
    let headers: Vec<_> = letters
        .headers
        .get(0)
        .map(|(name, value)| (name, String::from_utf8_lossy(value.unwrap()).into_owned()))
        .collect();
    let expected = [
        ("h", "1"),
        ("millstream.error", "bad"),
        ("millstream.deployment", "function/f"),
        ("millstream.generation", "3"),
        ("millstream.source.topic", "in"),
        ("millstream.source.partition", "2"),
        ("millstream.source.offset", "41"),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name, value.to_owned())));
}

#[test]
fn an_answer_that_points_outside_its_batch_is_nonsense() {
    let record = || {
        let mut records = Columns::default();
        records.push(0, None, None, []);
        records
    };
    let output = |topic, inputs: &[u32]| Outcome {
        outputs: vec![Output { topic, records: record(), inputs: inputs.into() }],
        failures: vec![],
    };
    let failure = |input| Outcome { outputs: vec![], failures: vec![Failure { input, message: String::new() }] };
    assert!(check(1, 1, &output(0, &[0])).is_ok());
    for wrong in [output(1, &[0]), output(0, &[]), output(0, &[1]), failure(1)] {
        assert_eq!(check(1, 1, &wrong).unwrap_err().kind, ErrorKind::Guest, "{wrong:?}");
    }
}

#[test]
fn dropped_inputs_are_those_in_neither_list() {
    assert_eq!(dropped(4, &outcome()), 1);
}
