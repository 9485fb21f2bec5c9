//! Opens a brokerage account.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tidegate_broker::{Account, Application, BrokerError, TookEffect, Trouble};
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_domain::id::AccountId;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Actor, Call};

use crate::account_status::OPENING_CHECK_INTERVAL;
use crate::customer::BrokerageCustomer;
use crate::failure::BrokerFailure;
use crate::opening::OpeningRequest;
use crate::tables::brokerage_accounts::{Opening, OpeningState};
use crate::{Brokerage, BrokerageTables};

/// How long the broker may take, its own retries included.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one task owns an opening while it calls the broker. After that the task is taken for lost.
const LEASE: Duration = Duration::from_secs(90);
/// How long after a lost answer an account may still appear at the broker.
const SETTLING: Duration = Duration::from_secs(60);
/// Why no account was opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenAccountError {
    /// The person has one.
    #[error("the brokerage account exists already")]
    AlreadyOpened,
    /// Another account has a brokerage account with that e-mail address.
    #[error("the broker has an account with this e-mail address")]
    EmailTaken,
    /// One is being opened, or it is not known yet how that ended.
    #[error("an earlier application is not settled yet; try again in {retry_after} s")]
    Unsettled {
        /// Seconds to wait.
        retry_after: u64,
    },
    /// The broker did not do it.
    #[error(transparent)]
    Broker(#[from] BrokerFailure),
}

impl Brokerage {
    /// The caller as they are before an application of theirs is read; one who has an account need not send it.
    ///
    /// Source: Riven "account/create".
    ///
    /// # Errors
    /// [`OpenAccountError::AlreadyOpened`].
    pub async fn may_open_brokerage_account(
        &self,
        actor: &Actor,
    ) -> Outcome<BrokerageCustomer, OpenAccountError> {
        let account = actor.authorize(Permission::OpenBrokerageAccount)?.account();
        let customer = self.brokerage_customer_of(account).await?;
        match customer.broker_account {
            Some(_) => refuse(OpenAccountError::AlreadyOpened),
            None => Ok(customer),
        }
    }

    /// Opens the person's one brokerage account.
    ///
    /// However often it is asked for, by however many at once, and wherever it is cut off, at most one account is opened,
    /// and one that was opened is found again: the opening is written down first, an answer that got lost is looked up,
    /// and it continues when the client disconnects.
    ///
    /// Source: Riven "account/create".
    ///
    /// # Errors
    /// [`OpenAccountError`].
    pub async fn open_brokerage_account(
        self: &Arc<Self>,
        call: &Call,
        actor: &Actor,
        application: Application,
    ) -> Outcome<BrokerageCustomer, OpenAccountError> {
        let account = actor.authorize(Permission::OpenBrokerageAccount)?.account();
        let request = OpeningRequest::of(&application)
            .ok_or_else(|| Fault::Internal("an unchecked application".to_owned()))?;
        let earlier = match self.settle_earlier(call, account, &request).await? {
            Earlier::Opened => return self.opened_trader(call, account).await,
            Earlier::Unsettled(opening) => Some(opening),
            Earlier::None => None,
        };
        let (app, call, actor) = (Arc::clone(self), call.clone(), actor.clone());
        let opening = tokio::spawn(async move {
            let opening = app.begin_opening(&call, &actor, &request, earlier.as_ref()).await?;
            let answer = tokio::time::timeout(PATIENCE, app.broker.open(opening.id, &application)).await;
            let answer = answer.unwrap_or(Err(NO_ANSWER));
            app.conclude(&call, account, &request, &opening, answer).await?;
            app.opened_trader(&call, account).await
        });
        opening.await.unwrap_or_else(|error| Err(Fault::Internal(error.to_string()).into()))
    }

    /// The person with their account, which is noted by now.
    async fn opened_trader(
        &self,
        call: &Call,
        account: AccountId,
    ) -> Outcome<BrokerageCustomer, OpenAccountError> {
        // With a writing unit: it waits for the unit that stored the record.
        let mut work = self.begin(call).await?;
        let customer = work.brokerage_customer(account).await?;
        work.commit().await?;
        match customer.broker_account {
            Some(_) => Ok(customer),
            None => refuse(OpenAccountError::Unsettled { retry_after: OPENING_CHECK_INTERVAL.as_secs() }),
        }
    }

