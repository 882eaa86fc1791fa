//! What is checked of a text before any parser sees it, and how a text is cut into statements. A parser and a planner recurse: a
//! statement that nests too deep must be an error long before it is a stack overflow, which ends the process.

use crate::Error;
use crate::limits::{NESTING_MAX, OPERATORS_MAX, STATEMENT_BYTES_MAX};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// A text as tokens, white space and comments included, so that they put together are the text again.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, Error> {
    if text.len() > STATEMENT_BYTES_MAX {
        return Err(Error::TooComplex { what: "a size in bytes of", value: text.len(), limit: STATEMENT_BYTES_MAX });
    }
    let dialect = PostgreSqlDialect {};
    Tokenizer::new(&dialect, text)
        .with_unescape(false)
        .tokenize()
        .map_err(|error| Error::Syntax { reason: error.to_string() })
}

/// Cuts a text at its semicolons; empty statements are left out.
///
/// # Errors
/// When it is too large, or a string or a comment in it does not end.
pub fn split_statements(text: &str) -> Result<Vec<String>, Error> {
    let mut statements = Vec::new();
    for statement in tokens(text)?.split(|token| *token == Token::SemiColon) {
        if statement.iter().any(|token| !matches!(token, Token::Whitespace(_) | Token::EOF)) {
            statements.push(text_of(statement));
        }
    }
    Ok(statements)
}

/// The text of tokens.
pub(crate) fn text_of(tokens: &[Token]) -> String {
    tokens.iter().map(ToString::to_string).collect::<String>().trim().to_owned()
}

/// Checks that the tokens of one statement nest and chain within the limits.
pub(crate) fn check_depth(tokens: &[Token]) -> Result<(), Error> {
    let (mut depth, mut deepest, mut operators) = (0usize, 0usize, 0usize);
    for token in tokens {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            Token::Word(word) => match word.keyword {
                Keyword::CASE => depth += 1,
                Keyword::END => depth = depth.saturating_sub(1),
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
                | Keyword::COLLATE => operators += 1,
                _ => {}
            },
            Token::Whitespace(_)
            | Token::Comma
            | Token::Period
            | Token::EOF
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::SemiColon => {}
            // Whatever else there is stands between or before expressions, and so may make a tree deeper.
            _ => operators += 1,
        }
        if matches!(token, Token::LBracket) {
            operators += 1;
        }
        deepest = deepest.max(depth);
    }
    if deepest > NESTING_MAX {
        return Err(Error::TooComplex { what: "a nesting depth of", value: deepest, limit: NESTING_MAX });
    }
    if operators > OPERATORS_MAX {
        return Err(Error::TooComplex { what: "an operator count of", value: operators, limit: OPERATORS_MAX });
    }
    Ok(())
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
        let text = "SELECT 'it''s', E'a\\nb', \"a\"\"b\"";
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
        assert!(check(&"CASE WHEN ".repeat(10_000)).is_err());
        assert!(check(&"SELECT 1 UNION ".repeat(10_000)).is_err());
        assert!(check(&format!("SELECT a IN ({}1)", "1,".repeat(10_000))).is_ok());
    }
}
