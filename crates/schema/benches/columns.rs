//! How fast values become columns, and columns values: `cargo bench -p millstream-schema --bench columns`.

use millstream_record::BinaryColumn;
use millstream_schema::{Decoder, Encoder, MemorySchemas, SchemaType, TableSchema};
use std::sync::Arc;
use std::time::Instant;

const SCHEMA: &str = r#"{"type":"object","required":["year","flight"],"properties":{"year":{"type":"integer"},"month":{"type":"integer"},
    "day":{"type":"integer"},"dep_time":{"type":["integer","null"]},"sched_dep_time":{"type":"integer"},"dep_delay":{"type":["number","null"]},
    "arr_time":{"type":["integer","null"]},"arr_delay":{"type":["number","null"]},"carrier":{"type":"string"},"flight":{"type":"integer"},
    "tailnum":{"type":["string","null"]},"origin":{"type":"string"},"dest":{"type":"string"},"air_time":{"type":["number","null"]},
    "distance":{"type":"number"},"time_hour":{"type":"string","format":"date-time"}}}"#;

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn main() {
    let schemas = Arc::new(MemorySchemas::new());
    let registered = schemas.register("flights-value", SchemaType::Json, SCHEMA, &[]).expect("a schema");
    let table = Arc::new(TableSchema::of(&registered, schemas.as_ref()).expect("columns"));
    let mut values = BinaryColumn::new();
    for row in 0..100_000 {
        let text = format!(
            r#"{{"year":2013,"month":{},"day":{},"dep_time":{},"sched_dep_time":515,"dep_delay":{}.5,"arr_time":830,"arr_delay":-11.0,"carrier":"UA","flight":{},"tailnum":"N{}","origin":"EWR","dest":"IAH","air_time":227.0,"distance":1400.0,"time_hour":"2013-01-01T05:00:00Z"}}"#,
            row % 12 + 1,
            row % 28 + 1,
            row % 2400,
            row % 90,
            row,
            row
        );
        values.push(Some(text.as_bytes()));
    }
    let all: Vec<usize> = (0..table.fields().len()).collect();
    for (name, wanted) in [("all 16 columns", &all[..]), ("3 columns", &[0, 8, 5][..]), ("no column", &[][..])] {
        let mut decoder = Decoder::new(table.clone(), wanted, schemas.clone());
        let start = Instant::now();
        let mut rows = 0;
        for _ in 0..5 {
            rows += decoder.decode(&values).expect("columns").batch.num_rows();
        }
        report(name, values.data().len() * 5, rows, start);
    }
    let batch = Decoder::new(table, &all, schemas).decode(&values).expect("columns").batch;
    let start = Instant::now();
    let mut out = BinaryColumn::new();
    Encoder::new().encode(&batch, &mut out).expect("json");
    report("encode", out.data().len(), batch.num_rows(), start);
}

fn report(name: &str, bytes: usize, rows: usize, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    println!("{name}: {:.0} MB/s, {:.2} M rows/s", bytes as f64 / seconds / 1e6, rows as f64 / seconds / 1e6);
}
