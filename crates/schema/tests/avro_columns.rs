//! Avro values as columns, written by the `apache-avro` crate: every type, resolution between versions, hostile bytes.

use apache_avro::types::Value as Avro;
use millstream_record::BinaryColumn;
use millstream_schema::{Decoded, Decoder, Encoder, MemorySchemas, SchemaType, TableSchema, wire};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

const ALL: &str = r#"{"type":"record","name":"All","namespace":"shop","fields":[
    {"name":"b","type":"boolean"},{"name":"i","type":"int"},{"name":"l","type":"long"},{"name":"f","type":"float"},{"name":"d","type":"double"},
    {"name":"s","type":"string"},{"name":"y","type":"bytes"},
    {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},
    {"name":"day","type":{"type":"int","logicalType":"date"}},
    {"name":"ms","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"us","type":{"type":"long","logicalType":"timestamp-micros"}},
    {"name":"cost","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},
    {"name":"maybe","type":["null","string"]},
    {"name":"one","type":["null","int","string"]},
    {"name":"many","type":{"type":"array","items":"long"}},
    {"name":"map","type":{"type":"map","values":"int"}},
    {"name":"in","type":{"type":"record","name":"In","fields":[{"name":"x","type":"int"}]}},
    {"name":"again","type":"In"},
    {"name":"next","type":["null","All"]}]}"#;

fn inner(x: i32) -> Avro {
    Avro::Record(vec![("x".into(), Avro::Int(x))])
}

fn value(i: i32, text: &str, next: Option<Avro>) -> Avro {
    let null = || Avro::Union(0, Box::new(Avro::Null));
    Avro::Record(vec![
        ("b".into(), Avro::Boolean(true)),
        ("i".into(), Avro::Int(i)),
        ("l".into(), Avro::Long(i64::from(i) << 31)),
        ("f".into(), Avro::Float(0.5)),
        ("d".into(), Avro::Double(f64::from(i) / 4.0)),
        ("s".into(), Avro::String(text.into())),
        ("y".into(), Avro::Bytes(vec![0, 255])),
        ("e".into(), Avro::Enum(1, "B".into())),
        ("day".into(), Avro::Date(15_706)),
        ("ms".into(), Avro::TimestampMillis(1_357_016_400_000)),
        ("us".into(), Avro::TimestampMicros(1_357_016_400_000_001)),
        ("cost".into(), Avro::Decimal(apache_avro::Decimal::from((-1234i32).to_be_bytes()))),
        ("maybe".into(), Avro::Union(1, Box::new(Avro::String(text.into())))),
        ("one".into(), Avro::Union(1, Box::new(Avro::Int(i)))),
        ("many".into(), Avro::Array(vec![Avro::Long(1), Avro::Long(-2)])),
        ("map".into(), Avro::Map([("k".to_owned(), Avro::Int(i))].into())),
        ("in".into(), inner(1)),
        ("again".into(), inner(2)),
        ("next".into(), next.map_or_else(null, |next| Avro::Union(1, Box::new(next)))),
    ])
}

fn encode(schema: &str, value: Avro) -> Vec<u8> {
    let schema = apache_avro::Schema::parse_str(schema).expect("a schema");
    let writer = apache_avro::writer::datum::GenericDatumWriter::builder(&schema).build().expect("a writer");
    writer.write_value_to_vec(value).expect("a datum")
}

fn decode(schemas: &Arc<MemorySchemas>, subject: &str, values: &[Vec<u8>]) -> Decoded {
    use millstream_schema::SchemaLookup;
    let registered = schemas.latest(subject).expect("registered");
    let table = Arc::new(TableSchema::of(&registered, schemas.as_ref()).expect("columns"));
    let all: Vec<usize> = (0..table.fields().len()).collect();
    Decoder::new(table, &all, schemas.clone())
        .decode(&values.iter().map(|value| Some(value.as_slice())).collect())
        .expect("columns")
}

