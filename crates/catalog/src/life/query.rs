//! A data source is opened for queries of a person.

use std::sync::Arc;

use tidegate_connect::Source;
use tidegate_database::Unit;
use tidegate_domain::Permission;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Member, Reader};

use crate::life::open::NotOpen;
use crate::sources::access::Viewer;
use crate::sources::find::seen_by;
use crate::sources::{DataSource, SourceRefusal};
use crate::{Catalog, CatalogTables};

impl Catalog {
    /// Begins to read for a query, if it may be run.
    pub(crate) async fn read_for(&self, reader: &Reader) -> Result<(Unit, Viewer), Fault> {
        match reader {
            Reader::Caller(actor) => {
                let (unit, grant) = self.read_as(actor, Permission::QueryData).await?;
                Ok((unit, Viewer::of(grant)))
            }
            Reader::Member(_) => {
                let member = reader.authorize(Permission::QueryData)?;
                Ok((self.kernel.store.read().await?, Viewer::of_member(member)))
            }
        }
    }

    /// The data sources that a member sees, at most 1000.
    ///
    /// Source: `tidegate query`.
    ///
    /// # Errors
    /// Only faults.
    pub async fn data_sources_of_member(&self, member: Member) -> Result<Vec<DataSource>, Fault> {
        let mut unit = self.kernel.store.read().await?;
        Ok(unit.data_sources().all_seen(Viewer::of_member(member)).await?)
    }

    /// A data source that the reader sees, to be asked.
    ///
    /// # Errors
    /// [`SourceRefusal::NotFound`].
    pub async fn data_source_to_query(
        &self,
        reader: &Reader,
        number: i64,
    ) -> Outcome<DataSource, SourceRefusal> {
        let (mut unit, viewer) = self.read_for(reader).await?;
        seen_by(&mut unit, viewer, number).await
    }

    /// The same, open. Whoever asks bounds how long that may take.
    ///
    /// # Errors
    /// [`SourceRefusal::NotFound`], [`SourceRefusal::Failed`].
    pub async fn open_data_source(
        &self,
        reader: &Reader,
        number: i64,
    ) -> Outcome<Arc<dyn Source>, SourceRefusal> {
        let (mut unit, viewer) = self.read_for(reader).await?;
        let source = seen_by(&mut unit, viewer, number).await?;
        drop(unit);
        match self.opened(&source).await {
            Ok(open) => Ok(open),
            Err(NotOpen::Fault(fault)) => Err(fault.into()),
            Err(NotOpen::Source(error)) => {
                tracing::info!(
                    data_source = number,
                    code = error.code.as_str(),
                    detail = error.detail,
                    "it is not open"
                );
                refuse(SourceRefusal::Failed {
                    code: error.code,
                    message: error.message,
                    detail: error.detail,
                })
            }
        }
    }
}
