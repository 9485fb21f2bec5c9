//! Data sources for the operator: `tidegate source`.

use std::sync::Arc;

use serde_json::json;
use tidegate_domain::audit::Action;
use tidegate_domain::id::OrganizationId;
use tidegate_domain::quota::Quota;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Call, KernelTables};

use super::error::SourceRefusal;
use super::slug;
use super::source::DataSource;
use super::status::SourceStatus;
use crate::life::test_job;
use crate::life::testing::TestReport;
use crate::schemas::discover::Discovery;
use crate::schemas::gone::said_of_gone;
use crate::schemas::nothing::is_nothing;
use crate::work::Work;
use crate::{Catalog, CatalogTables};

impl Catalog {
    /// Up to `limit` data sources of the installation, or of one organization, with numbers beyond `after`.
    ///
    /// Source: `tidegate source list`.
    ///
    /// # Errors
    /// Only faults.
    pub async fn data_sources_for_operator(
        &self,
        organization: Option<OrganizationId>,
        after: i64,
        limit: i64,
    ) -> Result<Vec<DataSource>, Fault> {
        Ok(self.kernel.store.read().await?.data_sources().all(organization, after, limit).await?)
    }

    /// One data source.
    ///
    /// Source: `tidegate source show`.
    ///
    /// # Errors
    /// [`SourceRefusal::NotFound`].
    pub async fn data_source_for_operator(&self, number: i64) -> Outcome<DataSource, SourceRefusal> {
        match self.kernel.store.read().await?.data_sources().numbered(number).await? {
            Some(source) => Ok(source),
            None => refuse(SourceRefusal::NotFound),
        }
    }

    /// Data sources that are called so, in SQL or by people; a few of them, for only one can be meant.
    ///
    /// Source: `tidegate source show`.
    ///
    /// # Errors
    /// Only faults.
    pub async fn data_sources_named(&self, name: &str) -> Result<Vec<DataSource>, Fault> {
        Ok(self.kernel.store.read().await?.data_sources().named(name, 10).await?)
    }

    /// Tests a data source, and notes the result.
    ///
    /// Source: `tidegate source test`.
    ///
    /// # Errors
    /// [`SourceRefusal::NotFound`], [`SourceRefusal::Busy`].
    pub async fn test_data_source_for_operator(&self, number: i64) -> Outcome<TestReport, SourceRefusal> {
        let source = self.data_source_for_operator(number).await?;
        let mut report = self.tested(&source, None, None).await?;
        // Of one that failed, the detail says all.
        if report.outcome.is_ok() {
            self.say_more(&source, &mut report).await?;
        }
        Ok(report)
    }

    /// Discovers the tables of a data source.
    ///
    /// Source: `tidegate source discover`.
    ///
    /// # Errors
    /// [`SourceRefusal`].
    pub async fn discover_for_operator(self: &Arc<Self>, number: i64) -> Outcome<Discovery, SourceRefusal> {
        let source = self.data_source_for_operator(number).await?;
        let mut found = self.discovered(source.clone(), None, None).await?;
        if is_nothing(&found.schemas) {
            found.warnings.push(self.said_of_nothing(&source, None, true).await);
        }
        found.warnings.extend(said_of_gone(&found.gone));
        Ok(found)
    }

    /// Pauses a data source, which is not checked by itself then; or has it tested and checked again.
    ///
    /// Source: `tidegate source pause`, `tidegate source resume`.
    ///
    /// # Errors
    /// [`SourceRefusal::NotFound`].
    pub async fn pause_data_source(
        &self,
        call: &Call,
        number: i64,
        paused: bool,
    ) -> Outcome<DataSource, SourceRefusal> {
        let mut work = self.begin(call).await?;
        let source = work.locked(number).await?;
        let status = if paused { SourceStatus::Maintenance } else { SourceStatus::Testing };
        work.unit.data_sources().set_status(&source, status, work.now).await?;
        if !paused {
            work.unit.jobs().enqueue(&test_job::of(&self.kernel, source.id)?).await?;
        }
        let metadata = json!({ "data_source": number, "status": status.as_str() });
        work.audit(Action::DataSourceUpdated, of_organization(&source), metadata).await?;
        work.commit().await?;
        Ok(DataSource { status, ..source })
    }

    /// Restores a deleted data source that is not removed yet.
    ///
    /// Source: `tidegate source restore`.
    ///
    /// # Errors
    /// [`SourceRefusal::NotFound`].
    pub async fn restore_data_source(&self, call: &Call, number: i64) -> Outcome<DataSource, SourceRefusal> {
        let mut work = self.begin(call).await?;
        let Some(found) = work.unit.data_sources().deleted(number).await? else {
            return refuse(SourceRefusal::NotFound);
        };
        work.unit.data_sources().lock(found.organization).await?;
        // Another restore may have been first: to this one the source would look like another that has its name.
        let Some(found) = work.unit.data_sources().deleted(number).await? else {
            return refuse(SourceRefusal::NotFound);
        };
        // Another one may be called so by now.
        let name = slug::slug(&found.name);
        let slug = slug::free(&name, &work.unit.data_sources().slugs(found.workspace, &name).await?);
        work.unit.data_sources().restore(&found, &slug, work.now).await?;
        let count = work.unit.data_sources().count(found.organization).await?;
        self.kernel.settings.quotas.judge(Quota::DataSources, count)?;
        work.unit.jobs().enqueue(&test_job::of(&self.kernel, found.id)?).await?;
        let metadata = json!({ "data_source": number, "restored": true });
        work.audit(Action::DataSourceUpdated, of_organization(&found), metadata).await?;
        work.commit().await?;
        self.data_source_for_operator(number).await
    }

    /// Deletes a data source, for good or so that it can be restored for a while.
    ///
    /// Source: `tidegate source delete`.
    ///
    /// # Errors
    /// [`SourceRefusal::NotFound`].
    pub async fn delete_data_source_for_operator(
        &self,
        call: &Call,
        number: i64,
        force: bool,
    ) -> Outcome<DataSource, SourceRefusal> {
        let mut work = self.begin(call).await?;
        let source = work.locked(number).await?;
        work.delete(&source, None, force).await?;
        let metadata = json!({ "data_source": number, "force": force });
        work.audit(Action::DataSourceDeleted, of_organization(&source), metadata).await?;
        work.commit().await?;
        self.pools.drop_source(source.id).await;
        Ok(source)
    }
}

fn of_organization(source: &DataSource) -> Subject {
    Subject { account: None, organization: Some(source.organization), session: None }
}

impl Work<'_> {
    /// A data source, to be changed: others wait until the unit ends.
    async fn locked(&mut self, number: i64) -> Outcome<DataSource, SourceRefusal> {
        let Some(found) = self.unit.data_sources().numbered(number).await? else {
            return refuse(SourceRefusal::NotFound);
        };
        self.unit.data_sources().lock(found.organization).await?;
        match self.unit.data_sources().numbered(number).await? {
            Some(source) => Ok(source),
            None => refuse(SourceRefusal::NotFound),
        }
    }
}
