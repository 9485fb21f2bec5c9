//! What a discovery does not find any more.

use std::collections::{HashMap, HashSet};

use tidegate_database::{Result, StoreError, fetch_all};
use tidegate_domain::id::DataSourceId;
use uuid::Uuid;

use super::nothing::{MOST_NAMES, listed};
use super::repository::Schemas;
use super::stored::StoredColumn;

/// Most tables that are looked at, of those that are gone or have changed.
const MOST_TABLES: i64 = 100;

fn columns(stored: &str) -> Result<Vec<StoredColumn>> {
    serde_json::from_str(stored).map_err(|_| StoreError::Unreadable("data_tables.columns"))
}

/// What is gone: not all of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gone {
    /// Tables and columns.
    names: Vec<String>,
    /// Columns of those that may have another name now, with that.
    renamed: Vec<String>,
}

/// The columns that others have not.
fn without<'c>(columns: &'c [StoredColumn], others: &[StoredColumn]) -> Vec<&'c StoredColumn> {
    let others: HashSet<&str> = others.iter().map(|column| column.name.as_str()).collect();
    columns.iter().filter(|column| !others.contains(column.name.as_str())).collect()
}

/// By its type the column that alone has it; none of a type that several have.
fn alone<'c>(columns: &[&'c StoredColumn]) -> HashMap<&'c str, Option<&'c StoredColumn>> {
    let mut by_type: HashMap<&str, Option<&StoredColumn>> = HashMap::new();
    for &column in columns {
        let only = by_type.entry(column.type_name.as_str());
        only.and_modify(|only| *only = None).or_insert(Some(column));
    }
    by_type
}

/// Columns of a table that may have another name now: one of their type is gone, and one is new.
fn renamed(called: &str, lost: &[&StoredColumn], new: &[&StoredColumn]) -> Vec<String> {
    let (was, is) = (alone(lost), alone(new));
    let mut renamed = Vec::new();
    for column in lost {
        let kind = column.type_name.as_str();
        if let (Some(Some(was)), Some(Some(is))) = (was.get(kind), is.get(kind)) {
            renamed.push(format!("{called}.{} to {}", was.name, is.name));
        }
    }
    renamed
}

/// What is said of tables and columns that are gone; nothing where none is.
pub(crate) fn said_of_gone(gone: &Gone) -> Option<String> {
    (!gone.names.is_empty()).then(|| {
        let renamed = match gone.renamed.as_slice() {
            [] => String::new(),
            some => format!(" Perhaps renamed, as a new column has its type: {}.", listed(some)),
        };
        let names = listed(&gone.names);
        format!(
            "Gone since the last discovery: {names}.{renamed} If it should be there, grant select on it to the data source's user, and discover again (over HTTP with ?refresh=true)."
        )
    })
}

impl Schemas<'_> {
    /// Tables and columns of the last discovery that a new one has not, which has not taken its place yet: of all schemas, or of one. Of many the
    /// first, and one more than are told.
    pub(super) async fn gone(
        &mut self,
        source: DataSourceId,
        generation: Uuid,
        only: Option<&str>,
    ) -> Result<Gone> {
        type Row = (String, String, String, Option<String>);
        let rows = fetch_all!(
            self.0,
            Row,
            "select o.schema_name, o.name, case when n.columns is null then '' else o.columns end, n.columns
             from data_schemas d
                join data_tables o on o.generation_id = d.generation_id and o.schema_name = d.name
                left join data_tables n
                    on n.generation_id = $2 and n.schema_name = o.schema_name and n.name = o.name
             where d.source_id = $1 and ($3 is null or d.name = $3)
                and (n.columns is null or n.columns <> o.columns)
             order by case when n.columns is null then 0 else 1 end, o.schema_name, o.name limit $4",
            source.0,
            generation,
            only,
            MOST_TABLES,
        )?;
        let mut gone = Gone::default();
        for (schema, table, before, now) in rows {
            let called = if schema.is_empty() { table } else { format!("{schema}.{table}") };
            let Some(now) = now else {
                gone.names.push(format!("table {called}"));
                continue;
            };
            let (before, now) = (columns(&before)?, columns(&now)?);
            let lost = without(&before, &now);
            gone.renamed.extend(renamed(&called, &lost, &without(&now, &before)));
            gone.names.extend(lost.iter().map(|column| format!("column {called}.{}", column.name)));
        }
        gone.names.truncate(MOST_NAMES + 1);
        gone.renamed.truncate(MOST_NAMES + 1);
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(named: &[(&str, &str)]) -> Vec<StoredColumn> {
        let column = |(name, kind): &(&str, &str)| serde_json::json!({ "n": name, "t": kind, "p": 1 });
        let stored: Vec<_> = named.iter().map(column).collect();
        columns(&serde_json::to_string(&stored).unwrap()).unwrap()
    }

    #[test]
    fn a_column_may_have_been_renamed_where_one_of_its_type_is_gone_and_one_is_new() {
        let told = |before: &[(&str, &str)], now: &[(&str, &str)]| {
            let (before, now) = (of(before), of(now));
            renamed("t", &without(&before, &now), &without(&now, &before))
        };
        let before = [("id", "int8"), ("customer", "text"), ("paid", "date"), ("note", "text")];
        assert_eq!(
            told(&before, &[("id", "int8"), ("buyer", "text"), ("settled", "date"), ("note", "text")]),
            ["t.customer to buyer", "t.paid to settled"]
        );
        let none = Vec::<String>::new();
        // Another type, two that are new, two that are gone.
        assert_eq!(
            told(&before, &[("id", "int8"), ("buyer", "int4"), ("paid", "date"), ("note", "text")]),
            none
        );
        assert_eq!(told(&before[..2], &[("id", "int8"), ("buyer", "text"), ("name", "text")]), none);
        assert_eq!(told(&before, &[("id", "int8"), ("buyer", "text"), ("paid", "date")]), none);
    }
}
