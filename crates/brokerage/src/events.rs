//! The broker's events are followed, by one node at a time: each says which account to look at. A job that goes on as long as
//! events come.

use std::time::Duration;

use futures_util::FutureExt;
use tidegate_broker::{AccountEvent, BrokerError, Events};
use tidegate_kernel::fault::Fault;
use tidegate_kernel::jobs::{Job, JobError, JobRun, RetryPolicy, Schedule};

use crate::{Brokerage, BrokerageTables};

/// The job's name.
pub const NAME: &str = "broker events";
/// How often it is looked whether there is anything to follow.
const EVERY: Duration = Duration::from_secs(1);
/// The longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

pub(crate) const JOB: Job<Brokerage> = Job {
    schedule: Some(Schedule::Installation { every: EVERY, jitter: Duration::ZERO, at_start: true }),
    retry: RetryPolicy { max_attempts: u32::MAX, first_delay: EVERY, factor: 2, max_delay: LONGEST_WAIT },
    limit: None,
    wanted: Some(|brokerage| async move { Ok(brokerage.has_news().await?) }.boxed()),
    ..Job::new(NAME, |brokerage, run| async move { Ok(brokerage.follow_events(&run).await?) }.boxed())
};

/// Why following ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The store.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The node stops; another one goes on.
    #[error("its node stopped")]
    Stopped,
}

impl From<FollowError> for Fault {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Broker(error) => Self::Unavailable(error.to_string()),
            FollowError::Fault(fault) => fault,
            FollowError::Stopped => Self::Unavailable("the node stopped".to_owned()),
        }
    }
}

impl From<FollowError> for JobError {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Stopped => Self::Stopped,
            error => Self::Again(error.to_string()),
        }
    }
}

impl Brokerage {
    /// Follows the broker's events as long as they come, if no other node does.
    ///
    /// # Errors
    /// Why following ended before its time: it goes on from the last event after a while.
    pub async fn follow_broker(&self) -> Result<(), Fault> {
        let followed = self.kernel.run_job(NAME).await?;
        followed.into_iter().collect::<Result<(), String>>().map_err(Fault::Unavailable)
    }

    /// Whether events are followed: without accounts there are none, and the sandbox can be asked directly.
    async fn has_news(&self) -> Result<bool, FollowError> {
        let broker = self.broker.name();
        let mut unit = self.kernel.store.read().await.map_err(Fault::from)?;
        if !unit.brokerage().any(broker).await.map_err(Fault::from)? {
            return Ok(false);
        }
        let cursor = unit.broker_cursors().cursor(broker).await.map_err(Fault::from)?;
        drop(unit);
        Ok(self.broker.may_have_news(cursor.as_deref()).await?)
    }

    /// Follows the events from the last one that was dealt with, until there are no more, the node stops, or another node
    /// has taken over.
    ///
    /// What an event says is not taken at its word: the account is looked at. So events may come late, twice or in any
    /// order, and the status is the broker's present one.
    async fn follow_events(&self, run: &JobRun) -> Result<(), FollowError> {
        let mut unit = self.kernel.store.read().await.map_err(Fault::from)?;
        let mut cursor = unit.broker_cursors().cursor(self.broker.name()).await.map_err(Fault::from)?;
        drop(unit);
        let mut events = match self.broker.events(cursor.as_deref()).await {
            Err(error @ BrokerError::Invalid(_)) if cursor.is_some() => {
                tracing::error!(%error, "the broker does not know the last event any more; following from now on");
                cursor = None;
                self.note_cursor(run, None).await?;
                self.broker.events(None).await?
            }
            events => events?,
        };
        loop {
            let next = tokio::select! {
                next = next_event(&mut events) => next?,
                () = run.stopping() => return Err(FollowError::Stopped),
            };
            let Some(event) = next else { return Ok(()) };
            self.look_at_changed(&event).await?;
            cursor = event.ulid.or(cursor);
            if !self.note_cursor(run, cursor.as_deref()).await? {
                return Ok(());
            }
        }
    }

    /// Notes that everything up to `cursor` was dealt with. False when another node has taken over: it notes its own.
    async fn note_cursor(&self, run: &JobRun, cursor: Option<&str>) -> Result<bool, Fault> {
        let mut unit = self.kernel.store.begin().await?;
        if !run.renew(&mut unit).await? {
            return Ok(false);
        }
        unit.broker_cursors().keep(self.broker.name(), cursor).await?;
        unit.commit().await?;
        Ok(true)
    }

    async fn look_at_changed(&self, event: &AccountEvent) -> Result<(), FollowError> {
        let broker = self.broker.name();
        let mut unit = self.kernel.store.read().await.map_err(Fault::from)?;
        let owner = unit.brokerage().owner_of(broker, event.account_id).await.map_err(Fault::from)?;
        // Not one of ours, or not yet: the opening checks it afterwards.
        let Some(owner) = owner else { return Ok(()) };
        let record = unit.brokerage().find(owner, broker).await.map_err(Fault::from)?;
        drop(unit);
        let Some(record) = record else { return Ok(()) };
        match self.refresh_status(&record, event.account_id).await? {
            Ok(_) => Ok(()),
            Err(error @ BrokerError::Unavailable { .. }) => Err(error.into()),
            // Trouble with this one account: it must not keep the others' events waiting.
            Err(error) => Ok(self.check_later(&record, event.account_id, &error).await?),
        }
    }
}

/// The next event that makes sense; none when there are no more.
async fn next_event(events: &mut Events) -> Result<Option<AccountEvent>, BrokerError> {
    loop {
        match events.next().await {
            Err(error @ BrokerError::Unreadable { .. }) => {
                tracing::warn!(%error, "an event of the broker's makes no sense; it is left out");
            }
            next => return next,
        }
    }
}
