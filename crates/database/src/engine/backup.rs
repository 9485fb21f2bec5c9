//! A copy of a SQLite database in a file, made while others use it.

use std::path::Path;

use super::{Backend, Store};
use crate::{Result, StoreError};

impl Store {
    /// Writes the database, as it is at one moment, to a file that is not there yet. The file is whole when this returns; it is
    /// the caller's to flush it to the disk.
    ///
    /// # Errors
    /// [`StoreError::Address`] on PostgreSQL, whose own programs make backups; those of the database.
    pub async fn write_copy(&self, file: &Path) -> Result<()> {
        let Backend::Sqlite { readers, .. } = &self.backend else {
            return Err(StoreError::Address("PostgreSQL is backed up by its own programs".to_owned()));
        };
        let name = file.to_str().ok_or_else(|| {
            StoreError::Address(format!("the name of {} is not valid Unicode", file.display()))
        })?;
        sqlx::query("vacuum into $1").bind(name).execute(readers).await?;
        Ok(())
    }

    /// Whether what is stored is whole: pages, indexes and foreign keys of a SQLite database. PostgreSQL is not looked at.
    ///
    /// # Errors
    /// [`StoreError::Database`] with the first fault; those of the database.
    pub async fn check_integrity(&self) -> Result<()> {
        let Backend::Sqlite { readers, .. } = &self.backend else { return Ok(()) };
        let (found,): (String,) = sqlx::query_as("pragma integrity_check(1)").fetch_one(readers).await?;
        if found != "ok" {
            return Err(StoreError::Database(format!("the file is damaged: {found}")));
        }
        let dangling = sqlx::query("pragma foreign_key_check").fetch_optional(readers).await?;
        match dangling {
            None => Ok(()),
            Some(_) => {
                Err(StoreError::Database("the file is damaged: rows refer to missing ones".to_owned()))
            }
        }
    }
}
