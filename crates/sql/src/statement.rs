//! Which statements there are: queries run, streams are made and dropped elsewhere, everything else is refused in words.

use crate::Error;
use crate::dialect::Postgres;
use crate::guard::{Placed, check_depth, split_statements, tokens};
use crate::limits::PARSER_DEPTH_MAX;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::Statement as Sql;
use datafusion::sql::sqlparser::tokenizer::Token;

/// What a statement is, so that its caller knows where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementKind {
    /// It gives rows: `Engine::query`.
    Query,
    /// `CREATE STREAM`: `Engine::create_stream_spec`.
    CreateStream,
    /// `DROP STREAM`: `drop_stream_name`.
    DropStream,
}

/// Says what a statement is, by its first words.
///
/// # Errors
/// When it is too large, or a string in it does not end.
pub fn statement_kind(sql: &str) -> Result<StatementKind, Error> {
    let tokens = tokens(sql)?;
    let words = words(&tokens);
    Ok(match words.iter().take(4).map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["create", "stream", ..] | ["create", "or", "replace", "stream"] => StatementKind::CreateStream,
        ["drop", "stream", ..] => StatementKind::DropStream,
        _ => StatementKind::Query,
    })
}

/// Whether a statement creates or drops something, and so is not for `Engine::query`.
///
/// # Errors
/// As [`statement_kind`].
pub fn is_statement_ddl(sql: &str) -> Result<bool, Error> {
    Ok(statement_kind(sql)? != StatementKind::Query)
}

/// The first words of a statement in lower case.
fn words(tokens: &[Placed]) -> Vec<String> {
    let solid = tokens.iter().map(|placed| &placed.token).filter(|token| !matches!(token, Token::Whitespace(_)));
    solid
        .map_while(|token| match token {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_ascii_lowercase()),
            _ => None,
        })
        .take(4)
        .collect()
}

/// The name in `DROP STREAM [IF EXISTS] name`, and whether a missing stream is no error.
///
/// # Errors
/// When it is anything else.
pub fn drop_stream_name(sql: &str) -> Result<(String, bool), Error> {
    let tokens = tokens(sql)?;
    let solid: Vec<&Token> = tokens
        .iter()
        .map(|placed| &placed.token)
        .filter(|token| !matches!(token, Token::Whitespace(_) | Token::SemiColon))
        .collect();
    let is = |token: &Token, text: &str| matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text));
    let expected = || Error::Syntax { reason: "expected DROP STREAM [IF EXISTS] name".to_owned() };
    let (rest, if_exists) = match solid.as_slice() {
        [drop, stream, yes, exists, rest @ ..]
            if is(drop, "drop") && is(stream, "stream") && is(yes, "if") && is(exists, "exists") =>
        {
            (rest, true)
        }
        [drop, stream, rest @ ..] if is(drop, "drop") && is(stream, "stream") => (rest, false),
        _ => return Err(expected()),
    };
    match rest {
        [Token::Word(name)] => Ok((identifier(&name.value, name.quote_style.is_some()), if_exists)),
        _ => Err(expected()),
    }
}

/// A name as PostgreSQL reads it: as written in quotes, otherwise in lower case.
pub(crate) fn identifier(value: &str, quoted: bool) -> String {
    if quoted { value.replace("\"\"", "\"") } else { value.to_ascii_lowercase() }
}

/// Parses one statement that gives rows. Call on a thread with a large stack.
pub(crate) fn parse_query(sql: &str) -> Result<Statement, Error> {
    let statements = split_statements(sql)?;
    let statement = match statements.as_slice() {
        [] => return Err(Error::Empty),
        [one] => one,
        several => return Err(Error::Several { count: several.len() }),
    };
    let tokens = tokens(statement)?;
    check_depth(&tokens)?;
    if statement_kind(statement)? != StatementKind::Query {
        return Err(refused(
            &words(&tokens).join(" ").to_ascii_uppercase(),
            "it changes what is deployed: send it as a statement of its own",
        ));
    }
    let statement = parse(statement)?;
    check(&statement)?;
    Ok(statement)
}

/// Parses one statement of any kind that has passed [`check_depth`].
pub(crate) fn parse(sql: &str) -> Result<Statement, Error> {
    let parsed = DFParserBuilder::new(sql)
        .with_dialect(&Postgres)
        .with_recursion_limit(PARSER_DEPTH_MAX)
        .build()
        .and_then(|mut parser| parser.parse_statements());
    let mut statements = parsed.map_err(|error| crate::words::syntax(&error))?;
    statements.pop_front().ok_or(Error::Empty)
}

