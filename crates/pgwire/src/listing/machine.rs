//! Expressions, over rows of catalogs.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CaseWhen, DataType, Expr, Ident, Query, Subscript, UnaryOperator, Value,
};

use super::calls;
use super::datum::{Datum, Type};
use super::model::{Model, format_type};
use super::query::Frame;
use super::room::{Room, is_short_enough};
use crate::protocol::problem::Problem;
use crate::values::oids::PgType;

/// A column of rows: of a relation, by its name in the query.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) table: Option<String>,
    pub(super) name: String,
    pub(super) kind: Type,
}

/// What names mean at some place of a query.
#[derive(Clone, Copy)]
pub(super) struct Scope<'s> {
    pub(super) columns: &'s [Field],
    pub(super) row: &'s [Datum],
    /// The rows of a group, for aggregates.
    pub(super) group: Option<&'s [Vec<Datum>]>,
    pub(super) outer: Option<&'s Scope<'s>>,
}

/// Works a statement out.
pub(super) struct Machine<'m> {
    pub(super) model: &'m Model,
    pub(super) parameters: Vec<Datum>,
    pub(super) room: Room,
    pub(super) ctes: RefCell<Vec<(String, Rc<Frame>)>>,
}

pub(super) fn unsupported(what: &str) -> Problem {
    Problem::unsupported(what)
}

fn same(ident: &Ident, name: &str) -> bool {
    if ident.quote_style.is_some() { ident.value == name } else { ident.value.eq_ignore_ascii_case(name) }
}

impl<'m> Machine<'m> {
    pub(super) fn new(model: &'m Model, parameters: Vec<Datum>, halt: Arc<AtomicBool>) -> Self {
        Self { model, parameters, room: Room::new(halt), ctes: RefCell::default() }
    }

    /// Counts a step.
    pub(super) fn step(&self) -> Result<(), Problem> {
        self.room.steps(1)
    }

    /// The value of an expression.
    pub(super) fn eval(&self, expr: &Expr, scope: &Scope<'_>) -> Result<Datum, Problem> {
        self.step()?;
        let value = self.room.deeper(|| self.eval_here(expr, scope))?;
        match &value {
            Datum::Text(text) => self.room.charge(text.len())?,
            Datum::List(all) => {
                self.room.steps(all.len())?;
                self.room.charge(value.weight())?;
            }
            _ => {}
        }
        Ok(value)
    }

    /// Whether a condition holds. What was made to find out is gone then.
    pub(super) fn holds(&self, condition: &Expr, scope: &Scope<'_>) -> Result<bool, Problem> {
        let left = self.room.left();
        let holds = self.eval(condition, scope)?.is_true();
        self.room.restore(left);
        Ok(holds)
    }

