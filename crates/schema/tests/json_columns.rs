//! JSON values as columns: what fits, what does not, and that what is asked for never changes which rows there are.

use arrow::json::LineDelimitedWriter;
use arrow::record_batch::RecordBatch;
use millstream_record::BinaryColumn;
use millstream_schema::{Decoded, Decoder, Encoder, MemorySchemas, SchemaType, TableSchema, json_schema};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

fn table(schema: &Value) -> (Arc<TableSchema>, Arc<MemorySchemas>) {
    let schemas = Arc::new(MemorySchemas::new());
    let registered = schemas.register("t-value", SchemaType::Json, &schema.to_string(), &[]).expect("a schema");
    (Arc::new(TableSchema::of(&registered, schemas.as_ref()).expect("columns")), schemas)
}

fn decode(schema: &Value, values: &[Option<&[u8]>]) -> Decoded {
    let (table, schemas) = table(schema);
    let all: Vec<usize> = (0..table.fields().len()).collect();
    Decoder::new(table, &all, schemas).decode(&values.iter().copied().collect()).expect("columns")
}

fn rows(batch: &RecordBatch) -> Vec<Value> {
    let mut out = BinaryColumn::new();
    Encoder::new().encode(batch, &mut out).expect("json");
    out.iter().map(|row| serde_json::from_slice(row.expect("a row")).expect("json")).collect()
}

fn person() -> Value {
    json!({"type": "object", "required": ["id"], "properties": {
        "id": {"type": "integer"},
        "name": {"type": ["string", "null"]},
        "score": {"type": "number"},
        "at": {"type": "string", "format": "date-time"},
        "born": {"type": "string", "format": "date"},
        "ok": {"type": "boolean"},
        "home": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}, "zip": {"type": "integer"}}},
        "tags": {"type": "array", "items": {"type": "string"}},
        "limits": {"type": "object", "additionalProperties": {"type": "integer"}},
        "any": {}
    }})
}

