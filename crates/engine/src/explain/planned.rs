//! Why a query has no plan, before a row was read. The words of the engine decide which sentence it is; said are names that are in the
//! person's own text or that they see, functions of the closed list, operators and types of closed lists.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::common::{DataFusionError, TableReference};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::{forms, types};
use crate::error::{Code, Phase, QueryError, classify, nearest, quoted};
use crate::functions::Functions;
use crate::table::GovernedTable;

/// What may be said of a query.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'q> {
    /// Its text.
    pub(crate) sql: &'q str,
    /// Its relations, of which visible columns are named.
    pub(crate) tables: &'q [(TableReference, Arc<GovernedTable>)],
    /// The functions that there are.
    pub(crate) functions: &'q Functions,
}

/// Functions of numbers alone.
const OF_NUMBERS: &[&str] = &[
    "abs",
    "avg",
    "cbrt",
    "ceil",
    "exp",
    "floor",
    "ln",
    "log",
    "log10",
    "log2",
    "median",
    "power",
    "round",
    "signum",
    "sqrt",
    "stddev",
    "stddev_pop",
    "sum",
    "trunc",
    "var",
    "var_pop",
];

/// Operators between two values, as the engine writes them.
const OPERATORS: &[&str] = &[
    "+",
    "-",
    "*",
    "/",
    "%",
    "=",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "~",
    "~*",
    "!~",
    "!~*",
    "AND",
    "OR",
    "LIKE",
    "ILIKE",
    "NOT LIKE",
    "NOT ILIKE",
    "IS DISTINCT FROM",
    "IS NOT DISTINCT FROM",
    "||",
    "&",
    "|",
    "BIT_XOR",
    ">>",
    "<<",
];

/// How the engine begins to say that an operator does not take its operands.
const OF_OPERATORS: &[&str] = &[
    "Cannot coerce arithmetic expression ",
    "Cannot infer common argument type for comparison operation ",
    "Cannot infer common argument type for logical boolean operation ",
    "Cannot infer common argument type for regex operation ",
    "Cannot infer common type for bitwise operation ",
    "Cannot infer common string type for string concat operation ",
];

/// The same of a range.
const OF_RANGES: &str = "Failed to coerce types ";

/// How the engine says that the values of a call are too many, too few or of no use, where it does not write the call.
const OF_CALLS: &[(&str, &str)] = &[
    ("arrays_zip expects array arguments", "arrays_zip"),
    ("Field name must be a non-empty string", "get_field"),
    ("generate_series function requires ", "generate_series"),
    ("to grouping function is not in grouping columns", "grouping"),
    ("make_map requires an even number of arguments", "map"),
    ("named_struct requires ", "named_struct"),
    ("range function requires ", "range"),
    ("Substring without for/from is not valid", "substr"),
    ("unnest() ", "unnest"),
];

/// The error of a plan that was never made. Not for errors of what policies put into plans: those come later.
pub(crate) fn explained(error: &DataFusionError, asked: &Asked<'_>) -> QueryError {
    let sentence = words(error).and_then(|text| {
        grouped(text, asked)
            .or_else(|| alike(text))
            .or_else(|| counted(text))
            .or_else(|| called(text, asked))
            .or_else(|| operated(text))
            .or_else(|| matched(text))
            .or_else(|| placed(text))
            .or_else(|| without_window(text, asked))
            .map(|(code, message)| QueryError::new(code, message))
            .or_else(|| nowhere(text, asked))
    });
    sentence.or_else(|| misused(error, asked)).unwrap_or_else(|| classify(error, Phase::Planning))
}

/// What the engine says of a statement that it cannot plan.
fn words(error: &DataFusionError) -> Option<&str> {
    match error {
        DataFusionError::Plan(text) => Some(text),
        // Of a range the engine says in an internal error what it says of a pattern in one of the plan.
        DataFusionError::Internal(text) if text.contains(OF_RANGES) => Some(text),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => words(inner),
        DataFusionError::Shared(inner) => words(inner),
        DataFusionError::Collection(all) => all.first().and_then(words),
        _ => None,
    }
}

