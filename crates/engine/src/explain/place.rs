//! Where a text is no SQL. The parser says a place; the words at it are taken from the person's own text.

use datafusion::common::DataFusionError;
use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Location, Tokenizer, TokenizerError};

use crate::error::{Code, QueryError, quoted};

fn because(reason: &str) -> QueryError {
    QueryError::new(Code::Syntax, format!("The text is not a valid SQL query: {reason}."))
}

/// A text that is not even words and signs.
pub(crate) fn unreadable(sql: &str, error: &TokenizerError) -> QueryError {
    let message = error.message.as_str();
    // The places of these two are where the text ends.
    if message.contains("comment") {
        return because("a comment has no end");
    }
    if message.contains("dollar") {
        return because("a text between dollar signs has no end");
    }
    let Some(at) = character(sql, error.location) else { return QueryError::syntax() };
    if message.starts_with("Unterminated") {
        return because(&format!("the text that begins at character {at} has no closing quote"));
    }
    if message.contains("delimiter") {
        return because(&format!("the name that begins at character {at} has no closing quote"));
    }
    because(&format!("it cannot be read at character {at}"))
}

/// A text whose words are in no order that SQL has.
pub(crate) fn unexpected(sql: &str, dialect: &dyn Dialect, error: &DataFusionError) -> QueryError {
    match parser(error) {
        Some(ParserError::RecursionLimitExceeded) => because("it is nested too deep"),
        Some(ParserError::ParserError(text)) => match location(text) {
            Some(at) => at_word(sql, dialect, at),
            // The end of the text has no place.
            None if text.ends_with("found: EOF") => because("it ends too early"),
            None => QueryError::syntax(),
        },
        _ => QueryError::syntax(),
    }
}

fn at_word(sql: &str, dialect: &dyn Dialect, at: Location) -> QueryError {
    let Some(place) = character(sql, at) else { return QueryError::syntax() };
    match word(sql, dialect, at) {
        Some(word) => because(&format!("{} at character {place} was not expected", quoted(word))),
        None => because(&format!("it cannot be read at character {place}")),
    }
}

fn parser(error: &DataFusionError) -> Option<&ParserError> {
    match error {
        DataFusionError::SQL(inner, _) => Some(inner),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => parser(inner),
        DataFusionError::Shared(inner) => parser(inner),
        DataFusionError::Collection(all) => all.first().and_then(parser),
        _ => None,
    }
}

/// The place at the end of what the parser says. Nothing else of it is looked at.
fn location(text: &str) -> Option<Location> {
    let (_, place) = text.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    Some(Location { line: line.parse().ok()?, column: column.parse().ok()? })
}

/// The word or sign that begins at a place.
fn word<'s>(sql: &'s str, dialect: &dyn Dialect, at: Location) -> Option<&'s str> {
    let tokens = Tokenizer::new(dialect, sql).tokenize_with_location().ok()?;
    let token = tokens.iter().find(|token| token.span.start == at)?;
    let word = sql.get(byte(sql, token.span.start)?..byte(sql, token.span.end)?)?;
    Some(word).filter(|word| !word.trim().is_empty())
}

/// Which character of the text a place is, counted from 1.
fn character(sql: &str, at: Location) -> Option<usize> {
    let line = usize::try_from(at.line).ok()?.checked_sub(1)?;
    let column = usize::try_from(at.column).ok()?;
    let before: usize = sql.split('\n').take(line).map(|line| line.chars().count() + 1).sum();
    Some(before + column).filter(|place| *place > 0)
}

fn byte(sql: &str, at: Location) -> Option<usize> {
    let place = character(sql, at)?.checked_sub(1)?;
    Some(sql.char_indices().nth(place).map_or(sql.len(), |(byte, _)| byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters_over_lines() {
        let at = |line, column| character("sé\nb'c", Location { line, column });
        assert_eq!((at(1, 1), at(1, 2), at(2, 1), at(2, 2)), (Some(1), Some(2), Some(4), Some(5)));
        assert_eq!((at(0, 0), at(0, 3)), (None, None), "no place at all");
        assert_eq!(byte("sé\nb'c", Location { line: 2, column: 2 }), Some(5));
    }

    #[test]
    fn only_the_last_place_counts() {
        let text = "Expected: x, found: \" at Line: 9, Column: 9\" at Line: 1, Column: 3";
        assert_eq!(location(text), Some(Location { line: 1, column: 3 }));
        assert_eq!(location("Expected: x, found: EOF"), None);
    }
}
