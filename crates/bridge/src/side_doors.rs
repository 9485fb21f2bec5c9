//! What policies leave of data sources beside queries, for the catalog.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tidegate_catalog::hooks::{PolicyFit, SourceGovernance, TableView, ViewedSource};
use tidegate_catalog::schemas::read::StoredTable;
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_kernel::{Fault, Kernel};
use tidegate_policies::Policies;
use tidegate_policies::governed::fit::Fit;
use tidegate_policies::governed::governance::{Asker, Governance};
use tidegate_policies::hooks::KnownRelation;
use tidegate_policy::Decision;

/// What the policies say.
pub(crate) struct GovernedSources {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) policies: Arc<Policies>,
}

impl GovernedSources {
    async fn governance(
        &self,
        account: AccountId,
        organization: OrganizationId,
    ) -> Result<Option<Governance>, Fault> {
        let asker = Asker { account, organization, workspace: None, datasets: Vec::new(), query: None };
        self.policies.governance(&asker).await
    }
}

impl SourceGovernance for GovernedSources {
    fn governs(
        &self,
        account: AccountId,
        organization: OrganizationId,
        source: i64,
        workspace: i64,
    ) -> BoxFuture<'_, Result<bool, Fault>> {
        async move {
            let governance = self.governance(account, organization).await?;
            // Who is no member is given nothing around it either.
            Ok(governance.is_none_or(|governance| governance.concerns_source(source, Some(workspace))))
        }
        .boxed()
    }

    fn view(
        &self,
        account: AccountId,
        organization: OrganizationId,
        source: ViewedSource,
    ) -> BoxFuture<'_, Result<Option<Arc<dyn TableView>>, Fault>> {
        async move {
            let governance = self.governance(account, organization).await?;
            let concerns =
                |governance: &Governance| governance.concerns_source(source.number, Some(source.workspace));
            if governance.as_ref().is_some_and(|governance| !concerns(governance)) {
                return Ok(None);
            }
            let view = GovernedTables { kernel: Arc::clone(&self.kernel), governance, source };
            Ok(Some(Arc::new(view) as Arc<dyn TableView>))
        }
        .boxed()
    }

    fn fit(
        &self,
        organization: OrganizationId,
        source: ViewedSource,
    ) -> BoxFuture<'_, Result<Option<Arc<dyn PolicyFit>>, Fault>> {
        async move {
            let fit = self.policies.fit(organization).await?;
            Ok(fit.map(|fit| Arc::new(FittingTables { fit, source }) as Arc<dyn PolicyFit>))
        }
        .boxed()
    }
}

/// The policies that are held against the tables of a data source.
struct FittingTables {
    fit: Fit,
    source: ViewedSource,
}

impl PolicyFit for FittingTables {
    fn misfits(&self, schema: &str, table: &StoredTable) -> Vec<String> {
        self.fit.misfits(&known_relation(self.source, schema, table))
    }
}

/// What somebody may know of the tables of a data source: what they could name in a query.
struct GovernedTables {
    kernel: Arc<Kernel>,
    /// None of who is no member.
    governance: Option<Governance>,
    source: ViewedSource,
}

impl TableView for GovernedTables {
    fn shown(&self, schema: &str, mut table: StoredTable) -> Option<StoredTable> {
        let relation = known_relation(self.source, schema, &table);
        let resolved = self.governance.as_ref()?.resolve_known(&relation, self.kernel.now());
        table.columns.retain(|column| !resolved.hidden.contains_key(&column.name));
        // A gap would tell of a column that is not named.
        for (column, position) in table.columns.iter_mut().zip(1..) {
            column.position = position;
        }
        (resolved.decision == Decision::Allowed).then_some(table)
    }
}

/// A table as policies look at it.
pub(crate) fn known_relation(source: ViewedSource, schema: &str, table: &StoredTable) -> KnownRelation {
    KnownRelation {
        source: source.number,
        workspace: source.workspace,
        schema: Some(schema.to_owned()).filter(|schema| !schema.is_empty()),
        table: table.name.clone(),
        is_typed: source.is_typed,
        columns: table.columns.iter().map(|column| (column.name.clone(), column.type_name.clone())).collect(),
    }
}
