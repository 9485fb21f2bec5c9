//! A condition becomes an expression of a relation: columns are found, types compared, attributes bound as values.

use std::collections::BTreeMap;

use crate::{
    Attribute, Attributes, Column, ColumnType, Comparison, ConditionError, Expr, Function, Relation, Value,
    eval,
};

use super::literal::{Raw, literal};
use super::parse::{Node, Operand, What};
use crate::relation::Names;

/// Most values of a list, attributes of several values included.
const MOST_VALUES: usize = 1_000;

/// Why a condition cannot be bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BindError {
    /// It does not fit the relation.
    Condition(ConditionError),
    /// The person does not have the attribute.
    Missing(String),
    /// The person's attribute is not of the type that it is compared with.
    Unfit(String, ColumnType),
}

impl From<ConditionError> for BindError {
    fn from(error: ConditionError) -> Self {
        Self::Condition(error)
    }
}

/// Binds conditions to a relation.
pub(crate) struct Binding<'b> {
    relation: &'b Relation,
    /// Its columns by their names.
    names: &'b Names<'b>,
    /// None while a policy is being written: attributes then fit everything, and columns of unknown types are taken as they are.
    attributes: Option<&'b Attributes>,
    /// Attributes that were looked up.
    pub(crate) used: BTreeMap<String, Attribute>,
}

impl<'b> Binding<'b> {
    /// To see whether conditions fit.
    pub(crate) const fn check(relation: &'b Relation, names: &'b Names<'b>) -> Self {
        Self { relation, names, attributes: None, used: BTreeMap::new() }
    }

    /// For a person.
    pub(crate) const fn of(relation: &'b Relation, names: &'b Names<'b>, attributes: &'b Attributes) -> Self {
        Self { relation, names, attributes: Some(attributes), used: BTreeMap::new() }
    }

    /// The expression of a condition.
    pub(crate) fn bind(&mut self, node: &Node) -> Result<Expr, BindError> {
        match node {
            Node::And(parts) => Ok(all(self.each(parts)?)),
            Node::Or(parts) => Ok(any(self.each(parts)?)),
            Node::Not(inner) => Ok(not(self.bind(inner)?)),
            Node::Compare { operator, left, right } => self.compare(*operator, left, right),
            Node::Between { value, low, high, negated } => {
                let parts = vec![
                    self.compare(Comparison::GreaterOrEqual, value, low)?,
                    self.compare(Comparison::LessOrEqual, value, high)?,
                ];
                Ok(if *negated { not(all(parts)) } else { all(parts) })
            }
            Node::In { value, list, negated } => self.within(value, list, *negated),
            Node::Like { value, pattern, negated } => {
                let value = Box::new(self.operand(value, ColumnType::Text)?);
                Ok(folded(Expr::Like { value, pattern: pattern.clone(), negated: *negated }))
            }
            Node::IsNull { value, negated } => {
                let kind = self.kind(value)?.unwrap_or(ColumnType::Unknown);
                let value = Box::new(self.operand(value, kind)?);
                Ok(folded(Expr::IsNull { value, negated: *negated }))
            }
            Node::Truth(operand) => {
                if matches!(operand.what, What::Text(_) | What::Number(_) | What::Moment(_)) {
                    return Err(ConditionError::new(operand.place, "a comparison is expected here").into());
                }
                self.operand(operand, ColumnType::Boolean)
            }
        }
    }

    fn each(&mut self, parts: &[Node]) -> Result<Vec<Expr>, BindError> {
        parts.iter().map(|part| self.bind(part)).collect()
    }

    fn compare(&mut self, operator: Comparison, left: &Operand, right: &Operand) -> Result<Expr, BindError> {
        let kind = self.common(&[left, right])?;
        let ordered = !matches!(operator, Comparison::Equal | Comparison::NotEqual);
        if ordered && kind == ColumnType::Boolean {
            return Err(ConditionError::new(left.place, "true and false have no order").into());
        }
        // As texts 10 is below 9, and attributes are numbers as often as not.
        if ordered && kind == ColumnType::Text && !left.has_column() && !right.has_column() {
            let message = "attributes are ordered as numbers only: compare with a number, or with a column";
            return Err(ConditionError::new(left.place, message).into());
        }
        let left = Box::new(self.operand(left, kind)?);
        let right = Box::new(self.operand(right, kind)?);
        Ok(folded(Expr::Compare { operator, left, right }))
    }