fn rows(decoded: &Decoded) -> Vec<Value> {
    let mut out = BinaryColumn::new();
    Encoder::new().encode(&decoded.batch, &mut out).expect("json");
    out.iter().map(|row| serde_json::from_slice(row.expect("a row")).expect("json")).collect()
}

fn expected(i: i32, text: &str, next: Value) -> Value {
    json!({"b": true, "i": i, "l": i64::from(i) << 31, "f": 0.5, "d": f64::from(i) / 4.0, "s": text, "y": "00ff", "e": "B", "day": "2013-01-01",
        "ms": "2013-01-01T05:00:00Z", "us": "2013-01-01T05:00:00.000001Z", "cost": -12.34, "maybe": text, "one": i, "many": [1, -2],
        "map": {"k": i}, "in": {"x": 1}, "again": {"x": 2}, "next": next})
}

#[test]
fn every_type_becomes_its_column() {
    let schemas = Arc::new(MemorySchemas::new());
    let id = schemas.register("t", SchemaType::Avro, ALL, &[]).expect("a schema").id;
    let plain = encode(ALL, value(7, "Zoë", None));
    let framed = [&wire::prefix(id)[..], &encode(ALL, value(-3, "", None))].concat();
    let decoded = decode(&schemas, "t", &[plain, framed]);
    assert_eq!(decoded.bad, []);
    assert_eq!(rows(&decoded), [expected(7, "Zoë", Value::Null), expected(-3, "", Value::Null)]);
}

#[test]
fn a_record_within_itself_is_json_text() {
    let schemas = Arc::new(MemorySchemas::new());
    schemas.register("t", SchemaType::Avro, ALL, &[]).expect("a schema");
    let decoded = decode(&schemas, "t", &[encode(ALL, value(1, "outer", Some(value(2, "inner", None))))]);
    assert_eq!(decoded.bad, []);
    assert_eq!(rows(&decoded)[0]["next"]["s"], "inner");
}

#[test]
fn an_older_writer_is_resolved_to_the_newest_schema() {
    let schemas = Arc::new(MemorySchemas::new());
    let old = r#"{"type":"record","name":"R","fields":[{"name":"n","type":"int"},{"name":"gone","type":"string"},{"name":"was","type":"string"}]}"#;
    let new = r#"{"type":"record","name":"R","fields":[{"name":"extra","type":"string","default":"none"},{"name":"n","type":["null","double"]},
        {"name":"is","aliases":["was"],"type":"string"},{"name":"list","type":{"type":"array","items":"int"},"default":[1,2]}]}"#;
    let id = schemas.register("t", SchemaType::Avro, old, &[]).expect("old").id;
    schemas.register("t", SchemaType::Avro, new, &[]).expect("new");
    let fields = vec![
        ("n".into(), Avro::Int(4)),
        ("gone".into(), Avro::String("x".into())),
        ("was".into(), Avro::String("y".into())),
    ];
    let framed = [&wire::prefix(id)[..], &encode(old, Avro::Record(fields))].concat();
    let decoded = decode(&schemas, "t", &[framed]);
    assert_eq!(decoded.bad, []);
    assert_eq!(rows(&decoded), [json!({"extra": "none", "n": 4.0, "is": "y", "list": [1, 2]})]);
}

