//! The rows that leave a barrier, under their masks.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{Field, SchemaRef};
use datafusion::arrow::record_batch::RecordBatchOptions;
use datafusion::common::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures_util::{Stream, StreamExt};
use tidegate_policy::MaskedBy;

use crate::compact;
use crate::decision::Tally;
use crate::error::QueryError;
use crate::mask::{self, Hasher};

/// A column that leaves the barrier.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// Its name and type outside.
    pub(crate) field: Field,
    /// Its place among the columns that are read.
    pub(crate) inner: usize,
    /// What is put over it.
    pub(crate) mask: Option<MaskedBy>,
}

/// Rows that leave the barrier.
pub(crate) struct Crossed {
    pub(crate) rows: SendableRecordBatchStream,
    /// Whether rows were taken away.
    pub(crate) hides: bool,
    pub(crate) outputs: Vec<Output>,
    pub(crate) places: Vec<usize>,
    pub(crate) schema: SchemaRef,
    pub(crate) hash: Hasher,
    pub(crate) tally: Arc<Tally>,
    /// Rows that may still leave.
    pub(crate) left: Option<usize>,
}

impl Crossed {
    fn masked(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let outputs = self.outputs.iter().zip(&self.places);
        let columns =
            outputs.map(|(output, place)| self.column(output, *place, batch)).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    fn column(&self, output: &Output, place: usize, batch: &RecordBatch) -> Result<ArrayRef> {
        let raw = batch.columns().get(place).ok_or_else(QueryError::denied)?;
        let column = match &output.mask {
            Some(masked) => mask::apply(masked, raw, &self.hash)?,
            None if self.hides => compact::compacted(raw)?,
            None => Arc::clone(raw),
        };
        // Types differ within nested ones at most.
        if column.data_type() == output.field.data_type() {
            return Ok(column);
        }
        Ok(cast(&column, output.field.data_type())?)
    }
}

impl Stream for Crossed {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == Some(0) {
            return Poll::Ready(None);
        }
        let Some(batch) = ready!(self.rows.poll_next_unpin(cx)) else { return Poll::Ready(None) };
        Poll::Ready(Some(batch.and_then(|batch| {
            let rows = self.left.map_or(batch.num_rows(), |left| left.min(batch.num_rows()));
            let batch = batch.slice(0, rows);
            self.left = self.left.map(|left| left - rows);
            self.tally.crossed(rows);
            self.masked(&batch)
        })))
    }
}

impl RecordBatchStream for Crossed {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
