//! The packed batch: the SDK reads what the host packs, the host reads what the SDK packs, and nothing else gets through.

#![cfg(test)]

use millstream::{Batch, Output as Guest};
use millstream_record::Columns;
use millstream_wasm::packed::{Assembler, pack};
use millstream_wasm::{Failure, Output};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

type Headers = Vec<(String, Option<Vec<u8>>)>;
type Plain = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Headers);

fn plain() -> impl Strategy<Value = Plain> {
    let bytes = || vec(any::<u8>(), 0..20);
    (0..i64::MAX, option::of(bytes()), option::of(bytes()), vec(("[a-zé]{0,6}", option::of(bytes())), 0..4))
}

fn columns(records: &[Plain]) -> Columns {
    let mut columns = Columns::default();
    for (time, key, value, headers) in records {
        columns.push(
            *time,
            key.as_deref(),
            value.as_deref(),
            headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())),
        );
    }
    columns
}

fn assembler(input: &Columns) -> Assembler<'_> {
    Assembler { input, outputs: 3, bytes_max: 1 << 20, records_max: 10_000 }
}

/// What a guest does with one record.
#[derive(Debug, Clone)]
enum Deed {
    Drop,
    Keep(u8),
    Fail(String),
    Rows(Vec<Row>),
    KeepAndRows(Vec<Row>),
}

#[derive(Debug, Clone)]
struct Row {
    topic: u16,
    key: Option<Option<Vec<u8>>>,
    value: Option<Option<Vec<u8>>>,
    time: Option<i64>,
    headers: Option<Headers>,
}

fn row() -> impl Strategy<Value = Row> {
    let bytes = || option::of(option::of(vec(any::<u8>(), 0..12)));
    let headers = option::of(vec(("[a-z]{1,4}", option::of(vec(any::<u8>(), 0..5))), 0..3));
    (0..3u16, bytes(), bytes(), option::of(any::<i64>()), headers).prop_map(|(topic, key, value, time, headers)| Row {
        topic,
        key,
        value,
        time,
        headers,
    })
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        Just(Deed::Drop),
        (0..3u8).prop_map(Deed::Keep),
        "[ -~é]{0,30}".prop_map(Deed::Fail),
        vec(row(), 1..4).prop_map(Deed::Rows),
        vec(row(), 1..3).prop_map(Deed::KeepAndRows),
    ]
}

fn send(out: &mut Guest, row: &Row) {
    let mut sent = out.row().topic(row.topic);
    if let Some(key) = &row.key {
        sent = sent.key(key.as_deref());
    }
    if let Some(value) = &row.value {
        sent = sent.value(value.as_deref());
    }
    if let Some(time) = row.time {
        sent = sent.timestamp(time);
    }
    if let Some(headers) = &row.headers {
        sent = sent.without_headers();
        for (name, value) in headers {
            sent = sent.header(name, value.as_deref());
        }
    }
    sent.send();
}

fn packed_by_guest(records: usize, deeds: &[Deed]) -> Vec<u8> {
    let mut out = Guest::new();
    out.clear(records);
    for (index, deed) in deeds.iter().enumerate() {
        out.begin(index);
        match deed {
            Deed::Drop => {}
            Deed::Keep(topic) => out.keep_to(*topic),
            Deed::Fail(message) => {
                out.value("taken back");
                out.fail(message);
            }
            Deed::Rows(rows) => rows.iter().for_each(|row| send(&mut out, row)),
            Deed::KeepAndRows(rows) => {
                out.keep();
                rows.iter().for_each(|row| send(&mut out, row));
            }
        }
    }
    out.pack().to_vec()
}

/// The same, said plainly.
fn expected(records: &[Plain], deeds: &[Deed]) -> (Vec<Output>, Vec<Failure>) {
    let mut outputs: Vec<Output> = (0..3).map(|topic| Output { topic, ..Output::default() }).collect();
    let mut failures = Vec::new();
    let mut put = |topic: usize, index: usize, (time, key, value, headers): Plain| {
        let output = &mut outputs[topic];
        output.records.push(
            time,
            key.as_deref(),
            value.as_deref(),
            headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())),
        );
        output.inputs.push(index as u32);
    };
    for (index, (deed, record)) in deeds.iter().zip(records).enumerate() {
        let (kept, rows) = match deed {
            Deed::Drop => (None, &[][..]),
            Deed::Keep(topic) => (Some(usize::from(*topic)), &[][..]),
            Deed::Fail(message) => {
                failures.push(Failure { input: index as u32, message: message.clone() });
                (None, &[][..])
            }
            Deed::Rows(rows) => (None, &rows[..]),
            Deed::KeepAndRows(rows) => (Some(0), &rows[..]),
        };
        if let Some(topic) = kept {
            put(topic, index, record.clone());
        }
        for row in rows {
            let (time, key, value, headers) = record.clone();
            let made = (
                row.time.unwrap_or(time),
                row.key.clone().unwrap_or(key),
                row.value.clone().unwrap_or(value),
                row.headers.clone().unwrap_or(headers),
            );
            put(usize::from(row.topic), index, made);
        }
    }
    outputs.retain(|output| !output.records.is_empty());
    (outputs, failures)
}

