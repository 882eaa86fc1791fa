//! A function from an empty folder to an answer, by this machine's own toolchains.

#![cfg(test)]

use bytes::Bytes;
use millstream_function::project::{Language, Trial, TrialRow, build, scaffold, test};
use millstream_runtime::Runtime;
use std::path::{Path, PathBuf};

fn cache() -> PathBuf {
    std::env::var_os("HOME").map_or_else(std::env::temp_dir, PathBuf::from).join(".cache/millstream")
}

fn sample(folder: &Path) -> Vec<Bytes> {
    std::fs::read_to_string(folder.join("sample.jsonl"))
        .unwrap()
        .lines()
        .map(|line| Bytes::from(line.to_owned()))
        .collect()
}

async fn from_folder_to_answer(language: Language) {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("my-function");
    scaffold(&project, language, "my-function").unwrap();
    let built = build(&project, &cache()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(built.path, project.join("my-function.wasm"));
    let component = Bytes::from(std::fs::read(&built.path).unwrap());
    let trial = |settings: &str| Trial {
        component: component.clone(),
        settings: settings.into(),
        values: sample(&project),
        cache: Some(folder.path().join("code")),
    };
    let runtime = Runtime::real();
    let report = test(&runtime, trial("{}")).await.unwrap();
    assert_eq!(report.rows[0], TrialRow::Dropped { input: 0 });
    assert!(
        matches!(&report.rows[1], TrialRow::Written { input: 1, topic: 0, value: Some(value), .. } if value.contains("\"large\":true")),
        "{report:?}"
    );
    assert!(
        matches!(&report.rows[2], TrialRow::Failed { input: 2, message } if message.contains("not JSON")),
        "{report:?}"
    );
    let report = test(&runtime, trial(r#"{"min": 100}"#)).await.unwrap();
    assert!(matches!(&report.rows[0], TrialRow::Written { input: 0, .. }), "{report:?}");
    let refused = test(&runtime, trial(r#"{"min": "much"}"#)).await.unwrap_err();
    assert!(refused.to_string().contains("expected a number"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_rust_function_builds_and_answers() {
    from_folder_to_answer(Language::Rust).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_javascript_function_builds_and_answers() {
    from_folder_to_answer(Language::JavaScript).await;
}

/// Every way to say what becomes of a record, text beyond ASCII and Latin-1 included.
const TYPED: &str = r#"import type { Output, Record } from "millstream";
export function process(record: Record, out: Output): void {
  if (record.index === 0) {
    out.keep(1);
    out.row({ topic: 2, key: "k\u00eb", value: "snow \u2603 \ud83d\ude00", headers: [["h", "1"], ["h", null]], timestamp: 5 });
  } else if (record.index === 1) {
    out.value("caf\u00e9");
    out.row({ key: null, value: new Uint8Array([104, 105]) });
    out.value(null);
  } else {
    out.keep(1);
    out.value("taken back");
    throw new Error("not th\u00efs one");
  }
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn typescript_is_built_and_says_everything_an_output_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("typed");
    scaffold(&project, Language::JavaScript, "typed").unwrap();
    std::fs::remove_file(project.join("src/index.js")).unwrap();
    std::fs::write(project.join("src/index.ts"), TYPED).unwrap();
    let built = build(&project, &cache()).unwrap_or_else(|error| panic!("{error}"));
    let component = Bytes::from(std::fs::read(&built.path).unwrap());
    let values =
        vec![Bytes::from_static("zero \u{e9}".as_bytes()), Bytes::from_static(b"one"), Bytes::from_static(b"two")];
    let trial = Trial { component, settings: "{}".into(), values, cache: None };
    let report = test(&Runtime::real(), trial).await.unwrap();
    let written = |input, topic, value: Option<&str>| TrialRow::Written {
        input,
        topic,
        key: None,
        value: value.map(str::to_owned),
        headers: Vec::new(),
    };
    let routed = TrialRow::Written {
        input: 0,
        topic: 2,
        key: Some("k\u{eb}".into()),
        value: Some("snow \u{2603} \u{1f600}".into()),
        headers: vec![("h".into(), Some("1".into())), ("h".into(), None)],
    };
    let failed = TrialRow::Failed { input: 2, message: "not th\u{ef}s one".into() };
    let [kept, first, second, third] =
        [(0, 1, Some("zero \u{e9}")), (1, 0, Some("caf\u{e9}")), (1, 0, Some("hi")), (1, 0, None)]
            .map(|(a, b, c)| written(a, b, c));
    assert_eq!(report.rows, [kept, routed, first, second, third, failed]);
}

#[test]
fn a_folder_in_use_and_a_bad_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("precious"), "").unwrap();
    let taken = scaffold(folder.path(), Language::Rust, "f").unwrap_err();
    assert!(taken.to_string().contains("something already"), "{taken}");
    for name in ["", "My Function", "../x", "1st"] {
        assert!(scaffold(&folder.path().join("new"), Language::Rust, name).is_err(), "{name}");
    }
    let nothing = build(&folder.path().join("nowhere"), folder.path()).unwrap_err();
    assert!(nothing.to_string().contains("millstream function new"), "{nothing}");
}

#[test]
fn what_the_compiler_says_reaches_the_author() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("broken");
    scaffold(&project, Language::Rust, "broken").unwrap();
    std::fs::write(project.join("src/lib.rs"), "fn broken( {}").unwrap();
    let error = build(&project, &cache()).unwrap_err();
    assert!(error.to_string().contains("src/lib.rs:1"), "{error}");
}
