//! Relations as a query names them, and who gives them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tidegate_policy::{Limits, Resolved};

use crate::error::QueryError;
use crate::mask::Hasher;
use crate::source::Rows;

/// The name of a relation: `source.schema.table`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelationName {
    /// The slug of the data source.
    pub source: String,
    /// Its schema; [`RelationName::NO_SCHEMA`] where the source has none.
    pub schema: String,
    /// Its own name.
    pub table: String,
}

impl RelationName {
    /// The schema of sources without schemas.
    pub const NO_SCHEMA: &'static str = "main";

    /// A name. A source without schemas gives none.
    pub fn new(source: impl Into<String>, schema: Option<&str>, table: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            schema: schema.unwrap_or(Self::NO_SCHEMA).to_owned(),
            table: table.into(),
        }
    }
}

impl fmt::Display for RelationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.source, self.schema, self.table)
    }
}

/// A relation with what the policies say about it.
#[derive(Clone)]
pub struct GovernedRelation {
    /// Where its rows come from.
    pub rows: Arc<dyn Rows>,
    /// What the policies say, resolved for the columns of `rows`.
    pub resolved: Arc<Resolved>,
    /// The hash of the organization, for masks.
    pub hash: Hasher,
}

impl fmt::Debug for GovernedRelation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GovernedRelation").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// Gives the relations of the sources that a query may use. It knows the person.
#[async_trait]
pub trait Relations: Send + Sync {
    /// Names of all relations that the person may see, denied ones left out.
    async fn visible(&self) -> Result<Vec<RelationName>, QueryError>;

    /// Opens one of them, with the policies as they are now. None where it is gone, or denied.
    async fn open(&self, name: &RelationName) -> Result<Option<GovernedRelation>, QueryError>;

    /// Relations of that name that are denied the person, with what was decided: for records, and never for the person, who learns no more
    /// of them than of what is not there.
    async fn denied(&self, table: &str) -> Vec<(RelationName, Arc<Resolved>)> {
        let _ = table;
        Vec::new()
    }

    /// Called once the relations of a query are open, before it is planned: counts it against the policies' numbers of queries.
    async fn admit(&self, limits: &Limits) -> Result<(), QueryError> {
        let _ = limits;
        Ok(())
    }
}