    fn within(&mut self, value: &Operand, list: &[Operand], negated: bool) -> Result<Expr, BindError> {
        let all: Vec<&Operand> = std::iter::once(value).chain(list).collect();
        let kind = self.common(&all)?;
        let value = Box::new(self.operand(value, kind)?);
        let mut values = Vec::new();
        for item in list {
            match (&item.what, self.attributes) {
                (What::Attribute(name), Some(_)) => values.extend(self.several(name, kind)?),
                _ => match self.operand(item, kind)? {
                    Expr::Literal(value) => values.push(value),
                    _ => {
                        return Err(ConditionError::new(
                            item.place,
                            "a list has literals and attributes only",
                        )
                        .into());
                    }
                },
            }
        }
        if values.len() > MOST_VALUES {
            let message = format!("a list has at most {MOST_VALUES} values");
            return Err(ConditionError::new(all.first().map_or(1, |first| first.place), message).into());
        }
        Ok(folded(Expr::In { value, list: values, negated }))
    }

    /// The type in which operands are compared: that of a column or a function among them, else that of a literal, else text.
    fn common(&mut self, operands: &[&Operand]) -> Result<ColumnType, BindError> {
        let mut decided: Option<ColumnType> = None;
        for operand in operands {
            let Some(kind) = self.kind(operand)? else { continue };
            if !kind.is_comparable() {
                let message = format!("{} is of type {kind}, which is not compared", self.called(operand));
                return Err(ConditionError::new(operand.place, message).into());
            }
            match decided {
                Some(other) if !kind.is_alike(other) => {
                    let message =
                        format!("{} is of type {kind} and is compared with {other}", self.called(operand));
                    return Err(ConditionError::new(operand.place, message).into());
                }
                Some(ColumnType::Unknown) | None => decided = Some(kind),
                Some(_) => {}
            }
        }
        if let Some(kind) = decided {
            return Ok(kind);
        }
        Ok(operands
            .iter()
            .find_map(|operand| match &operand.what {
                What::Number(text)
                    if crate::number::decimal(text).is_some_and(|number| number.integer().is_none()) =>
                {
                    Some(ColumnType::Float { bits: 64 })
                }
                What::Number(_) => Some(ColumnType::Int { bits: 64 }),
                What::Boolean(_) => Some(ColumnType::Boolean),
                _ => None,
            })
            .unwrap_or(ColumnType::Text))
    }

    /// The type that an operand has by itself: none of literals and attributes.
    fn kind(&self, operand: &Operand) -> Result<Option<ColumnType>, BindError> {
        match &operand.what {
            What::Column(name) => Ok(Some(self.column(name, operand.place)?.kind)),
            What::Call(function, argument) => {
                let given = self.kind(argument)?;
                if given.is_some_and(|kind| !matches!(kind, ColumnType::Text | ColumnType::Unknown)) {
                    let message =
                        format!("{} is of a text, and {} is none", function.as_str(), self.called(argument));
                    return Err(ConditionError::new(argument.place, message).into());
                }
                Ok(Some(function.gives()))
            }
            _ => Ok(None),
        }
    }

