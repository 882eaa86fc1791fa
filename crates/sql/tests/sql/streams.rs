//! Continuous queries: what they accept, what their tasks make of records.

use crate::fixture::{FLIGHTS, Fixture, flights};
use millstream_record::Columns;
use millstream_sql::{Error, StreamKind, StreamSpec};
use millstream_task::{Deployment, DeploymentKey, DeploymentKind, DeploymentState, ErrorPolicy, Kind, Outcome, Topics};
use millstream_types::ErrorKind;
use serde_json::{Value, json};

fn deployment(spec: &StreamSpec) -> Deployment {
    Deployment {
        key: DeploymentKey { kind: DeploymentKind::Stream, name: spec.name.clone() },
        generation: 1,
        restarts: 0,
        state: DeploymentState::Running,
        spec: serde_json::to_value(spec).expect("json"),
        history: Vec::new(),
    }
}

/// What a stream makes of the first partition of its input.
async fn run(fixture: &Fixture, sql: &str) -> Outcome {
    let spec = fixture.engine.create_stream_spec(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    process(fixture, &spec, &fixture.topics.inner.records(&spec.input, 0)).await.expect("an outcome")
}

async fn process(
    fixture: &Fixture,
    spec: &StreamSpec,
    records: &Columns,
) -> Result<Outcome, millstream_task::OperatorError> {
    let kind = StreamKind::new(fixture.engine.clone());
    kind.validate(&deployment(spec)).await.expect("valid");
    let plan = kind.plan(&deployment(spec)).await.expect("a plan");
    assert_eq!((&plan.inputs, &plan.outputs), (&vec![spec.input.clone()], &vec![spec.output.clone()]));
    let partition =
        fixture.topics.topic(&spec.input).expect("the input").topic_partitions().next().expect("a partition");
    (plan.operator)(partition).expect("a worker").process(records).await
}

fn values(records: &Columns) -> Vec<Value> {
    records
        .values
        .iter()
        .map(|value| value.map_or(Value::Null, |value| serde_json::from_slice(value).expect("json")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_filters_projects_and_keeps_keys_and_times() {
    let fixture = flights().await;
    let outcome = run(
        &fixture,
        r#"CREATE STREAM late AS SELECT carrier, flight * 10 AS number, "depDelay" / 60 AS hours, _offset AS source, _key AS k
           FROM flights WHERE "depDelay" > 2 OR "depDelay" IS NULL"#,
    )
    .await;
    let [output] = outcome.outputs.as_slice() else { panic!("{outcome:?}") };
    assert_eq!(
        values(&output.records),
        [
            json!({"carrier": "UA", "number": 10, "hours": 2.5 / 60.0, "source": 0, "k": "UA"}),
            json!({"carrier": "UA", "number": 20, "hours": null, "source": 1, "k": "UA"}),
            json!({"carrier": "AA", "number": 40, "hours": 1.5, "source": 3, "k": "AA"}),
        ]
    );
    assert_eq!(output.inputs, [0, 1, 3]);
    assert_eq!(output.records.timestamps, [1000, 2000, 4000]);
    assert_eq!(output.records.keys.get(2), Some(&b"AA"[..]));
    assert_eq!(output.records.headers.get(0).collect::<Vec<_>>(), [("h", Some(&b"v"[..]))]);
    assert_eq!(outcome.failures.len(), 1);
    assert_eq!(outcome.failures[0].input, 2);
    assert!(outcome.failures[0].message.contains("flight"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streams_schema_reads_what_it_writes() {
    let fixture = flights().await;
    let sql = r#"CREATE STREAM s WITH (partitions = 4, on_error = 'dead-letter') AS SELECT carrier, "depDelay" > 30 AS late, at, CAST(flight AS TEXT) AS f FROM flights;"#;
    let spec = fixture.engine.create_stream_spec(sql).await.expect("a spec");
    assert_eq!((spec.name.as_str(), spec.input.as_str(), spec.output.as_str()), ("s", "flights", "s"));
    assert_eq!((spec.partitions, spec.on_error), (Some(4), ErrorPolicy::DeadLetter));
    assert_eq!(spec.dead_letter_topic().as_deref(), Some("s-dead-letters"));
    assert_eq!(spec.subject(), "s-value");
    let schema: Value = serde_json::from_str(&spec.schema).expect("json");
    assert_eq!(
        schema["properties"],
        json!({"carrier": {"type": ["string", "null"]}, "late": {"type": ["boolean", "null"]},
            "at": {"type": ["string", "null"], "format": "date-time"}, "f": {"type": ["string", "null"]}})
    );
    let outcome = process(&fixture, &spec, &fixture.topics.inner.records("flights", 0)).await.expect("an outcome");
    fixture.topic("s", 1, Some(&spec.schema)).await;
    for (value, time) in outcome.outputs[0].records.values.iter().zip(0..) {
        fixture.append("s", 0, &[(time, None, value)]).await;
    }
    let (rows, stats) = fixture.run("SELECT carrier, late, at, f FROM s ORDER BY f").await.expect("rows");
    assert_eq!(stats.bad_rows, 0);
    assert_eq!(rows[0], json!({"carrier": "UA", "late": false, "at": "2013-01-01T05:00:00Z", "f": "1"}));
    assert_eq!(rows.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_star_means_the_fields() {
    let fixture = flights().await;
    let outcome = run(&fixture, "CREATE STREAM copy AS SELECT * FROM flights WHERE flight = 1").await;
    assert_eq!(
        values(&outcome.outputs[0].records),
        [json!({"carrier": "UA", "flight": 1, "depDelay": 2.5, "at": "2013-01-01T05:00:00Z"})]
    );
    let outcome = run(&fixture, "CREATE STREAM copy AS SELECT *, _offset AS o FROM flights WHERE flight = 1").await;
    assert_eq!(values(&outcome.outputs[0].records)[0]["o"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_that_passes_stays_one() {
    let fixture = Fixture::new();
    fixture.topic("t", 1, Some(FLIGHTS)).await;
    fixture.append("t", 0, &[(1, Some("k"), None), (2, Some("l"), Some(br#"{"carrier":"UA","flight":1}"#))]).await;
    let outcome = run(&fixture, "CREATE STREAM c AS SELECT carrier FROM t").await;
    assert_eq!(values(&outcome.outputs[0].records), [Value::Null, json!({"carrier": "UA"})]);
    assert_eq!(outcome.outputs[0].records.keys.get(0), Some(&b"k"[..]));
    let outcome = run(&fixture, "CREATE STREAM c AS SELECT carrier FROM t WHERE flight > 0").await;
    assert_eq!(outcome.outputs[0].inputs, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_over_a_topic_without_a_schema_uses_its_text() {
    let fixture = Fixture::new();
    fixture.topic("raw", 1, None).await;
    fixture.append("raw", 0, &[(1, None, Some(br#"{"a":{"b":1},"s":"x"}"#)), (2, None, Some(b"no json"))]).await;
    let outcome = run(
        &fixture,
        "CREATE STREAM r AS SELECT _value->>'s' AS s, _value->'a' AS a FROM raw WHERE _value->>'s' IS NOT NULL",
    )
    .await;
    assert_eq!(values(&outcome.outputs[0].records), [json!({"s": "x", "a": {"b": 1}})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_streams_cannot_do_is_named() {
    let fixture = flights().await;
    for (query, words) in [
        ("SELECT count(*) FROM flights", "an aggregate"),
        ("SELECT carrier FROM flights GROUP BY carrier", "GROUP BY"),
        ("SELECT DISTINCT carrier FROM flights", "DISTINCT"),
        ("SELECT f.carrier FROM flights f JOIN airlines a ON f.carrier = a.carrier", "a join"),
        ("SELECT carrier FROM flights ORDER BY 1", "ORDER BY"),
        ("SELECT carrier FROM flights LIMIT 1", "LIMIT"),
        ("SELECT carrier FROM flights UNION ALL SELECT carrier FROM airlines", "UNION"),
        ("SELECT row_number() OVER () AS n FROM flights", "window"),
        ("SELECT carrier FROM flights WHERE carrier IN (SELECT carrier FROM airlines)", "a subquery"),
        ("SELECT 1 AS one", "without a topic"),
        ("SELECT now() AS n, carrier FROM flights", "the current time"),
        ("SELECT carrier FROM flights WHERE 1 = 2", "never true"),
        ("SELECT name FROM system.topics", "a stream reads a topic"),
        ("SELECT nothing FROM flights", "no column \"nothing\""),
        ("SELECT carrier FROM nowhere", "no topic or table \"nowhere\""),
        ("INSERT INTO flights VALUES (1)", "a stream without a SELECT"),
        ("SELEC carrier FROM flights", "can't be parsed"),
    ] {
        let error = fixture.engine.create_stream_spec(&format!("CREATE STREAM s AS {query}")).await.expect_err(query);
        assert!(error.to_string().contains(words), "{query}: {error}");
    }
    let deep = format!("CREATE STREAM s AS SELECT {}1{} AS a FROM flights", "(".repeat(10_000), ")".repeat(10_000));
    assert!(matches!(fixture.engine.create_stream_spec(&deep).await, Err(Error::TooComplex { .. })));
    let itself = fixture
        .engine
        .create_stream_spec("CREATE STREAM flights AS SELECT carrier FROM flights")
        .await
        .expect_err("itself");
    assert!(itself.to_string().contains("the topic it reads"), "{itself}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_that_fails_lets_the_host_find_the_record() {
    let fixture = flights().await;
    let spec = fixture
        .engine
        .create_stream_spec("CREATE STREAM s AS SELECT carrier::int AS n FROM flights")
        .await
        .expect("a spec");
    let error = process(&fixture, &spec, &fixture.topics.inner.records("flights", 0)).await.expect_err("no number");
    assert_eq!(error.kind, ErrorKind::Guest);
    assert!(error.message.contains("UA"), "{}", error.message);
}
