//! Queries over catalogs: relations, joins, groups, order.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, LimitClause, OrderByExpr, OrderByKind, Query, Select, SetExpr, SetOperator,
    SetQuantifier, TableAlias, Value,
};

use super::calls;
use super::columns::{items, refine, type_of};
use super::datum::{Datum, Key, Type};
use super::machine::{Field, Machine, Scope, unsupported};
use crate::protocol::problem::Problem;

/// Rows, and what their columns are called.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    pub(super) columns: Vec<Field>,
    pub(super) rows: Vec<Vec<Datum>>,
}

/// A row on its way out, with what it is sorted by.
pub(super) struct Sorted {
    pub(super) row: Vec<Datum>,
    keys: Vec<Datum>,
}

impl Frame {
    /// Bytes of its values.
    pub(super) fn weight(&self) -> usize {
        self.rows.iter().map(|row| weight(row)).sum()
    }

    /// The same under another name.
    pub(super) fn called(mut self, alias: Option<&TableAlias>, name: Option<&str>) -> Self {
        call(&mut self.columns, alias, name);
        self
    }
}

/// Names a relation and, where the alias says how they are called, its columns.
pub(super) fn call(columns: &mut [Field], alias: Option<&TableAlias>, name: Option<&str>) {
    let table = alias.map(|alias| alias.name.value.as_str()).or(name);
    for (at, field) in columns.iter_mut().enumerate() {
        field.table = table.map(str::to_owned);
        if let Some(column) = alias.and_then(|alias| alias.columns.get(at)) {
            field.name.clone_from(&column.name.value);
        }
    }
}

/// Bytes of the values of a row.
fn weight(row: &[Datum]) -> usize {
    row.iter().map(Datum::weight).sum()
}

