//! What PostgreSQL has and this does not, by name: numbers of rows that are none, patterns of dates, operators and types.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    LimitClause, ObjectNamePart, Query, UnaryOperator, Value, ValueWithSpan,
};

use crate::error::{Code, QueryError, nearest, quoted};
use crate::explain;
use crate::functions::{Functions, OF_TIMES};

/// Refuses numbers of rows that are texts, negative or no whole numbers.
pub(super) fn count(query: &Query) -> Option<QueryError> {
    let (limit, offset) = match query.limit_clause.as_ref()? {
        LimitClause::LimitOffset { limit, offset, .. } => {
            (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
        }
        LimitClause::OffsetCommaLimit { offset, limit } => (Some(limit), Some(offset)),
    };
    let (clause, _) =
        [("LIMIT", limit), ("OFFSET", offset)].into_iter().find(|(_, expr)| expr.is_some_and(is_no_count))?;
    Some(QueryError::new(Code::TypeMismatch, format!("{clause} needs a whole number.")))
}

/// Whether an expression is no number of rows, as far as its text says. Others are judged when the plan has types.
fn is_no_count(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_no_count(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
            matches!(expr.as_ref(), Expr::Value(ValueWithSpan { value: Value::Number(..), .. }))
        }
        Expr::Value(ValueWithSpan { value, .. }) => match value {
            Value::Number(number, _) => number.parse::<u64>().is_err(),
            Value::Null | Value::Placeholder(_) => false,
            _ => true,
        },
        _ => false,
    }
}

/// Functions that the engine plans with fewer values than they compute with: they would end the query while it runs.
const LEAST: &[(&str, usize)] =
    &[("array_concat", 1), ("first_value", 1), ("last_value", 1), ("map", 1), ("nth_value", 2)];

/// Refuses calls of these with too few values.
pub(super) fn too_few(function: &Function, functions: &Functions) -> Option<QueryError> {
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return None };
    let FunctionArguments::List(given) = &function.args else { return None };
    if given.args.len() > 1 {
        return None;
    }
    let called = name.value.to_lowercase();
    let (own, _) = functions.find(&called)?;
    let (_, least) = LEAST.iter().find(|(function, _)| *function == own)?;
    if given.args.len() >= *least {
        return None;
    }
    let values = if *least == 1 { "a value".to_owned() } else { format!("{least} values") };
    let written = explain::written(&called, functions);
    Some(QueryError::new(Code::TypeMismatch, format!("{called} needs {values}{written}.")))
}

/// Functions whose patterns are strftime's, besides [`OF_TIMES`].
const PATTERNED: &[&str] = &["date_format", "to_char"];

/// Patterns of PostgreSQL, and the same here. The longer of two that begin alike comes first.
const OF_POSTGRESQL: &[(&str, &str)] =
    &[("YYYY", "%Y"), ("HH24", "%H"), ("MM", "%m"), ("DD", "%d"), ("MI", "%M"), ("SS", "%S")];

/// Refuses patterns of PostgreSQL, which would be answered as they are: `to_char(day, 'YYYY')` is `YYYY`.
pub(super) fn pattern(function: &Function) -> Option<QueryError> {
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return None };
    let name = name.value.to_lowercase();
    if !PATTERNED.iter().chain(OF_TIMES).any(|patterned| *patterned == name) {
        return None;
    }
    let FunctionArguments::List(list) = &function.args else { return None };
    let instead = list.args.iter().skip(1).filter_map(text).find_map(translated)?;
    Some(QueryError::not_allowed(format!("{name} takes strftime patterns: '{instead}'.")))
}

fn text(argument: &FunctionArg) -> Option<&str> {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) = argument else { return None };
    match &value.value {
        Value::SingleQuotedString(text) => Some(text),
        _ => None,
    }
}

/// A pattern of PostgreSQL in strftime's; none where it is not one.
fn translated(pattern: &str) -> Option<String> {
    if pattern.contains('%') {
        return None;
    }
    let upper: String = pattern.to_ascii_uppercase().chars().filter(|c| !c.is_control()).take(80).collect();
    let same = OF_POSTGRESQL.iter().fold(upper.clone(), |text, (theirs, ours)| text.replace(theirs, ours));
    Some(same).filter(|same| *same != upper)
}

/// Types of PostgreSQL that there are not, beside those that the parser has a word for.
const TYPES: &[&str] =
    &["box", "cidr", "citext", "hstore", "inet", "macaddr", "money", "oid", "point", "xml"];