/// A column beside an aggregate that is not grouped by.
fn grouped(text: &str, asked: &Asked<'_>) -> Option<(Code, String)> {
    if text.starts_with("HAVING clause references") {
        return Some((Code::Syntax, "HAVING needs GROUP BY, or an aggregate.".to_owned()));
    }
    let (_, rest) = text.split_once("column \"")?;
    let (written, _) = rest.split_once("\" must appear in the GROUP BY clause")?;
    let name = asked.visible(written)?;
    Some((Code::Syntax, format!("{name} is neither in GROUP BY nor in an aggregate.")))
}

/// Two columns that the engine cannot tell apart.
fn alike(text: &str) -> Option<(Code, String)> {
    text.contains("have the same name. Consider aliasing").then(|| {
        (Code::Syntax, "Two columns of a SELECT are the same; give one of them a name with AS.".to_owned())
    })
}

/// Numbers of rows that are none; those that the statement itself has were refused before.
fn counted(text: &str) -> Option<(Code, String)> {
    let clause = ["LIMIT", "OFFSET"].into_iter().find(|clause| {
        text.starts_with(&format!("Expected {clause} to be an integer"))
            || text.starts_with(&format!("{clause} must be >="))
    })?;
    Some((Code::TypeMismatch, format!("{clause} needs a whole number.")))
}

/// A function of values that it does not take.
fn called(text: &str, asked: &Asked<'_>) -> Option<(Code, String)> {
    let (_, rest) = text.split_once("No function matches the given name and argument types '")?;
    let (name, rest) = rest.split_once('(')?;
    let own = asked.call(name)?;
    let (given, _) = rest.split_once(")'")?;
    let given: Vec<&str> = arguments(given).into_iter().map(types::named).collect::<Option<_>>()?;
    let written = forms::written(&own, asked.functions);
    let message = match given.as_slice() {
        [] => format!("{own} needs a value{written}."),
        [one] if OF_NUMBERS.contains(&name) && !one.ends_with("number") => {
            let what = asked.argument(&own, one);
            let what = what.unwrap_or_else(|| "its argument".to_owned());
            format!("{own} takes numbers; {what} is {one}{written}.")
        }
        [one] => format!("{own} does not take {one}{written}."),
        several => {
            let (count, given) = (several.len(), several.join(", "));
            format!("{own} does not take these {count} values: {given}{written}.")
        }
    };
    Some((Code::TypeMismatch, message))
}

/// The same where the engine does not write the call. What it says is before a row was read, of the text or of types.
fn misused(error: &DataFusionError, asked: &Asked<'_>) -> Option<QueryError> {
    let (DataFusionError::Plan(text) | DataFusionError::Execution(text)) = error.find_root() else {
        return None;
    };
    let (_, name) = OF_CALLS.iter().find(|(said, _)| text.contains(said))?;
    let own = asked.call(name).unwrap_or_else(|| (*name).to_owned());
    let written = forms::written(&own, asked.functions);
    Some(QueryError::new(Code::TypeMismatch, format!("{own} does not take these values{written}.")))
}

/// A function of a window that has none.
fn without_window(text: &str, asked: &Asked<'_>) -> Option<(Code, String)> {
    let (name, _) = text.strip_prefix("Invalid function '")?.split_once('\'')?;
    let window = asked.functions.windows.iter().find(|window| window.name() == name)?;
    let form = forms::forms(window.name(), asked.functions).into_iter().next()?;
    let message = format!("{name} is of a window: write {form} OVER (ORDER BY column).");
    Some((Code::Syntax, message))
}

/// A name that is nowhere: of a relation before a star, or of a field in a structure.
fn nowhere(text: &str, asked: &Asked<'_>) -> Option<QueryError> {
    if let Some(name) = text.strip_prefix("Invalid qualifier ") {
        let name = asked.said(name.rsplit('.').next()?)?;
        let called = quoted(&name);
        let message = format!("No relation in FROM is called {called}: where it has an alias, write that.");
        return Some(QueryError::new(Code::UnknownRelation, message));
    }
    let name = asked.said(text.strip_prefix("Field ")?.strip_suffix(" not found in struct")?)?;
    let message = format!("There is no field {} in the structure.", quoted(&name));
    let mut error = QueryError::new(Code::UnknownColumn, message);
    error.nearest = nearest(&name, asked.fields().iter().map(String::as_str));
    Some(error)
}

