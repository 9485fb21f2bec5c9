//! A data source is opened for queries of a person.

use std::sync::Arc;

use tidegate_connect::Source;
use tidegate_domain::Permission;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Member, Reader};

use crate::life::open::NotOpen;
use crate::life::recent::KnownSource;
use crate::sources::access::Viewer;
use crate::sources::{DataSource, SourceRefusal};
use crate::{Catalog, CatalogTables};

impl Catalog {
    /// Who looks, for a query, if it may be run: as [`Catalog::read_as`] looks at the session.
    async fn viewer_for(&self, reader: &Reader) -> Result<Viewer, Fault> {
        match reader {
            Reader::Caller(actor) => {
                let grant = actor.authorize(Permission::QueryData)?;
                self.kernel.ensure_session_current(grant).await?;
                Ok(Viewer::of(grant))
            }
            Reader::Member(_) => Ok(Viewer::of_member(reader.authorize(Permission::QueryData)?)),
        }
    }

    /// A data source that the reader sees, with what was discovered of it, as it was read lately.
    pub(crate) async fn source_for(
        &self,
        reader: &Reader,
        number: i64,
    ) -> Outcome<Arc<KnownSource>, SourceRefusal> {
        let viewer = self.viewer_for(reader).await?;
        match self.known_source(viewer, number).await? {
            Some(known) => Ok(known),
            None => refuse(SourceRefusal::NotFound),
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

    /// A data source that the reader sees, to be asked: at most two seconds old, and at once as it was changed on this node.
    ///
    /// # Errors
    /// [`SourceRefusal::NotFound`].
    pub async fn data_source_to_query(
        &self,
        reader: &Reader,
        number: i64,
    ) -> Outcome<DataSource, SourceRefusal> {
        Ok(self.source_for(reader, number).await?.source.clone())
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
        let known = self.source_for(reader, number).await?;
        match self.opened(&known.source).await {
            Ok(open) => {
                self.pools.discovered(known.source.id, known.discovered_at());
                Ok(open)
            }
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
