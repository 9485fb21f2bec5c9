//! The errors of calls to the broker, as use cases return them.

use std::sync::Arc;

use tidegate_broker::{BrokerError, Trouble};
use tidegate_domain::ContractId;
use tidegate_domain::id::AccountId;
use tidegate_kernel::Call;
use tidegate_kernel::fault::Fault;
use uuid::Uuid;

use crate::tables::brokerage_accounts::BrokerageRecord;
use crate::{Brokerage, BrokerageTables};

pub use tidegate_broker::{
    Agreement, Application, Contact, Disclosures, Document, DocumentContent, Identity as Applicant,
    LocalStatus, Refusal, is_tax_number,
};

/// `Retry-After` where the broker gives none, in seconds.
const RETRY_AFTER_SECONDS: u64 = 10;

/// Why the broker refused, as far as the caller may know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerFailure {
    /// It finds fault with what it was given.
    #[error("the broker refuses the input")]
    Refused(Refusal),
    /// It cannot be reached, or has too much to do.
    #[error("the broker cannot be reached; try again in {retry_after} s")]
    Unreachable {
        /// Seconds to wait.
        retry_after: u64,
    },
    /// It refuses for a reason that is not the person's, or makes no sense. The operator reads why in the log.
    #[error("the broker does not accept this at the moment")]
    OutOfOrder,
}

impl BrokerFailure {
    /// What is left of a broker's error; the rest is logged.
    pub(crate) fn of(doing: &'static str, error: BrokerError) -> Self {
        match error {
            BrokerError::Invalid(refusal) => Self::Refused(refusal),
            BrokerError::Unavailable { trouble: Trouble::Status(status), .. } => {
                tracing::warn!(doing, status, "the broker failed");
                Self::OutOfOrder
            }
            BrokerError::Unavailable { retry_after, .. } => {
                tracing::warn!(doing, %error, "the broker cannot be reached");
                Self::Unreachable {
                    retry_after: retry_after.map_or(RETRY_AFTER_SECONDS, |wait| wait.as_secs().max(1)),
                }
            }
            BrokerError::Unauthorized => {
                tracing::error!(doing, %error, "check [broker.alpaca] key and secret");
                Self::OutOfOrder
            }
            BrokerError::EmailTaken | BrokerError::NotFound | BrokerError::Unreadable { .. } => {
                tracing::error!(doing, %error, "the broker's answer is not what was expected");
                Self::OutOfOrder
            }
        }
    }
}

impl Brokerage {
    /// An account at the broker, if there is one.
    pub(crate) async fn linked(&self, account: AccountId) -> Result<Option<(BrokerageRecord, Uuid)>, Fault> {
        let record = self.kernel.store.read().await?.brokerage().find(account, self.broker.name()).await?;
        Ok(record.and_then(|record| record.broker_account.map(|id| (record, id))))
    }

    /// What a worker does on its own: mails it causes follow the limits of the contract that opens brokerage accounts.
    pub(crate) fn own_call(&self) -> Call {
        Call::from_worker(Arc::clone(self.kernel.settings.profile(ContractId::RIVEN)))
    }
}