/// Types of arguments, parted by the commas that are in no brackets.
fn arguments(given: &str) -> Vec<&str> {
    let (mut all, mut begin, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, c) in given.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                all.push(given.get(begin..at).unwrap_or_default().trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    all.push(given.get(begin..).unwrap_or_default().trim());
    all.retain(|kind| !kind.is_empty());
    all
}

/// An operator between values of types that it does not take.
fn operated(text: &str) -> Option<(Code, String)> {
    let rest = OF_OPERATORS.iter().find_map(|begin| text.split_once(begin).map(|(_, rest)| rest))?;
    let rest = rest.strip_suffix(" to valid types").unwrap_or(rest);
    let (operator, left, right) = OPERATORS.iter().find_map(|operator| {
        let (left, right) = rest.split_once(&format!(" {operator} "))?;
        Some((operator, types::named(left)?, types::named(right)?))
    })?;
    Some((Code::TypeMismatch, format!("{operator} does not fit between {left} and {right}.")))
}

/// The same of a pattern or a range, of which the engine says it in other words.
fn matched(text: &str) -> Option<(Code, String)> {
    let begins = ["There isn't a common type to coerce ", OF_RANGES];
    let rest = begins.iter().find_map(|begin| text.split_once(begin).map(|(_, rest)| rest))?;
    let operator = ["LIKE", "ILIKE", "SIMILAR TO", "BETWEEN"]
        .into_iter()
        .find(|operator| rest.contains(&format!(" in {operator} expression")))?;
    let (left, right) = rest.split_once(" and ")?;
    let (left, right) = (types::named(left)?, types::named(right)?);
    Some((Code::TypeMismatch, format!("{operator} does not fit between {left} and {right}.")))
}

/// The number of a column that a SELECT has not. How many the engine counts is not said: some may be its own.
fn placed(text: &str) -> Option<(Code, String)> {
    let begins = ["Cannot find column with position ", "Order by column out of bounds, specified: "];
    let rest = begins.iter().find_map(|begin| text.split_once(begin).map(|(_, rest)| rest));
    let number: i64 = match rest {
        Some(rest) => rest.split([' ', ',']).next()?.parse().ok()?,
        None => text.contains("Order by index starts at 1").then_some(0)?,
    };
    let message = format!(
        "The SELECT has no column {number}: numbers in GROUP BY and ORDER BY count its columns from 1."
    );
    Some((Code::Syntax, message))
}

impl Asked<'_> {
    /// The words and signs of the text.
    fn tokens(&self) -> Vec<Token> {
        let tokens = Tokenizer::new(&GenericDialect {}, self.sql).tokenize().unwrap_or_default();
        tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect()
    }

    /// How the text calls a function: by its name, or by another that it has. None where there is no such function.
    fn call(&self, name: &str) -> Option<String> {
        let (name, _) = self.functions.find(name)?;
        let is_meant = |word: &str| self.functions.find(word).is_some_and(|(meant, _)| meant == name);
        let own = self.tokens().windows(2).find_map(|pair| match pair {
            [Token::Word(word), Token::LParen] => {
                Some(word.value.to_lowercase()).filter(|word| is_meant(word))
            }
            _ => None,
        });
        Some(own.unwrap_or_else(|| name.to_owned()))
    }

    /// A name, if it is in the text.
    fn said(&self, name: &str) -> Option<String> {
        let is_in = self.tokens().into_iter().any(|token| match token {
            Token::Word(word) => word.value.eq_ignore_ascii_case(name),
            Token::SingleQuotedString(text) => text == name,
            _ => false,
        });
        is_in.then(|| name.to_owned())
    }

    /// The fields of all structures that the person sees.
    fn fields(&self) -> Vec<String> {
        let mut all = Vec::new();
        for (_, table) in self.tables {
            for column in table.schema().fields() {
                if let DataType::Struct(fields) = column.data_type() {
                    all.extend(fields.iter().map(|field| field.name().clone()));
                }
            }
        }
        all
    }

    /// The column that the engine means: one that the person sees, or a name of their own text.
    fn visible(&self, written: &str) -> Option<String> {
        let seen = self.tables.iter().flat_map(|(_, table)| {
            let schema = table.schema();
            schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
        });
        let own = self.tokens().into_iter().filter_map(|token| match token {
            Token::Word(word) => Some(word.value),
            _ => None,
        });
        let is_meant = |name: &String| {
            let before = written.strip_suffix(name.as_str());
            before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        let name = seen.chain(own).filter(is_meant).max_by_key(String::len)?;
        Some(shown(&name))
    }

    /// The column of a type with which a function is called in the text.
    fn argument(&self, function: &str, kind: &str) -> Option<String> {
        let tokens = self.tokens();
        (0..tokens.len()).find_map(|at| {
            let mut rest = tokens.get(at..)?.iter();
            match (rest.next()?, rest.next()?) {
                (Token::Word(word), Token::LParen) if word.value.eq_ignore_ascii_case(function) => {}
                _ => return None,
            }
            let mut last = None;
            for token in rest {
                match token {
                    Token::Word(word) if matches!(word.keyword, Keyword::DISTINCT | Keyword::ALL) => {}
                    Token::Word(word) => last = Some(word.value.as_str()),
                    Token::Period => {}
                    Token::RParen => break,
                    // More than a column.
                    _ => return None,
                }
            }
            last.filter(|name| self.is_of(name, kind)).map(shown)
        })
    }

    /// Whether a visible column of that name is of that type.
    fn is_of(&self, name: &str, kind: &str) -> bool {
        self.tables.iter().any(|(_, table)| {
            let schema = table.schema();
            schema.fields().iter().any(|field| {
                field.name().eq_ignore_ascii_case(name) && types::noun(field.data_type()) == kind
            })
        })
    }
}

/// A name without control characters, cut to 80 characters.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_parted_outside_of_brackets() {
        assert_eq!(arguments("Decimal128(10, 2), Utf8"), ["Decimal128(10, 2)", "Utf8"]);
        assert_eq!(arguments(""), [""; 0]);
    }

    #[test]
    fn operators_are_told_by_types_of_the_closed_list() {
        let told =
            operated("Cannot coerce arithmetic expression Int64 + Struct(\"SECRET\": Utf8) to valid types");
        let (code, message) = told.unwrap();
        assert_eq!(code, Code::TypeMismatch);
        assert_eq!(message, "+ does not fit between a whole number and a structure.");
        assert_eq!(operated("Cannot coerce arithmetic expression SECRET + Int64 to valid types"), None);
        let told =
            matched("There isn't a common type to coerce Int64 and Utf8View in ILIKE expression").unwrap();
        assert_eq!(told.1, "ILIKE does not fit between a whole number and text.");
        assert_eq!(matched("There isn't a common type to coerce SECRET and Utf8 in LIKE expression"), None);
        let told =
            matched("Failed to coerce types Boolean and Struct(\"SECRET\": Utf8) in BETWEEN expression");
        assert_eq!(told.unwrap().1, "BETWEEN does not fit between a boolean and a structure.");
    }

    #[test]
    fn numbers_of_columns_are_told_and_not_how_many_there_are() {
        for (text, number) in [
            ("Cannot find column with position -3 in SELECT clause. Valid columns: 1 to 7", -3),
            ("Order by column out of bounds, specified: 9, max: 7", 9),
            ("Order by index starts at 1 for column indexes", 0),
        ] {
            let (_, told) = placed(text).unwrap();
            assert!(
                told.starts_with(&format!("The SELECT has no column {number}: ")) && !told.contains('7'),
                "{told}"
            );
        }
    }
}
