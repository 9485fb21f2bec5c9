//! The mark of a database that a copy goes into: a table that is made before the first row is copied, and dropped by the transaction that
//! has all of them. Without it, what a copy leaves that was cut off is a schema without rows, which looks like a new installation.

use super::columns::{self, Table};
use super::target;
use crate::engine::Store;
use crate::{Result, StoreError, Unit, execute, fetch_one};

/// The names of tables that begin so are left out of a copy.
const MAKE: &str = "create table _tidegate_copying (begun bigint)";
const DROP: &str = "drop table _tidegate_copying";
const FIND_ON_SQLITE: &str = "select count(*) from sqlite_master where name = '_tidegate_copying'";
const FIND_ON_POSTGRES: &str =
    "select count(*) from pg_tables where schemaname = current_schema() and tablename = '_tidegate_copying'";

impl Store {
    /// Marks the database as one that a copy goes into, until [`Store::copy_to`] has all rows there. Its schema may be still to be made.
    ///
    /// # Errors
    /// [`StoreError::Address`] when it has rows; [`StoreError::Migration`] when its schema is of a newer version; those of the database.
    pub async fn mark_copy(&self) -> Result<()> {
        self.pending_migrations().await?;
        let tables = columns::of(&self.backend).await?;
        let mut unit = refuse_rows(self.begin().await?, &tables).await?;
        if !is_marked(&mut unit).await? {
            execute!(unit, MAKE)?;
        }
        unit.commit().await
    }

    /// Whether a copy into the database is under way, or was cut off.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_unfinished_copy(&self) -> Result<bool> {
        is_marked(&mut self.read().await?).await
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
}

/// The unit, where no table has a row. Rows are of an installation, which no copy was cut off in: it loses the mark.
pub(super) async fn refuse_rows(mut unit: Unit, tables: &[Table]) -> Result<Unit> {
    let full = target::full(&mut unit, tables).await?;
    if full.is_empty() {
        return Ok(unit);
    }
    forget(&mut unit).await?;
    unit.commit().await?;
    let full = full.join(", ");
    Err(StoreError::Address(format!("the target has rows already, in {full}; copy to an empty database")))
}

/// Takes the mark away, where there is one.
pub(super) async fn forget(unit: &mut Unit) -> Result<()> {
    if is_marked(unit).await? {
        execute!(unit, DROP)?;
    }
    Ok(())
}

async fn is_marked(unit: &mut Unit) -> Result<bool> {
    let find = if unit.is_postgres() { FIND_ON_POSTGRES } else { FIND_ON_SQLITE };
    let (found,) = fetch_one!(unit, (i64,), find)?;
    Ok(found > 0)
}