impl Machine<'_> {
    /// The rows of a query.
    pub(super) fn query(&self, query: &Query, outer: Option<&Scope<'_>>) -> Result<Frame, Problem> {
        self.step()?;
        self.room.deeper(|| {
            let (before, left) = (self.ctes.borrow().len(), self.room.left());
            for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
                let frame = self.query(&cte.query, outer)?.called(Some(&cte.alias), None);
                self.ctes.borrow_mut().push((cte.alias.name.value.to_lowercase(), Rc::new(frame)));
            }
            let made = self.body(query, outer);
            self.ctes.borrow_mut().truncate(before);
            let made = made?;
            // Of all that it took, this is what stays.
            self.room.restore(left);
            self.room.charge(made.weight())?;
            Ok(made)
        })
    }

    /// Adds a row.
    pub(super) fn push(&self, frame: &mut Frame, row: Vec<Datum>) -> Result<(), Problem> {
        self.room.charge(weight(&row))?;
        frame.rows.push(row);
        Ok(())
    }

    fn body(&self, query: &Query, outer: Option<&Scope<'_>>) -> Result<Frame, Problem> {
        let order: &[OrderByExpr] = match query.order_by.as_ref().map(|order| &order.kind) {
            Some(OrderByKind::Expressions(order)) => order,
            Some(OrderByKind::All(_)) => return Err(unsupported("ORDER BY ALL")),
            None => &[],
        };
        let (columns, mut sorted) = match query.body.as_ref() {
            SetExpr::Select(select) => self.select(select, order, outer)?,
            other => {
                let frame = self.set(other, outer)?;
                let rows = frame.rows.into_iter().map(|row| {
                    let keys =
                        order.iter().map(|order| output(order, &frame.columns, &row).unwrap_or_default());
                    Sorted { keys: keys.collect(), row }
                });
                let rows: Vec<Sorted> = rows.collect();
                (frame.columns, rows)
            }
        };
        sorted.sort_by(|one, other| {
            let orders = order.iter().zip(one.keys.iter().zip(&other.keys));
            let mut orders = orders.map(|(order, (one, other))| compare(order, one, other));
            orders.find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        });
        let rows = sorted.into_iter().map(|sorted| sorted.row);
        let (skipped, most) = self.limits(query, outer)?;
        Ok(Frame { columns, rows: rows.skip(skipped).take(most).collect() })
    }

    fn limits(&self, query: &Query, outer: Option<&Scope<'_>>) -> Result<(usize, usize), Problem> {
        let number = |expr: Option<&Expr>, usual: usize| -> Result<usize, Problem> {
            let Some(expr) = expr else { return Ok(usual) };
            let scope = Scope { columns: &[], row: &[], group: None, outer };
            let value = self.eval(expr, &scope)?.int();
            Ok(value.and_then(|value| usize::try_from(value).ok()).unwrap_or(usual))
        };
        match &query.limit_clause {
            None => Ok((0, usize::MAX)),
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                let skipped = number(offset.as_ref().map(|offset| &offset.value), 0)?;
                Ok((skipped, number(limit.as_ref(), usize::MAX)?))
            }
            Some(LimitClause::OffsetCommaLimit { .. }) => Err(unsupported("This limit")),
        }
    }

    fn set(&self, body: &SetExpr, outer: Option<&Scope<'_>>) -> Result<Frame, Problem> {
        match body {
            SetExpr::Select(select) => {
                let (columns, rows) = self.select(select, &[], outer)?;
                Ok(Frame { columns, rows: rows.into_iter().map(|sorted| sorted.row).collect() })
            }
            SetExpr::Query(query) => self.query(query, outer),
            SetExpr::SetOperation { left, op: SetOperator::Union, set_quantifier, right } => {
                let mut all = self.room.deeper(|| self.set(left, outer))?;
                for row in self.room.deeper(|| self.set(right, outer))?.rows {
                    self.push(&mut all, row)?;
                }
                if *set_quantifier != SetQuantifier::All {
                    distinct(&mut all.rows, |row| row);
                }
                Ok(all)
            }
            SetExpr::Values(values) => {
                let scope = Scope { columns: &[], row: &[], group: None, outer };
                let row = |row: &Vec<Expr>| -> Result<Vec<Datum>, Problem> {
                    row.iter().map(|expr| self.eval(expr, &scope)).collect()
                };
                let rows: Vec<Vec<Datum>> =
                    values.rows.iter().map(|parens| row(&parens.content)).collect::<Result<_, Problem>>()?;
                let count = rows.first().map_or(0, Vec::len);
                let field =
                    |at: usize| Field { table: None, name: format!("column{}", at + 1), kind: Type::TEXT };
                Ok(Frame { columns: (0..count).map(field).collect(), rows })
            }
            _ => Err(unsupported("This kind of query over catalogs")),
        }
    }

    fn select(
        &self,
        select: &Select,
        order: &[OrderByExpr],
        outer: Option<&Scope<'_>>,
    ) -> Result<(Vec<Field>, Vec<Sorted>), Problem> {
        if select.into.is_some() || select.qualify.is_some() || !select.lateral_views.is_empty() {
            return Err(unsupported("This part of a query over catalogs"));
        }
        let mut frame = self.from(select, outer)?;
        if let Some(selection) = &select.selection {
            let mut kept = Vec::new();
            for row in frame.rows {
                let scope = Scope { columns: &frame.columns, row: &row, group: None, outer };
                if self.holds(selection, &scope)? {
                    kept.push(row);
                }
            }
            frame.rows = kept;
        }
        let items = items(&select.projection, &frame.columns)?;
        let groups = match &select.group_by {
            GroupByExpr::Expressions(by, _) => self.groups(by, &items, select, &mut frame, outer)?,
            GroupByExpr::All(_) => return Err(unsupported("GROUP BY ALL")),
        };
        let mut columns: Vec<Field> = items
            .iter()
            .map(|(expr, name)| Field {
                table: None,
                name: name.clone(),
                kind: type_of(expr, &frame.columns).unwrap_or(Type::TEXT),
            })
            .collect();
        let mut rows = Vec::new();
        let missing: Vec<Datum> = frame.columns.iter().map(|_| Datum::Null).collect();
        for group in &groups {
            let (row, group) = match group {
                Group::Row(row) => (row, None),
                Group::Rows(all) => (all.first().unwrap_or(&missing), Some(all.as_slice())),
            };
            let scope = Scope { columns: &frame.columns, row, group, outer };
            if let Some(having) = &select.having
                && !self.holds(having, &scope)?
            {
                continue;
            }
            self.project(&items, order, (&columns, &scope), &mut rows)?;
        }
        refine(&mut columns, &items, &frame.columns, &rows);
        match &select.distinct {
            Some(Distinct::On(_)) => return Err(unsupported("DISTINCT ON over catalogs")),
            Some(Distinct::Distinct) => distinct(&mut rows, |sorted| &sorted.row),
            Some(Distinct::All) | None => {}
        }
        Ok((columns, rows))
    }

    /// The rows, or the groups of them where they are grouped.
    fn groups(
        &self,
        by: &[Expr],
        items: &[(Expr, String)],
        select: &Select,
        frame: &mut Frame,
        outer: Option<&Scope<'_>>,
    ) -> Result<Vec<Group>, Problem> {
        let rows = std::mem::take(&mut frame.rows);
        let has_aggregates = items.iter().any(|(expr, _)| calls::has_aggregate(expr))
            || select.having.as_ref().is_some_and(calls::has_aggregate);
        if by.is_empty() && !has_aggregates {
            return Ok(rows.into_iter().map(Group::Row).collect());
        }
        if by.is_empty() {
            return Ok(vec![Group::Rows(rows)]);
        }
        let mut places: HashMap<Vec<Option<Key>>, usize> = HashMap::new();
        let mut groups: Vec<Vec<Vec<Datum>>> = Vec::new();
        for row in rows {
            let scope = Scope { columns: &frame.columns, row: &row, group: None, outer };
            let mut key = Vec::new();
            for expr in by {
                let value = match ordinal(expr).and_then(|at| items.get(at)) {
                    Some((item, _)) => self.eval(item, &scope)?,
                    None => self.eval(expr, &scope)?,
                };
                key.push((!value.is_null()).then(|| value.key()));
            }
            let place = *places.entry(key).or_insert(groups.len());
            match groups.get_mut(place) {
                Some(group) => group.push(row),
                None => groups.push(vec![row]),
            }
        }
        Ok(groups.into_iter().map(Group::Rows).collect())
    }

    /// Rows of one row or group: several where a function answers several values.
    fn project(
        &self,
        items: &[(Expr, String)],
        order: &[OrderByExpr],
        (columns, scope): (&[Field], &Scope<'_>),
        rows: &mut Vec<Sorted>,
    ) -> Result<(), Problem> {
        let mut values: Vec<Vec<Datum>> = Vec::new();
        let mut is_many = false;
        for (expr, _) in items {
            values.push(match calls::rows_in_projection(self, expr, scope)? {
                Some(all) => {
                    is_many = true;
                    all
                }
                None => vec![self.eval(expr, scope)?],
            });
        }
        let count = if is_many {
            let lists = values.iter().zip(items).filter(|(_, (expr, _))| calls::is_many(expr));
            lists.map(|(values, _)| values.len()).max().unwrap_or(0)
        } else {
            1
        };
        for at in 0..count {
            self.step()?;
            let one = |(values, (expr, _)): (&Vec<Datum>, &(Expr, String))| {
                let place = if calls::is_many(expr) { at } else { 0 };
                values.get(place).cloned().unwrap_or_default()
            };
            let row: Vec<Datum> = values.iter().zip(items).map(one).collect();
            let mut keys = Vec::new();
            for order in order {
                keys.push(match output(order, columns, &row) {
                    Some(value) => value,
                    None => self.eval(&order.expr, scope)?,
                });
            }
            self.room.charge(weight(&row) + weight(&keys))?;
            rows.push(Sorted { row, keys });
        }
        Ok(())
    }
}

