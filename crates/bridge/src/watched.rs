//! Rows that are on their way while the rules may change: none is shown that the rules of now would hide.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tidegate_domain::Timestamp;
use tidegate_kernel::Kernel;
use tidegate_kernel::cache::Stamp;
use tidegate_policies::Policies;
use tidegate_prompts::ports::{QueryCode, QueryFailure, Watch};

use crate::governed::PersonRelations;

/// How long it is not looked again where this node has heard of no change. Others tell of theirs, and what is remembered is two seconds old at most.
const LOOK: Duration = Duration::from_secs(1);

/// Looks whether the person of a query would still be shown the same.
pub(crate) struct Watched {
    kernel: Arc<Kernel>,
    policies: Arc<Policies>,
    relations: Arc<PersonRelations>,
    /// What had changed when it was looked last, and when that was.
    looked: Mutex<(Stamp, Timestamp)>,
}

impl Watched {
    /// `changes` are those before the relations were looked at.
    pub(crate) fn new(
        kernel: &Arc<Kernel>,
        policies: &Arc<Policies>,
        relations: Arc<PersonRelations>,
        changes: Stamp,
    ) -> Self {
        let looked = Mutex::new((changes, kernel.now()));
        Self { kernel: Arc::clone(kernel), policies: Arc::clone(policies), relations, looked }
    }

    fn is_due(&self, changes: Stamp, now: Timestamp) -> bool {
        let (last, at) = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock may be set back.
        last != changes || now < at || now >= at.plus(LOOK)
    }
}

#[async_trait]
impl Watch for Watched {
    async fn holds(&self) -> Result<(), QueryFailure> {
        let (changes, now) = (self.relations.changes(), self.kernel.now());
        if !self.is_due(changes, now) {
            return Ok(());
        }
        if !self.relations.shows_the_same(&self.policies).await? {
            let text = "What you may see has changed while the query ran. Run it again.";
            return Err(QueryFailure::new(QueryCode::PolicyDenied, text));
        }
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = (changes, now);
        Ok(())
    }
}

type Batches<T> = BoxStream<'static, Result<T, QueryFailure>>;

/// Batches, until they may not be shown any more.
pub(crate) fn watched<T: Send + 'static>(batches: Batches<T>, watch: Arc<Watched>) -> Batches<T> {
    let next = |state: Option<(Batches<T>, Arc<Watched>)>| async move {
        let (mut batches, watch) = state?;
        let batch = batches.next().await?;
        match watch.holds().await {
            Ok(()) => Some((batch, Some((batches, watch)))),
            Err(failure) => Some((Err(failure), None)),
        }
    };
    stream::unfold(Some((batches, watch)), next).boxed()
}