/// The operator or type of PostgreSQL that an expression asks for and that there is not.
pub(super) fn unsupported(expr: &Expr) -> Option<String> {
    match expr {
        Expr::BinaryOp { op, .. } => {
            let operator = match op {
                BinaryOperator::Arrow => "->",
                BinaryOperator::LongArrow => "->>",
                BinaryOperator::HashArrow => "#>",
                BinaryOperator::HashLongArrow => "#>>",
                _ => return None,
            };
            Some(format!("The operator {operator}"))
        }
        Expr::Cast { data_type, .. } => {
            let kind = match data_type {
                DataType::JSON => "json",
                DataType::JSONB => "jsonb",
                DataType::Uuid => "uuid",
                DataType::Custom(name, _) => match name.0.as_slice() {
                    [ObjectNamePart::Identifier(name)] => {
                        TYPES.iter().copied().find(|known| name.value.eq_ignore_ascii_case(known))?
                    }
                    _ => return None,
                },
                _ => return None,
            };
            Some(format!("The type {kind}"))
        }
        _ => None,
    }
}

/// Types that there are, as they are usually written.
const KNOWN_TYPES: &[&str] = &[
    "bigint",
    "boolean",
    "bytea",
    "char",
    "date",
    "decimal",
    "double",
    "float",
    "int",
    "integer",
    "interval",
    "numeric",
    "real",
    "smallint",
    "text",
    "time",
    "timestamp",
    "tinyint",
    "varchar",
];

/// Refuses a cast to a type that the parser has no word for: there is none of these.
pub(super) fn unknown_type(expr: &Expr) -> Option<QueryError> {
    let Expr::Cast { data_type: DataType::Custom(name, _), .. } = expr else { return None };
    let [ObjectNamePart::Identifier(name)] = name.0.as_slice() else { return None };
    let message = format!("There is no type {}.", quoted(&name.value));
    Some(near(message, &name.value, KNOWN_TYPES))
}

/// Parts of dates and times, each by its first name.
const PARTS: &[&str] = &[
    "year",
    "quarter",
    "month",
    "week",
    "day",
    "hour",
    "minute",
    "second",
    "millisecond",
    "microsecond",
    "nanosecond",
    "isoyear",
    "doy",
    "dow",
    "isodow",
    "epoch",
];
/// Their other names.
const SHORT_PARTS: &[&str] = &[
    "y",
    "yr",
    "yrs",
    "years",
    "qtr",
    "mon",
    "mons",
    "months",
    "w",
    "weeks",
    "d",
    "days",
    "h",
    "hr",
    "hrs",
    "hours",
    "m",
    "min",
    "mins",
    "minutes",
    "s",
    "sec",
    "secs",
    "seconds",
    "ms",
    "msec",
    "msecs",
    "msecond",
    "mseconds",
    "milliseconds",
    "us",
    "usec",
    "usecs",
    "usecond",
    "useconds",
    "microseconds",
    "nanoseconds",
];
/// Parts to which dates and times are cut.
const CUT_TO: &[&str] =
    &["year", "quarter", "month", "week", "day", "hour", "minute", "second", "millisecond", "microsecond"];

/// Refuses a part of a date that there is not, which would end the query while it runs.
pub(super) fn part(function: &Function) -> Option<QueryError> {
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    let given = text(list.args.first()?)?;
    match name.value.to_lowercase().as_str() {
        "date_part" | "datepart" => unknown_part(given, PARTS, SHORT_PARTS),
        "date_trunc" | "datetrunc" => unknown_part(given, CUT_TO, &[]),
        _ => None,
    }
}

/// The same of `EXTRACT`.
pub(super) fn extracted(expr: &Expr) -> Option<QueryError> {
    match expr {
        Expr::Extract { field: DateTimeField::Custom(part), .. } => {
            unknown_part(&part.value, PARTS, SHORT_PARTS)
        }
        _ => None,
    }
}

fn unknown_part(given: &str, known: &[&str], short: &[&str]) -> Option<QueryError> {
    // Quotation marks around it are none of it to `date_part`.
    let meant = given.trim_matches(['\'', '"']).to_lowercase();
    if known.contains(&meant.as_str()) || short.contains(&meant.as_str()) {
        return None;
    }
    Some(near(format!("There is no part {} of a date.", quoted(given)), &meant, known))
}

/// A refusal with the names that are nearest to one that there is not.
fn near(message: String, name: &str, known: &[&str]) -> QueryError {
    let mut error = QueryError::not_allowed(message);
    error.nearest = nearest(name, known.iter().copied());
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_postgresql_are_told_in_strftime() {
        assert_eq!(translated("YYYY").as_deref(), Some("%Y"));
        assert_eq!(translated("yyyy-mm-dd hh24:mi:ss").as_deref(), Some("%Y-%m-%d %H:%M:%S"));
        assert_eq!(translated("%Y YYYY"), None);
        assert_eq!(translated("x"), None);
    }
}
