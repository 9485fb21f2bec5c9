//! Where brokerage accounts stand: asked from the broker, because only it knows.

use std::time::Duration;

use serde_json::json;
use tidegate_broker::{Account, AccountStatus, BrokerError, LocalStatus};
use tidegate_domain::Timestamp;
use tidegate_domain::audit::Action;
use tidegate_domain::id::AccountId;
use tidegate_kernel::fault::Fault;
use uuid::Uuid;

use crate::tables::brokerage_accounts::{BrokerageRecord, Opening, Standing};
use crate::trader::status;
use crate::{Brokerage, BrokerageTables};

/// How soon a change is looked for after something happened.
const SOON: Duration = Duration::from_secs(5);
/// The longest time between two looks while something is under way: events tell of changes sooner.
const DAILY: Duration = Duration::from_secs(24 * 3_600);
/// The same while nothing is.
const WEEKLY: Duration = Duration::from_secs(7 * 24 * 3_600);
/// When an account is asked about again if nothing comes of it now: it is noted before the broker is asked.
const ASKED_AGAIN_IN_DOUBT: Duration = Duration::from_secs(180);
/// Accounts asked about at a time, one after another: the broker counts calls.
const BATCH: i64 = 10;

/// When the broker is asked again what became of an opening.
pub(crate) const ASKED_AGAIN: Duration = Duration::from_secs(5);

/// When the broker is asked after an account just opened.
pub(crate) fn first_check(status: &AccountStatus, now: Timestamp) -> Option<Timestamp> {
    next_check(status, 0, now)
}

fn next_check(status: &AccountStatus, checks: i64, now: Timestamp) -> Option<Timestamp> {
    let doublings = u32::try_from(checks.clamp(0, 15)).unwrap_or(15);
    match status {
        status if status.is_final() => None,
        AccountStatus::Active | AccountStatus::Disabled => Some(now.plus(WEEKLY)),
        _ => Some(now.plus((SOON * 2_u32.pow(doublings)).min(DAILY))),
    }
}

/// Our word for a status that follows another: who has submitted documents is no longer new, although the broker may not
/// have taken notice yet.
fn following(before: LocalStatus, now: LocalStatus) -> LocalStatus {
    match (before, now) {
        (LocalStatus::Pending, LocalStatus::New) => LocalStatus::Pending,
        (_, now) => now,
    }
}

impl Brokerage {
    /// Notes where an account was seen to stand, if that is news.
    pub(crate) async fn note_news(
        &self,
        record: &BrokerageRecord,
        seen: &AccountStatus,
    ) -> Result<(), Fault> {
        let before = status(record);
        if following(before, seen.local()) == before {
            return Ok(());
        }
        self.note_standing(record, seen, seen.local()).await
    }

    /// Asks the broker where an account stands, and notes it.
    pub(crate) async fn look_at(
        &self,
        record: &BrokerageRecord,
        broker_account: Uuid,
    ) -> Result<Result<Account, BrokerError>, Fault> {
        let seen = match self.broker.account(broker_account).await {
            Ok(seen) => seen,
            Err(error) => return Ok(Err(error)),
        };
        self.note_standing(record, &seen.status, seen.status.local()).await?;
        Ok(Ok(seen))
    }

    /// Notes where an account stands.
    pub(crate) async fn note_standing(
        &self,
        record: &BrokerageRecord,
        seen: &AccountStatus,
        meaning: LocalStatus,
    ) -> Result<(), Fault> {
        let (now, before) = (self.kernel.now(), status(record));
        let after = following(before, meaning);
        let changed = before != after;
        let checks = if changed { 0 } else { record.checks + 1 };
        let standing = Standing { status: after.as_str(), check_at: next_check(seen, checks, now), checks };
        let call = self.own_call();
        let mut work = self.begin(&call).await?;
        work.unit.brokerage().stands(record.account, self.broker.name(), standing, now).await?;
        if changed {
            let metadata =
                json!({ "from": before.as_str(), "to": after.as_str(), "broker_status": seen.as_str() });
            work.audit(Action::BrokerageStatusChanged, record.account, metadata).await?;
        }
        work.commit().await
    }

