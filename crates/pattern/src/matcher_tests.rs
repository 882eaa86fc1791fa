//! The matcher against each pattern alone, on random patterns and events; and what it looks at.

use super::*;
use proptest::prelude::*;
use serde_json::json;

/// Few names and values, so that patterns and events meet.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]", Just("c".to_owned())]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[xyXY]{0,3}".prop_map(Value::from),
        (-3i32..4).prop_map(Value::from),
        (-3i32..4).prop_map(|half| Value::from(f64::from(half) / 2.0)),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ]
}

fn event() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(name(), inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn test() -> impl Strategy<Value = Value> {
    let text = "[xyXY]{0,2}";
    let number = -3i32..4;
    prop_oneof![
        3 => scalar(),
        1 => text.prop_map(|text| json!({"prefix": text})),
        1 => text.prop_map(|text| json!({"suffix": text})),
        1 => text.prop_map(|text| json!({"prefix": {"equals-ignore-case": text}})),
        1 => text.prop_map(|text| json!({"suffix": {"equals-ignore-case": text}})),
        1 => text.prop_map(|text| json!({"equals-ignore-case": text})),
        1 => "(\\*[xy])?[xy]?(\\*)?".prop_map(|text| json!({"wildcard": text})),
        1 => scalar().prop_map(|value| json!({"anything-but": value})),
        1 => text.prop_map(|text| json!({"anything-but": {"prefix": text}})),
        1 => number.clone().prop_map(|bound| json!({"numeric": [">", bound]})),
        1 => number.clone().prop_map(|bound| json!({"numeric": ["<=", bound]})),
        1 => (number, 1i32..4).prop_map(|(low, width)| json!({"numeric": [">=", low, "<", low + width]})),
        1 => any::<bool>().prop_map(|exists| json!({"exists": exists})),
    ]
}

fn pattern() -> impl Strategy<Value = Value> {
    let tests = proptest::collection::vec(test(), 1..3).prop_map(Value::from);
    tests.prop_recursive(3, 12, 3, |inner| {
        let fields = proptest::collection::btree_map(name(), inner, 1..3);
        let object = fields.prop_map(|fields| Value::Object(fields.into_iter().collect())).boxed();
        (object.clone(), object, any::<bool>()).prop_map(|(one, two, is_or)| {
            let is_pattern = |value: &Value| value.as_object().is_some_and(|fields| !fields.contains_key("$or"));
            if is_or && is_pattern(&one) { json!({"$or": [one, two]}) } else { one }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]
    #[test]
    fn together_they_say_what_each_says_alone(
        patterns in proptest::collection::vec(pattern(), 1..8),
        events in proptest::collection::vec(event(), 1..8),
    ) {
        let patterns: Vec<Pattern> = patterns.iter().filter_map(|pattern| Pattern::from_value(pattern).ok()).collect();
        let matcher = Matcher::new(patterns.clone());
        for event in &events {
            let expected: Vec<usize> = (0..patterns.len()).filter(|rule| patterns[*rule].matches(event)).collect();
            prop_assert_eq!(matcher.matches_value(event), expected, "{}", event);
        }
    }
}

#[test]
fn an_event_finds_its_rule_among_many() {
    let patterns = (0..20_000).map(|number| {
        let pattern =
            json!({"type": [format!("order.{number}")], "total": [{"numeric": [">", number, "<=", number + 10]}]});
        Pattern::from_value(&pattern).unwrap()
    });
    let matcher = Matcher::new(patterns.collect());
    let event = |kind: &str, total: i32| json!({"type": kind, "total": total}).to_string();
    assert_eq!(matcher.matches(event("order.700", 705).as_bytes()).unwrap(), [700]);
    assert_eq!(matcher.matches(event("order.700", 700).as_bytes()).unwrap(), [] as [usize; 0]);
    // What is looked at is what may match: ten of the ranges and one of the texts, not twenty thousand.
    let mut hits = Hits::default();
    matcher.root.visit(&json!({"type": "order.700", "total": 705}), &mut hits);
    assert_eq!(hits.satisfied.len(), 11);
}

#[test]
fn an_event_that_is_not_json_or_too_large_is_refused() {
    let matcher = Matcher::default();
    assert!(matches!(matcher.matches(b"{"), Err(Error::Json { what: "event", .. })));
    assert!(matches!(matcher.matches(&vec![b' '; EVENT_BYTES_MAX + 1]), Err(Error::TooLarge { what: "event", .. })));
    let deep = "[".repeat(100_000);
    assert!(matches!(matcher.matches(deep.as_bytes()), Err(Error::Json { .. })));
    assert!(matcher.matches(b"1").unwrap().is_empty());
}
