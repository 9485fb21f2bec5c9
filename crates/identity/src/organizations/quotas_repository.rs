//! How much an organization keeps, for the quotas on it.

use tidegate_database::{Result, Unit, execute, fetch_one};
use tidegate_domain::id::OrganizationId;
use tidegate_domain::quota::Quota;
use tidegate_domain::{Document, Timestamp};
use uuid::Uuid;

/// Usage of a unit of work.
pub struct Quotas<'u>(pub(crate) &'u mut Unit);

/// Bytes of a free document, as its column holds them.
pub(crate) fn bytes(document: &Document) -> i64 {
    i64::try_from(document.stored_bytes()).unwrap_or(i64::MAX)
}

impl Quotas<'_> {
    /// Locks what the organization keeps until the unit ends: of two units that add to it, the second counts what the
    /// first added. To be taken after every other lock of the unit, and after the rows were added.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock(&mut self, organization: OrganizationId) -> Result<()> {
        execute!(
            self.0,
            "insert into organization_usage (organization_id, resolved_sessions) values ($1, 0)
             on conflict (organization_id) do update set resolved_sessions = organization_usage.resolved_sessions",
            organization.0,
        )?;
        Ok(())
    }

    /// How much of a kind the organization keeps, this unit's own included; the account, where the quota is on accounts. Exact
    /// under [`Quotas::lock`], and under the lock of the account.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn used(&mut self, keeper: impl Into<Uuid>, quota: Quota, now: Timestamp) -> Result<i64> {
        let keeper = keeper.into();
        let sql = match quota {
            Quota::Members => {
                "select count(*) from memberships m join accounts a on a.id = m.account_id
                 where m.organization_id = $1 and m.is_home and a.kind = 'individual'"
            }
            Quota::Programs => {
                "select count(*) from memberships m join accounts a on a.id = m.account_id
                 where m.organization_id = $1 and m.is_home and a.kind = 'service'"
            }
            Quota::Keys => {
                "select count(*) from memberships m join service_keys k on k.account_id = m.account_id
                 where m.organization_id = $1 and m.is_home"
            }
            Quota::Databases => {
                "select count(*) from databases where organization_id = $1 and deleted_at is null"
            }
            Quota::DataSources => {
                "select count(*) from data_sources where organization_id = $1 and deleted_at is null"
            }
            Quota::Policies => {
                "select count(*) from policies where organization_id = $1 and deleted_at is null"
            }
            Quota::Prompts => "select count(*) from prompts where organization_id = $1 and deleted_at is null",
            Quota::PromptTemplates => {
                "select count(*) from prompt_templates where organization_id = $1 and deleted_at is null"
            }
            Quota::Applications => "select count(*) from oauth_applications where organization_id = $1",
            Quota::ResolvedSessions => {
                "select coalesce(max(resolved_sessions), 0) from organization_usage where organization_id = $1"
            }
            Quota::MetadataBytes => {
                "select cast(coalesce(sum(kept.metadata_bytes), 0) as bigint) from (
                    select metadata_bytes from organizations where id = $1
                    union all
                    select metadata_bytes from databases where organization_id = $1 and deleted_at is null
                    union all
                    select a.metadata_bytes from memberships m join accounts a on a.id = m.account_id
                        where m.organization_id = $1 and m.is_home
                    union all
                    select k.metadata_bytes from memberships m join service_keys k on k.account_id = m.account_id
                        where m.organization_id = $1 and m.is_home
                 ) kept"
            }
            Quota::OrganizationTokens | Quota::AccountTokens => {
                return self.live_tokens(keeper, quota == Quota::OrganizationTokens, now).await;
            }
        };
        let (used,) = fetch_one!(self.0, (i64,), sql, keeper)?;
        Ok(used)
    }

    /// Expired tokens do not count. Nor are they removed by who makes another: of two who make some for one organization, each would
    /// hold rows that the other waits for.
    async fn live_tokens(&mut self, keeper: Uuid, of_organization: bool, now: Timestamp) -> Result<i64> {
        let sql = if of_organization {
            "select count(*) from access_tokens
             where organization_id = $1 and for_organization and (expires_at is null or expires_at > $2)"
        } else {
            "select count(*) from access_tokens where account_id = $1 and (expires_at is null or expires_at > $2)"
        };
        let (used,) = fetch_one!(self.0, (i64,), sql, keeper, now.micros())?;
        Ok(used)
    }

    /// Counts one more resolved session, under the same lock; answers how many there are.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_resolved_session(&mut self, organization: OrganizationId) -> Result<i64> {
        let (used,) = fetch_one!(
            self.0,
            (i64,),
            "insert into organization_usage (organization_id, resolved_sessions) values ($1, 1)
             on conflict (organization_id) do update set resolved_sessions = organization_usage.resolved_sessions + 1
             returning resolved_sessions",
            organization.0,
        )?;
        Ok(used)
    }
}
