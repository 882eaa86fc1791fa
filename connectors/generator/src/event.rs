//! Event number `n` as JSON: pure.

use crate::draw::Draw;
use crate::settings::{Field, Settings, TimeFormat};
use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Number, Value};
use uuid::Builder;

/// One event.
pub(crate) struct Event {
    pub key: Option<String>,
    pub value: Value,
    pub time: i64,
}

/// Makes event number `n`. `now` is its time where the settings give no other.
pub(crate) fn make(settings: &Settings, n: u64, now: i64) -> Event {
    let mut draw = Draw::new(settings.seed, n);
    let steps = i64::try_from(n).unwrap_or(i64::MAX);
    let time = settings.start_ms.map_or(now, |start| start.saturating_add(settings.interval_ms.saturating_mul(steps)));
    // Fields draw in the order of their names.
    let fields = settings.fields.iter().map(|(name, field)| (name.clone(), value(field, &mut draw, steps, time)));
    let event: Map<String, Value> = fields.collect();
    let key = settings.key.as_ref().and_then(|name| event.get(name)).map(|key| match key {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    Event { key, value: Value::Object(event), time }
}

fn value(field: &Field, draw: &mut Draw, n: i64, time: i64) -> Value {
    match field {
        Field::Sequence { start, step } => Value::from(start.saturating_add(step.saturating_mul(n))),
        Field::Integer { min, max } => Value::from(integer(draw, *min, *max)),
        Field::Number { min, max, decimals } => number(min + draw.unit() * (max - min), *decimals),
        Field::Choice { values, weights } => {
            values.get(choice(draw, values.len(), weights)).cloned().unwrap_or_default()
        }
        Field::Boolean { probability } => Value::from(draw.unit() < *probability),
        Field::Uuid {} => {
            let bits = (u128::from(draw.next()) << 64) | u128::from(draw.next());
            Value::from(Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string())
        }
        Field::Timestamp { format: TimeFormat::Milliseconds } => Value::from(time),
        Field::Timestamp { format: TimeFormat::Rfc3339 } => DateTime::from_timestamp_millis(time)
            .map_or(Value::Null, |time| Value::from(time.to_rfc3339_opts(SecondsFormat::Millis, true))),
        Field::Text { length } => {
            let letters = (0..*length).map(|_| char::from(b'a' + u8::try_from(draw.below(26)).unwrap_or(0)));
            Value::from(letters.collect::<String>())
        }
        Field::Constant { value } => value.clone(),
    }
}

fn integer(draw: &mut Draw, min: i64, max: i64) -> i64 {
    // The whole range of 64 bits has one value more than fits: then every draw is one of them.
    match max.abs_diff(min).checked_add(1) {
        Some(count) => min.wrapping_add_unsigned(draw.below(count)),
        None => draw.next().cast_signed(),
    }
}

fn number(exact: f64, decimals: usize) -> Value {
    let rounded: f64 = format!("{exact:.decimals$}").parse().unwrap_or(exact);
    Number::from_f64(rounded).map_or(Value::Null, Value::Number)
}

fn choice(draw: &mut Draw, values: usize, weights: &[u32]) -> usize {
    if weights.is_empty() {
        return usize::try_from(draw.below(values as u64)).unwrap_or(0);
    }
    let mut left = draw.below(weights.iter().map(|weight| u64::from(*weight)).sum());
    for (at, weight) in weights.iter().enumerate() {
        match left.checked_sub(u64::from(*weight)) {
            Some(rest) => left = rest,
            None => return at,
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn settings(fields: Value) -> Settings {
        serde_json::from_value(json!({"fields": fields, "seed": 7, "start_ms": 1_767_225_600_000i64, "key": "id"}))
            .unwrap()
    }

    fn all() -> Settings {
        settings(json!({
            "id": {"type": "sequence", "start": 10, "step": 2},
            "n": {"type": "integer", "min": -3, "max": 3},
            "x": {"type": "number", "min": 0.0, "max": 1.0, "decimals": 3},
            "c": {"type": "choice", "values": ["a", 2, null], "weights": [1, 1, 0]},
            "b": {"type": "boolean", "probability": 1.0},
            "u": {"type": "uuid"},
            "t": {"type": "timestamp"},
            "m": {"type": "timestamp", "format": "milliseconds"},
            "s": {"type": "text", "length": 4},
            "k": {"type": "constant", "value": {"v": 1}}
        }))
    }

    #[test]
    fn an_event_depends_on_the_seed_and_its_number_alone() {
        let settings = all();
        assert_eq!(make(&settings, 41, 0).value, make(&settings, 41, 999).value);
        assert_ne!(make(&settings, 41, 0).value, make(&settings, 42, 0).value);
        let other = Settings { seed: 8, ..settings.clone() };
        assert_ne!(make(&settings, 41, 0).value["u"], make(&other, 41, 0).value["u"]);
    }

    #[test]
    fn fields_hold_what_they_say() {
        let event = make(&all(), 3, 0);
        assert_eq!((event.key.as_deref(), event.time), (Some("16"), 1_767_225_603_000));
        assert_eq!(event.value["t"], json!("2026-01-01T00:00:03.000Z"));
        assert_eq!(
            (&event.value["m"], &event.value["b"], &event.value["k"]),
            (&json!(1_767_225_603_000i64), &json!(true), &json!({"v": 1}))
        );
        let text = event.value["s"].as_str().unwrap();
        assert!(text.len() == 4 && text.bytes().all(|letter| letter.is_ascii_lowercase()));
        let id = event.value["u"].as_str().unwrap();
        assert_eq!((id.len(), id.as_bytes()[14]), (36, b'4'));
    }

    proptest! {
        #[test]
        fn numbers_stay_in_their_range(seed: u64, n: u64, a: i64, b: i64) {
            let (min, max) = (a.min(b), a.max(b));
            let drawn = integer(&mut Draw::new(seed, n), min, max);
            prop_assert!((min..=max).contains(&drawn));
            integer(&mut Draw::new(seed, n), i64::MIN, i64::MAX);
        }

        #[test]
        fn a_weight_of_nothing_never_comes(seed: u64, n: u64) {
            prop_assert!(choice(&mut Draw::new(seed, n), 3, &[1, 0, 2]) != 1);
            prop_assert!(choice(&mut Draw::new(seed, n), 3, &[]) < 3);
        }
    }
}
