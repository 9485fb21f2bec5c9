//! What a query asks, as expressions of DynamoDB. Source: "Comparison operator and function reference" and "Limits for expressions" of
//! the developer guide.
//!
//! One attribute may be of several types, and a comparison of two types is false there, where the engine compares what it made of them
//! (text, if a column has numbers and strings). So a condition holds for every item whose attribute is of another type, too: the engine
//! sees those, as it would without the condition. Strings are compared by their bytes in UTF-8 and numbers as decimals, here as there;
//! an attribute that is absent, or NULL, is NULL.

use serde_json::{Map, Value, json};

use crate::files::{Kind, Known};
use crate::filter::{Filter, Literal, Operator};
use crate::wider::{Language, Leaf, wider};

/// Bytes of an expression at most: the service takes 4 KB.
pub(super) const EXPRESSION: usize = 4_000;
/// Bytes of a string that a condition names: a key of a table has no more.
pub(super) const STRING: usize = 1_024;
/// Values of a list: the service takes a hundred.
pub(super) const LIST: usize = 100;

/// A piece of an expression, whose names and values are sent beside it.
pub(super) enum Piece {
    Text(&'static str),
    Name(String),
    Value(Value),
}

impl Piece {
    /// Its bytes in an expression, at most.
    fn length(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Name(_) | Self::Value(_) => "#n9999".len(),
        }
    }
}

/// The names and values beside the expressions of one request.
#[derive(Default)]
pub(super) struct Beside {
    names: Vec<String>,
    values: Vec<Value>,
}

pub(super) fn place<T: PartialEq>(all: &mut Vec<T>, one: T) -> usize {
    if let Some(found) = all.iter().position(|known| *known == one) {
        return found;
    }
    all.push(one);
    all.len() - 1
}

impl Beside {
    pub(super) fn written(&mut self, pieces: Vec<Piece>) -> String {
        let one = |piece| match piece {
            Piece::Text(text) => text.to_owned(),
            Piece::Name(name) => format!("#n{}", place(&mut self.names, name)),
            Piece::Value(value) => format!(":v{}", place(&mut self.values, value)),
        };
        pieces.into_iter().map(one).collect()
    }

    pub(super) fn add_to(self, ask: &mut Map<String, Value>) {
        let names: Map<String, Value> =
            self.names.into_iter().enumerate().map(|(at, name)| (format!("#n{at}"), json!(name))).collect();
        let values: Map<String, Value> =
            self.values.into_iter().enumerate().map(|(at, value)| (format!(":v{at}"), value)).collect();
        // Neither may be empty.
        for (member, all) in [("ExpressionAttributeNames", names), ("ExpressionAttributeValues", values)] {
            if !all.is_empty() {
                ask.insert(member.to_owned(), Value::Object(all));
            }
        }
    }
}

/// What of these can be said in one expression.
pub(super) fn filter(known: &Known, all: &[&Filter], beside: &mut Beside) -> Option<String> {
    let language = Expressions(known);
    let mut said: Vec<Said> = all.iter().filter_map(|filter| wider(&language, filter)).collect();
    let length = |said: &Said| said.pieces.iter().map(Piece::length).sum::<usize>() + " AND ()".len();
    let mut left = EXPRESSION;
    said.retain(|one| {
        let fits = length(one) <= left;
        left -= if fits { length(one) } else { 0 };
        fits
    });
    (!said.is_empty()).then(|| beside.written(language.all(said).pieces))
}

pub(super) fn word(operator: Operator) -> &'static str {
    match operator {
        Operator::Eq => " = ",
        Operator::NotEq => " <> ",
        Operator::Lt => " < ",
        Operator::LtEq => " <= ",
        Operator::Gt => " > ",
        Operator::GtEq => " >= ",
    }
}

/// A value as it is sent, and its type; none for one that no attribute of a column of this kind has as such.
pub(super) fn operand(kind: Kind, literal: &Literal) -> Option<(&'static str, Value)> {
    let (kind, value) = match (kind, literal) {
        (Kind::Boolean, Literal::Boolean(value)) => ("BOOL", json!(value)),
        (Kind::Int, Literal::Int(value)) => ("N", json!(value.to_string())),
        // No key is empty.
        (Kind::Text, Literal::Utf8(text)) if !text.is_empty() && text.len() <= STRING => ("S", json!(text)),
        _ => return None,
    };
    Some((kind, Value::Object(Map::from_iter([(kind.to_owned(), value)]))))
}

/// Conditions on the columns of a relation.
struct Expressions<'k>(&'k Known);

