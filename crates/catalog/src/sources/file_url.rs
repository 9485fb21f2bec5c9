//! Where the file of a data source can be fetched.

use std::time::Duration;

use tidegate_domain::Permission;
use tidegate_kernel::Actor;
use tidegate_kernel::fault::{Outcome, refuse};

use super::error::SourceRefusal;
use super::find::seen;
use crate::Catalog;
use crate::hooks::FileOwner;

impl Catalog {
    /// A URL at which the file of a data source can be fetched without a token until it expires.
    ///
    /// Source: RiverGen "data-sources/{data_source_id}/file-url".
    ///
    /// # Errors
    /// [`SourceRefusal::NotFound`], [`SourceRefusal::Governed`], [`SourceRefusal::NoFile`], [`SourceRefusal::FileNotFound`].
    pub async fn data_source_file_url(
        &self,
        actor: &Actor,
        number: i64,
        expires: Duration,
    ) -> Outcome<String, SourceRefusal> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadDataSources).await?;
        let source = seen(&mut unit, grant, number).await?;
        drop(unit);
        if self.governs(grant, &source).await? {
            return refuse(SourceRefusal::Governed);
        }
        let mut unit = self.kernel.store.read().await?;
        let Some(path) = source.connection.file_path else { return refuse(SourceRefusal::NoFile) };
        // It was the file of whoever made the source: who sees the source reads its file.
        let owner =
            FileOwner { organization: source.organization, organization_sees_all: true, account: None };
        match self.files.url(&mut unit, owner, &path, expires).await? {
            Some(url) => Ok(url),
            None => refuse(SourceRefusal::FileNotFound),
        }
    }
}
