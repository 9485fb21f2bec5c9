//! Whether a database is fit to be served: what a first statement does not show.
//!
//! Nothing is written to find out. Of a SQLite file, [`Store::look_at`] sees whether it can be written.

use super::{Backend, Store, postgres};
use crate::Result;
use crate::error::Refusal;

/// But for those of SQLite's own tables.
pub(super) const COLUMNS_ON_SQLITE: &str =
    "select m.name || '.' || c.name from sqlite_master m join pragma_table_info(m.name) c
    where m.type = 'table' and m.name not like 'sqlite\\_%' escape '\\'";
/// In the schema that statements find our tables in.
const COLUMNS_ON_POSTGRES: &str = "select c.relname::text || '.' || a.attname::text
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
        and c.relnamespace = (select relnamespace from pg_class where oid = to_regclass('_sqlx_migrations'))";

impl Store {
    /// Why a PostgreSQL database can be read and not be written, if it is so.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn why_read_only(&self) -> Result<Option<Refusal>> {
        let Backend::Postgres { pool, .. } = &self.backend else { return Ok(None) };
        postgres::why_read_only(pool).await
    }

    /// Why a PostgreSQL database cannot hold every text, if it is so: its encoding does not have all letters.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn why_misencoded(&self) -> Result<Option<Refusal>> {
        let Backend::Postgres { pool, .. } = &self.backend else { return Ok(None) };
        postgres::why_misencoded(pool).await
    }

    /// Why no installation is seen in a PostgreSQL database that has one, if it is so: a schema with a table `known` is outside of the search
    /// path. Where `is_named`, also one that the address of the database names.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn why_hidden(&self, known: &str, is_named: bool) -> Result<Option<Refusal>> {
        let Backend::Postgres { pool, .. } = &self.backend else { return Ok(None) };
        postgres::why_hidden(pool, known, is_named).await
    }

    /// Why no table can be made in a PostgreSQL database, if it is so.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn why_not_made(&self) -> Result<Option<Refusal>> {
        let Backend::Postgres { pool, .. } = &self.backend else { return Ok(None) };
        postgres::why_not_made(pool).await
    }

    /// Why the user of the address may not write some of the tables `ours`, if it is so, or not change them, which `migrates` asks for.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn why_denied(&self, ours: &[&str], migrates: bool) -> Result<Option<Refusal>> {
        let Backend::Postgres { pool, .. } = &self.backend else { return Ok(None) };
        postgres::why_denied(pool, ours, migrates).await
    }

    /// Why new rows of the tables `ours` of a PostgreSQL database would get keys that are taken, if it is so: their sequences are behind.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn why_keys_are_taken(&self, ours: &[&str]) -> Result<Option<Refusal>> {
        let Backend::Postgres { pool, .. } = &self.backend else { return Ok(None) };
        postgres::why_keys_are_taken(pool, ours).await
    }

    /// The columns of its tables, as `table.column`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn columns(&self) -> Result<Vec<String>> {
        let mut unit = self.read().await?;
        let sql = if unit.is_postgres() { COLUMNS_ON_POSTGRES } else { COLUMNS_ON_SQLITE };
        let rows = crate::fetch_all!(unit, (String,), sql)?;
        Ok(rows.into_iter().map(|(column,)| column).collect())
    }
}
