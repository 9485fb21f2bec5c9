//! Applies an answer to plain rows. Slow and simple on purpose: it is what engines are compared with, and it looks at nothing of theirs.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::{Comparison, Decision, Expr, Function, KeyedHash, Relation, Resolved, Value};

/// A row: values by the exact names of their columns. A missing one is NULL.
pub type Row = BTreeMap<String, Value>;

/// What the person sees of rows: none if the relation is denied, else what is left of each visible row.
pub fn visible(
    resolved: &Resolved,
    relation: &Relation,
    rows: &[Row],
    hash: KeyedHash<'_>,
) -> Option<Vec<Row>> {
    if resolved.decision != Decision::Allowed {
        return None;
    }
    let shown = |row: &Row| {
        let passes = resolved.filter.as_ref().is_none_or(|filter| holds(filter, row));
        passes.then(|| masked(resolved, relation, row, hash))
    };
    Some(rows.iter().filter_map(shown).collect())
}

/// Whether a filter is true for a row. Unknown is not true.
pub fn holds(filter: &Expr, row: &Row) -> bool {
    value(filter, &|name| row.get(name).cloned().unwrap_or(Value::Null)) == Value::Boolean(true)
}

fn masked(resolved: &Resolved, relation: &Relation, row: &Row, hash: KeyedHash<'_>) -> Row {
    let columns = relation.columns.iter().filter(|column| !resolved.hidden.contains_key(&column.name));
    columns
        .map(|column| {
            let raw = row.get(&column.name).cloned().unwrap_or(Value::Null);
            let shown = match resolved.masks.get(&column.name) {
                Some(masked) => masked.mask.apply(&raw, masked.kind, hash),
                None => raw,
            };
            (column.name.clone(), shown)
        })
        .collect()
}

/// The value of an expression; NULL is unknown.
pub fn value(expr: &Expr, column: &dyn Fn(&str) -> Value) -> Value {
    match expr {
        Expr::Column { name, .. } => column(name),
        Expr::Literal(literal) => literal.clone(),
        Expr::Compare { operator, left, right } => {
            truth(compare(&value(left, column), &value(right, column)).map(|order| operator.accepts(order)))
        }
        Expr::In { value: inner, list, negated } => within(&value(inner, column), list, *negated),
        Expr::Like { value: inner, pattern, negated } => match value(inner, column) {
            Value::Text(text) => Value::Boolean(like(&text, pattern) != *negated),
            _ => Value::Null,
        },
        Expr::IsNull { value: inner, negated } => {
            Value::Boolean((value(inner, column) == Value::Null) != *negated)
        }
        Expr::Call { function, argument } => call(*function, value(argument, column)),
        Expr::And(parts) => joined(parts, column, false),
        Expr::Or(parts) => joined(parts, column, true),
        Expr::Not(inner) => match value(inner, column) {
            Value::Boolean(known) => Value::Boolean(!known),
            _ => Value::Null,
        },
    }
}

fn truth(known: Option<bool>) -> Value {
    known.map_or(Value::Null, Value::Boolean)
}

/// The value that decides if any part has it; else unknown if any part is unknown.
fn joined(parts: &[Expr], column: &dyn Fn(&str) -> Value, decides: bool) -> Value {
    let mut unknown = false;
    for part in parts {
        match value(part, column) {
            Value::Boolean(known) if known == decides => return Value::Boolean(decides),
            Value::Boolean(_) => {}
            _ => unknown = true,
        }
    }
    if unknown { Value::Null } else { Value::Boolean(!decides) }
}

fn within(wanted: &Value, list: &[Value], negated: bool) -> Value {
    if list.is_empty() {
        return Value::Boolean(negated);
    }
    if *wanted == Value::Null {
        return Value::Null;
    }
    let found = list.iter().any(|item| compare(wanted, item) == Some(Ordering::Equal));
    Value::Boolean(found != negated)
}

/// How two values of one type are ordered; none if one is NULL, or if they are of different types. Texts are ordered by their bytes,
/// floating-point numbers totally: NaN equals itself and is above everything.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Boolean(left), Value::Boolean(right)) => Some(left.cmp(right)),
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Float(left), Value::Float(right)) => Some(left.total_cmp(right)),
        (Value::Decimal(left), Value::Decimal(right)) if left.scale == right.scale => {
            Some(left.unscaled.cmp(&right.unscaled))
        }
        (Value::Text(left), Value::Text(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
        (Value::Date(left), Value::Date(right)) => Some(left.cmp(right)),
        (Value::Time(left), Value::Time(right)) | (Value::Timestamp(left), Value::Timestamp(right)) => {
            Some(left.cmp(right))
        }
        _ => None,
    }
}

fn call(function: Function, argument: Value) -> Value {
    let Value::Text(text) = argument else { return Value::Null };
    match function {
        Function::Lower => Value::Text(text.to_lowercase()),
        Function::Upper => Value::Text(text.to_uppercase()),
        Function::Trim => Value::Text(text.trim_matches(' ').to_owned()),
        Function::Length => i128::try_from(text.chars().count()).map_or(Value::Null, Value::Int),
    }
}

/// Whether a text is like a pattern. Linear in both but for the last `%`, to which it goes back.
fn like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern = parts(pattern);
    let (mut at, mut part) = (0, 0);
    let mut again: Option<(usize, usize)> = None;
    loop {
        let matches = match (pattern.get(part), text.get(at)) {
            (None, None) => return true,
            (Some(Part::Any), _) => {
                again = Some((part + 1, at));
                part += 1;
                continue;
            }
            (Some(Part::One), Some(_)) => true,
            (Some(Part::Exactly(wanted)), Some(found)) => wanted == found,
            _ => false,
        };
        if matches {
            at += 1;
            part += 1;
        } else {
            let Some((behind, from)) = again.filter(|(_, from)| *from < text.len()) else { return false };
            again = Some((behind, from + 1));
            part = behind;
            at = from + 1;
        }
    }
}

enum Part {
    Any,
    One,
    Exactly(char),
}

fn parts(pattern: &str) -> Vec<Part> {
    let mut characters = pattern.chars();
    let mut parts = Vec::new();
    while let Some(c) = characters.next() {
        parts.push(match c {
            '%' => Part::Any,
            '_' => Part::One,
            '\\' => Part::Exactly(characters.next().unwrap_or('\\')),
            other => Part::Exactly(other),
        });
    }
    parts
}

impl Comparison {
    /// Whether it holds for two values in that order.
    pub const fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_sql() {
        for (text, pattern, expected) in [
            ("", "", true),
            ("", "%", true),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "a_c", true),
            ("abc", "a_", false),
            ("aXbXc", "a%X%c", true),
            ("100%", r"100\%", true),
            ("1000", r"100\%", false),
            ("ÄÖ", "_Ö", true),
            (&"a".repeat(2_000), "%a%a%a%b", false),
        ] {
            assert_eq!(like(text, pattern), expected, "{text} like {pattern}");
        }
    }
}
