//! What clients ask of `pg_catalog` and `information_schema`: worked out here, from names, types and keys that the person may see.
//!
//! `psql`, drivers and reporting tools ask it in SQL that is PostgreSQL's own: functions of the catalogs, casts to `regclass`, correlated
//! subqueries. The engine's gate has no reason to let any of that through. So such statements, and no others, are interpreted over
//! [`model`], which holds no row of any data source. Each gets a thread with a deep stack and so many [steps](room).

mod calls;
mod columns;
mod datum;
mod joins;
mod keys;
mod machine;
mod model;
mod query;
mod room;
mod tables;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use serde_json::Value as Json;
use sqlparser::ast::{
    Expr, ObjectName, Query, SelectItem, SetExpr, Statement, visit_expressions, visit_relations,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use self::calls::is_about_session;
use self::datum::{Datum, Type};
use self::machine::Machine;
pub(crate) use self::model::Context;
use self::model::Model;
use self::tables::Wanted;
use crate::protocol::backend::Column;
use crate::protocol::problem::Problem;
use crate::words::{Part, Parts};

/// Longest statement about catalogs, in bytes and in words and signs.
const LONGEST: usize = 32 * 1024;
const MOST_PARTS: usize = 6_000;
/// Bytes of stack of a thread that works one out.
const STACK: usize = 32 << 20;
/// For how long one is worked out.
const LONGEST_TIME: Duration = Duration::from_secs(10);
/// Bytes of all answers that wait for their clients, in KiB.
pub(crate) const HELD: usize = 256 * 1024;
/// Those of one account.
pub(crate) const HELD_BY_ACCOUNT: usize = HELD / 4;

/// Bytes of a column of an answer, beside those of its name.
const COLUMN: usize = 128;

/// One of the places for statements about catalogs, and the turn of its account, which has one place at a time.
pub(crate) type Place = [OwnedSemaphorePermit; 2];

/// What a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Data: the engine's.
    NotOurs,
    /// Catalogs, or the session, without the relations that the person sees.
    WithoutRelations,
    /// Catalogs.
    WithRelations,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) names: Vec<(String, Type)>,
    pub(crate) rows: Vec<Vec<Datum>>,
    /// Bytes of its values, and of what is told of its columns.
    weight: usize,
    /// Its part of [`HELD_BY_ACCOUNT`], and of [`HELD`].
    _held: Option<[OwnedSemaphorePermit; 2]>,
}

impl Listed {
    /// `values` is how many bytes those take.
    fn new(names: Vec<(String, Type)>, rows: Vec<Vec<Datum>>, values: usize) -> Self {
        // Twice: here, and as clients are told of it. An answer without a row may have many columns.
        let columns: usize = names.iter().map(|(name, _)| COLUMN + 2 * name.len()).sum();
        Self { names, rows, weight: values.saturating_add(columns), _held: None }
    }

    /// One value.
    pub(crate) fn single(name: &str, value: String) -> Self {
        let weight = value.len();
        Self::new(vec![(name.to_owned(), Type::TEXT)], vec![vec![value.into()]], weight)
    }

    /// The same, of which the room of its account and that of all know as long as it is there.
    pub(crate) fn within(mut self, own: &Arc<Semaphore>, all: &Arc<Semaphore>) -> Result<Self, Problem> {
        let pieces = u32::try_from(self.weight / 1_024 + 1).unwrap_or(u32::MAX);
        let held = |room: &Arc<Semaphore>| {
            Arc::clone(room).try_acquire_many_owned(pieces).map_err(|_| {
                let text = "Too many answers about catalogs wait for their clients; try again later.";
                Problem::new("53200", text)
            })
        };
        self._held = Some([held(own)?, held(all)?]);
        Ok(self)
    }

    /// Pairs of texts.
    pub(crate) fn pairs(names: [&str; 2], pairs: Vec<(String, String)>) -> Self {
        let names = names.map(|name| (name.to_owned(), Type::TEXT)).to_vec();
        let rows = pairs.into_iter().map(|(one, other)| vec![one.into(), other.into()]);
        let rows: Vec<Vec<Datum>> = rows.collect();
        let weight = rows.iter().flatten().map(Datum::weight).sum();
        Self::new(names, rows, weight)
    }

