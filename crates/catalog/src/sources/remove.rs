//! A data source is deleted.

use serde_json::json;
use tidegate_domain::audit::Action;
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::fault::{Fault, Outcome};
use tidegate_kernel::{Actor, Call};

use super::error::SourceRefusal;
use super::source::DataSource;
use crate::work::Work;
use crate::{Catalog, CatalogTables};

/// Deleted sources that an organization can have, until they are removed for good.
const MAX_DELETED: i64 = 100;

impl Catalog {
    /// Deletes a data source of the caller's organization; answers when. With `force` its row goes with all that is known of it;
    /// without, it can be restored for a while. Its connections are closed in either case.
    ///
    /// Source: RiverGen "data-sources/{data_source_id}", delete.
    ///
    /// # Errors
    /// [`SourceRefusal::NotFound`].
    pub async fn delete_data_source(
        &self,
        call: &Call,
        actor: &Actor,
        number: i64,
        force: bool,
    ) -> Outcome<Timestamp, SourceRefusal> {
        let mut work = self.begin_as(call, actor, Permission::AdministerDataSources).await?;
        let source = work.source_to_change(number).await?;
        let account = work.grant.session().account_number;
        work.delete(&source, Some(account), force).await?;
        let metadata = json!({ "data_source": number, "force": force });
        let subject = work.grant.subject();
        work.audit(Action::DataSourceDeleted, subject, metadata).await?;
        let now = work.now;
        work.commit().await?;
        self.pools.drop_source(source.id).await;
        Ok(now)
    }
}

impl<G> Work<'_, G> {
    /// Deletes a source, for good or so that it can be restored.
    pub(super) async fn delete(
        &mut self,
        source: &DataSource,
        account: Option<i64>,
        force: bool,
    ) -> Result<(), Fault> {
        if force {
            self.unit.data_sources().remove(source.id).await?;
            return Ok(());
        }
        let purge_at = self.now.plus(self.app.settings.keep_deleted);
        self.unit.data_sources().delete(source, account, self.now, purge_at).await?;
        self.unit.data_sources().purge_beyond(source.organization, MAX_DELETED, self.now).await?;
        Ok(())
    }
}
