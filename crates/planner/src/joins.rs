//! Ways from a table along its foreign keys to the tables they refer to: each row there belongs to many here, so nothing is counted twice.

use crate::schema::{Schema, Table};

/// A foreign key: the table that has it and its place there.
pub(crate) type Edge = (usize, usize);

/// Most keys in a row that a way takes.
const LONGEST: usize = 5;
/// Most steps that a search takes in a wide schema.
const MOST_STEPS: usize = 20_000;

/// Why there is no way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoWay {
    /// The tables are not tied in this direction.
    None,
    /// Several ways, each with its own meaning.
    Several,
}

/// The one way from a table to another; through a certain key where a role was named. A single key is taken before longer ways.
pub(crate) fn way(schema: &Schema, from: usize, to: usize, via: Option<Edge>) -> Result<Vec<Edge>, NoWay> {
    if let Some(edge) = via {
        let mut way = way(schema, from, edge.0, None)?;
        way.push(edge);
        return Ok(way);
    }
    if from == to {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let mut steps = 0;
    search(schema, to, &mut vec![from], &mut Vec::new(), &mut found, &mut steps);
    let direct = found.iter().filter(|way| way.len() == 1).count();
    match (found.len(), direct) {
        (0, _) => Err(NoWay::None),
        _ if steps > MOST_STEPS => Err(NoWay::Several),
        (1, _) => found.pop().ok_or(NoWay::None),
        (_, 1) => found.into_iter().find(|way| way.len() == 1).ok_or(NoWay::None),
        _ => Err(NoWay::Several),
    }
}

fn search(
    schema: &Schema,
    to: usize,
    visited: &mut Vec<usize>,
    way: &mut Vec<Edge>,
    found: &mut Vec<Vec<Edge>>,
    steps: &mut usize,
) {
    *steps += 1;
    if way.len() >= LONGEST || *steps > MOST_STEPS || found.len() > 8 {
        return;
    }
    let Some(here) = visited.last().copied() else { return };
    for edge in edges(schema, here) {
        let Some(next) = target(schema, edge) else { continue };
        if visited.contains(&next) {
            continue;
        }
        way.push(edge);
        if next == to {
            found.push(way.clone());
        } else {
            visited.push(next);
            search(schema, to, visited, way, found, steps);
            visited.pop();
        }
        way.pop();
    }
}

/// The foreign keys of a table.
pub(crate) fn edges(schema: &Schema, table: usize) -> impl Iterator<Item = Edge> {
    let count = schema.table(table).map_or(0, |found| found.foreign_keys.len());
    (0..count).map(move |key| (table, key))
}

/// The table that a foreign key refers to.
pub(crate) fn target(schema: &Schema, edge: Edge) -> Option<usize> {
    schema.find(&schema.table(edge.0)?.foreign_keys.get(edge.1)?.table)
}

/// The foreign keys of one table that refer to another.
pub(crate) fn between(schema: &Schema, from: usize, to: usize) -> Vec<Edge> {
    edges(schema, from).filter(|edge| target(schema, *edge) == Some(to)).collect()
}

/// Whether rows belong to what a key refers to. Where the source does not say which columns may be empty, a key is taken at its word.
pub(crate) fn belongs(schema: &Schema, edge: Edge) -> bool {
    !is_optional(schema, edge) || !schema.table(edge.0).is_some_and(Table::tells_nulls)
}

/// Whether rows may lack what a key refers to.
pub(crate) fn is_optional(schema: &Schema, edge: Edge) -> bool {
    let Some(table) = schema.table(edge.0) else { return false };
    let Some(key) = table.foreign_keys.get(edge.1) else { return false };
    key.columns.iter().any(|name| table.columns.iter().any(|column| column.name == *name && column.nullable))
}