    fn column(&self, name: &str, place: usize) -> Result<&'b Column, BindError> {
        let column = self.names.column(name).ok_or_else(|| unknown_column(self.relation, name, place))?;
        if column.kind == ColumnType::Unknown && self.attributes.is_some() {
            return Err(ConditionError::new(place, format!("the type of column {name} is not known")).into());
        }
        Ok(column)
    }

    fn called(&self, operand: &Operand) -> String {
        match &operand.what {
            What::Column(name) => format!("column {name}"),
            What::Attribute(name) => format!("current_user_{name}"),
            What::Call(function, _) => format!("{}()", function.as_str()),
            What::Text(_) | What::Number(_) | What::Boolean(_) | What::Moment(_) => "the literal".to_owned(),
        }
    }

    fn operand(&mut self, operand: &Operand, kind: ColumnType) -> Result<Expr, BindError> {
        let raw = match &operand.what {
            What::Column(name) => {
                let column = self.column(name, operand.place)?;
                if !column.kind.is_alike(kind) && !(column.kind == kind) {
                    let message = format!("column {name} is of type {}, not {kind}", column.kind);
                    return Err(ConditionError::new(operand.place, message).into());
                }
                return Ok(Expr::Column { name: column.name.clone(), kind: column.kind });
            }
            What::Call(function, argument) => return self.call(*function, argument, operand.place, kind),
            What::Attribute(name) => return self.attribute(name, kind).map(Expr::Literal),
            What::Text(text) | What::Moment(text) => Raw::Text(text),
            What::Number(text) => Raw::Number(text),
            What::Boolean(truth) => Raw::Boolean(*truth),
        };
        if kind == ColumnType::Unknown {
            return Ok(Expr::Literal(Value::Null));
        }
        literal(raw, kind, false).map(Expr::Literal).ok_or_else(|| {
            let message = format!("{} does not fit a column of type {kind}", raw.name());
            ConditionError::new(operand.place, message).into()
        })
    }

    fn call(
        &mut self,
        function: Function,
        argument: &Operand,
        place: usize,
        kind: ColumnType,
    ) -> Result<Expr, BindError> {
        self.kind(argument)?;
        if !function.gives().is_alike(kind) {
            let message = format!("{} gives {}, not {kind}", function.as_str(), function.gives());
            return Err(ConditionError::new(place, message).into());
        }
        let argument = Box::new(self.operand(argument, ColumnType::Text)?);
        Ok(folded(Expr::Call { function, argument }))
    }

    /// One value of an attribute.
    fn attribute(&mut self, name: &str, kind: ColumnType) -> Result<Value, BindError> {
        let Some(attributes) = self.attributes else { return Ok(Value::Null) };
        let attribute = attributes.get(name).ok_or_else(|| BindError::Missing(name.to_owned()))?;
        self.used.insert(name.to_owned(), attribute.clone());
        Raw::of(attribute)
            .and_then(|raw| literal(raw, kind, true))
            .ok_or_else(|| BindError::Unfit(name.to_owned(), kind))
    }

    /// All values of an attribute.
    fn several(&mut self, name: &str, kind: ColumnType) -> Result<Vec<Value>, BindError> {
        let known = self.attributes.and_then(|attributes| attributes.get(name));
        let Some(Attribute::List(items)) = known else {
            return self.attribute(name, kind).map(|value| vec![value]);
        };
        self.used.insert(name.to_owned(), Attribute::List(items.clone()));
        let values = items.iter().map(|item| Raw::of(item).and_then(|raw| literal(raw, kind, true)));
        values.collect::<Option<Vec<_>>>().ok_or_else(|| BindError::Unfit(name.to_owned(), kind))
    }
}

/// A column that is not there, with the nearest one that is.
pub(crate) fn unknown_column(relation: &Relation, name: &str, place: usize) -> ConditionError {
    let hint = match relation.nearest(name) {
        Some(near) => format!("; did you mean {near}?"),
        // Rather a value than a name.
        None if name.chars().any(|c| c.is_uppercase() || c.is_whitespace()) => {
            "; a text is in single quotes".to_owned()
        }
        None => String::new(),
    };
    ConditionError::new(place, format!("{} has no column {name}{hint}", relation.table))
}

/// What no column decides is decided at once.
fn folded(expr: Expr) -> Expr {
    let mut constant = true;
    expr.visit(&mut |part| constant &= !matches!(part, Expr::Column { .. } | Expr::Literal(Value::Null)));
    if !constant || matches!(expr, Expr::Literal(_)) {
        return expr;
    }
    Expr::Literal(eval::value(&expr, &|_| Value::Null))
}

/// All of several.
pub(crate) fn all(parts: Vec<Expr>) -> Expr {
    join(parts, true)
}

fn any(parts: Vec<Expr>) -> Expr {
    join(parts, false)
}

/// Without what does not matter, and decided where one part decides.
fn join(parts: Vec<Expr>, conjunction: bool) -> Expr {
    if parts.contains(&Expr::truth(!conjunction)) {
        return Expr::truth(!conjunction);
    }
    let mut left: Vec<Expr> = parts.into_iter().filter(|part| *part != Expr::truth(conjunction)).collect();
    match (left.len(), conjunction) {
        (0, _) => Expr::truth(conjunction),
        (1, _) => left.pop().unwrap_or(Expr::truth(conjunction)),
        (_, true) => Expr::And(left),
        (_, false) => Expr::Or(left),
    }
}

fn not(inner: Expr) -> Expr {
    match inner {
        Expr::Literal(Value::Boolean(truth)) => Expr::truth(!truth),
        other => Expr::Not(Box::new(other)),
    }
}
