//! What is checked of a text before any parser sees it, and how a text is cut into statements. A parser and a planner recurse: a
//! statement that nests too deep must be an error long before it is a stack overflow, which ends the process.

use crate::Error;
use crate::limits::{NESTING_MAX, OPERATORS_MAX, STATEMENT_BYTES_MAX, SUBQUERIES_DEEP_MAX};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// A token and the byte that it begins at.
pub(crate) struct Placed {
    pub(crate) token: Token,
    pub(crate) at: usize,
}

/// A text as tokens, white space and comments included.
pub(crate) fn tokens(text: &str) -> Result<Vec<Placed>, Error> {
    if text.len() > STATEMENT_BYTES_MAX {
        return Err(Error::TooComplex { what: "a size in bytes of", value: text.len(), limit: STATEMENT_BYTES_MAX });
    }
    let found = Tokenizer::new(&PostgreSqlDialect {}, text)
        .tokenize_with_location()
        .map_err(|error| Error::Syntax { reason: error.to_string() })?;
    // The tokenizer gives lines and columns, both from 1; we cut by bytes.
    let mut places = text.char_indices().chain([(text.len(), '\n')]).scan((1, 1), |(line, column), (at, character)| {
        let place = (*line, *column, at);
        (*line, *column) = if character == '\n' { (*line + 1, 1) } else { (*line, *column + 1) };
        Some(place)
    });
    let mut placed = Vec::with_capacity(found.len());
    for one in found.into_iter().filter(|one| one.token != Token::EOF) {
        let start = (one.span.start.line, one.span.start.column);
        let Some((.., at)) = places.find(|(line, column, _)| (*line, *column) == start) else {
            return Err(Error::Internal {
                reason: format!("a token lies at {}:{}, outside of its text", start.0, start.1),
            });
        };
        placed.push(Placed { token: one.token, at });
    }
    Ok(placed)
}

/// Cuts a text at its semicolons; empty statements are left out.
///
/// # Errors
/// When it is too large, or a string or a comment in it does not end.
pub fn split_statements(text: &str) -> Result<Vec<String>, Error> {
    let tokens = tokens(text)?;
    let mut statements = Vec::new();
    let mut from = 0;
    for statement in tokens.split_inclusive(|placed| placed.token == Token::SemiColon) {
        let last = statement.last().filter(|placed| placed.token == Token::SemiColon);
        let to = last.map_or(text.len(), |placed| placed.at);
        if statement.iter().any(|placed| !matches!(placed.token, Token::Whitespace(_) | Token::SemiColon)) {
            statements.push(text[from..to].trim().to_owned());
        }
        from = to + usize::from(last.is_some());
    }
    Ok(statements)
}

/// Checks that the tokens of one statement nest and chain within the limits.
pub(crate) fn check_depth(tokens: &[Placed]) -> Result<(), Error> {
    let mut depth = Depth::default();
    let solid = tokens.iter().map(|placed| &placed.token).filter(|token| !matches!(token, Token::Whitespace(_)));
    solid.for_each(|token| depth.see(token));
    for (what, value, limit) in [
        ("a nesting depth of", depth.deepest, NESTING_MAX),
        ("a depth of queries in queries of", depth.queries_deepest, SUBQUERIES_DEEP_MAX),
        ("an operator count of", depth.operators, OPERATORS_MAX),
    ] {
        if value > limit {
            return Err(Error::TooComplex { what, value, limit });
        }
    }
    Ok(())
}

/// How deep a statement is, token by token.
#[derive(Default)]
struct Depth {
    /// What is open: for each whether it is a query.
    open: Vec<bool>,
    queries: usize,
    deepest: usize,
    queries_deepest: usize,
    operators: usize,
    after_open: bool,
}

impl Depth {
    fn see(&mut self, token: &Token) {
        let after_open = std::mem::take(&mut self.after_open);
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                self.open();
                self.operators += usize::from(*token == Token::LBracket);
                self.after_open = true;
            }
            Token::RParen | Token::RBracket | Token::RBrace => self.close(),
            Token::Word(word) => self.word(word.keyword, after_open),
            Token::Comma | Token::Period | Token::Number(..) | Token::SingleQuotedString(_) | Token::SemiColon => {}
            // Whatever else there is stands between or before expressions, and so may make a tree deeper.
            _ => self.operators += 1,
        }
    }

    fn word(&mut self, keyword: Keyword, after_open: bool) {
        match keyword {
            Keyword::CASE => self.open(),
            Keyword::END => self.close(),
            Keyword::SELECT | Keyword::WITH | Keyword::VALUES if after_open => {
                if let Some(query) = self.open.last_mut() {
                    *query = true;
                    self.queries += 1;
                    self.queries_deepest = self.queries_deepest.max(self.queries);
                }
            }
            Keyword::AND
            | Keyword::OR
            | Keyword::NOT
            | Keyword::UNION
            | Keyword::EXCEPT
            | Keyword::INTERSECT
            | Keyword::JOIN
            | Keyword::EXPLAIN
            | Keyword::IS
            | Keyword::AT
            | Keyword::COLLATE => self.operators += 1,
            _ => {}
        }
    }

    fn open(&mut self) {
        self.open.push(false);
        self.deepest = self.deepest.max(self.open.len());
    }

    fn close(&mut self) {
        if self.open.pop() == Some(true) {
            self.queries -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_cut_outside_of_strings_and_comments() {
        let text = "SELECT ';' AS a; -- a ; comment\nSELECT \"x;y\" FROM t /* ; */;;\n SELECT $$;$$ ;";
        let statements = split_statements(text).expect("tokens");
        assert_eq!(statements, ["SELECT ';' AS a", "-- a ; comment\nSELECT \"x;y\" FROM t /* ; */", "SELECT $$;$$"]);
    }

    #[test]
    fn quotes_within_strings_survive() {
        let text = "SELECT 'it''s', E'a\\n\\\\b', \"a\"\"b\", 'é'";
        assert_eq!(split_statements(text).expect("tokens"), [text]);
    }

    #[test]
    fn depth_and_chains_are_bounded() {
        let deep = |count: usize| format!("SELECT {}1{}", "(".repeat(count), ")".repeat(count));
        let chain = |count: usize| format!("SELECT 1{}", "+1".repeat(count));
        let check = |text: &str| check_depth(&tokens(text).expect("tokens"));
        assert!(check(&deep(64)).is_ok() && check(&chain(1000)).is_ok());
        assert!(check(&deep(65)).expect_err("deep").to_string().contains("nesting depth of 65"));
        assert!(check(&chain(1001)).expect_err("long").to_string().contains("operator count of 1001"));
        let queries = |count: usize| format!("{}SELECT 1{}", "SELECT (".repeat(count), ")".repeat(count));
        assert!(check(&queries(8)).is_ok());
        assert!(check(&queries(9)).expect_err("deep").to_string().contains("queries in queries of 9"));
        assert!(check(&format!("SELECT 1{}", ", (SELECT 1)".repeat(100))).is_ok());
        assert!(check(&"CASE WHEN ".repeat(10_000)).is_err());
        assert!(check(&"SELECT 1 UNION ".repeat(10_000)).is_err());
        assert!(check(&format!("SELECT a IN ({}1)", "1,".repeat(10_000))).is_ok());
    }
}
