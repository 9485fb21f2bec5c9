//! Relations of a query over catalogs, and how their rows are joined.

use std::collections::HashMap;
use std::rc::Rc;

use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, Join, JoinConstraint, JoinOperator, ObjectName, Select, TableAlias,
    TableFactor, TableWithJoins,
};

use super::calls;
use super::catalog_name;
use super::columns::{place, within};
use super::datum::{Datum, Key, Type};
use super::machine::{Field, Machine, Scope, unsupported};
use super::query::{Frame, call};
use crate::protocol::problem::Problem;
use crate::values::oids::PgType;

/// The parts of a condition that all must hold.
fn conjuncts<'e>(expr: &'e Expr, all: &mut Vec<&'e Expr>) {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            conjuncts(left, all);
            conjuncts(right, all);
        }
        Expr::Nested(inner) => conjuncts(inner, all),
        other => all.push(other),
    }
}

/// An equality by which rows of the right side are looked up: what it is on the left, and its place on the right.
fn lookup<'e>(conditions: &[&'e Expr], left: &[Field], right: &[Field]) -> Option<(&'e Expr, usize)> {
    let on_left = |expr: &Expr| {
        matches!(expr, Expr::Value(_)) || (place(expr, left).is_some() && place(expr, right).is_none())
    };
    let on_right = |expr: &Expr| {
        let is_text = |at: &usize| right.get(*at).is_some_and(|field| field.kind != Type::BOOL);
        // Truths are written in several ways, which have no one key.
        place(expr, right).filter(is_text).filter(|_| place(expr, left).is_none())
    };
    conditions.iter().copied().find_map(|condition: &'e Expr| {
        let Expr::BinaryOp { left: one, op: BinaryOperator::Eq, right: other } = condition else {
            return None;
        };
        let (one, other): (&'e Expr, &'e Expr) = (one.as_ref(), other.as_ref());
        match (on_right(other), on_right(one)) {
            (Some(at), _) if on_left(one) => Some((one, at)),
            (_, Some(at)) if on_left(other) => Some((other, at)),
            _ => None,
        }
    })
}

/// A relation that is joined: rows that were made for it, or those of a table or a common table expression, where they are.
enum Side<'m> {
    Made(Frame),
    Stored { columns: Vec<Field>, rows: &'m [Vec<Datum>] },
    Shared { columns: Vec<Field>, frame: Rc<Frame> },
}

impl Side<'_> {
    fn columns(&self) -> &[Field] {
        match self {
            Self::Made(frame) => &frame.columns,
            Self::Stored { columns, .. } | Self::Shared { columns, .. } => columns,
        }
    }

    fn rows(&self) -> &[Vec<Datum>] {
        match self {
            Self::Made(frame) => &frame.rows,
            Self::Stored { rows, .. } => rows,
            Self::Shared { frame, .. } => &frame.rows,
        }
    }
}

impl<'m> Machine<'m> {
    /// Rows of relations.
    pub(super) fn from(&self, select: &Select, outer: Option<&Scope<'_>>) -> Result<Frame, Problem> {
        let mut hints = Vec::new();
        if let Some(selection) = &select.selection {
            conjuncts(selection, &mut hints);
        }
        self.joined(&select.from, &hints, outer)
    }