#[test]
fn every_type_becomes_its_column() {
    let value = json!({"id": 1, "name": "Ann \"é\" \u{1F600}\n", "score": 1.5, "at": "2013-01-01T05:00:00.25Z", "born": "2000-02-29", "ok": true,
        "home": {"city": "Bern", "zip": 3000}, "tags": ["a", null, "b"], "limits": {"x": 1, "y": null}, "any": {"deep": [1, "two"]}, "more": [{}]});
    let decoded = decode(
        &person(),
        &[Some(value.to_string().as_bytes()), Some(br#" {"id" : 2.0, "n\u0061me":"\ud83d\ude00", "any":"text" } "#)],
    );
    assert_eq!(decoded.bad, []);
    assert!(decoded.rows.is_none());
    let mut first = value;
    first.as_object_mut().expect("an object").remove("more");
    first["at"] = json!("2013-01-01T05:00:00.250Z");
    let second = json!({"id": 2, "name": "\u{1F600}", "score": null, "at": null, "born": null, "ok": null, "home": null, "tags": null,
        "limits": null, "any": "text"});
    assert_eq!(rows(&decoded.batch), [first, second]);
}

#[test]
fn what_does_not_fit_is_set_aside_with_field_and_reason() {
    let table: [(&str, &str); 17] = [
        (r#"{"id":"one"}"#, r#"field "id": expected an integer, found "one""#),
        (r#"{"id":1.5}"#, r#"field "id": expected an integer of 64 bits, found 1.5"#),
        (r#"{"id":99999999999999999999}"#, "integer of 64 bits"),
        (r#"{"name":"x"}"#, r#"field "id": it is required and absent"#),
        (r#"{"id":null}"#, r#"field "id": it is null"#),
        (r#"{"id":1,"home":{"zip":1}}"#, r#"field "home.city": it is required and absent"#),
        (r#"{"id":1,"home":{"city":"x","zip":"y"}}"#, r#"field "home.zip": expected an integer"#),
        (r#"{"id":1,"tags":["a",2]}"#, r#"field "tags": expected a string, found 2"#),
        (r#"{"id":1,"at":"yesterday"}"#, r#"expected a date and time like 2013-01-31T10:00:00Z, found "yesterday""#),
        (r#"{"id":1,"born":"2013-02-29"}"#, "expected a date like"),
        (r#"{"id":1,"ok":1}"#, "expected true or false"),
        (r#"{"id":1"#, "not JSON"),
        (r#"{"id":1}}"#, "not JSON: expected the end"),
        (r#"{"id":01}"#, "leading zero"),
        ("[1]", "expected an object, found [1]"),
        ("", "not JSON"),
        (r#"{"id":1,"name":"\ud83d"}"#, "surrogate"),
    ];
    for (text, reason) in table {
        let good = br#"{"id":7,"name":"good","tags":["x"],"home":{"city":"c"}}"#;
        let decoded = decode(&person(), &[Some(good), Some(text.as_bytes()), Some(good)]);
        assert_eq!(decoded.batch.num_rows(), 2, "{text}");
        assert_eq!(decoded.rows, Some(vec![0, 2]));
        assert_eq!(decoded.bad.len(), 1);
        assert_eq!(decoded.bad[0].index, 1);
        assert!(decoded.bad[0].reason.contains(reason), "{text}: {:?} does not say {reason:?}", decoded.bad[0].reason);
        let all = rows(&decoded.batch);
        assert_eq!(all[0], all[1]);
        assert_eq!(all[0]["tags"], json!(["x"]));
    }
}

#[test]
fn bytes_that_are_no_text_are_a_bad_row() {
    let decoded = decode(&person(), &[Some(b"{\"id\":1,\"name\":\"\xff\"}")]);
    assert!(decoded.bad[0].reason.contains("UTF-8"), "{:?}", decoded.bad);
}

#[test]
fn deep_nesting_is_a_bad_row_and_not_a_crash() {
    for open in ["[", "{\"a\":"] {
        let deep = format!(r#"{{"id":1,"any":{}"#, open.repeat(100_000));
        let decoded = decode(&person(), &[Some(deep.as_bytes())]);
        assert!(decoded.bad[0].reason.contains("128 deep"), "{}", decoded.bad[0].reason);
    }
}

#[test]
fn a_tombstone_is_a_row_of_nulls_and_a_prefix_is_skipped() {
    let framed = [&[0, 0, 0, 0, 1][..], br#"{"id":5}"#].concat();
    let decoded = decode(&person(), &[None, Some(&framed)]);
    assert_eq!(decoded.bad, []);
    let rows = rows(&decoded.batch);
    assert!(rows[0].as_object().expect("an object").values().all(Value::is_null));
    assert_eq!(rows[1]["id"], 5);
}

#[test]
fn the_last_of_two_members_of_one_name_wins() {
    let decoded = decode(&person(), &[Some(br#"{"id":1,"tags":["a"],"id":2,"tags":[]}"#)]);
    assert_eq!(rows(&decoded.batch)[0]["id"], 2);
    assert_eq!(rows(&decoded.batch)[0]["tags"], json!([]));
}

#[test]
fn a_schema_of_single_values_is_one_column() {
    let decoded = decode(&json!({"type": "integer"}), &[Some(b"4"), Some(b" 5 "), Some(b"null"), Some(b"\"x\"")]);
    assert_eq!(rows(&decoded.batch), [json!({"_value": 4}), json!({"_value": 5}), json!({"_value": null})]);
    assert_eq!(decoded.bad.len(), 1);
}

#[test]
fn references_alternatives_and_parts_give_columns() {
    let schema = json!({"$defs": {"money": {"type": "object", "properties": {"cents": {"type": "integer"}}},
                                  "tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}, "v": {"type": "integer"}}}},
        "allOf": [{"properties": {"a": {"type": "integer"}}}], "type": "object",
        "properties": {"price": {"$ref": "#/$defs/money"}, "maybe": {"anyOf": [{"type": "null"}, {"type": "number"}]},
                       "either": {"oneOf": [{"type": "string"}, {"type": "integer"}]}, "tree": {"$ref": "#/$defs/tree"}}});
    let value = json!({"a": 1, "price": {"cents": 5}, "maybe": 2.5, "either": "x", "tree": {"left": {"v": 1}, "v": 2}});
    let decoded = decode(&schema, &[Some(value.to_string().as_bytes())]);
    assert_eq!(decoded.bad, []);
    assert_eq!(rows(&decoded.batch), [value]);
}

#[test]
fn floats_are_the_nearest_ones() {
    for text in [
        "0.1",
        "-0.0",
        "1e22",
        "1e23",
        "123456789012345678901234567890",
        "5e-324",
        "2.2250738585072014e-308",
        "9007199254740993",
        "1.7976931348623157e308",
    ] {
        let decoded = decode(&json!({"type": "number"}), &[Some(text.as_bytes())]);
        let expected: f64 = text.parse().expect("a float");
        let mut out = Vec::new();
        LineDelimitedWriter::new(&mut out).write(&decoded.batch).expect("json");
        let column =
            arrow::array::AsArray::as_primitive::<arrow::datatypes::Float64Type>(decoded.batch.column(0)).value(0);
        assert_eq!(column.to_bits(), expected.to_bits(), "{text}");
    }
}

#[test]
fn rows_can_be_read_back_by_the_schema_derived_from_them() {
    let value = json!({"id": 1, "name": "n", "score": 1.5, "at": "2013-01-01T05:00:00Z", "born": "2000-02-29", "ok": true,
        "home": {"city": "Bern", "zip": 3000}, "tags": ["a"], "limits": {"x": 1}, "any": [1, {"b": 2}]});
    let decoded = decode(&person(), &[Some(value.to_string().as_bytes()), Some(br#"{"id":2}"#)]);
    let derived: Value = serde_json::from_str(&json_schema("people", &decoded.batch.schema())).expect("json");
    let mut out = BinaryColumn::new();
    Encoder::new().encode(&decoded.batch, &mut out).expect("json");
    let again = decode(&derived, &out.iter().collect::<Vec<_>>());
    assert_eq!(again.bad, []);
    assert_eq!(rows(&again.batch), rows(&decoded.batch));
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(json!("2013-01-01T05:00:00Z")),
        Just(json!("2013-01-01")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z]{1,4}|id|city", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn record() -> impl Strategy<Value = Vec<u8>> {
    let names = prop::sample::subsequence(
        vec!["id", "name", "score", "at", "born", "ok", "home", "tags", "limits", "any", "zzz"],
        0..11,
    );
    let object = (names, prop::collection::vec(anything(), 11), any::<i64>(), any::<bool>()).prop_map(
        |(names, values, id, valid)| {
            let mut members: serde_json::Map<String, Value> =
                names.into_iter().map(str::to_owned).zip(values).collect();
            if valid {
                members.insert("id".into(), id.into());
            }
            Value::Object(members).to_string().into_bytes()
        },
    );
    prop_oneof![8 => object, 1 => prop::collection::vec(any::<u8>(), 0..40), 1 => "[\\[\\]{}:,\"a0-9.e-]{0,30}".prop_map(String::into_bytes)]
}

proptest! {
    #[test]
    fn what_is_asked_for_never_changes_the_rows(values in prop::collection::vec(record(), 0..12), wanted in prop::collection::vec(0usize..10, 0..4)) {
        let (table, schemas) = table(&person());
        let values: BinaryColumn = values.iter().map(|value| Some(value.as_slice())).collect();
        let all: Vec<usize> = (0..table.fields().len()).collect();
        let full = Decoder::new(table.clone(), &all, schemas.clone()).decode(&values).expect("columns");
        let some = Decoder::new(table, &wanted, schemas).decode(&values).expect("columns");
        prop_assert_eq!(&full.bad, &some.bad);
        prop_assert_eq!(&full.rows, &some.rows);
        let projected = full.batch.project(&wanted).expect("columns");
        prop_assert_eq!(projected.columns(), some.batch.columns());
    }

    #[test]
    fn what_is_read_says_what_the_text_says(values in prop::collection::vec(anything(), 1..8)) {
        let schema = json!({"type": "object", "properties": {"any": {}}});
        let texts: Vec<Vec<u8>> = values.iter().map(|value| json!({"any": value}).to_string().into_bytes()).collect();
        let decoded = decode(&schema, &texts.iter().map(|text| Some(text.as_slice())).collect::<Vec<_>>());
        prop_assert_eq!(decoded.bad, vec![]);
        let expected: Vec<Value> = texts.iter().map(|text| serde_json::from_slice(text).expect("json")).collect();
        prop_assert_eq!(rows(&decoded.batch), expected);
    }

    #[test]
    fn bytes_of_any_sort_never_panic(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8)) {
        let decoded = decode(&person(), &values.iter().map(|value| Some(value.as_slice())).collect::<Vec<_>>());
        prop_assert_eq!(decoded.batch.num_rows() + decoded.bad.len(), values.len());
    }
}