proptest! {
    #[test]
    fn the_sdk_reads_what_the_host_packs(records in vec(plain(), 0..30)) {
        let (input, mut packed) = (columns(&records), Vec::new());
        prop_assert!(pack(&input, &mut packed));
        let batch = Batch::unpack(&packed).unwrap();
        prop_assert_eq!(batch.len(), records.len());
        for (record, (time, key, value, headers)) in batch.iter().zip(&records) {
            prop_assert_eq!(record.offset(), record.index() as i64);
            prop_assert_eq!(record.timestamp(), *time);
            prop_assert_eq!(record.key(), key.as_deref());
            prop_assert_eq!(record.value(), value.as_deref());
            let found: Headers = record.headers().map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec))).collect();
            prop_assert_eq!(&found, headers);
        }
    }

    #[test]
    fn the_host_reads_what_the_sdk_packs(pairs in vec((plain(), deed()), 0..30)) {
        let (records, deeds): (Vec<Plain>, Vec<Deed>) = pairs.into_iter().unzip();
        let input = columns(&records);
        let outcome = assembler(&input).assemble(&[packed_by_guest(records.len(), &deeds)]).unwrap();
        let (outputs, failures) = expected(&records, &deeds);
        prop_assert_eq!(outcome.failures, failures);
        prop_assert_eq!(outcome.outputs, outputs);
    }

    #[test]
    fn a_mutated_answer_is_read_or_refused_but_never_a_panic(
        pairs in vec((plain(), deed()), 1..12),
        mutations in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in option::of(any::<prop::sample::Index>()),
    ) {
        let (records, deeds): (Vec<Plain>, Vec<Deed>) = pairs.into_iter().unzip();
        let input = columns(&records);
        let mut packed = packed_by_guest(records.len(), &deeds);
        for (at, byte) in mutations {
            let at = at.index(packed.len());
            packed[at] ^= byte;
        }
        if let Some(cut) = cut {
            packed.truncate(cut.index(packed.len()));
        }
        if let Ok(outcome) = assembler(&input).assemble(&[packed]) {
            for output in outcome.outputs {
                prop_assert!(output.topic < 3);
                prop_assert_eq!(output.records.len(), output.inputs.len());
                prop_assert_eq!(output.records.keys.len(), output.inputs.len());
                prop_assert_eq!(output.records.headers.len(), output.inputs.len());
                prop_assert!(output.inputs.iter().all(|input| (*input as usize) < records.len()));
            }
        }
    }

    #[test]
    fn random_bytes_after_a_good_header_are_never_a_panic(noise in vec(any::<u8>(), 0..400), records in 0..5u32) {
        let mut packed = b"MSOB\x01\x00\x15\x00".to_vec();
        packed.extend_from_slice(&records.to_le_bytes());
        packed.extend_from_slice(&noise);
        let input = columns(&vec![(0, None, None, Vec::new()); records as usize]);
        let _ = assembler(&input).assemble(&[packed]);
    }
}

#[test]
fn a_filter_answers_with_bits() {
    let records: Vec<Plain> = (0..1000).map(|index| (index, None, Some(vec![b'x'; 100]), Vec::new())).collect();
    let deeds: Vec<Deed> = (0..1000).map(|index| if index % 2 == 0 { Deed::Keep(0) } else { Deed::Drop }).collect();
    let packed = packed_by_guest(records.len(), &deeds);
    assert!(packed.len() < 32 + 21 * 8 + 1000 / 8 + 8, "{}", packed.len());
    assert_eq!(assembler(&columns(&records)).assemble(&[packed]).unwrap().outputs[0].records.len(), 500);
}

#[test]
fn several_answers_are_one_in_order_of_input() {
    let records: Vec<Plain> = (0..4).map(|index| (index, None, Some(vec![b'0' + index as u8]), Vec::new())).collect();
    let first = packed_by_guest(
        4,
        &[Deed::Keep(0), Deed::Rows(vec![Row { topic: 0, key: None, value: None, time: None, headers: None }])],
    );
    let mut second = Guest::new();
    second.clear(4);
    second.begin(3);
    second.value("last");
    let input = columns(&records);
    let outcome = assembler(&input).assemble(&[first, second.pack().to_vec()]).unwrap();
    assert_eq!(outcome.outputs[0].inputs, [0, 1, 3]);
}

#[test]
fn the_golden_bytes_of_the_first_version_stay() {
    let mut input = Columns::default();
    input.push(7, Some(b"k"), None, [("h", Some(&b"v"[..]))]);
    let mut packed = Vec::new();
    assert!(pack(&input, &mut packed));
    let table: Vec<(u32, u32)> = packed[24..144]
        .chunks(8)
        .map(|entry| {
            (u32::from_le_bytes(entry[..4].try_into().unwrap()), u32::from_le_bytes(entry[4..].try_into().unwrap()))
        })
        .collect();
    assert_eq!(&packed[..24], b"MSIB\x01\0\x0f\0\x01\0\0\0\x01\0\0\0\x03\0\0\0\0\0\0\0");
    assert_eq!(table.iter().map(|(_, len)| *len).collect::<Vec<_>>(), [8, 8, 4, 0, 1, 4, 1, 0, 4, 4, 1, 4, 0, 1, 0]);
    assert_eq!(
        table.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
        [144, 152, 160, 168, 168, 176, 184, 192, 192, 200, 208, 216, 224, 224, 232]
    );
}

#[test]
fn latin_1_text_becomes_utf_8() {
    let mut input = Columns::default();
    input.push(0, Some(b"k"), Some(b"v"), []);
    let mut out = Guest::new();
    out.clear(1);
    out.row().key(Some(b"\xe9")).value(Some(b"caf\xe9")).send();
    let mut packed = out.pack().to_vec();
    packed[24] = 2;
    let outcome = assembler(&input).assemble(&[packed]).unwrap();
    assert_eq!(outcome.outputs[0].records.values.get(0), Some("caf\u{e9}".as_bytes()));
    assert_eq!(outcome.outputs[0].records.keys.get(0), Some(&b"\xe9"[..]), "only what is said to be");
}