    fn eval_here(&self, expr: &Expr, scope: &Scope<'_>) -> Result<Datum, Problem> {
        match expr {
            Expr::Identifier(name) => self.column(None, name, scope),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., table, name] => self.column(Some(table), name, scope),
                _ => Err(unsupported("A name without parts")),
            },
            Expr::Value(value) => self.literal(&value.value),
            Expr::TypedString(typed) => {
                let value = self.literal(&typed.value.value)?;
                self.cast(value, &typed.data_type)
            }
            Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => self.eval(inner, scope),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr, scope),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right, scope),
            Expr::Cast { expr, data_type, .. } => {
                let value = self.eval(expr, scope)?;
                self.cast(value, data_type)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case((operand.as_deref(), conditions, else_result.as_deref()), scope)
            }
            Expr::Subquery(query) => {
                Ok(self.first_column(query, scope)?.into_iter().next().unwrap_or_default())
            }
            Expr::Array(array) => {
                let all = array.elem.iter().map(|one| self.eval(one, scope)).collect::<Result<_, _>>()?;
                flat(all)
            }
            Expr::Tuple(all) => flat(all.iter().map(|one| self.eval(one, scope)).collect::<Result<_, _>>()?),
            Expr::CompoundFieldAccess { root, access_chain } => self.subscript(root, access_chain, scope),
            Expr::Function(function) => calls::call(self, function, scope),
            Expr::Trim { expr, .. } => {
                let value = self.eval(expr, scope)?;
                Ok(value.text().map_or(Datum::Null, |text| text.trim().into()))
            }
            other => self.predicate(other, scope),
        }
    }

    /// The value of an expression that is true or false.
    fn predicate(&self, expr: &Expr, scope: &Scope<'_>) -> Result<Datum, Problem> {
        match expr {
            Expr::IsNull(inner) => Ok(self.eval(inner, scope)?.is_null().into()),
            Expr::IsNotNull(inner) => Ok((!self.eval(inner, scope)?.is_null()).into()),
            Expr::IsTrue(inner) => Ok(self.eval(inner, scope)?.is_true().into()),
            Expr::IsNotTrue(inner) => Ok((!self.eval(inner, scope)?.is_true()).into()),
            Expr::IsFalse(inner) => Ok(matches!(self.eval(inner, scope)?, Datum::Bool(false)).into()),
            Expr::IsNotFalse(inner) => Ok((!matches!(self.eval(inner, scope)?, Datum::Bool(false))).into()),
            Expr::IsDistinctFrom(one, other) => Ok((!self.are_same(one, other, scope)?).into()),
            Expr::IsNotDistinctFrom(one, other) => Ok(self.are_same(one, other, scope)?.into()),
            Expr::Between { expr, negated, low, high } => {
                let value = self.eval(expr, scope)?;
                let (low, high) = (self.eval(low, scope)?, self.eval(high, scope)?);
                let (Some(low), Some(high)) = (value.compare(&low), value.compare(&high)) else {
                    return Ok(Datum::Null);
                };
                Ok(((low.is_ge() && high.is_le()) != *negated).into())
            }
            Expr::InList { expr, list, negated } => {
                let value = self.eval(expr, scope)?;
                let all = list.iter().map(|one| self.eval(one, scope)).collect::<Result<Vec<_>, _>>()?;
                Ok(negate(member(&value, &all), *negated))
            }
            Expr::InSubquery { expr, subquery, negated } => {
                let value = self.eval(expr, scope)?;
                Ok(negate(member(&value, &self.first_column(subquery, scope)?), *negated))
            }
            Expr::AnyOp { left, compare_op, right, .. } => {
                self.quantified(left, compare_op, right, true, scope)
            }
            Expr::AllOp { left, compare_op, right } => self.quantified(left, compare_op, right, false, scope),
            Expr::Like { negated, expr, pattern, escape_char, .. } => self.like(
                expr,
                pattern,
                (escape_char.as_ref().map(|escape| &escape.value), false, *negated),
                scope,
            ),
            Expr::ILike { negated, expr, pattern, escape_char, .. } => self.like(
                expr,
                pattern,
                (escape_char.as_ref().map(|escape| &escape.value), true, *negated),
                scope,
            ),
            Expr::Exists { subquery, negated } => {
                Ok((self.query(subquery, Some(scope))?.rows.is_empty() == *negated).into())
            }
            _ => Err(unsupported("An expression of a statement about catalogs")),
        }
    }

    fn column(&self, table: Option<&Ident>, name: &Ident, scope: &Scope<'_>) -> Result<Datum, Problem> {
        let mut here = Some(scope);
        while let Some(scope) = here {
            let is_meant = |field: &Field| {
                same(name, &field.name)
                    && table
                        .is_none_or(|table| field.table.as_deref().is_some_and(|known| same(table, known)))
            };
            if let Some(at) = scope.columns.iter().position(is_meant) {
                return Ok(scope.row.get(at).cloned().unwrap_or_default());
            }
            here = scope.outer;
        }
        Err(Problem::new("42703", "There is no such column."))
    }

    pub(super) fn literal(&self, value: &Value) -> Result<Datum, Problem> {
        Ok(match value {
            Value::Number(text, _) => match (text.parse(), text.parse()) {
                (Ok(number), _) => Datum::Int(number),
                (_, Ok(number)) => Datum::Float(number),
                _ => return Err(Problem::new("22P02", "A number cannot be read.")),
            },
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => text.as_str().into(),
            Value::DollarQuotedString(text) => text.value.as_str().into(),
            Value::Boolean(truth) => (*truth).into(),
            Value::Null => Datum::Null,
            Value::Placeholder(name) => {
                let place = name.strip_prefix('$').and_then(|place| place.parse::<usize>().ok());
                let found = place.and_then(|place| self.parameters.get(place.checked_sub(1)?));
                found.cloned().ok_or_else(|| Problem::new("42804", "A parameter has no value."))?
            }
            _ => return Err(unsupported("A literal of this kind")),
        })
    }

    fn are_same(&self, one: &Expr, other: &Expr, scope: &Scope<'_>) -> Result<bool, Problem> {
        let (one, other) = (self.eval(one, scope)?, self.eval(other, scope)?);
        Ok(one.compare(&other).map_or(one.is_null() && other.is_null(), Ordering::is_eq))
    }

    fn unary(&self, op: UnaryOperator, expr: &Expr, scope: &Scope<'_>) -> Result<Datum, Problem> {
        let value = self.eval(expr, scope)?;
        match op {
            UnaryOperator::Not => Ok(negate_truth(&value)),
            UnaryOperator::Minus => {
                Ok(value.int().and_then(i64::checked_neg).map_or(Datum::Null, Datum::Int))
            }
            UnaryOperator::Plus => Ok(value),
            _ => Err(unsupported("This operator")),
        }
    }

    fn binary(
        &self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        scope: &Scope<'_>,
    ) -> Result<Datum, Problem> {
        let one = self.eval(left, scope)?;
        match op {
            BinaryOperator::And if matches!(one, Datum::Bool(false)) => return Ok(false.into()),
            BinaryOperator::Or if one.is_true() => return Ok(true.into()),
            _ => {}
        }
        let other = self.eval(right, scope)?;
        self.operate(&one, op, &other)
    }

    fn operate(&self, one: &Datum, op: &BinaryOperator, other: &Datum) -> Result<Datum, Problem> {
        use BinaryOperator as Op;
        if let Op::PGCustomBinaryOperator(parts) = op {
            let op = match parts.last().map(String::as_str) {
                Some("~") => Op::PGRegexMatch,
                Some("!~") => Op::PGRegexNotMatch,
                Some("~*") => Op::PGRegexIMatch,
                Some("=") => Op::Eq,
                Some("<>") => Op::NotEq,
                _ => return Err(unsupported("This operator")),
            };
            return self.operate(one, &op, other);
        }
        let order = || one.compare(other);
        let truth = |truth: Option<bool>| truth.map_or(Datum::Null, Datum::Bool);
        let numbers = |work: fn(i64, i64) -> Option<i64>| {
            one.int()
                .zip(other.int())
                .and_then(|(one, other)| work(one, other))
                .map_or(Datum::Null, Datum::Int)
        };
        Ok(match op {
            Op::Eq => truth(order().map(Ordering::is_eq)),
            Op::NotEq => truth(order().map(Ordering::is_ne)),
            Op::Lt => truth(order().map(Ordering::is_lt)),
            Op::LtEq => truth(order().map(Ordering::is_le)),
            Op::Gt => truth(order().map(Ordering::is_gt)),
            Op::GtEq => truth(order().map(Ordering::is_ge)),
            Op::And => match (one, other) {
                (Datum::Bool(false), _) | (_, Datum::Bool(false)) => false.into(),
                (Datum::Bool(true), Datum::Bool(true)) => true.into(),
                _ => Datum::Null,
            },
            Op::Or => match (one, other) {
                (Datum::Bool(true), _) | (_, Datum::Bool(true)) => true.into(),
                (Datum::Bool(false), Datum::Bool(false)) => false.into(),
                _ => Datum::Null,
            },
            Op::StringConcat => match (one, other) {
                (Datum::List(one), Datum::List(other)) => Datum::List([one.as_slice(), other].concat()),
                _ => one.text().zip(other.text()).map_or(Datum::Null, |(one, other)| (one + &other).into()),
            },
            Op::Plus => numbers(i64::checked_add),
            Op::Minus => numbers(i64::checked_sub),
            Op::Multiply => numbers(i64::checked_mul),
            Op::Divide => numbers(i64::checked_div),
            Op::Modulo => numbers(i64::checked_rem),
            Op::BitwiseAnd => numbers(|one, other| Some(one & other)),
            Op::PGRegexMatch => self.room.matches(one, other, false, false)?,
            Op::PGRegexIMatch => self.room.matches(one, other, true, false)?,
            Op::PGRegexNotMatch => self.room.matches(one, other, false, true)?,
            Op::PGRegexNotIMatch => self.room.matches(one, other, true, true)?,
            _ => return Err(unsupported("This operator")),
        })
    }

    /// `= ANY (…)` and `= ALL (…)`, of a list or of a query.
    fn quantified(
        &self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        is_any: bool,
        scope: &Scope<'_>,
    ) -> Result<Datum, Problem> {
        let value = self.eval(left, scope)?;
        let all = match right {
            Expr::Subquery(query) => self.first_column(query, scope)?,
            Expr::Nested(inner) if matches!(inner.as_ref(), Expr::Subquery(_)) => match inner.as_ref() {
                Expr::Subquery(query) => self.first_column(query, scope)?,
                _ => Vec::new(),
            },
            list => match self.eval(list, scope)?.list() {
                Some(all) => all,
                None => return Ok(Datum::Null),
            },
        };
        let mut outcome = Datum::Bool(!is_any);
        for one in &all {
            match self.operate(&value, op, one)? {
                Datum::Bool(truth) if truth == is_any => return Ok(is_any.into()),
                Datum::Null => outcome = Datum::Null,
                _ => {}
            }
        }
        Ok(outcome)
    }

    fn like(
        &self,
        expr: &Expr,
        pattern: &Expr,
        (escape, is_blind, negated): (Option<&Value>, bool, bool),
        scope: &Scope<'_>,
    ) -> Result<Datum, Problem> {
        let (value, pattern) = (self.eval(expr, scope)?, self.eval(pattern, scope)?);
        let (Some(text), Some(pattern)) = (value.text(), pattern.text()) else { return Ok(Datum::Null) };
        is_short_enough(&pattern)?;
        let escape = match escape {
            Some(value) => self.literal(value)?.text().and_then(|text| text.chars().next()),
            None => Some('\\'),
        };
        let mut written = String::from("^");
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            match c {
                c if Some(c) == escape => {
                    written.push_str(&regex::escape(&chars.next().map(String::from).unwrap_or_default()));
                }
                '%' => written.push_str(".*"),
                '_' => written.push('.'),
                c => written.push_str(&regex::escape(&c.to_string())),
            }
        }
        written.push('$');
        self.room.matches(&text.into(), &format!("(?s){written}").into(), is_blind, negated)
    }

    fn case(
        &self,
        (operand, conditions, otherwise): (Option<&Expr>, &[CaseWhen], Option<&Expr>),
        scope: &Scope<'_>,
    ) -> Result<Datum, Problem> {
        let operand = operand.map(|operand| self.eval(operand, scope)).transpose()?;
        for CaseWhen { condition, result } in conditions {
            let condition = self.eval(condition, scope)?;
            let holds = match &operand {
                Some(operand) => operand.compare(&condition).is_some_and(Ordering::is_eq),
                None => condition.is_true(),
            };
            if holds {
                return self.eval(result, scope);
            }
        }
        otherwise.map_or(Ok(Datum::Null), |otherwise| self.eval(otherwise, scope))
    }

    fn subscript(&self, root: &Expr, chain: &[AccessExpr], scope: &Scope<'_>) -> Result<Datum, Problem> {
        let mut value = self.eval(root, scope)?;
        for access in chain {
            let AccessExpr::Subscript(Subscript::Index { index }) = access else {
                return Err(unsupported("This access to a value"));
            };
            let place = self.eval(index, scope)?.int().and_then(|place| usize::try_from(place).ok());
            let place = place.and_then(|place| place.checked_sub(1));
            value = match (value.list(), place) {
                (Some(all), Some(place)) => all.get(place).cloned().unwrap_or_default(),
                _ => Datum::Null,
            };
        }
        Ok(value)
    }

    /// The values of a query's only column.
    fn first_column(&self, query: &Query, scope: &Scope<'_>) -> Result<Vec<Datum>, Problem> {
        let frame = self.query(query, Some(scope))?;
        Ok(frame.rows.into_iter().filter_map(|row| row.into_iter().next()).collect())
    }

    /// A value as one of another type. Of types that have no meaning here it stays what it is.
    pub(super) fn cast(&self, value: Datum, kind: &DataType) -> Result<Datum, Problem> {
        if value.is_null() {
            return Ok(Datum::Null);
        }
        let name = type_name(kind);
        let wrong = || Problem::new("22P02", "A value cannot be read as the type that is asked for.");
        Ok(match name.as_str() {
            "regclass" => match value.int() {
                Some(oid) if matches!(value, Datum::Int(_)) => self.model.name_of(oid).into(),
                Some(oid) => Datum::Int(oid),
                None => {
                    let oid = value.text().and_then(|name| self.model.oid_of(&name));
                    Datum::Int(oid.ok_or_else(|| Problem::new("42P01", "There is no such relation."))?)
                }
            },
            "regtype" => match value.int() {
                Some(oid) => format_type(oid, None).unwrap_or_else(|| oid.to_string()).into(),
                None => {
                    let kind = value.text().and_then(|name| PgType::of_name(&name));
                    Datum::Int(
                        kind.ok_or_else(|| Problem::new("42704", "There is no such type."))?.oid().into(),
                    )
                }
            },
            "oid" | "bigint" | "int8" | "integer" | "int" | "int4" | "smallint" | "int2" => {
                let named =
                    || value.text().and_then(|name| self.model.oid_of(&name)).filter(|_| name == "oid");
                Datum::Int(value.int().or_else(named).ok_or_else(wrong)?)
            }
            "boolean" | "bool" => match value.text().as_deref() {
                Some("t" | "true" | "on" | "yes" | "1") => true.into(),
                Some("f" | "false" | "off" | "no" | "0") => false.into(),
                _ => return Err(wrong()),
            },
            name if name.ends_with("[]") => Datum::List(value.list().ok_or_else(wrong)?),
            "text" | "varchar" | "character varying" | "name" | "char" | "cstring" => {
                value.text().map_or(Datum::Null, Datum::Text)
            }
            _ => value,
        })
    }
}

