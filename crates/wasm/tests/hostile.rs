//! Guests that loop, eat, trap, lie or reach out: each gets an error that names it and the reason, within its limit, and hurts no one.

#![cfg(test)]

#[path = "support/guests.rs"]
mod guests;

use bytes::Bytes;
use guests::{Kept, component, engine, instance, instance_with, records, texts};
use millstream_types::ErrorKind;
use millstream_wasm::{Compiled, Engine, Error, Limits, LogLevel};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

async fn hostile(engine: &Engine) -> Compiled {
    engine.compile(component("hostile/hostile.wasm")).await.unwrap()
}

fn tight() -> Limits {
    Limits {
        memory_bytes: 16 << 20,
        cpu: Duration::from_millis(200),
        output_bytes: 4 << 20,
        output_records: 100_000,
        ..Limits::default()
    }
}

/// Does the deed once and returns the error, which must be the guest's fault and name it.
async fn deed(word: &str) -> Error {
    let engine = engine();
    let mut instance =
        instance_with(&hostile(&engine).await, &format!("\"{word}\""), tight(), Arc::new(Kept::default()));
    let error = instance.process(&records(&["a", "b"])).await.expect_err(word);
    assert_eq!(error.kind(), ErrorKind::Guest, "{word}: {error}");
    assert!(error.to_string().contains("under-test"), "{word}: {error}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_loop_ends_at_its_cpu_limit() {
    let error = deed("loop").await;
    assert!(matches!(&error, Error::Cpu { call: "process", .. }), "{error}");
    assert!(error.to_string().contains("200 ms"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_eats_memory_is_told_its_limit() {
    let error = deed("eat").await;
    assert!(matches!(&error, Error::Memory { limit, .. } if *limit == 16 << 20), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_told_with_its_own_words() {
    let error = deed("trap").await;
    assert!(error.to_string().contains("on purpose") && error.to_string().contains("unreachable"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_recursion_is_a_trap_of_the_guest() {
    let error = deed("recurse").await;
    assert!(matches!(&error, Error::Trap { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_nonsense_are_refused() {
    for word in ["nonsense", "empty", "huge-counts", "topic", "wrong-input", "twice"] {
        let error = deed(word).await;
        assert!(matches!(&error, Error::Answer { .. }), "{word}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_bounded_where_it_is_emitted_and_where_it_is_put_together() {
    let emitted = deed("flood-emit").await;
    assert!(emitted.to_string().contains("emitted more than") || emitted.to_string().contains("times"), "{emitted}");
    let amplified = deed("amplify").await;
    assert!(amplified.to_string().contains("100000 records"), "{amplified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_batch_keeps_its_words_and_its_instance() {
    let engine = engine();
    let mut instance = instance(&hostile(&engine).await, "\"refuse\"");
    for _ in 0..3 {
        let error = instance.process(&records(&["a"])).await.unwrap_err();
        assert!(error.to_string().contains("not this batch"), "{error}");
    }
    assert_eq!(instance.started(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_works_again_after_a_trap() {
    let engine = engine();
    let mut instance = instance(&hostile(&engine).await, "\"trap-on-seven\"");
    instance.process(&records(&["six", "seven"])).await.unwrap_err();
    let outcome = instance.process(&records(&["six", "eight"])).await.unwrap();
    assert_eq!(texts(&outcome.outputs[0].records), ["six", "eight"]);
    assert_eq!(instance.started(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_leaks_is_replaced_before_its_limit() {
    let engine = engine();
    let mut instance = instance_with(
        &hostile(&engine).await,
        "\"leak\"",
        Limits { memory_bytes: 32 << 20, ..Limits::default() },
        Arc::new(Kept::default()),
    );
    for _ in 0..20 {
        instance.process(&records(&["a"])).await.unwrap();
    }
    assert!((2..=10).contains(&instance.started()), "{}", instance.started());
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_refused_are_the_caller_s_to_mend() {
    let engine = engine();
    let compiled = hostile(&engine).await;
    let refused = instance(&compiled, "\"configure-refuse\"").prepare().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.to_string().contains("I do not like these settings"), "{refused}");
    let trapped = instance(&compiled, "\"configure-trap\"").prepare().await.unwrap_err();
    assert!(trapped.to_string().contains("no configuration today"), "{trapped}");
    let looped =
        instance_with(&compiled, "\"configure-loop\"", tight(), Arc::new(Kept::default())).prepare().await.unwrap_err();
    assert!(matches!(&looped, Error::Cpu { call: "configure", .. }), "{looped}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_log_lines_is_cut_and_counted() {
    let engine = engine();
    let compiled = hostile(&engine).await;
    let kept = Arc::new(Kept::default());
    let mut flooding = instance_with(&compiled, "\"flood-log\"", Limits::default(), kept.clone());
    flooding.process(&records(&["a"])).await.unwrap();
    assert!(kept.lines().len() < 2000, "{}", kept.lines().len());
    let kept = Arc::new(Kept::default());
    instance_with(&compiled, "\"long-line\"", Limits::default(), kept.clone()).process(&records(&["a"])).await.unwrap();
    let lines = kept.lines();
    assert!(
        lines[0].0 == LogLevel::Warn && lines[0].1.len() < 9000 && lines[0].1.ends_with("[cut]"),
        "{}",
        lines[0].1.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_guest_beside_hostile_ones_is_unharmed() {
    let engine = engine();
    let compiled = hostile(&engine).await;
    let wrongdoers = ["loop", "eat", "trap", "recurse", "flood-emit", "nonsense"].map(|word| {
        let mut instance = instance_with(&compiled, &format!("\"{word}\""), tight(), Arc::new(Kept::default()));
        async move {
            for _ in 0..3 {
                assert_eq!(instance.process(&records(&["a"])).await.unwrap_err().kind(), ErrorKind::Guest);
            }
        }
    });
    let mut healthy = instance(&compiled, "\"keep\"");
    let work = async move {
        for _ in 0..200 {
            assert_eq!(texts(&healthy.process(&records(&["a", "b"])).await.unwrap().outputs[0].records), ["a", "b"]);
        }
        assert_eq!(healthy.started(), 1);
    };
    let started = Instant::now();
    let [a, b, c, d, e, f] = wrongdoers;
    tokio::join!(a, b, c, d, e, f, work);
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_function_is_refused_in_words() {
    let engine = engine();
    for (bytes, word) in [
        (&b"#!/bin/sh\necho hello"[..], "not a WebAssembly component"),
        (&b"\0asm\x01\0\0\0"[..], "not a WebAssembly component"),
        (&b""[..], "not a WebAssembly component"),
        (&b"\0asm\x0d\0\x01\0"[..], "exports nothing"),
    ] {
        let error = engine.compile(Bytes::from_static(bytes)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(word), "{error}");
    }
    let mut torn = component("hostile/hostile.wasm").to_vec();
    torn.truncate(torn.len() / 2);
    assert!(matches!(engine.compile(Bytes::from(torn)).await, Err(Error::NotComponent { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_not_allowed_is_named() {
    let error = engine().compile(component("hostile/hostile-sockets.wasm")).await.unwrap_err();
    assert!(matches!(&error, Error::Import { import, .. } if import.starts_with("wasi:sockets/")), "{error}");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_past_the_limit_is_refused_by_size() {
    let limits = millstream_wasm::EngineLimits { component_bytes_max: 1000, instances_max: 2, ..Default::default() };
    let engine = Engine::new(&millstream_runtime::Runtime::real(), limits, None).unwrap();
    assert!(matches!(engine.compile(component("hostile/hostile.wasm")).await, Err(Error::TooLarge { max: 1000, .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standard_library_gets_an_empty_machine() {
    let engine = engine();
    let compiled = engine.compile(component("hostile/hostile-wasi.wasm")).await.unwrap();
    let kept = Arc::new(Kept::default());
    for word in ["print", "files"] {
        instance_with(&compiled, &format!("\"{word}\""), Limits::default(), kept.clone())
            .process(&records(&["a"]))
            .await
            .unwrap();
    }
    let lines = kept.lines();
    assert!(lines.contains(&(LogLevel::Info, "printed 1".into())), "{lines:?}");
    assert!(lines.contains(&(LogLevel::Error, "complained".into())), "{lines:?}");
    assert!(lines.contains(&(LogLevel::Info, "true 0".into())), "{lines:?}");
    let exit = instance(&compiled, "\"exit\"").process(&records(&["a"])).await.unwrap_err();
    assert_eq!(exit.kind(), ErrorKind::Guest, "{exit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_waits_is_sent_away() {
    let engine = engine();
    let compiled = engine.compile(component("hostile/hostile-wasi.wasm")).await.unwrap();
    let limits = Limits { wall: Duration::from_millis(100), ..Limits::default() };
    let error = instance_with(&compiled, "\"sleep\"", limits, Arc::new(Kept::default()))
        .process(&records(&["a"]))
        .await
        .unwrap_err();
    assert!(matches!(&error, Error::Wall { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_pool_is_a_reason_to_wait_not_to_fail() {
    let limits = millstream_wasm::EngineLimits { instances_max: 1, ..Default::default() };
    let engine = Engine::new(&millstream_runtime::Runtime::real(), limits, None).unwrap();
    let compiled = hostile(&engine).await;
    let mut first = instance(&compiled, "\"keep\"");
    first.prepare().await.unwrap();
    let crowded = instance(&compiled, "\"keep\"").prepare().await.unwrap_err();
    assert_eq!(crowded.kind(), ErrorKind::Exhausted, "{crowded}");
    drop(first);
    instance(&compiled, "\"keep\"").prepare().await.unwrap();
}
