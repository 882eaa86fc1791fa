//! Rows as bytes in each format.

use crate::fixture::{Fixture, flights};
use arrow::ipc::reader::StreamReader;
use futures::StreamExt;
use millstream_sql::{Format, encode};

async fn written(fixture: &Fixture, sql: &str, format: Format) -> Vec<u8> {
    let query = fixture.engine.query(sql).await.expect(sql);
    let mut pieces = Box::pin(encode(query, format));
    let mut all = Vec::new();
    while let Some(piece) = pieces.next().await {
        all.extend_from_slice(&piece.expect("bytes"));
    }
    all
}

const SQL: &str = r#"SELECT carrier, "depDelay", _headers FROM flights ORDER BY flight LIMIT 2"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_format_holds_the_rows() {
    let fixture = flights().await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    assert_eq!(
        text(written(&fixture, SQL, Format::Json).await),
        "{\"carrier\":\"UA\",\"depDelay\":2.5,\"_headers\":[{\"name\":\"h\",\"value\":\"v\"}]}\n\
         {\"carrier\":\"UA\",\"depDelay\":null,\"_headers\":[{\"name\":\"h\",\"value\":\"v\"}]}\n"
    );
    assert_eq!(
        text(written(&fixture, SQL, Format::Csv).await),
        "carrier,depDelay,_headers\nUA,2.5,\"[{\"\"name\"\":\"\"h\"\",\"\"value\"\":\"\"v\"\"}]\"\nUA,,\"[{\"\"name\"\":\"\"h\"\",\"\"value\"\":\"\"v\"\"}]\"\n"
    );
    let table = text(written(&fixture, SQL, Format::Table).await);
    assert!(table.contains("| carrier | depDelay |") && table.lines().count() == 6, "{table}");
    let arrow = written(&fixture, SQL, Format::Arrow).await;
    let rows: usize = StreamReader::try_new(&arrow[..], None)
        .expect("a stream")
        .map(|batch| batch.expect("a batch").num_rows())
        .sum();
    assert_eq!(rows, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_rows_still_have_columns() {
    let fixture = flights().await;
    let sql = "SELECT carrier, flight FROM flights WHERE flight = 0";
    assert_eq!(written(&fixture, sql, Format::Csv).await, b"carrier,flight\n");
    assert_eq!(written(&fixture, sql, Format::Json).await, b"");
    assert!(
        String::from_utf8(written(&fixture, sql, Format::Table).await).expect("text").contains("| carrier | flight |")
    );
    let arrow = written(&fixture, sql, Format::Arrow).await;
    assert_eq!(StreamReader::try_new(&arrow[..], None).expect("a stream").schema().fields().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_values_of_the_arrow_operator_are_written() {
    let fixture = flights().await;
    let sql = r#"SELECT '{"a":[1,{"b":null}],"c":"x","d":2}'->'a' AS a, '{"c":"x"}'->'c' AS c, '{"d":2}'->'d' AS d, '{}'->'e' AS e"#;
    let line = written(&fixture, sql, Format::Json).await;
    let row: serde_json::Value = serde_json::from_slice(&line).expect("json");
    assert_eq!(row, serde_json::json!({"a": [1, {"b": null}], "c": "x", "d": 2, "e": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_fails_midway_ends_in_its_error() {
    let fixture = flights().await;
    let query = fixture.engine.query("SELECT carrier::int FROM flights").await.expect("a plan");
    let pieces: Vec<_> = encode(query, Format::Json).collect().await;
    assert!(pieces.last().expect("a piece").is_err());
}
