//! Applications that nobody registered for an organization, in the store: where they came from, and how many there are.

use tidegate_database::{Result, execute, fetch_one};
use tidegate_domain::id::ApplicationId;

use super::repository::Applications;

impl Applications<'_> {
    /// How many have registered themselves with an initial access token, of all organizations.
    pub(crate) async fn count_with_tokens(&mut self) -> Result<i64> {
        let (count,) = fetch_one!(
            self.0,
            (i64,),
            "select count(*) from oauth_applications
             where (registration_hash is not null or document_uri is not null) and registered_from is null",
        )?;
        Ok(count)
    }

    /// Notes from where a stranger's came.
    pub(crate) async fn came_from(&mut self, id: ApplicationId, from: &str) -> Result<()> {
        execute!(self.0, "update oauth_applications set registered_from = $2 where id = $1", id.0, from)?;
        Ok(())
    }

    /// Notes anew what came from the same place, under the name that this place has now.
    pub(crate) async fn same_place(&mut self, before: &str, now: &str) -> Result<()> {
        execute!(
            self.0,
            "update oauth_applications set registered_from = $2 where registered_from = $1",
            before,
            now,
        )?;
        Ok(())
    }

    /// How many strangers' there are in all, and how many that came from there.
    pub(crate) async fn count_strangers(&mut self, from: &str) -> Result<(i64, i64)> {
        let counts = fetch_one!(
            self.0,
            (i64, i64),
            "select count(*), count(case when registered_from = $1 then 1 end) from oauth_applications
             where registered_from is not null",
            from,
        )?;
        Ok(counts)
    }
}