    fn joined(
        &self,
        from: &[TableWithJoins],
        hints: &[&Expr],
        outer: Option<&Scope<'_>>,
    ) -> Result<Frame, Problem> {
        let left = self.room.left();
        // Once rows are joined, those that they were made of are gone.
        let only = |frame: Frame| -> Result<Frame, Problem> {
            self.room.restore(left);
            self.room.charge(frame.weight())?;
            Ok(frame)
        };
        let mut frame = Frame { columns: Vec::new(), rows: vec![Vec::new()] };
        for TableWithJoins { relation, joins } in from {
            frame = only(self.join(frame, relation, (false, None), hints, outer)?)?;
            for Join { relation, join_operator, .. } in joins {
                let (is_left, constraint) = match join_operator {
                    JoinOperator::Join(on) | JoinOperator::Inner(on) | JoinOperator::CrossJoin(on) => {
                        (false, on)
                    }
                    JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (true, on),
                    _ => return Err(unsupported("This kind of join over catalogs")),
                };
                let on = match constraint {
                    JoinConstraint::On(on) => Some(on),
                    JoinConstraint::None => None,
                    _ => return Err(unsupported("USING and NATURAL over catalogs")),
                };
                let mut conditions = Vec::new();
                if let Some(on) = on {
                    conjuncts(on, &mut conditions);
                }
                frame = only(self.join(frame, relation, (is_left, on), &conditions, outer)?)?;
            }
        }
        Ok(frame)
    }

    /// Joins a relation to rows. `conditions` only say where to look; what must hold is `on`.
    fn join(
        &self,
        left: Frame,
        relation: &TableFactor,
        (is_left, on): (bool, Option<&Expr>),
        conditions: &[&Expr],
        outer: Option<&Scope<'_>>,
    ) -> Result<Frame, Problem> {
        let is_lateral = matches!(
            relation,
            TableFactor::Derived { lateral: true, .. }
                | TableFactor::Function { .. }
                | TableFactor::UNNEST { .. }
                | TableFactor::Table { args: Some(_), .. }
        );
        let empty = Scope { columns: &[], row: &[], group: None, outer };
        let whole = if is_lateral { None } else { Some(self.relation(relation, &empty)?) };
        let mut joined = Frame { columns: left.columns.clone(), rows: Vec::new() };
        let found = whole.as_ref().and_then(|right| lookup(conditions, &left.columns, right.columns()));
        let index = match (&whole, found) {
            (Some(right), Some((_, at))) => self.index(right.rows(), at)?,
            _ => HashMap::new(),
        };
        joined.columns.extend(whole.iter().flat_map(Side::columns).cloned());
        within(joined.columns.len())?;
        let mut knows_columns = whole.is_some();
        for row in &left.rows {
            let scope = Scope { columns: &left.columns, row, group: None, outer };
            let own;
            let right = match &whole {
                Some(right) => right,
                None => {
                    own = self.relation(relation, &scope)?;
                    &own
                }
            };
            if !knows_columns {
                joined.columns.extend(right.columns().iter().cloned());
                knows_columns = true;
            }
            let places = self.places(found, &index, right.rows().len(), &scope)?;
            let mut is_matched = false;
            for place in places {
                self.step()?;
                let Some(other) = right.rows().get(place) else { continue };
                let both: Vec<Datum> = row.iter().chain(other).cloned().collect();
                let scope = Scope { columns: &joined.columns, row: &both, group: None, outer };
                if on.map_or(Ok(true), |on| self.holds(on, &scope))? {
                    is_matched = true;
                    self.push(&mut joined, both)?;
                }
            }
            if is_left && !is_matched {
                let missing = right.columns().iter().map(|_| Datum::Null);
                self.push(&mut joined, row.iter().cloned().chain(missing).collect())?;
            }
        }
        Ok(joined)
    }

    /// Places of rows by what they have in one column.
    fn index(&self, rows: &[Vec<Datum>], at: usize) -> Result<HashMap<Key, Vec<usize>>, Problem> {
        self.room.steps(rows.len())?;
        let mut index: HashMap<Key, Vec<usize>> = HashMap::new();
        for (place, row) in rows.iter().enumerate() {
            if let Some(value) = row.get(at).filter(|value| !value.is_null()) {
                index.entry(value.key()).or_default().push(place);
            }
        }
        Ok(index)
    }

    /// Rows of the right side that may belong to a row of the left.
    fn places(
        &self,
        found: Option<(&Expr, usize)>,
        index: &HashMap<Key, Vec<usize>>,
        count: usize,
        scope: &Scope<'_>,
    ) -> Result<Vec<usize>, Problem> {
        match found {
            Some((expr, _)) => Ok(index.get(&self.eval(expr, scope)?.key()).cloned().unwrap_or_default()),
            None => Ok((0..count).collect()),
        }
    }

