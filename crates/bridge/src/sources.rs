//! Which data sources files have.

use std::collections::HashMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tidegate_catalog::hooks::{file_removed, sources_of_files};
use tidegate_database::Unit;
use tidegate_domain::Timestamp;
use tidegate_domain::id::OrganizationId;
use tidegate_kernel::{Fault, Grant};
use tidegate_storage::{ReadingSource, SourcesOfFiles};

/// The data sources of an organization, by their files.
pub(crate) struct NamedSources;

impl SourcesOfFiles for NamedSources {
    fn sources_of<'u>(
        &'u self,
        unit: &'u mut Unit,
        organization: OrganizationId,
        object_names: &'u [&'u str],
    ) -> BoxFuture<'u, Result<Vec<Option<i64>>, Fault>> {
        async move {
            if object_names.is_empty() {
                return Ok(Vec::new());
            }
            let made: HashMap<String, i64> =
                sources_of_files(unit, organization).await?.into_iter().collect();
            Ok(object_names.iter().map(|name| made.get(*name).copied()).collect())
        }
        .boxed()
    }

    fn removed<'u>(
        &'u self,
        unit: &'u mut Unit,
        grant: &'u Grant,
        object_name: &'u str,
        now: Timestamp,
    ) -> BoxFuture<'u, Result<Vec<ReadingSource>, Fault>> {
        async move {
            let reading = file_removed(unit, grant, object_name, now).await?;
            Ok(reading.into_iter().map(|(number, name)| ReadingSource { number, name }).collect())
        }
        .boxed()
    }
}
