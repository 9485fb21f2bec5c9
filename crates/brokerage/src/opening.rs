//! The opening of a brokerage account, from what was asked to what came of it.
//!
//! It is written down before the broker is asked. So whatever happens in between - a lost answer, a crash - somebody
//! knows that there may be an account, looks it up by its e-mail address, and no second one is opened meanwhile.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tidegate_broker::{Account, Application, BrokerError, LocalStatus};
use tidegate_domain::audit::Action;
use tidegate_domain::id::AccountId;
use tidegate_domain::{DateOfBirth, EmailAddress, Timestamp};
use tidegate_kernel::fault::Fault;
use tidegate_kernel::hooks::ContactDetails;
use tidegate_kernel::{Call, KernelTables};

use crate::account_status::first_check;
use crate::customer::ApplicantRecord;
use crate::tables::brokerage_accounts::{Opened, Opening};
use crate::{Brokerage, BrokerageTables};

/// How far the broker's clock may be behind ours.
const SKEW: Duration = Duration::from_secs(600);

/// What an account is opened with, as far as it is needed to find the account again and to show the person. Sealed where
/// it is kept; no tax number, no document.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpeningRequest {
    pub(crate) email: EmailAddress,
    phone: String,
    first_name: String,
    last_name: String,
    date_of_birth: DateOfBirth,
}

/// What it is sealed for.
fn context(account: AccountId) -> String {
    format!("brokerage opening {account}")
}

impl OpeningRequest {
    /// None for an application whose address or date is none: the contract's door lets none through.
    pub(crate) fn of(application: &Application) -> Option<Self> {
        let Application { contact, identity, .. } = application;
        Some(Self {
            email: EmailAddress::parse(&contact.email_address).ok()?,
            phone: contact.phone_number.clone(),
            first_name: identity.given_name.clone(),
            last_name: identity.family_name.clone(),
            date_of_birth: DateOfBirth::parse(&identity.date_of_birth).ok()?,
        })
    }
}

impl Brokerage {
    pub(crate) fn seal_request(
        &self,
        account: AccountId,
        request: &OpeningRequest,
    ) -> Result<Vec<u8>, Fault> {
        let plain = serde_json::to_vec(request)?;
        Ok(self.kernel.vault.seal(&context(account), &plain, self.kernel.entropy.as_ref())?)
    }

    pub(crate) fn opening_request(
        &self,
        account: AccountId,
        opening: &Opening,
    ) -> Result<OpeningRequest, Fault> {
        let plain = self.kernel.vault.open(&context(account), &opening.sealed)?;
        Ok(serde_json::from_slice(&plain)?)
    }

    /// Asks the broker for an account that was opened with this request and is not stored here.
    ///
    /// One counts as the person's when it has the e-mail address **and** the phone, which is verified, is no older than they
    /// are here, and is nobody's. So an account of somebody who had the number before is not taken for theirs.
    pub(crate) async fn find_opened(
        &self,
        account: AccountId,
        request: &OpeningRequest,
    ) -> Result<Result<Option<Account>, BrokerError>, Fault> {
        let found = match self.broker.find_by_email(request.email.as_str()).await {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let mut unit = self.kernel.store.read().await?;
        let Some(person) = unit.account_cards().find(account).await? else {
            return Ok(Ok(None));
        };
        for candidate in found {
            if is_of(&candidate, request, person.created_at) {
                let owner = unit.brokerage().owner_of(self.broker.name(), candidate.id).await?;
                if owner.is_none_or(|owner| owner == account) {
                    return Ok(Ok(Some(candidate)));
                }
            }
        }
        Ok(Ok(None))
    }

    /// Stores which brokerage account a person has, unless it is another person's, or the person's account was deleted.
    pub(crate) async fn link(
        &self,
        call: &Call,
        account: AccountId,
        request: &OpeningRequest,
        opened: &Account,
    ) -> Result<(), Fault> {
        let known = ApplicantRecord { email: request.email.clone(), date_of_birth: request.date_of_birth };
        let person = self.seal_applicant(account, &known)?;
        let broker = self.broker.name();
        // Some brokers approve at once; that is reported by the next check, as with the others.
        let status = match opened.status.local() {
            LocalStatus::Pending => LocalStatus::New,
            status => status,
        };
        let message = self.kernel.count_mail_where_sent(call).await?;
        let mut work = self.begin(call).await?;
        work.lock(account).await?;
        let now = work.now;
        let to_note = Opened {
            broker_account: opened.id,
            person: &person,
            status: status.as_str(),
            check_at: first_check(&opened.status, now),
        };
        if !work.unit.brokerage().opened(account, broker, to_note, now).await? {
            if work.unit.brokerage().find(account, broker).await?.is_none() {
                tracing::error!(broker, account = %opened.id, "the person of a brokerage account is gone; close it there");
            }
            // Whoever noted it may not have committed yet: this unit ends after theirs, and what is read then is there.
            return work.commit().await;
        }
        let metadata = json!({ "broker": broker, "broker_account": opened.id, "status": status.as_str() });
        work.audit(Action::BrokerageOpened, account, metadata).await?;
        let details = ContactDetails {
            email: &request.email,
            first_name: Some(&request.first_name),
            last_name: Some(&request.last_name),
        };
        work.contact_learned(account, details, message).await?;
        work.commit().await
    }

    /// Notes that an opening led to nothing: another may be begun.
    pub(crate) async fn opening_failed(&self, seen: &Opening) -> Result<(), Fault> {
        let mut unit = self.kernel.store.begin().await?;
        unit.brokerage().opening_failed(self.broker.name(), seen).await?;
        Ok(unit.commit().await?)
    }
}

fn is_of(candidate: &Account, request: &OpeningRequest, since: Timestamp) -> bool {
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    let phone = candidate.profile().get("contact").and_then(|contact| contact.get("phone_number"));
    let is_theirs =
        phone.and_then(|phone| phone.as_str()).is_some_and(|phone| digits(phone) == digits(&request.phone));
    let opened_at = candidate.created_at.as_deref().and_then(Timestamp::from_rfc3339);
    is_theirs
        && candidate.has_email(request.email.as_str())
        && opened_at.is_none_or(|at| at.plus(SKEW) >= since)
}
