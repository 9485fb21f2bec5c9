//! Data sources, in short.

use tidegate_database::{Result, fetch_all};
use tidegate_domain::id::OrganizationId;

use super::repository::Sources;

/// A data source, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceCard {
    /// Its number.
    pub number: i64,
    /// The number of its workspace.
    pub workspace: i64,
    /// Whether its tables were discovered.
    pub is_discovered: bool,
}

impl Sources<'_> {
    /// Those of an organization that are not deleted.
    pub(crate) async fn cards(&mut self, organization: OrganizationId) -> Result<Vec<SourceCard>> {
        let rows = fetch_all!(
            self.0,
            (i64, i64, Option<i64>),
            "select s.number, w.number, s.schema_discovered_at from data_sources s join workspaces w on w.id = s.workspace_id
             where s.organization_id = $1 and s.deleted_at is null order by s.number limit 10000",
            organization.0,
        )?;
        let cards = rows.into_iter().map(|(number, workspace, discovered_at)| SourceCard {
            number,
            workspace,
            is_discovered: discovered_at.is_some(),
        });
        Ok(cards.collect())
    }
}
