//! A database that `tidegate copy` has copied to another one. Served again it would be a second installation, which the copy knows
//! nothing of.

use std::path::absolute;

use tidegate_database::{DatabaseUrl, FinishedCopy, Store};
use tidegate_domain::Timestamp;

use crate::config::Config;
use crate::failure::Failure;
use crate::output::tell;
use crate::program::shell_word;

/// A database as commands name it wherever they are run: without a password.
pub(crate) fn named(url: &DatabaseUrl) -> String {
    match url {
        DatabaseUrl::Sqlite(path) => {
            let path = absolute(path).unwrap_or_else(|_| path.clone());
            DatabaseUrl::Sqlite(path).to_string()
        }
        DatabaseUrl::Postgres(_) => url.to_string(),
    }
}

/// When a copy was finished, for people.
pub(crate) fn finished_at(copy: &FinishedCopy) -> String {
    Timestamp::from_micros(copy.at).iso_seconds()
}

/// What there is to say of a database that was copied; none where it was not.
///
/// # Errors
/// Those of the database.
pub(crate) async fn look_for_copy(config: &Config, store: &Store) -> Result<Option<Failure>, Failure> {
    let Some(copy) = store.finished_copy().await? else { return Ok(None) };
    let what = format!(
        "the database {} was copied to {} at {}: what is written here since then is not there",
        config.database_url(),
        copy.to,
        finished_at(&copy)
    );
    let advice = format!(
        "serve the copy: `tidegate serve --database {}`. To go on with this database all the same, and without the copy: `tidegate serve \
         --despite-copy`, once",
        shell_word(&copy.to)
    );
    Ok(Some(Failure::advised("database_copied", what, advice)))
}

/// Refuses to serve a database that was copied.
///
/// # Errors
/// Says when and where to, and what to do; or those of the database.
pub(crate) async fn refuse_copied(config: &Config, store: &Store) -> Result<(), Failure> {
    look_for_copy(config, store).await?.map_or(Ok(()), Err)
}

/// Says the same beside what a command does.
///
/// # Errors
/// Those of the database.
pub(crate) async fn tell_of_copy(config: &Config, store: &Store) -> Result<(), Failure> {
    if let Some(copied) = look_for_copy(config, store).await? {
        tell(&format!("Warning: {}", copied.message()));
    }
    Ok(())
}
