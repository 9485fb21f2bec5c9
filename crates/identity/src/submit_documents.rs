//! Somebody submits documents for their brokerage account.

use serde_json::json;
use tidegate_broker::{AccountStatus, BrokerError, Document, LocalStatus};
use tidegate_domain::audit::Action;

use crate::brokerage::BrokerFailure;
use crate::fault::{Outcome, refuse};
use crate::trader::Trader;
use crate::{Actor, Call, Identity};

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitDocumentsError {
    /// There is no brokerage account to submit them for.
    #[error("there is no brokerage account yet")]
    NoAccount,
    /// The broker did not take them.
    #[error(transparent)]
    Broker(#[from] BrokerFailure),
}

impl Identity {
    /// Passes documents on to the broker. Nothing of them is kept here.
    ///
    /// From then on the account is active if the broker says so, and pending otherwise.
    ///
    /// Source: Riven "account/kyc".
    ///
    /// # Errors
    /// [`SubmitDocumentsError`].
    pub async fn submit_documents(
        &self,
        call: &Call,
        actor: &Actor,
        documents: &[Document],
    ) -> Outcome<Trader, SubmitDocumentsError> {
        let Some((record, broker_account)) = self.linked(actor.session.account).await? else {
            return refuse(SubmitDocumentsError::NoAccount);
        };
        if let Err(error) = self.broker.upload(broker_account, documents).await {
            return refuse(BrokerFailure::of("submitting documents", error).into());
        }
        let mut work = self.begin(call).await?;
        let types: Vec<_> = documents.iter().map(|document| document.document_type.as_str()).collect();
        work.audit(Action::BrokerageDocumentsSubmitted, actor.subject(), json!({ "types": types })).await?;
        work.commit().await?;
        let seen = self.broker.account(broker_account).await.map(|seen| seen.status);
        let seen = seen.unwrap_or_else(|error: BrokerError| {
            tracing::warn!(%error, "the broker took documents and did not say what of it; it is asked later");
            AccountStatus::Submitted
        });
        let meaning = match seen.local() {
            LocalStatus::New => LocalStatus::Pending,
            meaning => meaning,
        };
        self.note_standing(&record, &seen, meaning).await?;
        Ok(self.trader(actor).await?)
    }
}
