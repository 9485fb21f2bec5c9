//! What the installation was started with last.

use tidegate_database::{Result, Unit, execute, fetch_one, fetch_optional};
use tidegate_domain::Timestamp;

/// At which public URL.
pub const PUBLIC_URL: &str = "public_url";

/// Facts of a unit of work.
pub struct InstallationFacts<'u>(pub(crate) &'u mut Unit);

impl InstallationFacts<'_> {
    /// A fact, where it is known.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&mut self, name: &str) -> Result<Option<String>> {
        let row = fetch_optional!(
            self.0,
            (String,),
            "select value from installation_facts where name = $1",
            name,
        )?;
        Ok(row.map(|(value,)| value))
    }

    /// Keeps a fact; answers what it was before, where that was something else. Of any number of nodes that change it at once, one is
    /// answered that.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn exchange(&mut self, name: &str, value: &str, now: Timestamp) -> Result<Option<String>> {
        let added = execute!(
            self.0,
            "insert into installation_facts (name, value, changed_at) values ($1, $2, $3) on conflict (name) do nothing",
            name,
            value,
            now.micros(),
        )?;
        if added == 1 {
            return Ok(None);
        }
        let (before,) =
            fetch_one!(self.0, (String,), "select value from installation_facts where name = $1", name,)?;
        if before == value {
            return Ok(None);
        }
        let changed = execute!(
            self.0,
            "update installation_facts set value = $2, changed_at = $3 where name = $1 and value = $4",
            name,
            value,
            now.micros(),
            before.as_str(),
        )?;
        Ok((changed == 1).then_some(before))
    }
}
