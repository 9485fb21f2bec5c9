//! Delivery receipts: reports of providers about text messages they accepted.

use tidegate_delivery::sms::{DeliveryReceipt, DeliveryState, Proof, ReceiptError, SmsProviderKind};

use crate::fault::{Fault, Outcome, refuse};
use crate::tables::outbox::NewReceipt;
use crate::{Kernel, KernelTables};

/// Who reports, and how they show that it is them.
#[derive(Clone, Copy)]
pub enum Reporter<'a> {
    /// Africa's Talking, with the last segment of the address they were given.
    AfricasTalkingAt(&'a str),
    /// Africa's Talking, with an `Authorization` header.
    AfricasTalkingAs(&'a str),
    /// Twilio, with an `X-Twilio-Signature` header.
    Twilio(&'a str),
}

/// Why a report is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptRefused {
    /// Nothing shows that the provider sent it.
    #[error("nothing proves that the provider sent this receipt")]
    Unproven,
    /// It is none.
    #[error("not a delivery receipt")]
    Malformed,
}

impl From<ReceiptError> for ReceiptRefused {
    fn from(error: ReceiptError) -> Self {
        match error {
            ReceiptError::Unauthenticated => Self::Unproven,
            ReceiptError::Malformed => Self::Malformed,
        }
    }
}

impl Kernel {
    /// Notes a report, a form, with the message it is about. One about a message that is not known (any more) is dropped.
    ///
    /// Source: Riven contract, section 5, SMS adapters.
    ///
    /// # Errors
    /// [`ReceiptRefused`].
    pub async fn take_receipt(&self, reporter: Reporter<'_>, body: &[u8]) -> Outcome<(), ReceiptRefused> {
        let (provider, read) = match reporter {
            Reporter::AfricasTalkingAt(segment) => {
                (SmsProviderKind::AfricasTalking, self.receipts.africas_talking(Proof::Path(segment), body))
            }
            Reporter::AfricasTalkingAs(header) => (
                SmsProviderKind::AfricasTalking,
                self.receipts.africas_talking(Proof::Authorization(header), body),
            ),
            Reporter::Twilio(signature) => (SmsProviderKind::Twilio, self.receipts.twilio(signature, body)),
        };
        match read {
            Ok(receipt) => Ok(self.note_receipt(provider, &receipt).await?),
            Err(error) => refuse(error.into()),
        }
    }

    async fn note_receipt(&self, provider: SmsProviderKind, receipt: &DeliveryReceipt) -> Result<(), Fault> {
        let state = match receipt.state {
            DeliveryState::Interim => "interim",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Failed => "failed",
        };
        let (provider, reason) = (provider.as_str(), receipt.reason.as_deref());
        let new = NewReceipt { provider, message_id: &receipt.message_id, state, reason };
        let mut unit = self.store.begin().await?;
        let number = unit.outbox().receive(new, self.now()).await?;
        unit.commit().await?;
        match (number, receipt.state) {
            (Some(number), DeliveryState::Failed) => {
                tracing::warn!(number, provider, reason, "a text message did not arrive");
            }
            (Some(number), _) => tracing::debug!(number, provider, state, "a text message is on its way"),
            (None, _) => tracing::debug!(provider, state, "a receipt for no message that is known"),
        }
        Ok(())
    }
}
