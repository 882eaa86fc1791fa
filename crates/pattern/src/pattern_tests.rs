//! The grammar as tables: the documented examples, and what is refused.

use super::*;
use crate::Matcher;

const EVENT: &str = r#"{
  "version": "0",
  "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
  "detail-type": "EC2 Instance State-change Notification",
  "source": "aws.ec2",
  "account": "111122223333",
  "time": "2017-12-22T18:43:48Z",
  "region": "us-west-1",
  "resources": ["arn:aws:ec2:us-west-1:123456789012:instance/i-1234567890abcdef0", "arn:other"],
  "detail": {"instance-id": "i-1234567890abcdef0", "state": "terminated", "c-count": 3.018e2, "d-count": 0, "x-limit": 301.8,
             "responseElements": null, "ok": true, "source-ip": "10.0.0.123", "FileName": "dir/Image.PNG", "empty": "",
             "none": [], "items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]}
}"#;

/// Pattern, and whether the event matches.
const CASES: &[(&str, bool)] = &[
    (r#"{"source": ["aws.ec2"]}"#, true),
    (r#"{"source": ["aws.s3", "aws.ec2"]}"#, true),
    (r#"{"source": ["AWS.EC2"]}"#, false),
    (r#"{"source": ["aws.ec2"], "detail": {"state": ["terminated"]}}"#, true),
    (r#"{"source": ["aws.ec2"], "detail": {"state": ["running"]}}"#, false),
    (r#"{"resources": ["arn:other"]}"#, true),
    (r#"{"resources": [{"prefix": "arn:aws:ec2:"}]}"#, true),
    (r#"{"time": [{"prefix": "2017-10-02"}]}"#, false),
    (r#"{"region": [{"prefix": ""}]}"#, true),
    (r#"{"detail": {"FileName": [{"suffix": ".PNG"}]}}"#, true),
    (r#"{"detail": {"FileName": [{"suffix": ".png"}]}}"#, false),
    (r#"{"detail": {"FileName": [{"suffix": {"equals-ignore-case": ".png"}}]}}"#, true),
    (r#"{"detail": {"FileName": [{"prefix": {"equals-ignore-case": "DIR/"}}]}}"#, true),
    (r#"{"detail-type": [{"equals-ignore-case": "ec2 instance state-change notification"}]}"#, true),
    (r#"{"detail": {"state": [{"anything-but": "initializing"}]}}"#, true),
    (r#"{"detail": {"state": [{"anything-but": ["stopped", "terminated"]}]}}"#, false),
    (r#"{"detail": {"x-limit": [{"anything-but": 123}]}}"#, true),
    (r#"{"detail": {"x-limit": [{"anything-but": [100, 301.8]}]}}"#, false),
    (r#"{"detail": {"state": [{"anything-but": {"prefix": "init"}}]}}"#, true),
    (r#"{"detail": {"state": [{"anything-but": {"suffix": "ated"}}]}}"#, false),
    (r#"{"detail": {"state": [{"anything-but": {"suffix": ["x", "ated"]}}]}}"#, false),
    (r#"{"detail": {"state": [{"anything-but": {"equals-ignore-case": ["TERMINATED"]}}]}}"#, false),
    (r#"{"detail": {"state": [{"anything-but": {"wildcard": "*min*"}}]}}"#, false),
    (r#"{"detail": {"missing": [{"anything-but": "x"}]}}"#, false),
    (r#"{"detail": {"c-count": [{"numeric": [">", 0, "<=", 500]}]}}"#, true),
    (r#"{"detail": {"d-count": [{"numeric": ["<", 10]}]}}"#, true),
    (r#"{"detail": {"x-limit": [{"numeric": ["=", 3.018e2]}]}}"#, true),
    (r#"{"detail": {"c-count": [{"numeric": [">", 301.8]}]}}"#, false),
    (r#"{"detail": {"c-count": [301.80]}}"#, true),
    (r#"{"detail": {"d-count": [0.0]}}"#, true),
    (r#"{"detail": {"d-count": ["0"]}}"#, false),
    (r#"{"detail": {"state": [{"numeric": [">", 0]}]}}"#, false),
    (r#"{"detail": {"source-ip": [{"cidr": "10.0.0.0/24"}]}}"#, true),
    (r#"{"detail": {"source-ip": [{"cidr": "10.0.1.0/24"}]}}"#, false),
    (r#"{"detail": {"source-ip": [{"cidr": "0.0.0.0/0"}]}}"#, true),
    (r#"{"detail": {"source-ip": [{"cidr": "::/0"}]}}"#, false),
    (r#"{"detail": {"state": [{"exists": true}]}}"#, true),
    (r#"{"detail": {"c-count": [{"exists": false}]}}"#, false),
    (r#"{"detail": {"nothing": [{"exists": false}]}}"#, true),
    (r#"{"no": {"such": [{"exists": false}]}}"#, true),
    (r#"{"detail": {"none": [{"exists": false}]}}"#, true),
    (r#"{"detail": [{"exists": true}]}"#, false),
    (r#"{"detail": {"nothing": [{"exists": false}, "x"], "state": ["terminated"]}}"#, true),
    (r#"{"detail": {"responseElements": [null]}}"#, true),
    (r#"{"detail": {"responseElements": [{"exists": true}]}}"#, true),
    (r#"{"detail": {"empty": [""]}}"#, true),
    (r#"{"detail": {"empty": [null]}}"#, false),
    (r#"{"detail": {"ok": [true]}}"#, true),
    (r#"{"detail": {"ok": ["true", false]}}"#, false),
    (r#"{"detail": {"FileName": [{"wildcard": "dir/*.PNG"}]}}"#, true),
    (r#"{"detail": {"FileName": [{"wildcard": "*/other/*"}]}}"#, false),
    (r#"{"$or": [{"source": ["aws.s3"]}, {"detail": {"c-count": [{"numeric": [">", 300]}]}}]}"#, true),
    (r#"{"account": ["111122223333"], "$or": [{"source": ["a"]}, {"region": ["b"]}]}"#, false),
    (r#"{"detail": {"$or": [{"state": ["x"]}, {"ok": [true]}]}}"#, true),
    // An element of an array has to be all that is asked for.
    (r#"{"detail": {"items": {"sku": ["b"], "n": [2]}}}"#, true),
    (r#"{"detail": {"items": {"sku": ["a"], "n": [2]}}}"#, false),
];

#[test]
fn documented_examples_match_as_documented() {
    let event: Value = serde_json::from_str(EVENT).unwrap();
    for (text, expected) in CASES {
        let pattern = Pattern::parse(text.as_bytes()).unwrap();
        assert_eq!(pattern.matches(&event), *expected, "{text}");
    }
}

#[test]
fn a_matcher_of_all_examples_says_the_same() {
    let patterns: Vec<Pattern> = CASES.iter().map(|(text, _)| Pattern::parse(text.as_bytes()).unwrap()).collect();
    let expected: Vec<usize> =
        CASES.iter().enumerate().filter(|(_, (_, matches))| *matches).map(|(rule, _)| rule).collect();
    assert_eq!(Matcher::new(patterns).matches(EVENT.as_bytes()).unwrap(), expected);
}

#[test]
fn what_is_not_in_the_grammar_is_named_with_its_field() {
    let tests = "a string, a number, true, false, null, or an object with one of prefix, suffix, anything-but, numeric, exists, equals-ignore-case, wildcard, cidr";
    let cases: &[(&str, String)] = &[
        ("[]", "pattern field $: expected an object whose fields are lists of tests, or objects, found []".into()),
        (r#"{"a": "x"}"#, "pattern field a: expected a list of tests, or an object, found \"x\"".into()),
        (r#"{"a": []}"#, "pattern field a: expected a list of tests, or an object, found []".into()),
        (r#"{"a": {"b": [["x"]]}}"#, format!("pattern field a.b: expected {tests}, found [\"x\"]")),
        (r#"{"a": [{"contains": "x"}]}"#, format!("pattern field a: expected {tests}, found {{\"contains\":\"x\"}}")),
        (
            r#"{"a": [{"prefix": 1}]}"#,
            "pattern field a.prefix: expected a string, or an object with equals-ignore-case, found 1".into(),
        ),
        (r#"{"a": [{"exists": "yes"}]}"#, "pattern field a.exists: expected true or false, found \"yes\"".into()),
        (
            r#"{"a": [{"wildcard": "a**"}]}"#,
            "pattern field a.wildcard: expected no two * beside each other, found \"a**\"".into(),
        ),
        (
            r#"{"a": [{"cidr": "10.0.0.0/33"}]}"#,
            "pattern field a.cidr: expected a block of addresses such as 10.0.0.0/24, found \"10.0.0.0/33\"".into(),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(Pattern::parse(text.as_bytes()).unwrap_err().to_string(), *expected, "{text}");
    }
    for wrong in [
        "{}",
        r#"{"a": {}}"#,
        r#"{"a": [{"anything-but": []}]}"#,
        r#"{"a": [{"anything-but": {"numeric": 1}}]}"#,
        r#"{"a": [{"numeric": [">"]}]}"#,
        r#"{"a": [{"numeric": [">", "1"]}]}"#,
        r#"{"a": [{"numeric": [">", 5, "<", 5]}]}"#,
        r#"{"a": [{"numeric": [">", 1, ">", 2]}]}"#,
        r#"{"a": [{"numeric": ["!=", 1]}]}"#,
        "{",
    ] {
        assert!(Pattern::parse(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn limits_hold() {
    let deep = format!("{}[1]{}", r#"{"a":"#.repeat(33), "}".repeat(33));
    assert!(matches!(Pattern::parse(deep.as_bytes()), Err(Error::TooLarge { unit: "objects within objects", .. })));
    let deeper = "[".repeat(100_000);
    assert!(matches!(Pattern::parse(deeper.as_bytes()), Err(Error::TooLarge { .. })));
    let nested = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(matches!(Pattern::parse(nested.as_bytes()), Err(Error::Json { .. })));
    let wide: Vec<String> = (0..10).map(|field| format!(r#""f{field}": [{{"exists": false}}, 1]"#)).collect();
    let error = Pattern::parse(format!("{{{}}}", wide.join(",")).as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "the pattern has 1024 ways to match by its alternatives; at most 1000 are accepted");
}
