//! The owner follows the link in a security notice: all sessions end, and the account's recovery begins.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{Challenge, ChallengeStatus, Purpose};
use tidegate_domain::session::EndReason;
use tidegate_domain::{ContractId, ContractProfile, EmailAddress};
use tidegate_kernel::Call;
use tidegate_kernel::fault::{Fault, Outcome, refuse};

use crate::credentials::challenge::if_open;
use crate::{Identity, IdentityTables};

/// What followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountSecured {
    /// A link to set a new password was mailed.
    ResetMailed,
    /// No mail: the address is no longer the account's primary one, or mails cannot be sent.
    SessionsEnded,
}

/// What became of a link in a security notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityLink {
    /// It can be followed.
    Open,
    /// It was followed.
    Used,
    /// It is too old.
    Expired,
    /// It was never sent so, or was removed since.
    Unknown,
}

/// Why nothing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecureAccountError {
    /// The link is unknown, used or too old.
    #[error("the link is no longer valid")]
    InvalidLink,
}

impl Identity {
    /// The rules of the contract whose mail it was, wherever the link is followed. An operator's command is of no contract: then those
    /// of the one whose links to set a password live longest.
    fn recovering_profile(&self, contract: ContractId) -> &Arc<ContractProfile> {
        let contracts = &self.kernel.settings.contracts;
        let own = contracts.of(contract);
        if own.codes.reset_password > Duration::ZERO {
            return own;
        }
        contracts.iter().max_by_key(|profile| profile.codes.reset_password).unwrap_or(own)
    }

    /// Ends all sessions, forgets trusted devices and whatever is under way, removes passkeys that were added since the
    /// notice, blocks accounts at providers that were connected since, and mails a link to set a new password.
    ///
    /// # Errors
    /// [`SecureAccountError`].
    pub async fn secure_account(
        &self,
        call: &Call,
        token: &PlainToken,
    ) -> Outcome<AccountSecured, SecureAccountError> {
        let found = self.find_security_link(token).await?;
        let Some((challenge, account)) =
            found.and_then(|found| found.account.map(|account| (found, account)))
        else {
            return refuse(SecureAccountError::InvalidLink);
        };
        let call = call.under(self.recovering_profile(challenge.contract));
        let message = self.kernel.count_mail_where_sent(&call).await?;
        let mut work = self.begin(&call).await?;
        work.lock(account).await?;
        if !work.unit.challenges().consume(challenge.id, work.now).await? {
            return refuse(SecureAccountError::InvalidLink);
        }
        // Before the others are disconnected: the provider would vouch for whoever connected these again.
        work.unit.social_accounts().block_since(account, challenge.created_at, work.now).await?;
        work.remove_footholds(account, EndReason::AccountSecured).await?;
        work.unit.factors().remove_all_pending(account).await?;
        // The one the notice was about, if it was about one, and what followed it: a passkey signs in without the password.
        work.remove_passkeys(account, challenge.created_at).await?;
        work.withdraw_factor_resets(account).await?;
        work.audit(Action::AccountSecured, account, json!({})).await?;
        let email = EmailAddress::from_stored(challenge.address);
        let emails = work.unit.accounts().emails(account).await?;
        let is_primary = emails.iter().any(|known| known.is_primary && known.email == email);
        let outcome = match message.filter(|_| is_primary) {
            Some(message) => {
                work.mail_recovery(account, &email, message).await?;
                AccountSecured::ResetMailed
            }
            None => AccountSecured::SessionsEnded,
        };
        work.commit().await?;
        Ok(outcome)
    }

    /// What became of a link in a security notice: its page says so before it asks.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn security_link(&self, token: &PlainToken) -> Result<SecurityLink, Fault> {
        let mut unit = self.kernel.store.read().await?;
        let found = unit.challenges().find_by_link(Purpose::SecureAccount, token.hash().as_bytes()).await?;
        Ok(match found.map(|found| found.status(self.kernel.now())) {
            Some(ChallengeStatus::Open) => SecurityLink::Open,
            Some(ChallengeStatus::Consumed) => SecurityLink::Used,
            Some(ChallengeStatus::Expired) => SecurityLink::Expired,
            Some(ChallengeStatus::Blocked) | None => SecurityLink::Unknown,
        })
    }

    async fn find_security_link(&self, token: &PlainToken) -> Result<Option<Challenge>, Fault> {
        let mut unit = self.kernel.store.read().await?;
        let found = unit.challenges().find_by_link(Purpose::SecureAccount, token.hash().as_bytes()).await?;
        Ok(if_open(found, self.kernel.now()))
    }
}
