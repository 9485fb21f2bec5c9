//! A brokerage customer.

use serde::{Deserialize, Serialize};
use tidegate_broker::LocalStatus;
use tidegate_database::Unit;
use tidegate_domain::account::AccountEmail;
use tidegate_domain::id::AccountId;
use tidegate_domain::{DateOfBirth, EmailAddress, PhoneNumber, Timestamp};
use tidegate_kernel::fault::Fault;
use tidegate_kernel::{Kernel, KernelTables};
use uuid::Uuid;

use crate::tables::brokerage_accounts::BrokerageRecord;
use crate::work::Work;
use crate::{Brokerage, BrokerageTables};

/// A brokerage customer: an account owner who may have a brokerage account.
#[derive(Clone, Debug)]
pub struct BrokerageCustomer {
    /// The account's number.
    pub number: i64,
    /// The phone number; none for an account of another contract.
    pub phone: Option<PhoneNumber>,
    /// First name; empty when not known.
    pub first_name: String,
    /// Last name; empty when not known.
    pub last_name: String,
    /// `http(s)` URL or `data:` URI.
    pub profile_image_url: Option<String>,
    /// The address the broker writes to; else the one they sign in with.
    pub email: Option<EmailAddress>,
    /// Since when that address is known to be theirs.
    pub email_verified_at: Option<Timestamp>,
    /// Date of birth.
    pub date_of_birth: Option<DateOfBirth>,
    /// The broker's key of their account.
    pub broker_account: Option<Uuid>,
    /// Its status.
    pub status: LocalStatus,
    /// When the account was created.
    pub created_at: Timestamp,
    /// When something of this last changed.
    pub updated_at: Timestamp,
}

/// What a person gave the broker, sealed in the store.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ApplicantRecord {
    pub(crate) email: EmailAddress,
    pub(crate) date_of_birth: DateOfBirth,
}

/// The context of sealing.
fn context(account: AccountId) -> String {
    format!("brokerage person {account}")
}

impl Brokerage {
    /// The brokerage customer of an account.
    ///
    /// # Errors
    /// Those of the store; [`Fault::SessionEnded`] when there is no such account.
    pub async fn brokerage_customer_of(&self, account: AccountId) -> Result<BrokerageCustomer, Fault> {
        let mut unit = self.kernel.store.read().await?;
        read_brokerage_customer(&self.kernel, &mut unit, self.broker.name(), account).await
    }

    pub(crate) fn seal_applicant(
        &self,
        account: AccountId,
        known: &ApplicantRecord,
    ) -> Result<Vec<u8>, Fault> {
        let plain = serde_json::to_vec(known)?;
        Ok(self.kernel.vault.seal(&context(account), &plain, self.kernel.entropy.as_ref())?)
    }
}

pub(crate) async fn read_brokerage_customer(
    kernel: &Kernel,
    unit: &mut Unit,
    broker: &str,
    id: AccountId,
) -> Result<BrokerageCustomer, Fault> {
    let card = unit.account_cards().find(id).await?.ok_or(Fault::SessionEnded)?;
    let record = unit.brokerage().find(id, broker).await?;
    let known = record.as_ref().map(|record| applicant(kernel, id, record)).transpose()?.flatten();
    let (email, email_verified_at) = address(known.as_ref(), &card.emails);
    let changes = [record.as_ref().map(|record| record.updated_at), email_verified_at];
    let updated_at = changes.into_iter().flatten().fold(card.updated_at, Ord::max);
    Ok(BrokerageCustomer {
        number: card.number,
        phone: card.phone,
        first_name: card.first_name,
        last_name: card.last_name,
        profile_image_url: card.profile_image_url,
        email_verified_at,
        email,
        date_of_birth: known.map(|known| known.date_of_birth),
        broker_account: record.as_ref().and_then(|record| record.broker_account),
        status: record.as_ref().map(status).unwrap_or_default(),
        created_at: card.created_at,
        updated_at,
    })
}

/// The person's address, as [`read_brokerage_customer`] finds it, where nothing shows yet that it is theirs.
pub(crate) async fn read_unproven_address(
    kernel: &Kernel,
    unit: &mut Unit,
    broker: &str,
    id: AccountId,
) -> Result<Option<EmailAddress>, Fault> {
    let record = unit.brokerage().find(id, broker).await?;
    let known = record.as_ref().map(|record| applicant(kernel, id, record)).transpose()?.flatten();
    let (email, verified_at) = address(known.as_ref(), &unit.account_cards().emails(id).await?);
    Ok(email.filter(|_| verified_at.is_none()))
}

/// What the broker knows of the person.
fn applicant(
    kernel: &Kernel,
    id: AccountId,
    record: &BrokerageRecord,
) -> Result<Option<ApplicantRecord>, Fault> {
    let Some(sealed) = record.person.as_deref() else { return Ok(None) };
    Ok(Some(serde_json::from_slice(&kernel.vault.open(&context(id), sealed)?)?))
}

/// The person's address: the one the broker knows, or else the account's primary one; and since when it is known to be theirs.
fn address(
    known: Option<&ApplicantRecord>,
    emails: &[AccountEmail],
) -> (Option<EmailAddress>, Option<Timestamp>) {
    let primary = || emails.iter().find(|listed| listed.is_primary).map(|listed| listed.email.clone());
    let email = known.map(|known| known.email.clone()).or_else(primary);
    let listed = emails.iter().find(|listed| Some(&listed.email) == email.as_ref());
    let verified_at = listed.and_then(|listed| listed.verified_at);
    (email, verified_at)
}

/// The status of an account; `new` for an unknown word.
pub(crate) fn status(record: &BrokerageRecord) -> LocalStatus {
    LocalStatus::from_name(&record.status).unwrap_or_default()
}

impl<G> Work<'_, G> {
    pub(crate) async fn brokerage_customer(
        &mut self,
        account: AccountId,
    ) -> Result<BrokerageCustomer, Fault> {
        read_brokerage_customer(&self.app.kernel, &mut self.unit, self.app.broker.name(), account).await
    }
}
