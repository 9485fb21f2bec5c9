//! Where the runner takes work from.

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::fault::Fault;
use crate::jobs::job::Later;

/// A claimed row, about to be worked on. Answers whether its outcome could be recorded.
pub(crate) type Work = Later<Result<(), Fault>>;

/// What a source handed out.
pub(crate) struct Claimed {
    /// To be worked on.
    pub(crate) work: Vec<Work>,
    /// Whether more may be due that there was no room for: it is worth another look when one of these ends.
    pub(crate) more: bool,
}

/// A table whose rows are work: jobs, mails, text messages. What it hands out it has claimed with a lease, and each piece
/// settles its own row.
pub(crate) trait Source: Send + Sync + 'static {
    /// What it is called in the log.
    fn name(&self) -> &'static str;

    /// How much of it runs at a time on a node.
    fn at_once(&self) -> usize;

    /// Makes ready, once, before anything is claimed.
    fn prepare(&self) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Ends when there may be something to claim: a commit on this node, or a notification from another.
    fn news(&self) -> BoxFuture<'_, ()>;

    /// Claims what is due, at most `room`.
    fn claim<'s>(
        &'s self,
        room: usize,
        stopping: &'s watch::Receiver<bool>,
    ) -> BoxFuture<'s, Result<Claimed, Fault>>;
}
