//! A copy of a SQLite database in a file, made while others use it.

use std::path::Path;

use futures_util::TryStreamExt;

use super::{Backend, Store};
use crate::error::DAMAGED_FILE;
use crate::{Result, StoreError};

/// Tells the first few.
const FIND_FAULTS: &str = "pragma quick_check(5)";

impl Store {
    /// Whether the pages of a SQLite database are whole: all are read, and indexes are not compared with their tables. PostgreSQL is not
    /// looked at.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the first few faults; those of the database.
    pub async fn check_pages(&self) -> Result<()> {
        let Backend::Sqlite { readers, .. } = &self.backend else { return Ok(()) };
        let mut found = Vec::new();
        let mut told = sqlx::query_as::<_, (String,)>(FIND_FAULTS).fetch(readers);
        // Some damage is told first, and then ends the statement.
        let end = loop {
            match told.try_next().await {
                Ok(Some((text,))) => found.push(text),
                Ok(None) => break Ok(()),
                Err(error) => break Err(self.damage.note(error.into())),
            }
        };
        // A line with stars only says of which database the others are.
        let is_fault = |line: &&str| *line != "ok" && !line.starts_with("***");
        let faults: Vec<&str> = found.iter().flat_map(|text| text.lines()).filter(is_fault).collect();
        if faults.is_empty() { end } else { Err(self.damaged(faults.join(", "))) }
    }

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
        let written = sqlx::query("vacuum into $1").bind(name).execute(readers).await;
        written.map(drop).map_err(|error| self.damage.note(error.into()))
    }

    /// Whether what is stored is whole: pages, indexes and foreign keys of a SQLite database. PostgreSQL is not looked at.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the first fault; those of the database.
    pub async fn check_integrity(&self) -> Result<()> {
        let Backend::Sqlite { readers, .. } = &self.backend else { return Ok(()) };
        let (found,): (String,) = sqlx::query_as("pragma integrity_check(1)")
            .fetch_one(readers)
            .await
            .map_err(|error| self.damage.note(error.into()))?;
        if found != "ok" {
            return Err(self.damaged(found));
        }
        let dangling = sqlx::query("pragma foreign_key_check").fetch_optional(readers).await?;
        match dangling {
            None => Ok(()),
            Some(_) => Err(self.damaged("rows refer to missing ones".to_owned())),
        }
    }

    fn damaged(&self, said: String) -> StoreError {
        self.damage.note(StoreError::Damaged { said, advice: DAMAGED_FILE.to_owned() })
    }
}
