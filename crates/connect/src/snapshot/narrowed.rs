//! Reading what a query asks for alone.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use arrow_schema::{Schema, SchemaRef};
use tokio::time::Instant;

use super::{Asked, Fetcher, Job, Key, Narrowed, Snapshots};
use crate::error::{ErrorCode, SourceError, quoted};
use crate::files::{Format, Known};
use crate::source::{Relation, Scan};

/// So long columns are known after all rows were read, if these are not kept for longer.
const COLUMNS_LIFE: Duration = Duration::from_secs(600);
/// Relations whose columns are known, at most.
const KNOWN: usize = 1_000;

impl<F: Fetcher + 'static> Snapshots<F> {
    pub(super) fn learn(&self, key: &Key, known: Known) {
        if !self.fetcher.narrows() {
            return;
        }
        let mut columns = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        columns.retain(|_, (_, since)| since.elapsed() < self.life.max(COLUMNS_LIFE));
        if columns.len() < KNOWN || columns.contains_key(key) {
            columns.insert(key.clone(), (Arc::new(known), Instant::now()));
        }
    }

    fn known(&self, key: &Key) -> Option<Arc<Known>> {
        let columns = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, since) = columns.get(key)?;
        (since.elapsed() < self.life.max(COLUMNS_LIFE)).then(|| Arc::clone(known))
    }

    pub(super) fn forget(&self, key: &Key) {
        self.columns.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// The columns of a relation, from so few rows as the settings say.
    pub(super) async fn columns(&self, relation: &Relation) -> Result<SchemaRef, SourceError> {
        let key = self.key(relation);
        if let Some(known) = self.known(&key) {
            return Ok(known.schema());
        }
        if let Some(sample) = self.sample {
            let fetched = self.fetched(&key.0, &key.1, sample).await?;
            let known = fetched.known.clone();
            if fetched.rows >= sample {
                let known = known.sampled();
                let schema = known.schema();
                self.learn(&key, known);
                return Ok(schema);
            }
            // There are no more.
            self.keep(key, fetched);
            return Ok(known.schema());
        }
        let snapshot = self.snapshot(relation).await?;
        let table = snapshot.tables().first();
        let table = table.ok_or_else(|| {
            SourceError::changed(format!("There is no relation {}.", quoted(&relation.table)))
        })?;
        Ok(SchemaRef::clone(&table.schema))
    }

    /// What a query asks for, out of the server; none where the relation is better read as a whole.
    pub(super) async fn narrowed(&self, scan: &Scan) -> Result<Option<Arc<dyn Format>>, SourceError> {
        let key = self.key(&scan.relation);
        if self.sample.is_some() {
            self.columns(&scan.relation).await?;
        }
        let Some(known) = self.known(&key).filter(|_| self.here(&key).is_none()) else { return Ok(None) };
        // Rows of which all are wanted serve the next query, too.
        if known.is_whole() && scan.filters.is_empty() && scan.limit.is_none() {
            return Ok(None);
        }
        let asked = Asked {
            table: key.1.clone(),
            columns: scan.projection.clone(),
            filters: scan.filters.clone(),
            limit: scan.limit_of_any().filter(|_| scan.filters.is_empty()),
            known: Arc::clone(&known),
        };
        let told = match self.lines(Job::Asked(asked)).await {
            Ok((_, Narrowed::No)) => None,
            Ok(found) => Some(found),
            // A server that does not understand the conditions, or lets this user do no more than read, is asked without.
            Err(error) if matches!(error.code, ErrorCode::Query | ErrorCode::Authentication) => {
                tracing::debug!(detail = error.detail, "rows could not be selected: {error}");
                None
            }
            Err(error) => return Err(error),
        };
        let (lines, narrowed) = match told {
            Some(found) => found,
            None if known.is_whole() => return Ok(None),
            None => {
                let (schema, table) = key.clone();
                self.lines(Job::Rows { schema, table, wanted: usize::MAX }).await?
            }
        };
        let is_whole = known.is_whole();
        match lines.with(&key.1, known, narrowed == Narrowed::Rewritten).await? {
            Some(format) => Ok(Some(format)),
            // Reading everything tells the columns anew.
            None if is_whole => Ok(None),
            None => {
                self.forget(&key);
                Err(does_not_fit())
            }
        }
    }

    /// The relation as a whole. Its columns may have been known before: those that are wanted must be the same still.
    pub(super) async fn whole(&self, scan: &Scan) -> Result<Arc<dyn Format>, SourceError> {
        let before = self.known(&self.key(&scan.relation)).map(|known| known.schema());
        let format = self.snapshot(&scan.relation).await?;
        let Some(before) = before else { return Ok(format) };
        let kind = |schema: &Schema, name: &str| {
            schema.field_with_name(name).ok().map(|field| field.data_type().clone())
        };
        if let Some(table) = format.tables().first() {
            let changed = |name: &&String| kind(&before, name) != kind(&table.schema, name);
            if let Some(name) = scan.projection.iter().flatten().find(changed) {
                return Err(SourceError::mistyped(format!(
                    "The column {} has another type than it had; the next query reads it so.",
                    quoted(name)
                )));
            }
        }
        Ok(format)
    }
}

fn does_not_fit() -> SourceError {
    SourceError::query(
        "A row has a value that does not fit what the first rows showed; metadata.sample_size says how many tell the columns.",
    )
}
