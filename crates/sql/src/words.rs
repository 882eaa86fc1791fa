//! DataFusion's errors in our words: what is missing, where, and what there is instead.

use crate::Error;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;

/// What an error may have to name.
pub(crate) struct Surroundings<'a> {
    /// The tables there are.
    pub(crate) tables: &'a dyn Fn() -> Vec<String>,
    /// The query's memory.
    pub(crate) memory_bytes_max: usize,
}

/// Candidates that a message lists.
const CANDIDATES_MAX: usize = 5;
/// The catalog and schema in front of a table's name in DataFusion's words.
const PREFIX: &str = "millstream.public.";

pub(crate) fn rewrite(error: DataFusionError, around: &Surroundings<'_>) -> Error {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => rewrite(*inner, around),
        DataFusionError::Shared(inner) => of_ref(inner.as_ref(), around),
        DataFusionError::Collection(errors) => match errors.into_iter().next() {
            Some(first) => rewrite(first, around),
            None => Error::Internal { reason: "an empty list of errors".to_owned() },
        },
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(other) => match other.downcast::<DataFusionError>() {
                Ok(inner) => rewrite(*inner, around),
                Err(other) => Error::Invalid { reason: other.to_string() },
            },
        },
        other => of_ref(&other, around),
    }
}

fn of_ref(error: &DataFusionError, around: &Surroundings<'_>) -> Error {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => of_ref(inner, around),
        DataFusionError::Shared(inner) => of_ref(inner, around),
        DataFusionError::External(inner) => match inner.downcast_ref::<Error>() {
            Some(ours) => ours.clone(),
            None => Error::Invalid { reason: inner.to_string() },
        },
        DataFusionError::SQL(..) => syntax(error),
        DataFusionError::SchemaError(schema, _) => schema_error(schema),
        DataFusionError::Plan(reason) => plan(reason, around),
        DataFusionError::ResourcesExhausted(reason) => {
            let reason = reason.lines().next().unwrap_or_default().to_owned();
            Error::Memory { limit: around.memory_bytes_max, reason }
        }
        DataFusionError::NotImplemented(reason) => {
            Error::Unsupported { what: reason.clone(), instead: "write the query in another way".to_owned() }
        }
        DataFusionError::Internal(reason) => {
            Error::Internal { reason: reason.lines().next().unwrap_or_default().to_owned() }
        }
        DataFusionError::ExecutionJoin(lost) => Error::Lost { reason: lost.to_string() },
        DataFusionError::ArrowError(error, _) => Error::Invalid { reason: error.to_string() },
        other => Error::Invalid { reason: other.strip_backtrace() },
    }
}

/// A parser's error without the layers around it.
pub(crate) fn syntax(error: &DataFusionError) -> Error {
    let text = error.strip_backtrace();
    let inner = ["SQL error: ", "ParserError(", "TokenizerError("]
        .iter()
        .fold(text.as_str(), |text, prefix| text.strip_prefix(prefix).unwrap_or(text));
    if inner.starts_with("RecursionLimitExceeded") {
        return Error::Syntax { reason: "it is nested too deeply; simplify it or split it".to_owned() };
    }
    let reason = inner.strip_suffix(')').filter(|_| inner.len() < text.len()).unwrap_or(inner).trim_matches('"');
    Error::Syntax { reason: reason.replace("\\\"", "\"") }
}

fn schema_error(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let relation = field.relation.as_ref().map(ToString::to_string);
            unknown_column(field.name.as_str(), relation.as_deref(), valid_fields)
        }
        SchemaError::AmbiguousReference { field } => Error::Invalid {
            reason: format!("the column {:?} is in more than one table; write table.column", field.name),
        },
        other => Error::Invalid { reason: other.to_string() },
    }
}

fn unknown_column(name: &str, relation: Option<&str>, valid: &[Column]) -> Error {
    let tables: Vec<String> =
        valid.iter().filter_map(|column| column.relation.as_ref().map(|table| table.table().to_owned())).collect();
    let only = tables.first().filter(|first| tables.iter().all(|table| table == *first));
    let table = relation.map(|relation| relation.trim_start_matches(PREFIX).to_owned()).or_else(|| only.cloned());
    let names: Vec<String> = valid.iter().map(|column| column.name.clone()).collect();
    Error::UnknownColumn {
        column: name.to_owned(),
        place: table.map_or_else(String::new, |table| format!(" in {table:?}")),
        hint: hint(name, &names, "columns"),
    }
}

fn plan(reason: &str, around: &Surroundings<'_>) -> Error {
    let named = reason.strip_prefix("table '").and_then(|rest| rest.split_once("' not found"));
    let Some((table, _)) = named else {
        return Error::Invalid { reason: reason.lines().next().unwrap_or_default().to_owned() };
    };
    let table = table.strip_prefix(PREFIX).or_else(|| table.strip_prefix("millstream.")).unwrap_or(table);
    Error::UnknownTable { table: table.to_owned(), hint: hint(table, &(around.tables)(), "topics") }
}

/// What there is that the name may have meant.
fn hint(name: &str, candidates: &[String], what: &str) -> String {
    if let Some(same) = candidates.iter().find(|candidate| candidate.eq_ignore_ascii_case(name)) {
        return format!("there is {same:?}: a name with capital letters, dots or dashes is written in double quotes");
    }
    if candidates.is_empty() {
        return format!("there are no {what}");
    }
    let mut ranked: Vec<(usize, &String)> =
        candidates.iter().map(|candidate| (distance(name, candidate), candidate)).collect();
    ranked.sort();
    ranked.dedup();
    let shown: Vec<String> =
        ranked.iter().take(CANDIDATES_MAX).map(|(_, candidate)| format!("{candidate:?}")).collect();
    let more = if ranked.len() > CANDIDATES_MAX { ", ..." } else { "" };
    format!("the {what} there are: {}{more}", shown.join(", "))
}

/// Edits between two names, letter case aside (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.to_lowercase().chars().take(64).collect(), b.to_lowercase().chars().take(64).collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_come_first() {
        let names = ["carrier", "origin", "dest", "distance", "dep_delay", "arr_delay"].map(str::to_owned);
        assert!(hint("dep_dely", &names, "columns").starts_with("the columns there are: \"dep_delay\", \"arr_delay\""));
        assert!(hint("departuretime", &["departureTime".to_owned()], "columns").contains("in double quotes"));
        assert_eq!(hint("x", &[], "topics"), "there are no topics");
    }

    #[test]
    fn distances_are_edits() {
        for (a, b, expected) in
            [("", "", 0), ("abc", "abc", 0), ("kitten", "sitting", 3), ("", "ab", 2), ("AB", "ab", 0)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
