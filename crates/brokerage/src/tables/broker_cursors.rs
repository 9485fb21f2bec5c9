//! How far a broker's events were read, and by whom.

use std::time::Duration;

use tidegate_database::{Result, Unit, execute, fetch_optional};
use tidegate_domain::Timestamp;

/// Cursors of a unit of work.
pub struct BrokerCursors<'u>(pub(crate) &'u mut Unit);

/// A turn at reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The last event that was dealt with; none before the first.
    pub cursor: Option<String>,
    /// The end of the lease. Identifies the lease, too.
    pub until: Timestamp,
}

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

    /// Acquires the lease for reading; none while another node has it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn take_turn(&mut self, broker: &str, now: Timestamp, lease: Duration) -> Result<Option<Turn>> {
        let until = now.plus(lease);
        let row = fetch_optional!(
            self.0,
            (Option<String>,),
            "insert into broker_cursors (broker, cursor, leased_until) values ($1, null, $3)
             on conflict (broker) do update set leased_until = excluded.leased_until
             where broker_cursors.leased_until <= $2 returning cursor",
            broker,
            now.micros(),
            until.micros(),
        )?;
        Ok(row.map(|(cursor,)| Turn { cursor, until }))
    }

    /// Notes that everything up to `cursor` was dealt with, and prolongs the turn. None when another node has taken over.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn advance(
        &mut self,
        broker: &str,
        turn: &Turn,
        cursor: Option<&str>,
        until: Timestamp,
    ) -> Result<Option<Turn>> {
        let advanced = execute!(
            self.0,
            "update broker_cursors set cursor = $3, leased_until = $4 where broker = $1 and leased_until = $2",
            broker,
            turn.until.micros(),
            cursor,
            until.micros(),
        )?;
        Ok((advanced == 1).then(|| Turn { cursor: cursor.map(str::to_owned), until }))
    }
}
