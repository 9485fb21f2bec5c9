//! Submits documents for a brokerage account.

use std::sync::Arc;

use serde_json::json;
use tidegate_broker::{Document, LocalStatus};
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Actor, Call};

use crate::Brokerage;
use crate::customer::{BrokerageCustomer, status};
use crate::failure::BrokerFailure;
use crate::tables::brokerage_accounts::BrokerageRecord;

/// Why the documents were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitDocumentsError {
    /// There is no brokerage account to submit them for.
    #[error("there is no brokerage account yet")]
    NoAccount,
    /// The broker did not take them.
    #[error(transparent)]
    Broker(#[from] BrokerFailure),
}

impl Brokerage {
    /// Refuses a caller without a brokerage account before their documents are read.
    ///
    /// Source: Riven "account/kyc".
    ///
    /// # Errors
    /// [`SubmitDocumentsError::NoAccount`].
    pub async fn may_submit_documents(&self, actor: &Actor) -> Outcome<(), SubmitDocumentsError> {
        let account = actor.authorize(Permission::SubmitBrokerageDocuments)?.account();
        match self.linked(account).await? {
            Some(_) => Ok(()),
            None => refuse(SubmitDocumentsError::NoAccount),
        }
    }

    /// Passes documents on to the broker. They are not stored here.
    ///
    /// From then on the account is active if the broker says so, and pending otherwise.
    ///
    /// Source: Riven "account/kyc".
    ///
    /// # Errors
    /// [`SubmitDocumentsError`].
    pub async fn submit_documents(
        self: &Arc<Self>,
        call: &Call,
        actor: &Actor,
        documents: Vec<Document>,
    ) -> Outcome<BrokerageCustomer, SubmitDocumentsError> {
        actor.authorize(Permission::SubmitBrokerageDocuments)?;
        let (app, call, actor) = (Arc::clone(self), call.clone(), actor.clone());
        // Continues when the client disconnects: what the broker accepted is stored.
        let submitting = tokio::spawn(async move { app.pass_on(&call, &actor, &documents).await });
        submitting.await.unwrap_or_else(|error| Err(Fault::Internal(error.to_string()).into()))
    }

    async fn pass_on(
        &self,
        call: &Call,
        actor: &Actor,
        documents: &[Document],
    ) -> Outcome<BrokerageCustomer, SubmitDocumentsError> {
        // Documents take a while to arrive, and what the broker has taken cannot be taken back.
        let acting = self.begin_as(call, actor, Permission::SubmitBrokerageDocuments).await?;
        let subject = acting.grant.subject();
        let account = acting.grant.account();
        drop(acting);
        let Some((record, broker_account)) = self.linked(account).await? else {
            return refuse(SubmitDocumentsError::NoAccount);
        };
        if let Err(error) = self.broker.upload(broker_account, documents).await {
            return refuse(BrokerFailure::of("submitting documents", error).into());
        }
        let mut work = self.begin(call).await?;
        let types: Vec<_> = documents.iter().map(|document| document.document_type.as_str()).collect();
        work.audit(Action::BrokerageDocumentsSubmitted, subject, json!({ "types": types })).await?;
        work.commit().await?;
        match self.broker.account(broker_account).await {
            Ok(seen) => {
                let meaning = match seen.status.local() {
                    LocalStatus::New => LocalStatus::Pending,
                    meaning => meaning,
                };
                self.record_status(&record, &seen.status, meaning).await?;
            }
            // Accepted without a status: `new` becomes `pending`, other statuses stay.
            Err(error) => {
                let pending = LocalStatus::Pending.as_str().to_owned();
                let is_new = status(&record) == LocalStatus::New;
                let record = if is_new { BrokerageRecord { status: pending, ..record } } else { record };
                self.check_later(&record, broker_account, &error).await?;
            }
        }
        Ok(self.brokerage_customer_of(account).await?)
    }
}