impl Expressions<'_> {
    /// The type of a column, and values of it.
    fn operands<'l>(
        &self,
        column: &str,
        literals: impl IntoIterator<Item = &'l Literal>,
    ) -> Option<(&'static str, Vec<Value>)> {
        let kind = self.0.column(column)?.0;
        let all = literals.into_iter().map(|literal| operand(kind, literal)).collect::<Option<Vec<_>>>()?;
        let kind = all.first()?.0;
        Some((kind, all.into_iter().map(|(_, value)| value).collect()))
    }

    /// Something that is not NULL, and is of another type or satisfies a condition.
    fn or_of_another_type(column: &str, kind: &str, test: Vec<Piece>) -> Said {
        let mut pieces = Self::something(column);
        pieces.extend([Piece::Text(" AND (NOT attribute_type("), Piece::Name(column.to_owned())]);
        pieces.extend([Piece::Text(", "), Piece::Value(json!({ "S": kind })), Piece::Text(") OR ")]);
        pieces.extend(test);
        pieces.push(Piece::Text(")"));
        Said { pieces, is_any: false }
    }

    fn something(column: &str) -> Vec<Piece> {
        let name = || Piece::Name(column.to_owned());
        let (exists, and) = (Piece::Text("attribute_exists("), Piece::Text(") AND NOT attribute_type("));
        let null = Piece::Value(json!({ "S": "NULL" }));
        vec![exists, name(), and, name(), Piece::Text(", "), null, Piece::Text(")")]
    }

    fn nothing(column: &str) -> Vec<Piece> {
        let name = || Piece::Name(column.to_owned());
        let (absent, or) = (Piece::Text("attribute_not_exists("), Piece::Text(") OR attribute_type("));
        let null = Piece::Value(json!({ "S": "NULL" }));
        vec![absent, name(), or, name(), Piece::Text(", "), null, Piece::Text(")")]
    }

    /// One or two comparisons. BETWEEN is none of them: ends in the wrong order are an error there.
    fn compared(&self, column: &str, all: &[(Operator, &Literal)], junction: &'static str) -> Option<Said> {
        let (kind, values) = self.operands(column, all.iter().map(|(_, literal)| *literal))?;
        // There is no order of booleans.
        if kind == "BOOL" && all.iter().any(|(operator, _)| operator.is_range()) {
            return None;
        }
        let mut test = Vec::new();
        for (at, ((operator, _), value)) in all.iter().zip(values).enumerate() {
            test.push(Piece::Text(if at > 0 { junction } else { "" }));
            test.extend([Piece::Name(column.to_owned()), Piece::Text(word(*operator)), Piece::Value(value)]);
        }
        Some(Self::or_of_another_type(column, kind, test))
    }

    fn among(&self, column: &str, literals: &[Literal]) -> Option<Said> {
        let (kind, values) = self.operands(column, literals).filter(|(_, all)| all.len() <= LIST)?;
        let mut test = vec![Piece::Name(column.to_owned()), Piece::Text(" IN (")];
        for (at, value) in values.into_iter().enumerate() {
            test.push(Piece::Text(if at > 0 { ", " } else { "" }));
            test.push(Piece::Value(value));
        }
        test.push(Piece::Text(")"));
        Some(Self::or_of_another_type(column, kind, test))
    }
}

/// A condition that is written.
struct Said {
    pieces: Vec<Piece>,
    /// Whether it is one of several with OR between them, which needs parentheses beside AND. Where none are needed they are refused as
    /// redundant.
    is_any: bool,
}

impl Said {
    fn within_all(self) -> Vec<Piece> {
        if !self.is_any {
            return self.pieces;
        }
        let mut pieces = vec![Piece::Text("(")];
        pieces.extend(self.pieces);
        pieces.push(Piece::Text(")"));
        pieces
    }
}

fn joined(parts: impl IntoIterator<Item = Vec<Piece>>, word: &'static str) -> Vec<Piece> {
    let mut joined = Vec::new();
    for (at, part) in parts.into_iter().enumerate() {
        joined.push(Piece::Text(if at > 0 { word } else { "" }));
        joined.extend(part);
    }
    joined
}

impl Language for Expressions<'_> {
    type Said = Said;

    fn leaf(&self, column: &str, leaf: Leaf<'_>) -> Option<Said> {
        match leaf {
            Leaf::Compare(operator, literal) => self.compared(column, &[(operator, literal)], ""),
            Leaf::In(literals) => self.among(column, literals),
            Leaf::Within(low, high) => {
                self.compared(column, &[(Operator::GtEq, low), (Operator::LtEq, high)], " AND ")
            }
            Leaf::Outside(low, high) => {
                self.compared(column, &[(Operator::Lt, low), (Operator::Gt, high)], " OR ")
            }
            Leaf::Null => {
                self.0.column(column)?;
                Some(Said { pieces: Self::nothing(column), is_any: true })
            }
            Leaf::NotNull => {
                self.0.column(column)?;
                Some(Said { pieces: Self::something(column), is_any: false })
            }
        }
    }

    fn all(&self, mut parts: Vec<Said>) -> Said {
        match parts.len() {
            1 => parts.remove(0),
            _ => Said { pieces: joined(parts.into_iter().map(Said::within_all), " AND "), is_any: false },
        }
    }

    fn any(&self, mut parts: Vec<Said>) -> Said {
        match parts.len() {
            1 => parts.remove(0),
            _ => Said { pieces: joined(parts.into_iter().map(|part| part.pieces), " OR "), is_any: true },
        }
    }
}
