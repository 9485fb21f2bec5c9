//! "Without": rows that no row of another table belongs to.

use super::Shaper;
use crate::draft::Why;
use crate::joins;
use crate::schema::ColumnId;
use crate::statement::{Chosen, quote};

impl Shaper<'_> {
    /// Adds the condition that the denied table has no row for the base's row.
    pub(super) fn without(&mut self) -> Result<(), Why> {
        let Some(denied) = self.draft.without.first() else { return Ok(()) };
        let (schema, base) = (self.context.schema, self.statement.base);
        let name = self.statement.name_of(denied.table);
        let ambiguous = || Why::Ambiguous(name.clone());
        if denied.table == base {
            return Err(Why::Unfit(name));
        }
        let children = joins::between(schema, denied.table, base);
        let parents = joins::between(schema, base, denied.table);
        let parents = match denied.via {
            Some(edge) => parents.into_iter().filter(|each| *each == edge).collect(),
            None => parents,
        };
        match (children.as_slice(), parents.as_slice()) {
            ([edge], []) => self.no_child(*edge),
            ([], [edge]) => self.no_parent(*edge),
            ([], []) => {
                let ties = |at: &usize| {
                    (joins::between(schema, *at, base), joins::between(schema, *at, denied.table))
                };
                let mut bridges = (0..schema.tables.len())
                    .map(|at| ties(&at))
                    .filter(|(to, other)| !to.is_empty() && !other.is_empty());
                match (bridges.next(), bridges.next()) {
                    (Some((to, other)), None) if other.len() == 1 => match to.as_slice() {
                        [edge] => self.no_child(*edge),
                        _ => Err(ambiguous()),
                    },
                    (None, _) => Err(Why::Unfit(name)),
                    _ => Err(ambiguous()),
                }
            }
            _ => Err(ambiguous()),
        }
    }

    /// No row of the table that has this foreign key.
    fn no_child(&mut self, edge: joins::Edge) -> Result<(), Why> {
        let name = self.statement.name_of(edge.0);
        let key = self
            .context
            .schema
            .table(edge.0)
            .and_then(|table| table.foreign_keys.get(edge.1))
            .ok_or(Why::Nothing)?;
        let own = quote(&self.statement.name_of(self.statement.base));
        let pairs: Vec<String> = key
            .columns
            .iter()
            .zip(&key.references)
            .map(|(theirs, mine)| format!("{}.{} = {own}.{}", quote("other"), quote(theirs), quote(mine)))
            .collect();
        let sql = format!(
            "NOT EXISTS (SELECT 1 FROM {} AS {} WHERE {})",
            self.statement.table_sql(edge.0),
            quote("other"),
            pairs.join(" AND ")
        );
        self.statement.conditions.push(sql);
        self.statement.reading.tables.push(name.clone());
        self.statement.reading.filters.push(format!("there is no row in {name}"));
        Ok(())
    }

    /// The key to the other table is empty.
    fn no_parent(&mut self, edge: joins::Edge) -> Result<(), Why> {
        let table = self.context.schema.table(edge.0).ok_or(Why::Nothing)?;
        let columns = table.foreign_keys.get(edge.1).map(|key| key.columns.as_slice()).unwrap_or_default();
        for name in columns {
            let column = table.position(name).ok_or_else(|| Why::Unfit(name.clone()))?;
            let sql =
                self.statement.column(&Chosen { id: ColumnId { table: edge.0, column }, way: Vec::new() });
            self.statement.conditions.push(format!("{sql} IS NULL"));
            self.statement.reading.filters.push(format!("{name} is empty"));
        }
        Ok(())
    }
}
