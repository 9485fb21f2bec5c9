//! Single claims that the userinfo endpoint tells in a session, in the store.

use tidegate_database::{Result, Unit, execute, fetch_optional};
use tidegate_domain::id::SessionId;

use super::requested::AskedClaims;

/// Claims of the sessions of a unit of work.
pub(crate) struct SessionClaims<'u>(pub(crate) &'u mut Unit);

impl SessionClaims<'_> {
    /// Keeps what was asked for when a session was opened: names, separated by spaces.
    pub(crate) async fn keep(&mut self, session: SessionId, claims: &str) -> Result<()> {
        execute!(self.0, "update sessions set told_claims = $2 where id = $1", session.0, claims)?;
        Ok(())
    }

    /// What was.
    pub(crate) async fn of(&mut self, session: SessionId) -> Result<AskedClaims> {
        let row = fetch_optional!(
            self.0,
            (Option<String>,),
            "select told_claims from sessions where id = $1",
            session.0
        )?;
        Ok(AskedClaims::from_stored(row.and_then(|(claims,)| claims).as_deref()))
    }
}
