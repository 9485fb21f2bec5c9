//! The marks of databases that a copy is about. The names of their tables begin with `_`: they are left out of a copy.
//!
//! The target has one that is made before the first row is copied, and dropped by the transaction that has all of them. Without it, what a
//! copy leaves that was cut off is a schema without rows, which looks like a new installation. The source gets one when all rows are in the
//! target: served again, it would be a second installation.

use super::columns::{self, Table};
use super::target;
use crate::engine::Store;
use crate::{Result, StoreError, Unit, execute, fetch_one, fetch_optional};

const COPYING: &str = "_tidegate_copying";
const MAKE: &str = "create table _tidegate_copying (begun bigint)";
const DROP: &str = "drop table _tidegate_copying";
const COPIED: &str = "_tidegate_copied";
const MAKE_COPIED: &str = "create table _tidegate_copied (copied_at bigint not null, target text not null)";
const DROP_COPIED: &str = "drop table _tidegate_copied";
const FIND_ON_SQLITE: &str = "select count(*) from sqlite_master where name = $1";
const FIND_ON_POSTGRES: &str =
    "select count(*) from pg_tables where schemaname = current_schema() and tablename::text = $1";
/// How many tables are named that have rows.
const NAMED: usize = 3;

/// A copy that has all rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedCopy {
    /// When it was finished, in microseconds since 1970.
    pub at: i64,
    /// The address of its target, without a password.
    pub to: String,
}

impl Store {
    /// Marks the database as one that a copy goes into, until [`Store::copy_to`] has all rows there. Its schema may be still to be made.
    ///
    /// # Errors
    /// [`StoreError::Address`] when it has rows; [`StoreError::Migration`] when its schema is of a newer version; those of the database.
    pub async fn mark_copy(&self) -> Result<()> {
        self.pending_migrations().await?;
        let tables = columns::of(&self.backend).await?;
        let mut unit = refuse_rows(self.begin().await?, &tables).await?;
        if !has_table(&mut unit, COPYING).await? {
            execute!(unit, MAKE)?;
        }
        unit.commit().await
    }

    /// Whether a copy into the database is under way, or was cut off.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_unfinished_copy(&self) -> Result<bool> {
        has_table(&mut self.read().await?, COPYING).await
    }

    /// Takes the mark away: an installation is to begin where a copy was cut off.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_copy(&self) -> Result<()> {
        let mut unit = self.begin().await?;
        forget(&mut unit).await?;
        unit.commit().await
    }

    /// Marks the database as one that was copied. The mark of an earlier copy goes.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn mark_copied(&self, copy: &FinishedCopy) -> Result<()> {
        let mut unit = self.begin().await?;
        forget_finished(&mut unit).await?;
        execute!(unit, MAKE_COPIED)?;
        execute!(
            unit,
            "insert into _tidegate_copied (copied_at, target) values ($1, $2)",
            copy.at,
            copy.to.as_str(),
        )?;
        unit.commit().await
    }

    /// The last copy of the database that was finished, if there was one and the database does not go on all the same.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn finished_copy(&self) -> Result<Option<FinishedCopy>> {
        let mut unit = self.read().await?;
        if !has_table(&mut unit, COPIED).await? {
            return Ok(None);
        }
        let row = fetch_optional!(unit, (i64, String), "select copied_at, target from _tidegate_copied")?;
        Ok(row.map(|(at, to)| FinishedCopy { at, to }))
    }

    /// Takes that mark away: the database goes on. Answers whether there was one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_finished_copy(&self) -> Result<bool> {
        let mut unit = self.begin().await?;
        let was_marked = forget_finished(&mut unit).await?;
        unit.commit().await?;
        Ok(was_marked)
    }
}

/// The unit, where no table has a row. Rows are of an installation, which no copy was cut off in: it loses the mark.
pub(super) async fn refuse_rows(mut unit: Unit, tables: &[Table]) -> Result<Unit> {
    let full = target::full(&mut unit, tables).await?;
    if full.is_empty() {
        return Ok(unit);
    }
    forget(&mut unit).await?;
    unit.commit().await?;
    let full = some_of(&full);
    Err(StoreError::Address(format!("the target has rows already, in {full}; copy to an empty database")))
}

/// The first of the names, and how many more there are.
fn some_of(names: &[&str]) -> String {
    match names.split_at_checked(NAMED) {
        Some((first, rest)) if rest.len() > 1 => {
            format!("{} and {} more tables", first.join(", "), rest.len())
        }
        _ => names.join(", "),
    }
}

/// Takes the mark of a target away, where there is one.
pub(super) async fn forget(unit: &mut Unit) -> Result<()> {
    if has_table(unit, COPYING).await? {
        execute!(unit, DROP)?;
    }
    Ok(())
}

/// Takes the mark of a source away; answers whether there was one.
pub(super) async fn forget_finished(unit: &mut Unit) -> Result<bool> {
    let is_marked = has_table(unit, COPIED).await?;
    if is_marked {
        execute!(unit, DROP_COPIED)?;
    }
    Ok(is_marked)
}

async fn has_table(unit: &mut Unit, name: &str) -> Result<bool> {
    let find = if unit.is_postgres() { FIND_ON_POSTGRES } else { FIND_ON_SQLITE };
    let (found,) = fetch_one!(unit, (i64,), find, name)?;
    Ok(found > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_tables_a_few_are_named() {
        assert_eq!(some_of(&["a", "b"]), "a, b");
        assert_eq!(some_of(&["a", "b", "c", "d"]), "a, b, c, d");
        assert_eq!(some_of(&["a", "b", "c", "d", "e"]), "a, b, c and 2 more tables");
    }
}