    /// Its columns, as clients are told of them.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let column = |(name, kind): &(String, Type)| Column {
            name: name.clone(),
            oid: kind.oid(),
            size: if kind.is_list { -1 } else { kind.of.size() },
            modifier: -1,
            is_binary: false,
        };
        self.names.iter().map(column).collect()
    }

    /// Writes a row; false where there is none.
    pub(crate) fn write(&self, row: usize, columns: &[Column], out: &mut BytesMut) -> Result<bool, Problem> {
        let Some(row) = self.rows.get(row) else { return Ok(false) };
        out.extend_from_slice(&u16::try_from(row.len()).unwrap_or(u16::MAX).to_be_bytes());
        for ((value, column), (_, kind)) in row.iter().zip(columns).zip(&self.names) {
            value.write(*kind, column.is_binary, out)?;
        }
        Ok(true)
    }
}

/// Whether a statement may be about catalogs, by its words alone. All others go to the engine unread.
pub(crate) fn may_be_ours(sql: &str) -> bool {
    let mut parts = Parts::of(sql).map(|(_, part)| part);
    let is_select = matches!(parts.next(), Some(Part::Word(word)) if word.eq_ignore_ascii_case("select") || word.eq_ignore_ascii_case("with"));
    let is_ours = |part: Part<'_>| match part {
        Part::Word(word) | Part::Name(word) => {
            let word = word.trim_matches('"').to_lowercase();
            word.starts_with("pg_") || word == "information_schema" || is_about_session(&word)
        }
        _ => false,
    };
    is_select && (Parts::of(sql).any(|(_, part)| is_ours(part)) || is_constant(sql))
}

/// `SELECT 1`, by which pools look whether a connection lives.
fn is_constant(sql: &str) -> bool {
    let parts: Vec<Part<'_>> = Parts::of(sql).map(|(_, part)| part).take(3).collect();
    matches!(parts.as_slice(), [_, Part::Word(number)] if number.bytes().all(|byte| byte.is_ascii_digit()) && number.len() < 10)
}

fn parse(sql: &str) -> Result<Box<Query>, Problem> {
    if sql.len() > LONGEST || Parts::of(sql).count() > MOST_PARTS {
        return Err(Problem::new("54000", "The statement about catalogs is too long."));
    }
    let not_read = || Problem::new("42601", "The statement about catalogs cannot be read.");
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).map_err(|_| not_read())?;
    match (statements.pop(), statements.is_empty()) {
        (Some(Statement::Query(query)), true) => Ok(query),
        _ => Err(not_read()),
    }
}

/// Schema and name of a relation of the catalogs; none for any other.
pub(crate) fn catalog_name(name: &ObjectName) -> Option<(Option<String>, String)> {
    let parts: Vec<String> =
        name.0.iter().filter_map(|part| Some(part.as_ident()?.value.to_lowercase())).collect();
    let (schema, table) = match parts.as_slice() {
        [table] => (None, table),
        [schema, table] => (Some(schema.clone()), table),
        [_, schema, table] => (Some(schema.clone()), table),
        _ => return None,
    };
    tables::is_known(schema.as_deref(), table).then(|| (schema, table.clone()))
}

