//! The status of brokerage accounts, which only the broker knows: it is asked from time to time.

use std::time::Duration;

use serde_json::json;
use tidegate_broker::{Account, AccountStatus, BrokerError, LocalStatus};
use tidegate_domain::Timestamp;
use tidegate_domain::audit::Action;
use tidegate_domain::id::AccountId;
use tidegate_kernel::fault::Fault;
use uuid::Uuid;

use crate::customer::status;
use crate::tables::brokerage_accounts::{BrokerageRecord, Opening, StatusUpdate};
use crate::{Brokerage, BrokerageTables};

/// How soon the broker is asked after a change.
const SOON: Duration = Duration::from_secs(5);
/// Longest time between two checks while the status may still change: events report changes sooner.
const DAILY: Duration = Duration::from_secs(24 * 3_600);
/// The same for a status that rarely changes.
const WEEKLY: Duration = Duration::from_secs(7 * 24 * 3_600);
/// When an account is checked again if this check is cut off: stored before the broker is asked.
const NEXT_CHECK_IF_CUT_OFF: Duration = Duration::from_secs(180);
/// Accounts checked in one batch, one after another: the broker limits calls.
const BATCH: i64 = 10;

/// How soon the broker is asked again for the result of an opening.
pub(crate) const OPENING_CHECK_INTERVAL: Duration = Duration::from_secs(5);

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

/// The local status after a change: an applicant who has submitted documents is no longer new, although the broker may not
/// have processed them yet.
fn following(before: LocalStatus, now: LocalStatus) -> LocalStatus {
    match (before, now) {
        (LocalStatus::Pending, LocalStatus::New) => LocalStatus::Pending,
        (_, now) => now,
    }
}

impl Brokerage {
    /// Stores the status of an account, if it differs from the stored one.
    pub(crate) async fn record_status_if_changed(
        &self,
        record: &BrokerageRecord,
        seen: &AccountStatus,
    ) -> Result<(), Fault> {
        let before = status(record);
        if following(before, seen.local()) == before {
            return Ok(());
        }
        self.record_status(record, seen, seen.local()).await
    }

    /// Asks the broker for the status of an account, and stores it.
    pub(crate) async fn refresh_status(
        &self,
        record: &BrokerageRecord,
        broker_account: Uuid,
    ) -> Result<Result<Account, BrokerError>, Fault> {
        let seen = match self.broker.account(broker_account).await {
            Ok(seen) => seen,
            Err(error) => return Ok(Err(error)),
        };
        self.record_status(record, &seen.status, seen.status.local()).await?;
        Ok(Ok(seen))
    }

    /// Stores the status of an account, with an audit entry if it changed.
    pub(crate) async fn record_status(
        &self,
        record: &BrokerageRecord,
        seen: &AccountStatus,
        meaning: LocalStatus,
    ) -> Result<(), Fault> {
        let (now, before) = (self.kernel.now(), status(record));
        let after = following(before, meaning);
        let changed = before != after;
        let checks = if changed { 0 } else { record.checks + 1 };
        let update = StatusUpdate { status: after.as_str(), check_at: next_check(seen, checks, now), checks };
        let call = self.own_call();
        let mut work = self.begin(&call).await?;
        work.unit.brokerage().store_status(record.account, self.broker.name(), update, now).await?;
        if changed {
            let metadata =
                json!({ "from": before.as_str(), "to": after.as_str(), "broker_status": seen.as_str() });
            work.audit(Action::BrokerageStatusChanged, record.account, metadata).await?;
        }
        work.commit().await
    }

    /// Checks the accounts and openings that are due, one batch; returns how many.
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
            unit.brokerage().claim_due(broker, self.kernel.now(), NEXT_CHECK_IF_CUT_OFF, BATCH).await?;
        unit.commit().await?;
        for record in &batch {
            // One that fails is checked again later; the others are checked now.
            if let Err(fault) = self.check_one(record).await {
                tracing::error!(account = %record.account, error = %fault, "a brokerage account could not be checked");
            }
        }
        Ok(batch.len())
    }

    async fn check_one(&self, record: &BrokerageRecord) -> Result<(), Fault> {
        match (&record.opening, record.broker_account) {
            (_, Some(broker_account)) => match self.refresh_status(record, broker_account).await? {
                Ok(_) => Ok(()),
                Err(error) => self.check_later(record, broker_account, &error).await,
            },
            (Some(opening), None) => self.check_opening(record.account, opening).await,
            (None, None) => Ok(()),
        }
    }

    /// The broker did not report a status: it is asked later, and the stored status is kept.
    pub(crate) async fn check_later(
        &self,
        record: &BrokerageRecord,
        broker_account: Uuid,
        error: &BrokerError,
    ) -> Result<(), Fault> {
        tracing::warn!(%broker_account, %error, "the broker did not report the status of an account; asking later");
        let checks = record.checks + 1;
        // As if it were under way: it is not known to be final.
        let check_at = next_check(&AccountStatus::Submitted, checks, self.kernel.now());
        let update = StatusUpdate { status: &record.status, check_at, checks };
        let mut unit = self.kernel.store.begin().await?;
        unit.brokerage().store_status(record.account, self.broker.name(), update, self.kernel.now()).await?;
        Ok(unit.commit().await?)
    }

    /// Finds the result of an opening whose answer was lost, or whose node stopped.
    async fn check_opening(&self, account: AccountId, opening: &Opening) -> Result<(), Fault> {
        let request = self.opening_request(account, opening)?;
        let found = match self.find_opened(account, &request).await? {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(opening = %opening.id, %error, "an opening could not be looked up; trying again");
                return self.ask_again(opening).await;
            }
        };
        match found {
            Some(opened) => {
                tracing::info!(opening = %opening.id, account = %opened.id, "a lost brokerage account was found");
                self.link(&self.own_call(), account, &request, &opened).await
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
        let at = self.kernel.now().plus(OPENING_CHECK_INTERVAL);
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
