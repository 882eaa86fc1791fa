//! The part of a `CREATE STREAM` statement that is not SQL's: name and options.
//!
//! ```text
//! CREATE [OR REPLACE] STREAM name [WITH (option = value, ...)] AS query
//! ```

use crate::Error;
use crate::guard::{Placed, check_depth, split_statements, tokens};
use crate::statement::identifier;
use datafusion::sql::sqlparser::tokenizer::Token;
use millstream_task::{ErrorPolicy, Guarantee};

/// Name, options and query.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) topic: Option<String>,
    pub(crate) partitions: Option<i32>,
    pub(crate) on_error: ErrorPolicy,
    pub(crate) from_earliest: bool,
    pub(crate) guarantee: Guarantee,
    pub(crate) commit_interval_ms: Option<u64>,
    pub(crate) query: String,
}

/// The longest name of a topic, by Kafka's rules.
const NAME_CHARS_MAX: usize = 249;
const SHAPE: &str = "CREATE STREAM name [WITH (partitions = 3, on_error = 'fail' | 'skip' | 'dead-letter', topic = 'name', start = 'earliest' | 'latest', processing_guarantee = 'exactly-once' | 'at-least-once', commit_interval_ms = 100)] AS SELECT ...";

impl Header {
    /// Reads a statement.
    pub(crate) fn parse(sql: &str) -> Result<Self, Error> {
        let statements = split_statements(sql)?;
        let [statement] = statements.as_slice() else {
            return Err(if statements.is_empty() { Error::Empty } else { Error::Several { count: statements.len() } });
        };
        let tokens = tokens(statement)?;
        check_depth(&tokens)?;
        let mut rest = Rest(&tokens);
        rest.word("create")?;
        if rest.has_word("or") {
            rest.word("or")?;
            rest.word("replace")?;
        }
        rest.word("stream")?;
        let name = rest.name()?;
        check_name(&name)?;
        let mut header = Self {
            name,
            topic: None,
            partitions: None,
            on_error: ErrorPolicy::Fail,
            from_earliest: true,
            guarantee: Guarantee::ExactlyOnce,
            commit_interval_ms: None,
            query: String::new(),
        };
        if rest.has_word("with") {
            rest.word("with")?;
            header.options(&mut rest)?;
        }
        rest.word("as")?;
        header.query = rest.0.first().map_or("", |placed| &statement[placed.at..]).trim().to_owned();
        Ok(header)
    }

    fn options(&mut self, rest: &mut Rest<'_>) -> Result<(), Error> {
        rest.token(&Token::LParen)?;
        loop {
            let option = rest.name()?.to_ascii_lowercase();
            rest.token(&Token::Eq)?;
            let value = rest.value()?;
            self.set(&option, &value)?;
            match rest.next() {
                Some(Token::Comma) => {}
                Some(Token::RParen) => return Ok(()),
                other => return Err(unexpected(other)),
            }
        }
    }

    fn set(&mut self, option: &str, value: &str) -> Result<(), Error> {
        let wrong =
            |expected: &str| Error::Invalid { reason: format!("the option {option} = {value:?} is not {expected}") };
        match option {
            "partitions" => {
                let partitions = value.parse().ok().filter(|count| (1..=10_000).contains(count));
                self.partitions = Some(partitions.ok_or_else(|| wrong("a number from 1 to 10000"))?);
            }
            "on_error" => {
                self.on_error = match value {
                    "fail" => ErrorPolicy::Fail,
                    "skip" => ErrorPolicy::Skip,
                    "dead-letter" => ErrorPolicy::DeadLetter,
                    _ => return Err(wrong("'fail', 'skip' or 'dead-letter'")),
                };
            }
            "topic" => {
                check_name(value)?;
                self.topic = Some(value.to_owned());
            }
            "start" => {
                self.from_earliest = match value {
                    "earliest" => true,
                    "latest" => false,
                    _ => return Err(wrong("'earliest' or 'latest'")),
                };
            }
            "processing_guarantee" => {
                self.guarantee = match value {
                    "exactly-once" => Guarantee::ExactlyOnce,
                    "at-least-once" => Guarantee::AtLeastOnce,
                    _ => return Err(wrong("'exactly-once' or 'at-least-once'")),
                };
            }
            "commit_interval_ms" => {
                let interval = value.parse().ok().filter(|interval| (1..=60_000).contains(interval));
                self.commit_interval_ms = Some(interval.ok_or_else(|| wrong("a number from 1 to 60000"))?);
            }
            _ => {
                return Err(Error::Invalid {
                    reason: format!(
                        "there is no option {option:?} of streams; there are partitions, on_error, topic, start, processing_guarantee and commit_interval_ms"
                    ),
                });
            }
        }
        Ok(())
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let legal = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(legal) || name == "." || name == ".." {
        return Err(Error::Invalid {
            reason: format!(
                "{name:?} can't name a topic: use 1 to {NAME_CHARS_MAX} letters, digits, dots, underscores and dashes"
            ),
        });
    }
    Ok(())
}

fn unexpected(token: Option<&Token>) -> Error {
    let found = token.map_or_else(|| "the end".to_owned(), |token| format!("{:?}", token.to_string()));
    Error::Syntax { reason: format!("{found} is unexpected; the form is {SHAPE}") }
}

/// The tokens still to be read.
struct Rest<'a>(&'a [Placed]);

