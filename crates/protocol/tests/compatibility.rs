//! `docs/kafka-compatibility.md` says what is served and what differs from Kafka 4.3. It is made here, from the table of APIs and the lists
//! beside this file, and must not be stale: `MILLSTREAM_BLESS=1 cargo test -p millstream-protocol --test compatibility` writes it anew.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

#[path = "compatibility/differences.rs"]
mod differences;
#[path = "compatibility/kafka.rs"]
mod kafka;

use differences::{DIFFERENCES, NOT_SERVED, NOT_TOLD_BY_KAFKA};
use kafka::KAFKA;
use millstream_protocol::{ApiKey, SERVED, advertised};
use std::fmt::Write;
use std::path::PathBuf;

fn document() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.ancestors().nth(2).unwrap().join("docs/kafka-compatibility.md")
}

fn ours(key: i16) -> Option<(i16, i16)> {
    let range = advertised(ApiKey::try_from(key).ok()?)?;
    Some((*range.start(), *range.end()))
}

fn versions((min, max): (i16, i16)) -> String {
    if min == max { min.to_string() } else { format!("{min}-{max}") }
}

fn rendered() -> String {
    let mut text = String::from(
        "# What of Kafka 4.3 a client finds here\n\n\
         Made from the code by `MILLSTREAM_BLESS=1 cargo test -p millstream-protocol --test compatibility`; a test fails when it is stale.\n\
         The differential harness (`crates/e2e/clients/python/differential`) sends the same requests to Apache Kafka 4.3.0 and to a node,\n\
         and tells every difference that no row below explains.\n\n\
         ## APIs\n\n\
         | key | API | Kafka 4.3 | here | why not all |\n|---|---|---|---|---|\n",
    );
    for (key, name, min, max) in KAFKA {
        let here = ours(*key).map_or_else(|| "-".to_owned(), versions);
        let why = NOT_SERVED.iter().find(|(api, ..)| api == name).map_or("", |(_, why)| why);
        let _ = writeln!(text, "| {key} | {name} | {} | {here} | {why} |", versions((*min, *max)));
    }
    for (name, why) in NOT_TOLD_BY_KAFKA {
        let api = SERVED.iter().find(|api| format!("{api:?}") == *name).unwrap();
        let here = ours(*api as i16).map_or_else(String::new, versions);
        let _ = writeln!(text, "| {} | {name} | - | {here} | {why} |", *api as i16);
    }
    text.push_str(
        "\n## Differences\n\n\
         In what both serve. A field is a path in the answer, `[]` an element of a list; `*` stands for any text. Texts of errors are each\n\
         broker's own words everywhere: codes are compared, and ids, addresses, clocks and folders are left out.\n\n\
         | API | versions | field | what differs | why |\n|---|---|---|---|---|\n",
    );
    for difference in DIFFERENCES {
        let differences::Difference { api, versions, field, what, why } = difference;
        let _ = writeln!(text, "| `{api}` | {versions} | `{field}` | {what} | {why} |");
    }
    text
}

#[test]
fn the_document_is_what_the_code_says() {
    let (path, text) = (document(), rendered());
    if std::env::var_os("MILLSTREAM_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == text,
        "{} is stale: run this test with MILLSTREAM_BLESS=1, and commit what it wrote",
        path.display()
    );
}

#[test]
fn every_api_and_version_that_is_missing_has_a_reason_and_no_other_has() {
    for (key, name, min, max) in KAFKA {
        let whole = ours(*key).is_some_and(|(low, high)| low <= *min && high >= *max);
        let has_reason = NOT_SERVED.iter().any(|(api, ..)| api == name);
        assert_eq!(!whole, has_reason, "{name}: served {:?} of {min}-{max}", ours(*key));
    }
    for (name, _) in NOT_SERVED {
        assert!(KAFKA.iter().any(|(_, api, ..)| api == name), "{name} is none of Kafka's");
    }
}

#[test]
fn what_kafka_does_not_tell_is_said_to_be_so() {
    for api in SERVED {
        let told = KAFKA.iter().any(|(key, ..)| *key == *api as i16);
        let name = format!("{api:?}");
        assert_eq!(!told, NOT_TOLD_BY_KAFKA.iter().any(|(known, _)| *known == name), "{name}");
    }
}

#[test]
fn a_difference_is_of_an_api_that_both_serve() {
    for difference in DIFFERENCES {
        let known = difference.api == "*" || KAFKA.iter().any(|(_, name, ..)| *name == difference.api);
        assert!(known, "{}", difference.api);
        let cells = [difference.field, difference.what, difference.why];
        assert!(
            cells.iter().all(|cell| !cell.is_empty() && !cell.contains('|')),
            "{}: {}",
            difference.api,
            difference.what
        );
    }
}