    /// Looks for an earlier opening, and its result.
    async fn settle_earlier(
        &self,
        call: &Call,
        account: AccountId,
        request: &OpeningRequest,
    ) -> Outcome<Earlier, OpenAccountError> {
        let record = self.kernel.store.read().await?.brokerage().find(account, self.broker.name()).await?;
        let Some(record) = record else {
            return Ok(Earlier::None);
        };
        if record.broker_account.is_some() {
            return refuse(OpenAccountError::AlreadyOpened);
        }
        let Some(opening) = record.opening else {
            return Ok(Earlier::None);
        };
        let first = self.opening_request(account, &opening)?;
        let same = first.email == request.email;
        match self.find_opened(account, &first).await? {
            Ok(Some(opened)) => {
                self.link(call, account, &first, &opened).await?;
                // Theirs, if this is the same application sent again; else the other one came first.
                return if same { Ok(Earlier::Opened) } else { refuse(OpenAccountError::AlreadyOpened) };
            }
            Ok(None) => {}
            Err(error) => {
                return refuse(BrokerFailure::of("looking for an earlier account", error).into());
            }
        }
        let now = self.kernel.now();
        // The broker opens one account for an address. Asked again with the same one, it opens no second; with another one
        // it might.
        let must_wait = opening.until > now && (opening.state == OpeningState::Asked || !same);
        if must_wait {
            let retry_after = opening.until.since(now).as_secs().clamp(1, 10);
            return refuse(OpenAccountError::Unsettled { retry_after });
        }
        Ok(Earlier::Unsettled(opening))
    }

    /// Writes down that the broker is about to be asked, in place of an `earlier` opening that was judged.
    async fn begin_opening(
        &self,
        call: &Call,
        actor: &Actor,
        request: &OpeningRequest,
        earlier: Option<&Opening>,
    ) -> Outcome<Opening, OpenAccountError> {
        let mut work = self.begin_as(call, actor, Permission::OpenBrokerageAccount).await?;
        let (account, broker, now) = (work.grant.account(), self.broker.name(), work.now);
        // With the same address it is the same opening, tried again.
        let again = match earlier {
            Some(earlier) if self.opening_request(account, earlier)?.email == request.email => Some(earlier),
            _ => None,
        };
        let (id, since) =
            again.map_or_else(|| (self.kernel.entropy.uuid(now), now), |again| (again.id, again.since));
        let sealed = self.seal_request(account, request)?;
        let opening = Opening { id, sealed, state: OpeningState::Asked, since, until: now.plus(LEASE) };
        if !work.unit.brokerage().begin_opening(account, broker, &opening, earlier, now).await? {
            // A concurrent request was faster.
            let record = work.unit.brokerage().find(account, broker).await?;
            let is_open = record.is_some_and(|record| record.broker_account.is_some());
            let unsettled = OpenAccountError::Unsettled { retry_after: OPENING_CHECK_INTERVAL.as_secs() };
            return refuse(if is_open { OpenAccountError::AlreadyOpened } else { unsettled });
        }
        work.audit(Action::BrokerageApplied, work.grant.subject(), json!({ "broker": broker })).await?;
        work.commit().await?;
        Ok(opening)
    }

    /// Stores the result of an opening.
    async fn conclude(
        &self,
        call: &Call,
        account: AccountId,
        request: &OpeningRequest,
        opening: &Opening,
        answer: Result<Account, BrokerError>,
    ) -> Outcome<(), OpenAccountError> {
        let error = match answer {
            Ok(opened) => return Ok(self.link(call, account, request, &opened).await?),
            Err(error) => error,
        };
        let mut lost = error.may_have_taken_effect();
        // A taken address may be taken by the person themselves: by a try whose answer was lost, however long ago.
        if lost || error == BrokerError::EmailTaken {
            match self.find_opened(account, request).await? {
                Ok(Some(opened)) => return Ok(self.link(call, account, request, &opened).await?),
                Ok(None) => {}
                Err(_) => lost = true,
            }
        }
        // Begun before, and perhaps carried out then; unless the address turns out to belong to another person.
        let was_in_doubt = opening.since.plus(LEASE) < opening.until;
        if lost || (was_in_doubt && error != BrokerError::EmailTaken) {
            self.opening_unknown(opening).await?;
        } else {
            self.opening_failed(opening).await?;
        }
        refuse(match error {
            error if lost => {
                tracing::warn!(%error, opening = %opening.id, "an opening's answer was lost; it is looked up");
                OpenAccountError::Unsettled { retry_after: OPENING_CHECK_INTERVAL.as_secs() }
            }
            BrokerError::EmailTaken => OpenAccountError::EmailTaken,
            error => BrokerFailure::of("opening an account", error).into(),
        })
    }

    async fn opening_unknown(&self, opening: &Opening) -> Result<(), Fault> {
        let now = self.kernel.now();
        let mut unit = self.kernel.store.begin().await?;
        let (check_at, until) = (now.plus(OPENING_CHECK_INTERVAL), now.plus(SETTLING));
        unit.brokerage().opening_unknown(self.broker.name(), opening, check_at, until).await?;
        Ok(unit.commit().await?)
    }
}

/// The result of an earlier opening.
enum Earlier {
    /// There was none.
    None,
    /// It has led to the account that is asked for now.
    Opened,
    /// Its result is unknown, but it need not be waited for.
    Unsettled(Opening),
}

const NO_ANSWER: BrokerError =
    BrokerError::Unavailable { trouble: Trouble::Timeout, took_effect: TookEffect::Maybe, retry_after: None };
