//! A data source is made.

use serde_json::json;
use tidegate_connect::{TypeInfo, mask_password};
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_domain::id::DataSourceId;
use tidegate_domain::quota::Quota;
use tidegate_kernel::fault::{Fault, Outcome, Refused, refuse};
use tidegate_kernel::{Actor, Call, KernelTables};

use super::error::SourceRefusal;

use super::connection::check_options;
use super::repository::NewRow;
use super::sealed::{seal_credentials, seal_string};
use super::slug;
use super::source::{DataSource, NewDataSource};
use crate::hooks::FileOwner;
use crate::life::test_job;
use crate::work::Acting;
use crate::{Catalog, CatalogTables};

impl Catalog {
    /// Makes a data source of the caller's organization. It is tested afterwards, and its tables are discovered if it answers: see
    /// [`crate::life`].
    ///
    /// Source: RiverGen "data-sources", create.
    ///
    /// # Errors
    /// [`SourceRefusal::WorkspaceNotFound`], [`SourceRefusal::FileNotFound`], [`SourceRefusal::Incomplete`],
    /// [`SourceRefusal::Contradiction`], [`SourceRefusal::Misspelt`].
    pub async fn create_data_source(
        &self,
        call: &Call,
        actor: &Actor,
        new: NewDataSource,
    ) -> Outcome<DataSource, SourceRefusal> {
        let mut work = self.begin_as(call, actor, Permission::ManageDataSources).await?;
        let new = complete(new)?;
        let source = work.add(&new).await?;
        let metadata = json!({ "data_source": source.number, "type": source.kind.as_str() });
        let subject = work.grant.subject();
        work.audit(Action::DataSourceCreated, subject, metadata).await?;
        work.commit().await?;
        Ok(source)
    }
}

/// With what follows from its type, if it has all that the type needs.
fn complete(new: NewDataSource) -> Outcome<NewDataSource, SourceRefusal> {
    let info = TypeInfo::of(new.kind);
    let has_string = new.connection_string.is_some();
    let connection = new.connection.clone().with_usual_port(info, has_string);
    let metadata = new.metadata.to_value().unwrap_or_default();
    connection.check(info, has_string, &new.credentials, &metadata).map_err(Refused::Rule)?;
    connection.check_hosts(None).map_err(Refused::Rule)?;
    check_options(info, Some(&metadata), new.connection_string.as_ref()).map_err(Refused::Rule)?;
    Ok(NewDataSource { connection, ..new })
}

impl Acting<'_> {
    async fn add(&mut self, new: &NewDataSource) -> Outcome<DataSource, SourceRefusal> {
        let (kernel, now, viewer) = (&self.app.kernel, self.now, self.viewer());
        self.unit.data_sources().lock(viewer.organization).await?;
        let Some(workspace) = self.unit.data_sources().workspace(viewer, new.workspace).await? else {
            return refuse(SourceRefusal::WorkspaceNotFound);
        };
        if let Some(path) = &new.connection.file_path {
            self.require_file(path).await?;
        }
        let id = DataSourceId(kernel.new_uuid());
        let name = slug::slug(&new.name);
        let slug = slug::free(&name, &self.unit.data_sources().slugs(workspace, &name).await?);
        let string = new.connection_string.as_ref();
        let row = NewRow {
            id,
            organization: viewer.organization,
            workspace,
            slug: &slug,
            new,
            connection_string: string.map(|text| seal_string(kernel, id, text)).transpose()?,
            connection_string_shown: string.map(|text| mask_password(text.expose())),
            credentials: seal_credentials(kernel, id, &new.credentials)?,
            created_by: self.grant.session().account_number,
            next_check_at: now.plus(self.app.settings.health_interval),
            now,
        };
        self.unit.data_sources().insert(row).await?;
        let count = self.unit.data_sources().count(viewer.organization).await?;
        kernel.settings.quotas.judge(Quota::DataSources, count)?;
        self.unit.jobs().enqueue(&test_job::of(kernel, id)?).await?;
        let made = self.unit.data_sources().find(id).await?;
        made.ok_or_else(|| Fault::Internal("a data source is gone that was just made".to_owned()).into())
    }

    /// Refuses a path at which the caller has no file.
    pub(super) async fn require_file(&mut self, path: &str) -> Outcome<(), SourceRefusal> {
        // Nobody reaches another's folder, admins neither: a source's file has a URL, which would be a way around that.
        let owner = FileOwner {
            organization: self.grant.organization(),
            organization_sees_all: false,
            account: Some(self.grant.account()),
        };
        if self.app.files.exist(&mut self.unit, &[(owner, path)]).await?.contains(&true) {
            Ok(())
        } else {
            refuse(SourceRefusal::FileNotFound)
        }
    }
}
