//! The owner calls a reset of their second factors off, or confirms it, with a mailed link.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{Challenge, Purpose};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Call, Refused};

use crate::credentials::challenge::if_open;
use crate::{Identity, IdentityTables};

/// What the owner says to a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetAnswer {
    /// It is called off.
    Cancel,
    /// It takes effect.
    Confirm,
}

impl ResetAnswer {
    const fn purpose(self) -> Purpose {
        match self {
            Self::Cancel => Purpose::CancelFactorReset,
            Self::Confirm => Purpose::ConfirmFactorReset,
        }
    }
}

/// The link is unknown, used or too old, or the reset has taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the link is no longer valid")]
pub struct InvalidResetLink;

impl Identity {
    /// Calls a reset off, or has it take effect. The same request sent again within a minute gets the same answer: see
    /// [`tidegate_kernel::one_time`].
    ///
    /// # Errors
    /// [`InvalidResetLink`].
    pub async fn answer_factor_reset(
        &self,
        call: &Call,
        token: &PlainToken,
        answer: ResetAnswer,
    ) -> Outcome<(), InvalidResetLink> {
        let purpose = answer.purpose();
        let action = self.kernel.one_time(call, purpose.as_str(), &json!([token.expose()]));
        let found = self.find_reset_link(token, answer).await?;
        let found = found.and_then(|found| found.account.map(|account| (found, account)));
        let Some((challenge, account)) = found else {
            let mut unit = self.kernel.store.read().await?;
            let known = self.kernel.answered::<()>(&mut unit, &action).await?;
            return known.ok_or(Refused::Rule(InvalidResetLink));
        };
        let mut work = self.begin(call).await?;
        work.lock(account).await?;
        if !work.unit.challenges().consume(challenge.id, work.now).await? {
            let known = self.kernel.answered::<()>(&mut work.unit, &action).await?;
            return known.ok_or(Refused::Rule(InvalidResetLink));
        }
        match answer {
            ResetAnswer::Cancel => work.audit(Action::FactorsResetCancelled, account, json!({})).await?,
            ResetAnswer::Confirm => {
                // The address was changed since: its old mailbox confirms nothing.
                let address = work.proven_address(account).await?;
                if address.is_none_or(|address| address.as_str() != challenge.address) {
                    return refuse(InvalidResetLink);
                }
                work.finish_factor_reset(account, account.into(), json!({ "confirmed": true })).await?;
            }
        }
        work.kernel().keep_answer(&action, &()).await?;
        Ok(work.commit().await?)
    }

    /// Whether a link can still be followed: its page says so before it asks.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn is_reset_link_open(&self, token: &PlainToken, answer: ResetAnswer) -> Result<bool, Fault> {
        Ok(self.find_reset_link(token, answer).await?.is_some())
    }

    async fn find_reset_link(
        &self,
        token: &PlainToken,
        answer: ResetAnswer,
    ) -> Result<Option<Challenge>, Fault> {
        let mut unit = self.kernel.store.read().await?;
        let found = unit.challenges().find_by_link(answer.purpose(), token.hash().as_bytes()).await?;
        Ok(if_open(found, self.kernel.now()))
    }
}