    fn relation(&self, relation: &TableFactor, scope: &Scope<'_>) -> Result<Side<'m>, Problem> {
        match relation {
            TableFactor::Table { name, alias, args: None, .. } => self.table(name, alias.as_ref()),
            TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => self
                .table_function(name, &args.args, (alias.as_ref(), *with_ordinality), scope)
                .map(Side::Made),
            TableFactor::Function { name, args, alias, with_ordinality, .. } => {
                self.table_function(name, args, (alias.as_ref(), *with_ordinality), scope).map(Side::Made)
            }
            TableFactor::UNNEST { array_exprs, alias, with_ordinality, .. } => {
                let value = array_exprs.first().map(|expr| self.eval(expr, scope)).transpose()?;
                let all = value.and_then(|value| value.list()).unwrap_or_default();
                self.listed("unnest", all, (alias.as_ref(), *with_ordinality)).map(Side::Made)
            }
            TableFactor::Derived { subquery, alias, lateral, .. } => {
                let outer = if *lateral { Some(scope) } else { scope.outer };
                Ok(Side::Made(self.query(subquery, outer)?.called(alias.as_ref(), None)))
            }
            TableFactor::NestedJoin { table_with_joins, .. } => {
                self.joined(std::slice::from_ref(table_with_joins.as_ref()), &[], scope.outer).map(Side::Made)
            }
            _ => Err(unsupported("This kind of relation among catalogs")),
        }
    }

    fn table(&self, name: &ObjectName, alias: Option<&TableAlias>) -> Result<Side<'m>, Problem> {
        let written = name.to_string().to_lowercase();
        let cte = self
            .ctes
            .borrow()
            .iter()
            .rev()
            .find(|(known, _)| *known == written)
            .map(|(_, frame)| Rc::clone(frame));
        if let Some(frame) = cte {
            let mut columns = frame.columns.clone();
            call(&mut columns, alias, Some(&written));
            return Ok(Side::Shared { columns, frame });
        }
        let unknown = || Problem::new("42P01", "There is no such relation.");
        let (schema, table) = catalog_name(name).ok_or_else(unknown)?;
        let schema = schema.as_deref().unwrap_or("pg_catalog");
        let found = self.model.rows.table(schema, &table).ok_or_else(unknown)?;
        let field = |(name, kind)| Field { table: None, name, kind };
        let mut columns: Vec<Field> = found.columns.into_iter().map(field).collect();
        call(&mut columns, alias, Some(&table));
        Ok(Side::Stored { columns, rows: found.rows })
    }

    fn table_function(
        &self,
        name: &ObjectName,
        args: &[FunctionArg],
        alias: (Option<&TableAlias>, bool),
        scope: &Scope<'_>,
    ) -> Result<Frame, Problem> {
        let name = calls::name_of(name).ok_or_else(|| unsupported("This function"))?;
        let all = calls::rows_of(self, &name, args, scope)?;
        self.listed(&name, all, alias)
    }

    /// A column of values as a relation, with their places where they are asked for.
    fn listed(
        &self,
        name: &str,
        all: Vec<Datum>,
        (alias, with_places): (Option<&TableAlias>, bool),
    ) -> Result<Frame, Problem> {
        // Named after the relation where no name is given.
        let own = alias.map_or(name, |alias| alias.name.value.as_str());
        let mut frame = Frame::default();
        frame.columns.push(Field { table: None, name: own.to_owned(), kind: Type::TEXT });
        if with_places {
            frame.columns.push(Field {
                table: None,
                name: "ordinality".to_owned(),
                kind: Type::one(PgType::Int8),
            });
        }
        for (place, value) in (1_i64..).zip(all) {
            self.step()?;
            self.push(&mut frame, if with_places { vec![value, place.into()] } else { vec![value] })?;
        }
        Ok(frame.called(alias, Some(name)))
    }
}
