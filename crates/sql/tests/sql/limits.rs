//! What is refused, and how it is said; what runs out, and that nothing else does.

use crate::fixture::{Fixture, flights};
use millstream_sql::{Error, Limits};
use millstream_types::ErrorKind;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_not_there_is_named_with_what_there_is() {
    let fixture = flights().await;
    let error = fixture.fails("SELECT flite FROM flights").await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let text = error.to_string();
    assert!(text.contains("no column \"flite\" in \"flights\"") && text.contains("\"flight\""), "{text}");
    let text = fixture.fails("SELECT f.nothing FROM flights f WHERE f.carrier = 'UA'").await.to_string();
    assert!(text.contains("no column \"nothing\" in \"f\""), "{text}");
    let text = fixture.fails("SELECT depDelay FROM flights").await.to_string();
    assert!(text.contains("\"depDelay\"") && text.contains("double quotes"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_not_there_is_named_with_what_there_is() {
    let fixture = flights().await;
    let error = fixture.fails("SELECT * FROM flight").await;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        "there is no topic or table \"flight\"; the topics there are: \"flights\", \"airlines\""
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_parse_says_where() {
    let fixture = flights().await;
    let text = fixture.fails("SELECT * FORM flights WHERE (").await.to_string();
    assert!(text.starts_with("the statement can't be parsed: ") && text.contains("Line: 1"), "{text}");
    assert!(matches!(fixture.fails("SELECT 'abc").await, Error::Syntax { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_levels_are_an_error_and_not_the_end() {
    let fixture = flights().await;
    let deep = |open: &str, middle: &str, close: &str| {
        format!("SELECT {}{middle}{}", open.repeat(10_000), close.repeat(10_000))
    };
    for sql in [
        deep("(", "1", ")"),
        deep("abs(", "1", ")"),
        deep("(SELECT ", "1", ")"),
        deep("CASE WHEN true THEN ", "1", " END"),
        deep("[", "1", "]"),
        deep("NOT ", "true", ""),
        deep("- ", "1", ""),
        deep("1+", "1", ""),
        deep("1 UNION SELECT ", "1", ""),
        deep("", "1", "::int"),
    ] {
        let error = fixture.fails(&sql).await;
        assert!(matches!(error, Error::TooComplex { .. }), "{}...: {error}", &sql[..40]);
        assert!(error.to_string().contains("simplify it"), "{error}");
    }
    assert_eq!(fixture.rows("SELECT 1 AS one").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_just_within_the_limits_runs() {
    let fixture = flights().await;
    for sql in [
        format!("SELECT {}1{}", "(".repeat(60), ")".repeat(60)),
        format!("SELECT {}1{}", "abs(".repeat(60), ")".repeat(60)),
        format!("SELECT {}1{}", "(SELECT ".repeat(8), ")".repeat(8)),
        format!("SELECT count(*) FROM {}flights{}", "(SELECT * FROM ".repeat(8), ") AS t".repeat(8)),
        format!("SELECT 1{}", "+1".repeat(900)),
        format!("SELECT count(*) FROM flights WHERE flight = 1{}", " OR flight = 2".repeat(400)),
        format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(30), " END".repeat(30)),
        format!("SELECT 1 IN (1{})", ",2".repeat(20_000)),
    ] {
        let rows = tokio::time::timeout(Duration::from_secs(60), fixture.rows(&sql)).await;
        assert_eq!(rows.map(|rows| rows.len()), Ok(1), "{}...", &sql[..30]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_per_query() {
    let fixture = Fixture::limited(Limits { memory_bytes_max: 8 << 20, ..Limits::default() });
    let error = fixture.fails("SELECT sum(length(b)) FROM (SELECT a, array_agg(repeat('x', 1000)) AS c, max(repeat('y', 100)) AS b FROM generate_series(1, 100000) AS t(a) GROUP BY a)").await;
    assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
    assert!(error.to_string().contains("more than its 8388608 bytes of memory"), "{error}");
    assert_eq!(fixture.rows("SELECT 1").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_is_bounded_per_query() {
    let fixture = Fixture::limited(Limits { time_max: Duration::from_millis(3_000), ..Limits::default() });
    // Its plan gives way after every batch. One that does not (a cross join of large sides) is told to its caller in time as well, but
    // keeps its thread until the batch it is at is done.
    let sql = "SELECT count(*) FROM generate_series(1, 1000000000000) a WHERE a.value % 7 = 3";
    let error = fixture.fails(sql).await;
    assert_eq!(error, Error::Time { limit_ms: 3_000 });
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(fixture.rows("SELECT 1").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_at_once_are_bounded() {
    let fixture = Fixture::limited(Limits { queries_max: 2, ..Limits::default() });
    let first = fixture.engine.query("SELECT 1").await.expect("the first");
    let _second = fixture.engine.query("SELECT 1").await.expect("the second");
    let error = fixture.fails("SELECT 1").await;
    assert_eq!((error.kind(), &error), (ErrorKind::Throttled, &Error::Busy { limit: 2 }));
    drop(first);
    assert_eq!(fixture.rows("SELECT 1").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_read_keeps_its_kind() {
    let fixture = flights().await;
    fixture.topics.inner.fail_next(millstream_task::memory::Operation::Read, 8, ErrorKind::Unavailable);
    assert_eq!(fixture.fails("SELECT * FROM flights").await.kind(), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_that_fails_is_an_error_in_words() {
    let fixture = flights().await;
    let error = fixture.fails("SELECT carrier::int FROM flights").await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().contains("UA") || error.to_string().contains("AA") || error.to_string().contains("B6"),
        "{error}"
    );
}