    /// Asks the broker about everything it is time to ask about, one batch; answers how many.
    ///
    /// # Errors
    /// Those of the store. The broker's are none: it is asked again later.
    pub async fn check_brokerage(&self) -> Result<usize, Fault> {
        let broker = self.broker.name();
        if !self.is_check_due().await? {
            return Ok(0);
        }
        let mut unit = self.kernel.store.begin().await?;
        let batch =
            unit.brokerage().claim_due(broker, self.kernel.now(), ASKED_AGAIN_IN_DOUBT, BATCH).await?;
        unit.commit().await?;
        for record in &batch {
            // Whatever is wrong with one, its turn comes again later, and the others' come now.
            if let Err(fault) = self.check_one(record).await {
                tracing::error!(account = %record.account, error = %fault, "a brokerage account could not be looked at");
            }
        }
        Ok(batch.len())
    }

    async fn check_one(&self, record: &BrokerageRecord) -> Result<(), Fault> {
        match (&record.opening, record.broker_account) {
            (_, Some(broker_account)) => match self.look_at(record, broker_account).await? {
                Ok(_) => Ok(()),
                Err(error) => self.look_later(record, broker_account, &error).await,
            },
            (Some(opening), None) => self.check_opening(record.account, opening).await,
            (None, None) => Ok(()),
        }
    }

    /// The broker did not say where an account stands: it is asked later, and the account stands where it stood.
    pub(crate) async fn look_later(
        &self,
        record: &BrokerageRecord,
        broker_account: Uuid,
        error: &BrokerError,
    ) -> Result<(), Fault> {
        tracing::warn!(%broker_account, %error, "the broker did not say where an account stands; asking later");
        let checks = record.checks + 1;
        // Whatever it is, it is not known to be over.
        let check_at = next_check(&AccountStatus::Submitted, checks, self.kernel.now());
        let standing = Standing { status: &record.status, check_at, checks };
        let mut unit = self.kernel.store.begin().await?;
        unit.brokerage().stands(record.account, self.broker.name(), standing, self.kernel.now()).await?;
        Ok(unit.commit().await?)
    }

    /// Finds out what became of an opening whose answer was lost, or whose asker died.
    async fn check_opening(&self, account: AccountId, opening: &Opening) -> Result<(), Fault> {
        let asked = self.asked(account, opening)?;
        let found = match self.find_opened(account, &asked).await? {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(opening = %opening.id, %error, "an opening could not be looked up; trying again");
                return self.ask_again(opening).await;
            }
        };
        match found {
            Some(opened) => {
                tracing::info!(opening = %opening.id, account = %opened.id, "a lost brokerage account was found");
                self.link(&self.own_call(), account, &asked, &opened).await
            }
            // It may still appear.
            None if opening.until > self.kernel.now() => self.ask_again(opening).await,
            None => {
                tracing::info!(opening = %opening.id, "an opening has led to no account; it may be tried again");
                self.opening_failed(opening).await
            }
        }
    }

    async fn ask_again(&self, opening: &Opening) -> Result<(), Fault> {
        let mut unit = self.kernel.store.begin().await?;
        let at = self.kernel.now().plus(ASKED_AGAIN);
        unit.brokerage().check_opening_at(self.broker.name(), opening, at).await?;
        Ok(unit.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_under_way_is_asked_about_less_and_less_often_and_a_final_one_never() {
        let now = Timestamp::from_seconds(0);
        let after = |status, checks| next_check(&status, checks, now).map(Timestamp::seconds);
        let waits: Vec<_> =
            [0, 1, 2, 10, 15, 1_000].map(|checks| after(AccountStatus::Submitted, checks)).into();
        assert_eq!(waits, [Some(5), Some(10), Some(20), Some(5_120), Some(86_400), Some(86_400)]);
        assert_eq!(after(AccountStatus::Active, 0), Some(7 * 86_400));
        assert_eq!(after(AccountStatus::Rejected, 0), None);
    }

    #[test]
    fn who_has_submitted_documents_is_never_new_again() {
        assert_eq!(following(LocalStatus::Pending, LocalStatus::New), LocalStatus::Pending);
        assert_eq!(following(LocalStatus::Pending, LocalStatus::Active), LocalStatus::Active);
        assert_eq!(following(LocalStatus::Active, LocalStatus::Disabled), LocalStatus::Disabled);
    }
}