enum Group {
    Row(Vec<Datum>),
    Rows(Vec<Vec<Datum>>),
}

fn distinct<T>(rows: &mut Vec<T>, row: impl Fn(&T) -> &Vec<Datum>) {
    let mut seen = HashSet::new();
    rows.retain(|one| seen.insert(row(one).iter().map(Datum::text).collect::<Vec<_>>()));
}

/// The place from 0 that a number in `ORDER BY` or `GROUP BY` means.
fn ordinal(expr: &Expr) -> Option<usize> {
    let Expr::Value(value) = expr else { return None };
    let Value::Number(number, _) = &value.value else { return None };
    number.parse::<usize>().ok()?.checked_sub(1)
}

/// What a row is sorted by, where that is one of its own values.
fn output(order: &OrderByExpr, columns: &[Field], row: &[Datum]) -> Option<Datum> {
    let at = match &order.expr {
        Expr::Identifier(name) => {
            columns.iter().position(|field| field.name.eq_ignore_ascii_case(&name.value))
        }
        expr => ordinal(expr),
    };
    row.get(at?).cloned()
}

fn compare(order: &OrderByExpr, one: &Datum, other: &Datum) -> std::cmp::Ordering {
    let is_down = order.options.asc == Some(false);
    let nulls_first = order.options.nulls_first.unwrap_or(is_down);
    match (one.is_null(), other.is_null()) {
        (true, true) => std::cmp::Ordering::Equal,
        (true, false) if nulls_first => std::cmp::Ordering::Less,
        (true, false) => std::cmp::Ordering::Greater,
        (false, true) if nulls_first => std::cmp::Ordering::Greater,
        (false, true) => std::cmp::Ordering::Less,
        (false, false) => {
            let order = one.order(other);
            if is_down { order.reverse() } else { order }
        }
    }
}