/// The name of a type, without its schema and digits.
pub(super) fn type_name(kind: &DataType) -> String {
    let text = kind.to_string().to_lowercase().replace('"', "");
    let text = text.strip_prefix("pg_catalog.").unwrap_or(&text);
    match text.split_once('(') {
        Some((name, rest)) if rest.ends_with("[]") => format!("{name}[]"),
        Some((name, _)) => name.trim().to_owned(),
        None => text.to_owned(),
    }
}

/// A list of values that are none themselves: as text, each level would be longer than the one in it.
pub(super) fn flat(all: Vec<Datum>) -> Result<Datum, Problem> {
    if all.iter().any(|one| matches!(one, Datum::List(_))) {
        return Err(unsupported("A list of lists"));
    }
    Ok(Datum::List(all))
}

fn negate_truth(value: &Datum) -> Datum {
    match value {
        Datum::Bool(truth) => (!truth).into(),
        _ => Datum::Null,
    }
}

fn negate(value: Datum, negated: bool) -> Datum {
    if negated { negate_truth(&value) } else { value }
}

/// Whether a value is among others.
fn member(value: &Datum, all: &[Datum]) -> Datum {
    if all.iter().any(|one| value.compare(one).is_some_and(Ordering::is_eq)) {
        return true.into();
    }
    let is_open = value.is_null() || all.iter().any(Datum::is_null);
    if is_open && !all.is_empty() { Datum::Null } else { false.into() }
}
