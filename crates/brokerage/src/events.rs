//! The broker's events are followed: each says which account to look at.

use std::pin::pin;
use std::time::Duration;

use tidegate_broker::{AccountEvent, BrokerError, Events};
use tidegate_kernel::fault::Fault;

use crate::tables::broker_cursors::Turn;
use crate::{Brokerage, BrokerageTables};

/// How long a node has the broker's stream to itself.
const LEASE: Duration = Duration::from_secs(60);
/// How often it says that it is still there.
const RENEWED: Duration = Duration::from_secs(20);
/// How often it is looked whether there is anything to follow.
const POLL: Duration = Duration::from_secs(1);
/// The longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Why following ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The store.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// What came of waiting for an event.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Next {
    Event(AccountEvent),
    /// A message that is no event.
    Senseless,
    /// There are no more, or another node has taken over.
    Over,
}

impl Brokerage {
    /// Follows the broker's events as long as they come. Returns when there are no more, or another node follows them.
    ///
    /// What an event says is not taken at its word: the account is looked at. So events may come late, twice or in any
    /// order, and the status is the broker's present one.
    ///
    /// # Errors
    /// [`FollowError`]: go on from the last event after a while.
    pub async fn follow_broker(&self) -> Result<(), FollowError> {
        if !self.has_news().await? {
            return Ok(());
        }
        let Some(mut turn) = self.take_turn().await? else {
            return Ok(());
        };
        let followed = self.follow_in_turn(&mut turn).await;
        // Whoever comes next need not wait until it would have ended.
        let cursor = turn.cursor.clone();
        self.advance(&turn, cursor.as_deref(), Duration::ZERO).await?;
        followed
    }

    /// Whether there is anything to follow: nobody's accounts do not change, and the sandbox can be asked.
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

    async fn follow_in_turn(&self, turn: &mut Turn) -> Result<(), FollowError> {
        let mut events = match self.broker.events(turn.cursor.as_deref()).await {
            Err(error @ BrokerError::Invalid(_)) if turn.cursor.is_some() => {
                tracing::error!(%error, "the broker does not know the last event any more; following from now on");
                turn.cursor = None;
                self.broker.events(None).await?
            }
            events => events?,
        };
        loop {
            let event = match self.next_event(&mut events, turn).await? {
                Next::Event(event) => event,
                Next::Senseless => continue,
                Next::Over => return Ok(()),
            };
            self.look_at_changed(&event).await?;
            let cursor = event.ulid.or_else(|| turn.cursor.clone());
            match self.advance(turn, cursor.as_deref(), LEASE).await? {
                Some(next) => *turn = next,
                None => return Ok(()),
            }
        }
    }

    /// Waits for the next event, prolonging the turn meanwhile.
    async fn next_event(&self, events: &mut Events, turn: &mut Turn) -> Result<Next, FollowError> {
        // One wait, however often the turn is prolonged: it notices when the broker is silent for too long.
        let mut next = pin!(events.next());
        loop {
            match tokio::time::timeout(RENEWED, &mut next).await {
                Ok(Ok(Some(event))) => return Ok(Next::Event(event)),
                Ok(Ok(None)) => return Ok(Next::Over),
                Ok(Err(error @ BrokerError::Unreadable { .. })) => {
                    tracing::warn!(%error, "an event of the broker's makes no sense; it is left out");
                    return Ok(Next::Senseless);
                }
                Ok(Err(error)) => return Err(error.into()),
                Err(_elapsed) => {
                    let cursor = turn.cursor.clone();
                    match self.advance(turn, cursor.as_deref(), LEASE).await? {
                        Some(prolonged) => *turn = prolonged,
                        None => return Ok(Next::Over),
                    }
                }
            }
        }
    }

    async fn take_turn(&self) -> Result<Option<Turn>, Fault> {
        let mut unit = self.kernel.store.begin().await?;
        let turn = unit.broker_cursors().take_turn(self.broker.name(), self.kernel.now(), LEASE).await?;
        unit.commit().await?;
        Ok(turn)
    }

    async fn advance(
        &self,
        turn: &Turn,
        cursor: Option<&str>,
        lease: Duration,
    ) -> Result<Option<Turn>, Fault> {
        let mut unit = self.kernel.store.begin().await?;
        let until = self.kernel.now().plus(lease);
        let next = unit.broker_cursors().advance(self.broker.name(), turn, cursor, until).await?;
        unit.commit().await?;
        Ok(next)
    }

    async fn look_at_changed(&self, event: &AccountEvent) -> Result<(), FollowError> {
        let broker = self.broker.name();
        let mut unit = self.kernel.store.read().await.map_err(Fault::from)?;
        let owner = unit.brokerage().owner_of(broker, event.account_id).await.map_err(Fault::from)?;
        // Not one of ours, or not yet: whoever opens it looks at it afterwards.
        let Some(owner) = owner else { return Ok(()) };
        let record = unit.brokerage().find(owner, broker).await.map_err(Fault::from)?;
        drop(unit);
        let Some(record) = record else { return Ok(()) };
        match self.look_at(&record, event.account_id).await? {
            Ok(_) => Ok(()),
            Err(error @ BrokerError::Unavailable { .. }) => Err(error.into()),
            // Trouble with this one account: it must not keep the others' events waiting.
            Err(error) => Ok(self.look_later(&record, event.account_id, &error).await?),
        }
    }

    /// Follows the broker's events for as long as the process runs.
    pub async fn broker_events_worker(&self) {
        let mut wait = POLL;
        loop {
            match self.follow_broker().await {
                Ok(()) => wait = POLL,
                Err(error) => {
                    wait = (wait * 2).min(LONGEST_WAIT);
                    tracing::warn!(%error, seconds = wait.as_secs(), "the broker's events broke off; going on later");
                }
            }
            tokio::time::sleep(wait).await;
        }
    }
}
