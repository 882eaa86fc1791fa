//! The functions of this repository, run by the engine as a node runs them.

#![cfg(test)]

#[path = "support/guests.rs"]
mod guests;

use guests::{component, engine, instance, records, texts};
use millstream_record::Columns;
use millstream_runtime::Runtime;
use millstream_wasm::{Engine, EngineLimits};

/// The events of the transform baseline, as SplitMix64 of seed 1 draws them: `{"id":..,"user":..,"kind":..,"region":..,"amount":..,"ts":..,"ok":..}`.
fn event(i: u64) -> String {
    let draw = |k: u64| {
        let mut z = 1u64.wrapping_add((8 * i + k + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let kinds = ["view", "click", "search", "cart", "purchase", "refund", "login", "logout"];
    let regions = ["eu-w", "eu-c", "us-e", "us-w", "ap-s", "ap-n"];
    let cents = draw(2) % 100_000;
    format!(
        "{{\"id\":{i},\"user\":\"u{}\",\"kind\":\"{}\",\"region\":\"{}\",\"amount\":{}.{:02},\"ts\":{},\"ok\":{}}}",
        100_000 + draw(0) % 10_000,
        kinds[(draw(1) % 8) as usize],
        regions[(draw(4) % 6) as usize],
        cents / 100,
        cents % 100,
        1_760_000_000_000u64 + i,
        draw(3) & 1 == 1
    )
}

fn events(from: u64, count: u64) -> Columns {
    let mut columns = Columns::default();
    for i in from..from + count {
        columns.push(
            1_760_000_000_000 + i as i64,
            Some(format!("u{}", i % 10_000).as_bytes()),
            Some(event(i).as_bytes()),
            [],
        );
    }
    columns
}

async fn filter_passes(path: &str, batches: u64) -> (u64, Vec<String>) {
    let engine = engine();
    let compiled = engine.compile(component(path)).await.unwrap();
    let mut filter = instance(&compiled, "{}");
    let (mut passed, mut first) = (0, Vec::new());
    for batch in 0..batches {
        let input = events(batch * 1000, 1000);
        let outcome = filter.process(&input).await.unwrap();
        assert!(outcome.failures.is_empty());
        let output = &outcome.outputs[0];
        passed += output.records.len() as u64;
        for (row, input_index) in output.inputs.iter().enumerate().take(3) {
            assert_eq!(output.records.keys.get(row), input.keys.get(*input_index as usize));
            assert_eq!(output.records.timestamps[row], input.timestamps[*input_index as usize]);
        }
        if batch == 0 {
            first = texts(&output.records);
        }
    }
    (passed, first)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_filter_answers_as_the_baseline_does() {
    let (passed, first) = filter_passes("filter/filter.wasm", 20).await;
    let expected = (0..20_000).filter(|i| {
        event(*i).split("\"amount\":").nth(1).and_then(|rest| rest.split(',').next()).unwrap().parse::<f64>().unwrap()
            >= 500.0
    });
    assert_eq!(passed, expected.count() as u64);
    for line in first {
        let amount: f64 =
            line.split("\"amount\":").nth(1).and_then(|rest| rest.split(',').next()).unwrap().parse().unwrap();
        assert!(line.ends_with(&format!("\"amount\":{amount:?},\"fee\":{:?}}}", amount * 0.029 + 0.30)), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_filter_answers_as_the_rust_one_does() {
    assert_eq!(filter_passes("filter-js/filter-js.wasm", 2).await, filter_passes("filter/filter.wasm", 2).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_an_event_fails_alone_and_with_its_reason() {
    let engine = engine();
    for path in ["filter/filter.wasm", "filter-js/filter-js.wasm"] {
        let mut filter = instance(&engine.compile(component(path)).await.unwrap(), "{}");
        let mut input =
            records(&["no json", r#"{"id":1,"user":"a\"é","kind":"k","amount":5e2}"#, r#"{"amount":"much"}"#]);
        input.push(0, None, Some(b"{\"user\":\"not UTF-8: \xff\",\"amount\":500}"), []);
        let outcome = filter.process(&input).await.unwrap();
        assert_eq!(outcome.failures.iter().map(|failure| failure.input).collect::<Vec<_>>(), [0, 2, 3], "{path}");
        assert!(
            outcome.failures[0].message.contains("JSON") && outcome.failures[1].message.contains("amount"),
            "{path}: {:?}",
            outcome.failures
        );
        assert_eq!(
            texts(&outcome.outputs[0].records),
            [r#"{"id":1,"user":"a\"é","kind":"k","amount":500.0,"fee":14.8}"#],
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flights_are_enriched_routed_and_refused() {
    let flight = r#"{"year":2013,"month":1,"day":1,"dep_time":517,"sched_dep_time":515,"dep_delay":2,"arr_time":830,"sched_arr_time":819,"arr_delay":11,"carrier":"UA","flight":1545,"tailnum":"N14228","origin":"EWR","dest":"IAH","air_time":227,"distance":1400,"hour":5,"minute":15,"time_hour":"2013-01-01 05:00:00"}"#;
    let cancelled =
        flight.replace("\"dep_time\":517", "\"dep_time\":null").replace("\"dep_delay\":2", "\"dep_delay\":null");
    let broken = flight.replace("\"month\":1,", "\"month\":13,");
    let engine = engine();
    let mut enrich = instance(&engine.compile(component("flights-enrich/flights-enrich.wasm")).await.unwrap(), "{}");
    let outcome = enrich.process(&records(&[flight, &cancelled, &broken, "{}"])).await.unwrap();
    assert_eq!(
        outcome.outputs.iter().map(|output| (output.topic, output.inputs.clone())).collect::<Vec<_>>(),
        [(0, vec![0]), (1, vec![1])]
    );
    let enriched = &texts(&outcome.outputs[0].records)[0];
    for part in [
        r#""route":"EWR-IAH""#,
        r#""delay_class":"on_time""#,
        r#""scheduled_at":"2013-01-01T05:15:00-05:00""#,
        r#""carrier":"UA""#,
    ] {
        assert!(enriched.contains(part), "{enriched} lacks {part}");
    }
    let failures: Vec<_> = outcome.failures.iter().map(|failure| (failure.input, failure.message.as_str())).collect();
    assert_eq!(failures[0], (2, "field \"month\" is 13; expected 1 to 12"));
    assert!(failures[1].0 == 3 && failures[1].1.contains("missing field"), "{failures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn compiled_code_is_kept_and_damage_is_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        Engine::new(
            &Runtime::real(),
            EngineLimits { instances_max: 4, ..EngineLimits::default() },
            Some(folder.path().join("code")),
        )
        .unwrap()
    };
    let filter = component("filter/filter.wasm");
    assert!(!start().compile(filter.clone()).await.unwrap().from_cache());
    let compiled = start().compile(filter.clone()).await.unwrap();
    assert!(compiled.from_cache());
    assert_eq!(instance(&compiled, "{}").process(&events(0, 100)).await.unwrap().outputs.len(), 1);
    let file = std::fs::read_dir(folder.path().join("code")).unwrap().next().unwrap().unwrap().path();
    let mut code = std::fs::read(&file).unwrap();
    let middle = code.len() / 2;
    code[middle] ^= 1;
    std::fs::write(&file, code).unwrap();
    let engine = start();
    assert!(!engine.compile(filter.clone()).await.unwrap().from_cache());
    assert!(engine.compile(filter).await.unwrap().from_cache());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_keeps_no_more_than_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let limits = EngineLimits { instances_max: 4, cached_components_max: 2, ..EngineLimits::default() };
    for path in ["filter/filter.wasm", "hostile/hostile.wasm", "hostile/hostile-wasi.wasm"] {
        Engine::new(&Runtime::real(), limits, Some(folder.path().into()))
            .unwrap()
            .compile(component(path))
            .await
            .unwrap();
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}
