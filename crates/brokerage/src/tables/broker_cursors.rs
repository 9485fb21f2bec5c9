//! How far a broker's events were read.

use tidegate_database::{Result, Unit, execute, fetch_optional};

/// Cursors of a unit of work.
pub struct BrokerCursors<'u>(pub(crate) &'u mut Unit);

impl BrokerCursors<'_> {
    /// The last event that was dealt with.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn cursor(&mut self, broker: &str) -> Result<Option<String>> {
        let row = fetch_optional!(
            self.0,
            (Option<String>,),
            "select cursor from broker_cursors where broker = $1",
            broker,
        )?;
        Ok(row.and_then(|(cursor,)| cursor))
    }

    /// Notes that everything up to `cursor` was dealt with. Whoever follows holds the job that does, and renews it in the same
    /// unit of work. Earlier versions held the row itself, by `leased_until`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn keep(&mut self, broker: &str, cursor: Option<&str>) -> Result<()> {
        execute!(
            self.0,
            "insert into broker_cursors (broker, cursor, leased_until) values ($1, $2, 0)
             on conflict (broker) do update set cursor = excluded.cursor",
            broker,
            cursor,
        )?;
        Ok(())
    }
}
