//! A person as the brokerage contract shows them.

use serde::{Deserialize, Serialize};
use tidegate_broker::LocalStatus;
use tidegate_domain::id::AccountId;
use tidegate_domain::{DateOfBirth, EmailAddress, PhoneNumber, Timestamp};
use tidegate_store::Unit;
use tidegate_store::brokerage::BrokerageRecord;
use uuid::Uuid;

use crate::kernel::fault::Fault;
use crate::kernel::work::Work;
use crate::{Actor, Identity};

/// Somebody with a phone and, perhaps, a brokerage account.
#[derive(Clone, Debug)]
pub struct Trader {
    /// The account's number.
    pub number: i64,
    /// Their phone; none for somebody who came through another contract.
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
    /// Where that stands.
    pub status: LocalStatus,
    /// Since when they have been here.
    pub created_at: Timestamp,
    /// When something of this last changed.
    pub updated_at: Timestamp,
}

/// What the broker knows of a person, and the store keeps sealed.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) email: EmailAddress,
    pub(crate) date_of_birth: DateOfBirth,
}

/// What it is sealed for.
fn context(account: AccountId) -> String {
    format!("brokerage person {account}")
}

impl Identity {
    /// The actor as a trader.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn trader(&self, actor: &Actor) -> Result<Trader, Fault> {
        self.read_trader(&mut self.store.read().await?, actor.session.account).await
    }

    pub(crate) fn seal_known(&self, account: AccountId, known: &Known) -> Result<Vec<u8>, Fault> {
        let plain = serde_json::to_vec(known)?;
        Ok(self.vault.seal(&context(account), &plain, self.entropy.as_ref())?)
    }

    async fn read_trader(&self, unit: &mut Unit, id: AccountId) -> Result<Trader, Fault> {
        let account = unit.accounts().find(id).await?.ok_or(Fault::SessionEnded)?;
        let (first_name, last_name) = unit.accounts().names(id).await?;
        let phone = unit.accounts().phone(id).await?;
        let emails = unit.accounts().emails(id).await?;
        let record = unit.brokerage().find(id, self.broker.name()).await?;
        let known = record.as_ref().and_then(|record| record.person.as_deref());
        let known = known
            .map(|sealed| -> Result<Known, Fault> {
                Ok(serde_json::from_slice(&self.vault.open(&context(id), sealed)?)?)
            })
            .transpose()?;
        let primary = || emails.iter().find(|known| known.is_primary).map(|known| known.email.clone());
        let email = known.as_ref().map(|known| known.email.clone()).or_else(primary);
        let listed = emails.iter().find(|listed| Some(&listed.email) == email.as_ref());
        let email_verified_at = listed.and_then(|listed| listed.verified_at);
        let changes = [record.as_ref().map(|record| record.updated_at), email_verified_at];
        let updated_at = changes.into_iter().flatten().fold(account.updated_at, Ord::max);
        Ok(Trader {
            number: account.number,
            phone,
            first_name,
            last_name,
            profile_image_url: account.profile_image_url,
            email_verified_at,
            email,
            date_of_birth: known.map(|known| known.date_of_birth),
            broker_account: record.as_ref().and_then(|record| record.broker_account),
            status: record.as_ref().map(status).unwrap_or_default(),
            created_at: account.created_at,
            updated_at,
        })
    }
}

/// Where an account stands; `new` for a word no version has written.
pub(crate) fn status(record: &BrokerageRecord) -> LocalStatus {
    LocalStatus::from_name(&record.status).unwrap_or_default()
}

impl Work<'_> {
    pub(crate) async fn trader(&mut self, account: AccountId) -> Result<Trader, Fault> {
        self.app.read_trader(&mut self.unit, account).await
    }
}