impl<'a> Rest<'a> {
    fn next(&mut self) -> Option<&'a Token> {
        let at = self.0.iter().position(|placed| !matches!(placed.token, Token::Whitespace(_)))?;
        let placed = self.0.get(at);
        self.0 = self.0.get(at + 1..).unwrap_or_default();
        placed.map(|placed| &placed.token)
    }

    fn has_word(&self, word: &str) -> bool {
        Rest(self.0).word(word).is_ok()
    }

    fn word(&mut self, expected: &str) -> Result<(), Error> {
        match self.next() {
            Some(Token::Word(word)) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(expected) => {
                Ok(())
            }
            other => Err(unexpected(other)),
        }
    }

    fn token(&mut self, expected: &Token) -> Result<(), Error> {
        match self.next() {
            Some(token) if token == expected => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    fn name(&mut self) -> Result<String, Error> {
        match self.next() {
            Some(Token::Word(word)) => Ok(identifier(&word.value, word.quote_style.is_some())),
            other => Err(unexpected(other)),
        }
    }

    fn value(&mut self) -> Result<String, Error> {
        match self.next() {
            Some(Token::SingleQuotedString(text)) => Ok(text.replace("''", "'")),
            Some(Token::Number(text, _)) => Ok(text.clone()),
            Some(Token::Word(word)) if word.quote_style.is_none() => Ok(word.value.to_ascii_lowercase()),
            other => Err(unexpected(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_options_and_query_are_read() {
        let sql = "create or replace stream Late with (PARTITIONS = 3, on_error='dead-letter', topic = 'late.flights', start = latest, processing_guarantee = 'at-least-once', commit_interval_ms = 20)\n as select 'as', \"A\" from f;";
        assert_eq!(
            Header::parse(sql),
            Ok(Header {
                name: "late".into(),
                topic: Some("late.flights".into()),
                partitions: Some(3),
                on_error: ErrorPolicy::DeadLetter,
                from_earliest: false,
                guarantee: Guarantee::AtLeastOnce,
                commit_interval_ms: Some(20),
                query: "select 'as', \"A\" from f".into()
            })
        );
        assert_eq!(Header::parse("CREATE STREAM \"Late-1\" AS SELECT 1").expect("a header").name, "Late-1");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (sql, words) in [
            ("CREATE STREAM AS SELECT 1", "unexpected"),
            ("CREATE STREAM s SELECT 1", "\"SELECT\" is unexpected; the form is CREATE STREAM name"),
            ("CREATE STREAM \"a b\" AS SELECT 1", "\"a b\" can't name a topic"),
            ("CREATE STREAM s WITH (replicas = 1) AS SELECT 1", "no option \"replicas\""),
            ("CREATE STREAM s WITH (partitions = 'many') AS SELECT 1", "a number from 1 to 10000"),
            ("CREATE STREAM s WITH (on_error = 'ignore') AS SELECT 1", "'fail', 'skip' or 'dead-letter'"),
            ("CREATE STREAM s WITH (processing_guarantee = 'once') AS SELECT 1", "'exactly-once' or 'at-least-once'"),
            ("CREATE STREAM s WITH (commit_interval_ms = 0) AS SELECT 1", "a number from 1 to 60000"),
            ("CREATE STREAM s WITH (partitions = 1 AS SELECT 1", "unexpected"),
            ("CREATE STREAM", "the end is unexpected"),
        ] {
            let error = Header::parse(sql).expect_err(sql).to_string();
            assert!(error.contains(words), "{sql}: {error}");
        }
    }
}