#[test]
fn types_that_do_not_resolve_are_bad_rows() {
    let schemas = Arc::new(MemorySchemas::new());
    let old = r#"{"type":"record","name":"R","fields":[{"name":"n","type":"string"}]}"#;
    let new = r#"{"type":"record","name":"R","fields":[{"name":"n","type":"int"}]}"#;
    let id = schemas.register("t", SchemaType::Avro, old, &[]).expect("old").id;
    schemas.register("t", SchemaType::Avro, new, &[]).expect("new");
    let framed = [&wire::prefix(id)[..], &[2, b'x']].concat();
    let decoded = decode(&schemas, "t", &[framed, vec![8]]);
    assert_eq!(decoded.bad.len(), 1);
    assert_eq!(decoded.bad[0].reason, r#"field "n": it was written as string and is read as int"#);
    assert_eq!(rows(&decoded), [json!({"n": 4})]);
}

#[test]
fn a_cut_value_and_one_with_a_rest_are_bad_rows() {
    let schemas = Arc::new(MemorySchemas::new());
    schemas.register("t", SchemaType::Avro, ALL, &[]).expect("a schema");
    let good = encode(ALL, value(7, "x", None));
    let decoded = decode(&schemas, "t", &[good[..good.len() - 1].to_vec(), [&good[..], &[1]].concat(), good.clone()]);
    assert_eq!(decoded.rows, Some(vec![2]));
    assert!(decoded.bad[0].reason.contains("missing"), "{:?}", decoded.bad);
    assert!(decoded.bad[1].reason.contains("1 bytes are left"), "{:?}", decoded.bad);
}

#[test]
fn a_claim_of_a_billion_empty_items_is_refused() {
    let schemas = Arc::new(MemorySchemas::new());
    schemas
        .register(
            "t",
            SchemaType::Avro,
            r#"{"type":"record","name":"R","fields":[{"name":"n","type":{"type":"array","items":"null"}}]}"#,
            &[],
        )
        .expect("a schema");
    let decoded = decode(&schemas, "t", &[vec![0x80, 0x94, 0xeb, 0xdc, 0x07, 0]]);
    assert!(decoded.bad[0].reason.contains("items without a byte"), "{:?}", decoded.bad);
}

#[test]
fn nesting_without_an_end_is_refused() {
    let schemas = Arc::new(MemorySchemas::new());
    schemas
        .register(
            "t",
            SchemaType::Avro,
            r#"{"type":"record","name":"R","fields":[{"name":"n","type":["null","R"]}]}"#,
            &[],
        )
        .expect("a schema");
    let decoded = decode(&schemas, "t", &[vec![2; 100_000]]);
    assert!(decoded.bad[0].reason.contains("128 deep"), "{:?}", decoded.bad);
}

proptest! {
    #[test]
    fn what_the_avro_crate_writes_is_read_the_same(numbers in prop::collection::vec(any::<i32>(), 1..6), text in ".{0,12}", wanted in prop::collection::vec(0usize..19, 0..5)) {
        let schemas = Arc::new(MemorySchemas::new());
        let registered = schemas.register("t", SchemaType::Avro, ALL, &[]).expect("a schema");
        let values: Vec<Vec<u8>> = numbers.iter().map(|i| encode(ALL, value(*i, &text, None))).collect();
        let full = decode(&schemas, "t", &values);
        prop_assert_eq!(&full.bad, &vec![]);
        let expected: Vec<Value> = numbers.iter().map(|i| expected(*i, &text, Value::Null)).collect();
        prop_assert_eq!(rows(&full), expected);
        let table = Arc::new(TableSchema::of(&registered, schemas.as_ref()).expect("columns"));
        let some = Decoder::new(table, &wanted, schemas).decode(&values.iter().map(|value| Some(value.as_slice())).collect()).expect("columns");
        let projected = full.batch.project(&wanted).expect("columns");
        prop_assert_eq!(projected.columns(), some.batch.columns());
    }

    #[test]
    fn changed_bytes_never_panic_and_projection_agrees(at in 0usize..200, byte: u8, cut in 0usize..200) {
        let schemas = Arc::new(MemorySchemas::new());
        let registered = schemas.register("t", SchemaType::Avro, ALL, &[]).expect("a schema");
        let mut one = encode(ALL, value(1, "text", Some(value(2, "inner", None))));
        let index = at % one.len();
        one[index] = byte;
        one.truncate(one.len().saturating_sub(cut / 8).max(1));
        let full = decode(&schemas, "t", std::slice::from_ref(&one));
        let table = Arc::new(TableSchema::of(&registered, schemas.as_ref()).expect("columns"));
        let some = Decoder::new(table, &[], schemas).decode(&[Some(one.as_slice())].into_iter().collect()).expect("columns");
        prop_assert_eq!(full.batch.num_rows(), some.batch.num_rows());
    }
}
