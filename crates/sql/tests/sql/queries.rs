//! What queries answer, and what they read for it.

use crate::fixture::{Fixture, flights};
use async_trait::async_trait;
use millstream_sql::{Limits, SystemTable, SystemTables};
use serde_json::{Map, Value, json};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_a_table_with_its_fields_and_where_each_record_lies() {
    let fixture = flights().await;
    let rows = fixture.rows("SELECT * FROM flights WHERE flight = 1").await;
    assert_eq!(
        rows,
        [
            json!({"carrier": "UA", "flight": 1, "depDelay": 2.5, "at": "2013-01-01T05:00:00Z", "_partition": 0, "_offset": 0,
            "_timestamp": "1970-01-01T00:00:01Z", "_key": "UA", "_headers": [{"name": "h", "value": "v"}]})
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_joined_grouped_and_ordered() {
    let fixture = flights().await;
    let sql = r#"SELECT a.name, count(*) AS flights, sum(f."depDelay") AS delay FROM flights f JOIN airlines a ON f.carrier = a.carrier
        GROUP BY a.name ORDER BY a.name"#;
    assert_eq!(
        fixture.rows(sql).await,
        [
            json!({"name": "American", "flights": 1, "delay": 90.0}),
            json!({"name": "United", "flights": 2, "delay": 2.5})
        ]
    );
    let sql = r#"WITH late AS (SELECT * FROM flights WHERE "depDelay" > 0) SELECT carrier, max("depDelay") AS worst FROM late GROUP BY 1 ORDER BY 2 DESC LIMIT 2"#;
    assert_eq!(
        fixture.rows(sql).await,
        [json!({"carrier": "AA", "worst": 90.0}), json!({"carrier": "B6", "worst": 40.25})]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_row_is_counted_and_readable_and_ends_nothing() {
    let fixture = flights().await;
    let (rows, stats) = fixture.run("SELECT count(*) AS n FROM flights").await.expect("rows");
    assert_eq!(rows, [json!({"n": 5})]);
    assert_eq!((stats.bad_rows, stats.rows_read, stats.rows_returned), (1, 5, 1));
    // Which columns are asked for does not change which rows there are.
    assert_eq!(fixture.rows("SELECT carrier FROM flights").await.len(), 5);
    let bad = fixture.rows(r#"SELECT _partition, _offset, _key, _value, _reason FROM "flights$quarantine""#).await;
    assert_eq!(
        bad,
        [json!({"_partition": 0, "_offset": 2, "_key": null, "_value": r#"{"carrier":"AA","flight":"three"}"#,
            "_reason": r#"field "flight": expected an integer, found "three""#})]
    );
    assert!(fixture.rows(r#"SELECT * FROM "airlines$quarantine""#).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_on_where_records_lie_prune_what_is_read() {
    let fixture = flights().await;
    let table: [(&str, usize, &[(i32, i64)]); 9] = [
        ("_partition = 1", 2, &[(1, 0)]),
        ("_partition IN (1, 7)", 2, &[(1, 0)]),
        ("_partition = 0 AND _offset >= 2", 1, &[(0, 2)]),
        ("_offset BETWEEN 1 AND 1", 2, &[(0, 1), (1, 1)]),
        ("_offset > 100", 0, &[]),
        ("_timestamp >= TIMESTAMP '1970-01-01 00:00:04Z'", 2, &[(0, 3), (1, 1)]),
        ("_timestamp > '1970-01-01T00:00:04.5Z'", 1, &[(1, 1)]),
        ("_timestamp < '1970-01-01T00:00:02Z' AND _partition = 1", 1, &[(1, 0)]),
        ("_partition = 0 AND _partition = 1", 0, &[]),
    ];
    for (condition, rows, expected) in table {
        fixture.topics.reads.lock().clear();
        let found = fixture.rows(&format!("SELECT flight FROM flights WHERE {condition}")).await;
        let mut reads = std::mem::take(&mut *fixture.topics.reads.lock());
        reads.sort_unstable();
        assert_eq!(found.len(), rows, "{condition}: {found:?}");
        assert_eq!(reads, expected, "{condition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_stops_reading() {
    let fixture = Fixture::limited(Limits { read_bytes_max: 1, ..Limits::default() });
    fixture.topic("t", 1, None).await;
    for n in 0..50 {
        fixture.append("t", 0, &[(n, None, Some(b"x"))]).await;
    }
    assert_eq!(fixture.rows("SELECT _value FROM t LIMIT 3").await.len(), 3);
    assert!(fixture.topics.reads.lock().len() <= 4, "{:?}", fixture.topics.reads.lock());
    assert_eq!(fixture.rows("SELECT _value FROM t").await.len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_without_a_schema_has_text_and_json_functions() {
    let fixture = Fixture::new();
    fixture.topic("raw.topic", 1, None).await;
    fixture
        .append(
            "raw.topic",
            0,
            &[
                (1, Some("k"), Some(br#"{"a":{"b":7},"c":"x"}"#)),
                (2, None, Some(&[0xff, 0x00])),
                (3, Some("gone"), None),
            ],
        )
        .await;
    let rows = fixture.rows(r#"SELECT _key, _value, _value->>'c' AS c, (_value->'a'->>'b')::int AS b FROM "raw.topic" ORDER BY _offset"#).await;
    assert_eq!(rows[0], json!({"_key": "k", "_value": r#"{"a":{"b":7},"c":"x"}"#, "c": "x", "b": 7}));
    assert_eq!(rows[1]["_value"], r"\xff00");
    assert_eq!(rows[2], json!({"_key": "gone", "_value": null, "c": null, "b": null}));
    assert_eq!(
        fixture.rows(r#"SELECT _offset FROM "raw.topic" WHERE _value->>'c' = 'x'"#).await,
        [json!({"_offset": 0})]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_sees_what_was_there_when_it_began() {
    let fixture = Fixture::limited(Limits { read_bytes_max: 1, ..Limits::default() });
    fixture.topic("t", 1, None).await;
    for n in 0..20 {
        fixture.append("t", 0, &[(n, None, Some(b"x"))]).await;
    }
    let mut query = fixture.engine.query("SELECT _offset FROM t").await.expect("a query");
    fixture.append("t", 0, &[(99, None, Some(b"late"))]).await;
    let rows: usize = query.collect_all().await.expect("rows").iter().map(arrow::array::RecordBatch::num_rows).sum();
    assert_eq!(rows, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_takes_under_a_query_does_not_end_it() {
    let fixture = Fixture::limited(Limits { read_bytes_max: 1, ..Limits::default() });
    fixture.topic("t", 1, None).await;
    for n in 0..20 {
        fixture.append("t", 0, &[(n, None, Some(b"x"))]).await;
    }
    let mut query = fixture.engine.query("SELECT _offset FROM t").await.expect("a query");
    fixture.topics.inner.delete_before("t", 0, millstream_types::Offset(10));
    let batches = query.collect_all().await.expect("rows");
    let rows: usize = batches.iter().map(arrow::array::RecordBatch::num_rows).sum();
    assert!((10..=20).contains(&rows), "{rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tombstones_are_rows_of_nulls() {
    let fixture = flights().await;
    fixture.append("flights", 1, &[(9500, Some("gone"), None)]).await;
    let rows = fixture.rows("SELECT carrier, flight, _key FROM flights WHERE _key = 'gone'").await;
    assert_eq!(rows, [json!({"carrier": null, "flight": null, "_key": "gone"})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_listed_described_and_explained() {
    let fixture = flights().await;
    let tables = fixture.rows("SHOW TABLES").await;
    assert!(tables.iter().any(|row| row["table_name"] == "flights" && row["table_schema"] == "public"), "{tables:?}");
    assert!(tables.iter().any(|row| row["table_name"] == "segments" && row["table_schema"] == "system"), "{tables:?}");
    let columns = fixture.rows("DESCRIBE flights").await;
    assert_eq!(columns[0]["column_name"], "carrier");
    assert_eq!(columns.len(), 9);
    let plan = fixture.rows("EXPLAIN SELECT flight FROM flights WHERE _partition = 1").await;
    assert!(
        plan.iter().any(|row| row["plan"].as_str().is_some_and(
            |plan| plan.contains("StreamingTableExec: partition_sizes=1, projection=[flight, _partition]")
        )),
        "{plan:?}"
    );
}

struct Topics;

#[async_trait]
impl SystemTables for Topics {
    async fn rows(&self, table: SystemTable) -> Result<Vec<Map<String, Value>>, millstream_task::Error> {
        let row = match table {
            SystemTable::Segments => {
                json!({"topic": "t", "partition": 0, "bytes": 10, "max_timestamp": 1_000, "state": "hot"})
            }
            SystemTable::Partitions => json!({"topic": "t", "replicas": [1, 2], "log_start": 5}),
            _ => return Ok(Vec::new()),
        };
        Ok(row.as_object().into_iter().cloned().collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn system_tables_describe_the_node() {
    let fixture = Fixture::with(Limits::default(), Arc::new(Topics));
    let rows = fixture
        .rows("SELECT topic, sum(bytes) AS bytes, max(max_timestamp) AS newest FROM system.segments GROUP BY topic")
        .await;
    assert_eq!(rows, [json!({"topic": "t", "bytes": 10, "newest": "1970-01-01T00:00:01Z"})]);
    assert_eq!(
        fixture.rows("SELECT replicas, isr FROM system.partitions").await,
        [json!({"replicas": [1, 2], "isr": null})]
    );
    for table in SystemTable::ALL {
        let rows = fixture.rows(&format!("SELECT * FROM system.{}", table.name())).await;
        assert!(rows.len() <= 1);
    }
}
