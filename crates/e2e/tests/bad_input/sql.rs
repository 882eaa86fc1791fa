//! Statements that do not parse, nest without end, or name what is not there; and queries that fail while they run.

use crate::kit::{file, post, refused, rows, says};
use millstream_e2e::{Bystander, Node};

#[test]
fn a_statement_that_can_not_be_is_refused_in_words() {
    let node = Node::start(&["sql.memory.bytes=64000000", "sql.time.ms=3000"]);
    let mut bystander = Bystander::start(&node);
    node.ok(&["topic", "create", "raw"]);
    let cases: [(&str, &[&str]); 16] = [
        ("SELEC 1", &["can't be parsed", "found: SELEC", "Line: 1, Column: 1"]),
        ("SELECT", &["can't be parsed", "Expected: an expression, found: EOF"]),
        ("", &["there is no statement", "such as"]),
        ("SELECT nope FROM raw", &["no column \"nope\" in \"raw\"", "the columns there are", "_value"]),
        ("SELECT raw.nope FROM raw", &["no column", "nope"]),
        ("SELECT * FROM nope", &["no topic or table \"nope\"", "the topics there are", "raw"]),
        ("SELECT nope(1)", &["nope"]),
        ("DROP TABLE raw", &["DROP is not supported", "millstream topic delete"]),
        ("INSERT INTO raw VALUES (1)", &["writing into a topic by SQL is not supported", "millstream topic produce"]),
        ("SELECT 1/0", &["Divide by zero"]),
        ("SELECT CAST('x' AS INT)", &["Cannot cast string 'x'", "Int32"]),
        ("CREATE STREAM s AS SELECT nope FROM raw", &["no column \"nope\""]),
        ("CREATE STREAM s AS SELECT count(*) FROM raw", &["an aggregate such as count in a stream is not supported"]),
        ("CREATE STREAM raw AS SELECT _value FROM raw", &["the topic it reads", "another topic"]),
        (
            "SELECT array_agg(value) FROM generate_series(1, 10000000)",
            &["64000000 bytes of memory", "sql.memory.bytes"],
        ),
        ("SELECT sum(value % 7) FROM generate_series(1, 100000000000)", &["3000 ms", "sql.time.ms"]),
    ];
    for (statement, words) in cases {
        refused(&node, &["sql", "-c", statement], 1, words);
        let body = serde_json::json!({"query": statement}).to_string();
        let (status, answer) = post(&node, "/v1/sql", &[("content-type", "application/json")], body);
        assert!([400, 404, 503, 504].contains(&status), "{statement}: {status} {answer}");
        says(&answer, &["\"error\"", "\"kind\"", "\"message\""]);
        bystander.goes_on();
    }
    let form = r#"{"query":"SELECT 1","format":"xml"}"#;
    let (status, answer) = post(&node, "/v1/sql", &[("content-type", "application/json")], form);
    assert_eq!(status, 400);
    says(&answer, &["unknown variant `xml`", "`csv`"]);
    refused(&node, &["sql", "-f", "/nowhere.sql"], 1, &["can't read /nowhere.sql"]);
    let binary = file(&node, "binary.sql", [0xff, 0xfe, 0]);
    refused(&node, &["sql", "-f", &binary], 1, &["binary.sql", "UTF-8"]);
    let huge = file(&node, "huge.sql", "x".repeat(9 << 20));
    refused(&node, &["sql", "-f", &huge], 1, &["8388608 bytes"]);
    assert_eq!(rows(&node.ok(&["sql", "-o", "json", "-c", "SELECT 1 AS n"]))[0]["n"], 1);
    bystander.unharmed(&node);
}

#[test]
fn a_statement_nested_ten_thousand_deep_is_refused_and_costs_no_stack() {
    let node = Node::start(&[]);
    let mut bystander = Bystander::start(&node);
    node.ok(&["topic", "create", "raw"]);
    let n = 10_000;
    let around = |open: &str, inner: &str, close: &str| format!("{}{inner}{}", open.repeat(n), close.repeat(n));
    let statements = [
        format!("SELECT {}", around("(", "1", ")")),
        format!("SELECT {}1", "- ".repeat(n)),
        format!("SELECT {}true", "NOT ".repeat(n)),
        format!("SELECT 1{}", " + 1".repeat(n)),
        format!("SELECT true{}", " OR true".repeat(n)),
        format!("SELECT {}", around("abs(", "1", ")")),
        format!("SELECT {}", around("CAST(", "1", " AS INT)")),
        format!("SELECT 1{}", "::int".repeat(n)),
        format!("SELECT {}", around("CASE WHEN true THEN ", "1", " END")),
        format!("SELECT {}", around("[", "1", "]")),
        format!("SELECT * FROM {}", around("(SELECT * FROM ", "raw", ")")),
        format!("SELECT 1 WHERE {}", around("EXISTS(SELECT 1 WHERE ", "true", ")")),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(n)),
        format!("SELECT * FROM raw{}", " JOIN raw USING (_offset)".repeat(n)),
        format!("SELECT _value{} FROM raw", "[0]".repeat(n)),
        format!("SELECT _value{} FROM raw", "->'a'".repeat(n)),
        format!("SELECT {}a FROM raw", "a.".repeat(n)),
        format!("{}SELECT 1", "EXPLAIN ".repeat(n)),
        format!("SELECT {}", "(".repeat(n)),
    ];
    for (place, statement) in statements.iter().enumerate() {
        let path = file(&node, "deep.sql", statement);
        let output = node.run(&["sql", "-f", &path]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "statement {place}: {error}");
        let told = error.contains("simplify it or split it") || error.contains("can't be parsed");
        assert!(told, "statement {place}: {error}");
        bystander.goes_on();
    }
    let stream = format!("CREATE STREAM s AS SELECT {} FROM raw", around("(", "1", ")"));
    refused(&node, &["stream", "create", &stream], 1, &["nesting depth of 10000", "the limit is 64"]);
    bystander.unharmed(&node);
}

#[test]
fn a_query_that_fails_midway_prints_what_came_and_then_the_cause() {
    let node = Node::start(&[]);
    let bystander = Bystander::start(&node);
    // Enough rows before the one that fails that some are on their way by then.
    let query = "SELECT 10 / (100000 - value) AS q FROM generate_series(1, 200000)";
    for format in ["table", "json"] {
        let output = node.run(&["sql", "-o", format, "-c", query]);
        assert_eq!(output.status.code(), Some(1));
        says(&String::from_utf8_lossy(&output.stderr), &["Divide by zero"]);
        assert!(output.stdout.len() > 10_000, "the rows before it are printed");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("Divide by zero"), "and are rows only");
    }
    // CSV has no room for an error: the answer is cut off, and the log has the cause.
    assert_eq!(node.run(&["sql", "-o", "csv", "-c", query]).status.code(), Some(1));
    says(&node.log(), &["a query failed while its rows were being read", "Divide by zero"]);
    bystander.unharmed(&node);
}
