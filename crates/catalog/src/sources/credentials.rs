//! A data source gets other credentials.

use serde_json::json;
use tidegate_connect::SourceType;
use tidegate_domain::audit::Action;
use tidegate_domain::{Permission, Secret, Timestamp};
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::{Actor, Call, KernelTables};

use super::error::SourceRefusal;
use super::sealed::{open_credentials, open_string, seal_credentials, seal_string};
use super::source::DataSource;
use super::status::SourceStatus;
use crate::life::test_job;
use crate::{Catalog, CatalogTables};

pub use super::sealed::{CREDENTIALS, Credentials};

/// What is to be changed of credentials; those that are not named stay.
#[derive(Clone, Debug, Default)]
pub struct CredentialChange {
    /// By name; none removes one.
    pub secrets: Vec<(&'static str, Option<Secret>)>,
    /// Whether they are sealed anew, under the master key in use, and connections that were made with them are closed.
    pub rotate: bool,
}

impl Catalog {
    /// Changes the credentials of a data source of the caller's organization; answers when. Its connections are closed, and it is tested.
    /// Rotating seals what is stored again: what a former master key sealed no longer needs that.
    ///
    /// Source: RiverGen "data-sources/{data_source_id}/credentials".
    ///
    /// # Errors
    /// [`SourceRefusal::NotFound`], [`SourceRefusal::Elsewhere`].
    pub async fn change_credentials(
        &self,
        call: &Call,
        actor: &Actor,
        number: i64,
        change: CredentialChange,
    ) -> Outcome<Timestamp, SourceRefusal> {
        let mut work = self.begin_as(call, actor, Permission::ManageDataSources).await?;
        let mut source = work.source_to_change(number).await?;
        let (id, now) = (source.id, work.now);
        let names: Vec<&str> = change.secrets.iter().map(|(name, _)| *name).collect();
        let mut credentials = open_credentials(&self.kernel, id, source.sealed.credentials.as_deref())?;
        let account = work.grant.session().account_number;
        let is_trusted = source.created_by == account || work.viewer().sees_all;
        if !is_trusted && leads_elsewhere(&source, &credentials, &change) {
            return refuse(SourceRefusal::Elsewhere);
        }
        for (name, secret) in &change.secrets {
            credentials.set(name, secret.clone());
        }
        source.sealed.credentials = seal_credentials(&self.kernel, id, &credentials)?;
        if change.rotate {
            let string = open_string(&self.kernel, id, source.sealed.connection_string.as_deref())?;
            let string = string.map(|text| seal_string(&self.kernel, id, &text)).transpose()?;
            source.sealed.connection_string = string;
        }
        if source.status != SourceStatus::Maintenance {
            source.status = SourceStatus::Testing;
        }
        work.unit.data_sources().replace_secrets(&source, account, now).await?;
        work.unit.jobs().enqueue(&test_job::of(&self.kernel, id)?).await?;
        // Which ones, and never what they are.
        let metadata = json!({ "data_source": number, "fields": names, "rotated": change.rotate });
        let subject = work.grant.subject();
        work.audit(Action::DataSourceCredentialsChanged, subject, metadata).await?;
        work.commit().await?;
        self.pools.drop_source(id).await;
        Ok(now)
    }
}

/// Whether what stays of the credentials would be sent to another server: of Azure, the account's name is a part of the address.
fn leads_elsewhere(source: &DataSource, stored: &Credentials, change: &CredentialChange) -> bool {
    const ACCOUNT: &str = "username";
    let is_named = |name: &str| change.secrets.iter().any(|(named, _)| *named == name);
    let is_another = change.secrets.iter().any(|(name, secret)| {
        let now = secret.as_ref().map(Secret::expose).filter(|text| !text.is_empty());
        *name == ACCOUNT && now != stored.get(ACCOUNT).map(Secret::expose)
    });
    let stays = |name: &str| name != ACCOUNT && stored.has(name) && !is_named(name);
    source.kind == SourceType::AzureBlob && is_another && CREDENTIALS.into_iter().any(stays)
}
