//! Cancels at the server what nobody waits for any more.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

use crate::error::{SourceError, within};

/// How long the server may take to hear of it.
const LIMIT: Duration = Duration::from_secs(5);

/// Cancels a query when it is dropped, unless the query is over.
pub(crate) struct CancelOnDrop(Option<BoxFuture<'static, Result<(), SourceError>>>);

impl CancelOnDrop {
    /// What is to be done with `server` then.
    pub(crate) fn new<S: Send + Sync + 'static, F>(server: &Arc<S>, cancel: impl FnOnce(Arc<S>) -> F) -> Self
    where
        F: Future<Output = Result<(), SourceError>> + Send + 'static,
    {
        Self(Some(cancel(Arc::clone(server)).boxed()))
    }

    /// The query is over: there is nothing to cancel.
    pub(crate) fn over(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        let (Some(cancel), Ok(runtime)) = (self.0.take(), Handle::try_current()) else { return };
        runtime.spawn(async move {
            if let Err(error) = within(LIMIT, "Cancelling", cancel).await {
                tracing::debug!(detail = error.detail, "a query of a data source could not be cancelled");
            }
        });
    }
}