fn check(statement: &Statement) -> Result<(), Error> {
    let sql = match statement {
        Statement::Explain(explain) => return check(&explain.statement),
        Statement::CopyTo(_) => {
            return Err(refused("COPY TO", "ask for the rows with --output csv, or use an object-store connector"));
        }
        Statement::CreateExternalTable(_) => {
            return Err(refused("CREATE EXTERNAL TABLE", "bring the data into a topic with a file connector"));
        }
        Statement::Reset(_) => return Err(refused("RESET", "settings are the node's: see millstream config")),
        Statement::Statement(sql) => sql.as_ref(),
    };
    match sql {
        Sql::Query(_)
        | Sql::ExplainTable { .. }
        | Sql::ShowTables { .. }
        | Sql::ShowColumns { .. }
        | Sql::ShowFunctions { .. }
        | Sql::ShowVariable { .. } => Ok(()),
        Sql::Explain { statement, .. } => check(&Statement::Statement(statement.clone())),
        Sql::Insert(_) | Sql::Copy { .. } => Err(refused(
            "writing into a topic by SQL",
            "produce with a Kafka client or millstream topic produce, or use CREATE STREAM",
        )),
        Sql::Update(_) | Sql::Delete(_) | Sql::Merge(_) | Sql::Truncate(_) => {
            Err(refused("changing records", "a log is only appended to; produce a new record, or delete by retention"))
        }
        Sql::CreateTable(_) => {
            Err(refused("CREATE TABLE", "a topic is a table: millstream topic create, then register a schema"))
        }
        Sql::CreateView(_) => {
            Err(refused("CREATE VIEW", "use CREATE STREAM name AS SELECT ... for a continuous query"))
        }
        Sql::Drop { .. } => Err(refused("DROP", "use DROP STREAM name, or millstream topic delete")),
        Sql::Set(_) | Sql::Reset(_) | Sql::Use(_) => {
            Err(refused("a session setting", "settings are the node's: see millstream config"))
        }
        other => {
            let text = other.to_string();
            let first: Vec<&str> = text.split_whitespace().take(2).collect();
            Err(refused(
                &first.join(" "),
                "there are SELECT, EXPLAIN, SHOW TABLES, DESCRIBE, CREATE STREAM and DROP STREAM",
            ))
        }
    }
}

pub(crate) fn refused(what: &str, instead: &str) -> Error {
    Error::Unsupported { what: what.to_owned(), instead: instead.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_told_from_queries() {
        for (sql, kind) in [
            ("create  stream s as select 1", StatementKind::CreateStream),
            ("-- note\nCREATE OR REPLACE STREAM s AS SELECT 1", StatementKind::CreateStream),
            ("drop stream s", StatementKind::DropStream),
            ("SELECT 'create stream'", StatementKind::Query),
            ("create table t(a int)", StatementKind::Query),
            ("", StatementKind::Query),
        ] {
            assert_eq!(statement_kind(sql), Ok(kind), "{sql}");
        }
    }

    #[test]
    fn a_dropped_stream_is_named() {
        assert_eq!(drop_stream_name("DROP STREAM Late_Flights;"), Ok(("late_flights".to_owned(), false)));
        assert_eq!(drop_stream_name("drop stream if exists \"Late\""), Ok(("Late".to_owned(), true)));
        assert!(drop_stream_name("drop stream").is_err());
        assert!(drop_stream_name("drop stream a b").is_err());
    }

    #[test]
    fn what_writes_is_refused_in_words() {
        for (sql, words) in [
            ("INSERT INTO t VALUES (1)", "produce"),
            ("UPDATE t SET a = 1", "a log is only appended to"),
            ("DELETE FROM t", "a log is only appended to"),
            ("CREATE TABLE t (a int)", "a topic is a table"),
            ("CREATE VIEW v AS SELECT 1", "CREATE STREAM"),
            ("DROP TABLE t", "DROP STREAM"),
            ("COPY t TO 'file.csv'", "--output csv"),
            ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "file connector"),
            ("EXPLAIN INSERT INTO t VALUES (1)", "produce"),
            ("SET a = 1", "settings are the node's"),
            ("GRANT SELECT ON t TO u", "GRANT"),
            ("CREATE STREAM s AS SELECT 1", "a statement of its own"),
        ] {
            let error = parse_query(sql).expect_err(sql);
            assert!(error.to_string().contains(words), "{sql}: {error}");
            assert!(matches!(error, Error::Unsupported { .. }), "{sql}: {error:?}");
        }
    }

    #[test]
    fn what_reads_is_taken() {
        for sql in [
            "SELECT 1",
            "WITH a AS (SELECT 1) SELECT * FROM a;",
            "EXPLAIN SELECT 1",
            "EXPLAIN ANALYZE SELECT 1",
            "SHOW TABLES",
            "DESCRIBE t",
            "VALUES (1)",
        ] {
            assert!(parse_query(sql).is_ok(), "{sql}: {:?}", parse_query(sql));
        }
        assert_eq!(parse_query(" ; "), Err(Error::Empty));
        assert_eq!(parse_query("SELECT 1; SELECT 2"), Err(Error::Several { count: 2 }));
        assert!(matches!(parse_query("SELEC 1"), Err(Error::Syntax { .. })));
    }
}