fn verdict(sql: &str) -> Verdict {
    // What cannot be read here, the engine's gate refuses in its own words.
    let Ok(query) = parse(sql) else { return Verdict::NotOurs };
    let (mut catalogs, mut others) = (0, 0);
    let names = cte_names(&query);
    let _ = visit_relations(&query, |name| {
        let is_cte = names.contains(&name.to_string().to_lowercase());
        match catalog_name(name) {
            Some(_) => catalogs += 1,
            // Functions stand among relations; what they are is found out when they are called.
            None if !is_cte && !calls::is_table_function(name) => others += 1,
            None => {}
        }
        ControlFlow::<()>::Continue(())
    });
    let mut calls = 0;
    let _ = visit_expressions(&query, |expr| {
        if let Expr::Function(function) = expr
            && calls::name_of(&function.name)
                .is_some_and(|name| is_about_session(&name) || name.starts_with("pg_"))
        {
            calls += 1;
        }
        ControlFlow::<()>::Continue(())
    });
    match (catalogs, others) {
        // Mixed with data: not ours, and to the engine catalogs are relations that do not exist.
        (_, 1..) => Verdict::NotOurs,
        (1.., 0) => Verdict::WithRelations,
        _ if calls > 0 => Verdict::WithRelations,
        _ if is_literal(&query) => Verdict::WithoutRelations,
        _ => Verdict::NotOurs,
    }
}

/// The tables of the catalogs that a query names.
fn wanted(query: &Query) -> Wanted {
    let mut all = Wanted::new();
    let _ = visit_relations(query, |name| {
        let named = catalog_name(name);
        all.extend(named.map(|(schema, table)| (schema.unwrap_or_else(|| "pg_catalog".to_owned()), table)));
        ControlFlow::<()>::Continue(())
    });
    all
}

fn cte_names(query: &Query) -> Vec<String> {
    let all = query.with.iter().flat_map(|with| &with.cte_tables);
    all.map(|cte| cte.alias.name.value.to_lowercase()).collect()
}

/// Whether it is one value as it stands there.
fn is_literal(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    select.from.is_empty()
        && matches!(select.projection.as_slice(), [SelectItem::UnnamedExpr(Expr::Value(_))])
        && select.selection.is_none()
}

/// Tells a thread, when dropped, that nobody waits for it.
struct Halt(Arc<AtomicBool>);

impl Drop for Halt {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Works something out on a thread of its own, which ends soon after nobody waits for it any more. `place` is taken as long as it runs.
async fn on_thread<T: Send + 'static>(
    place: Place,
    work: impl FnOnce(Arc<AtomicBool>) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let failed = || Problem::new("XX000", "The statement cannot be answered at the moment.");
    let (give, take) = oneshot::channel();
    let halt = Halt(Arc::default());
    let halted = Arc::clone(&halt.0);
    let builder = std::thread::Builder::new().name("catalogs".to_owned()).stack_size(STACK);
    let begun = builder.spawn(move || {
        drop(give.send(work(halted)));
        drop(place);
    });
    begun.map_err(|_| failed())?;
    match timeout(LONGEST_TIME, take).await {
        Ok(done) => done.unwrap_or_else(|_| Err(failed())),
        Err(_) => Err(Problem::new("57014", "The statement about catalogs took too long.")),
    }
}

/// What a statement is about.
///
/// # Errors
/// When there is no thread to look, or it takes too long.
pub(crate) async fn judge(sql: String, place: Place) -> Result<Verdict, Problem> {
    on_thread(place, move |_| Ok(verdict(&sql))).await
}

/// The answer to a statement about catalogs.
///
/// # Errors
/// Where it asks for what is not known here, or for too much.
pub(crate) async fn answer(
    sql: String,
    parameters: Vec<Json>,
    context: Context,
    place: Place,
) -> Result<Listed, Problem> {
    on_thread(place, move |halt| work_out(&sql, &parameters, context, halt)).await
}

fn work_out(
    sql: &str,
    parameters: &[Json],
    context: Context,
    halt: Arc<AtomicBool>,
) -> Result<Listed, Problem> {
    let query = parse(sql)?;
    let model = Model::new(context, wanted(&query));
    let machine = Machine::new(&model, parameters.iter().map(Datum::from).collect(), halt);
    machine.room.charge(model.rows.weight)?;
    let frame = machine.query(&query, None)?;
    let weight = frame.weight();
    let names = frame.columns.into_iter().map(|column| (column.name, column.kind)).collect();
    Ok(Listed::new(names, frame.rows, weight))
}

#[cfg(test)]
mod tests;
